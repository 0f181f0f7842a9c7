// A block as text, one instruction a line, for people, golden tests and the parser.
// Promises: print(parse(x)) == x for every x that print() made; a block that verify() refuses is printed too, as well
// as that can be.
//
//   block pc 0x80000000 mode 0x1 size 8
//   float_unit flags fflags rounding frm canonical after_rounding     (none or more; named by their number)
//   guest 0x80000000
//   %1:i64 = get x5                                                   (a value is named by its place in the block)
//   %2:i64 = constant 0x10
//   %3:i64 = add %1, %2
//   %4:i32 = load %3
//   store.i32 %3, %4
//   %6:i1 = ltu.i64 %1, %3                                            (.type: that of the datum or the operands)
//   %7:i32 = float_add %4, %4 unit 0 nearest_even
//   %8:i32 = fetch_op add %3, %4
//   %9:i64 = physical.i32 store %3
//   %10:i64 = call cbo.zero(%1, %2) reads_state may_leave
//   set x6, %9
//   branch %6, 0x80000000, 0x80000008
#pragma once

#include <string>

#include "engine/ir/ir.h"
#include "engine/ir/slots.h"

namespace viv::ir {

std::string print(const Block& block, const SlotTable& slots);
// One instruction, without a newline; `id` is less than code.size().
std::string print_line(const Block& block, ValueId id, const SlotTable& slots);

}  // namespace viv::ir
