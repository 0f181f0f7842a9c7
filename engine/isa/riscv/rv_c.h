// C and Zcb: each 16-bit instruction is a name for a 32-bit one, so a row is its pattern and the word it expands to.
// Promises: expand() yields 0 (an illegal instruction) for reserved encodings. Specification: RISC-V Unprivileged ISA
// 20240411, chapters 26 (C) and 27.4 (Zcb).
#pragma once

#include "engine/isa/pattern.h"
#include "engine/lang/bits.h"

namespace viv::riscv {

struct CompressedRow {
    const char* name;
    isa::Encoding encoding;  // in the low 16 bits
    u32 (*expand)(u32 half);
};

// The 32-bit equivalent of a 16-bit instruction for the given XLEN, or 0 if it is reserved.
u32 expand_compressed(u16 half, unsigned xlen);
// The name of the 16-bit form ("c.addi"), or null.
const char* compressed_name(u16 half, unsigned xlen);

}  // namespace viv::riscv
