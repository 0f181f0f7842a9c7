// A: load-reserved, store-conditional and atomic memory operations; all are sequentially consistent here, which every
// aq/rl combination allows. Specification: RISC-V Unprivileged ISA 20240411, chapter 13 (Zalrsc, Zaamo). Misaligned
// ones raise address-misaligned exceptions.
#pragma once

#include "engine/ir/values.h"
#include "engine/isa/riscv/formats.h"

namespace viv::riscv {

enum class Rmw : u8 { swap, add, xor_, and_, or_, mins, maxs, minu, maxu };

struct lr_w : Instruction<"lr.w", "00010 . . 00000 ..... 010 ..... 0101111", AmoFields, Operands::lr> {
    static void run(auto& e, Fields f) { e.template load_reserved<u32>(f); }
};
struct lr_d : Instruction<"lr.d", "00010 . . 00000 ..... 011 ..... 0101111", AmoFields, Operands::lr> {
    static void run(auto& e, Fields f) { e.template load_reserved<u64>(f); }
};
struct sc_w : Instruction<"sc.w", "00011 . . ..... ..... 010 ..... 0101111", AmoFields, Operands::amo> {
    static void run(auto& e, Fields f) { e.template store_conditional<u32>(f); }
};
struct sc_d : Instruction<"sc.d", "00011 . . ..... ..... 011 ..... 0101111", AmoFields, Operands::amo> {
    static void run(auto& e, Fields f) { e.template store_conditional<u64>(f); }
};

#define RISCV_AMO(name, text, bits, kind)                                                                           \
    struct name##_w : Instruction<text ".w", bits " . . ..... ..... 010 ..... 0101111", AmoFields, Operands::amo> { \
        static void run(auto& e, Fields f) { e.template atomic<u32, Rmw::kind>(f); }                                \
    };                                                                                                              \
    struct name##_d : Instruction<text ".d", bits " . . ..... ..... 011 ..... 0101111", AmoFields, Operands::amo> { \
        static void run(auto& e, Fields f) { e.template atomic<u64, Rmw::kind>(f); }                                \
    };
RISCV_AMO(amoswap, "amoswap", "00001", swap)
RISCV_AMO(amoadd, "amoadd", "00000", add)
RISCV_AMO(amoxor, "amoxor", "00100", xor_)
RISCV_AMO(amoand, "amoand", "01100", and_)
RISCV_AMO(amoor, "amoor", "01000", or_)
RISCV_AMO(amomin, "amomin", "10000", mins)
RISCV_AMO(amomax, "amomax", "10100", maxs)
RISCV_AMO(amominu, "amominu", "11000", minu)
RISCV_AMO(amomaxu, "amomaxu", "11100", maxu)
#undef RISCV_AMO

using RvA =
    Group<lr_w, sc_w, amoswap_w, amoadd_w, amoxor_w, amoand_w, amoor_w, amomin_w, amomax_w, amominu_w, amomaxu_w>;
using Rv64A =
    Group<lr_d, sc_d, amoswap_d, amoadd_d, amoxor_d, amoand_d, amoor_d, amomin_d, amomax_d, amominu_d, amomaxu_d>;

}  // namespace viv::riscv
