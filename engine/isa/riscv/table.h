// The list of all instructions, generated from the semantics headers: for the decoder, the disassembler, fuzzers and
// tests.
#pragma once

#include <span>
#include <vector>

#include "engine/isa/riscv/formats.h"

namespace viv::riscv {

enum class Xlen : u8 { any, only32, only64 };

struct InstructionInfo {
    const char* name;
    const char* extension;  // "I", "M", "Zba"..., the header's group
    Encoding encoding;
    Operands operands;
    Flow flow;
    Xlen xlen;
};

// In decoding priority: the first match wins.
std::span<const InstructionInfo> instruction_table();

// Finds instructions among those that one kind of hart has.
class Decoder {
public:
    // `vector`: whether the V extension and its relatives are there.
    Decoder(unsigned xlen, bool vector);
    // Index into instruction_table(), or -1 if the 32-bit word is no instruction.
    int find(u32 word) const;

private:
    static unsigned bucket_of(u32 word) { return (word >> 2 & 31) | (word >> 12 & 7) << 5; }
    std::vector<u16> buckets_[256];  // by opcode and funct3, in priority order
    bool narrow_shifts_ = false;     // RV32: shift amounts of 32 and more are reserved
};

}  // namespace viv::riscv
