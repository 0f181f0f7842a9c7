// Whether a block keeps the rules that every pass and backend relies on. Run between passes in debug builds and by the
// tests. Promises: never reads out of bounds, whatever the block holds; the error is one line with the offending
// instruction as text. The rules: operands are made before they are used and have the types the operation has;
// immediates are in range; slots are those of the table, with its types; the first instruction is a `guest`, their
// addresses rise within the block; a terminator comes last and only there; a call that ends the block is followed by
// `leave`. And the first law: nothing that may leave the block at the current guest instruction comes after something
// of that instruction that has changed state or memory.
#pragma once

#include "engine/ir/ir.h"
#include "engine/ir/slots.h"
#include "engine/lang/result.h"

namespace viv::ir {

Result<void> verify(const Block& block, const SlotTable& slots);

}  // namespace viv::ir
