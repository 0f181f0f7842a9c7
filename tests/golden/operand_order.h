// A block with its instructions in an order that does not depend on the compiler that the engine was built by.
// Promises: the block means the same. An instruction's body is C++ like `e.x(f.rs1) + e.x(f.rs2)`, and which of the two
// is recorded first is the compiler's choice; here operands come right before what uses them, the first one first.
// What has effects stays in its order, gets stay before any change of state, all stays in its guest instruction.
#pragma once

#include "engine/ir/ir.h"

namespace viv::golden {

ir::Block in_operand_order(const ir::Block& block);

}  // namespace viv::golden
