// The RISC-V code whose translations are golden: single instructions and small loops, in groups, a golden file each.
// Promises: each text is what the words beside it mean, as the hart's disassembler says it (of a 16-bit instruction its
// name, then what it is short for); code starts at code_base, and what lies behind its end has never been executed.
#pragma once

#include <string>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::golden {

inline constexpr u64 code_base = 0x1'0000;

struct Instruction {
    u32 word = 0;  // a 16-bit one lies in the low half
    const char* text = "";

    unsigned length() const { return (word & 3) == 3 ? 4 : 2; }
};

struct CodeCase {
    const char* name = "";
    std::vector<Instruction> code;
    usize never_executed = ~usize{0};  // from this instruction on
};

enum class Processor : u8 {
    with_avx2,  // all that x86-64-v3 has, and carry-less products
    with_sse2,  // nothing beyond what every x86-64 has
};
enum class Translated : u8 {
    as_region,  // tier 2
    as_block,   // tier 1
};

enum class Vectors : u8 {
    none,
    on,  // of 128 bits
};

struct CodeGroup {
    const char* name = "";  // of the file
    const char* about = "";
    Processor processor = Processor::with_avx2;
    Translated translated = Translated::as_region;
    std::vector<CodeCase> cases;
    Vectors vectors = Vectors::none;
};

std::vector<CodeGroup> instruction_groups();
// Each of their cases is a loop.
std::vector<CodeGroup> loop_groups();

}  // namespace viv::golden
