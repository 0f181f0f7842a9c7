// Text back to a block; see print.h for its form.
// Promises: any text gives a block or an error that names the line and what was expected there; time and memory are
// bounded by its length, which is at most maximum_text. Values may have any name of letters, digits and '_'; '#' starts
// a comment. What comes out is well formed but not yet verified: types and order are verify()'s business.
#pragma once

#include <span>
#include <string_view>

#include "engine/ir/ir.h"
#include "engine/ir/slots.h"
#include "engine/lang/result.h"

namespace viv::ir {

inline constexpr usize maximum_text = usize{1} << 20;  // bytes
inline constexpr usize maximum_float_units = 16;

// `helpers`: what calls may name; their names outlive the block.
Result<Block> parse(std::string_view text, const SlotTable& slots, std::span<const Helper> helpers);

}  // namespace viv::ir
