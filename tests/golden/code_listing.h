// What becomes of a piece of RISC-V code on its way to x86-64: IR, IR after the passes, promoted slots, host code. As
// text for people, and as lines to be compared.
// Promises: the text depends on nothing but the code and the translator: the vCPU has a layout of its own, the group
// names the processor, helpers have one made-up address, and IR is in the order of operand_order.h. Lines to be
// compared hold no disassembly, so any version of objdump will do, or none.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/ir/slots.h"
#include "engine/jit/backend.h"
#include "tests/golden/code_cases.h"

namespace viv::golden {

// A case translated.
struct Translation {
    std::vector<ir::Block> built;  // by the guest, cut where the region's blocks end
    jit::Region region;
    jit::Compiled compiled;
};
Translation translate(const CodeGroup& group, const CodeCase& one);
// The slots of the blocks above, at places that do not depend on the guest's state.
ir::SlotTable golden_slots();

enum class Disassembly : u8 { with, without };
// The lines of one case, behind its name.
std::vector<std::string> listing(const CodeCase& one, const Translation& translation, Disassembly disassembly);
// Disassembly left out, and the bytes of host code between two labels as one line.
std::vector<std::string> comparable(const std::vector<std::string>& lines);

// A golden file in parts; the first is its head, which has no name.
struct Part {
    std::string name;
    std::vector<std::string> lines;
};
std::vector<Part> translated(const CodeGroup& group, Disassembly disassembly);
std::string text_of(const std::vector<Part>& parts);
std::vector<Part> parts_of(std::string_view text);

// What differs, or nothing: cases that only one of them has, and the first lines, at most `limit` of each, of the first
// case that differs.
std::string difference(const std::vector<Part>& golden, const std::vector<Part>& now, usize limit);

}  // namespace viv::golden
