// System instructions: environment calls, trap returns, CSR access, translation fences, cache-block operations.
// Specifications: RISC-V Privileged ISA 20240411, chapters 3.3, 10.2, 11 (Svinval); Unprivileged ISA chapters 6
// (Zicsr), 34 (CMO: Zicbom, Zicboz, Zicbop).
#pragma once

#include "engine/isa/riscv/formats.h"
#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

// Bodies in privileged.cpp. Each returns false if a trap was delivered.
namespace system {
bool ecall(Hart& hart, u32 word);
bool ebreak(Hart& hart, u32 word);
bool sret(Hart& hart, u32 word);
bool mret(Hart& hart, u32 word);
bool wfi(Hart& hart, u32 word);
bool sfence_vma(Hart& hart, u32 word);
bool sfence_ordering(Hart& hart, u32 word);  // sfence.w.inval, sfence.inval.ir: sinval.vma acts at once here
bool csrrw(Hart& hart, u32 word);
bool csrrs(Hart& hart, u32 word);
bool csrrc(Hart& hart, u32 word);
bool csrrwi(Hart& hart, u32 word);
bool csrrsi(Hart& hart, u32 word);
bool csrrci(Hart& hart, u32 word);
bool cbo_inval(Hart& hart, u32 word);
bool cbo_clean(Hart& hart, u32 word);
bool cbo_flush(Hart& hart, u32 word);
bool cbo_zero(Hart& hart, u32 word);
}  // namespace system

template <Text Name, Text Pattern, bool (*Body)(Hart&, u32), Operands P>
struct SystemInstruction : Instruction<Name, Pattern, WordFields, P, Flow::system> {
    static void run(auto& e, WordFields f) { e.template helper<Body>(Name.c_str(), f.word); }
};

struct ecall : SystemInstruction<"ecall", "000000000000 00000 000 00000 1110011", system::ecall, Operands::none> {};
struct ebreak : SystemInstruction<"ebreak", "000000000001 00000 000 00000 1110011", system::ebreak, Operands::none> {};
struct sret : SystemInstruction<"sret", "0001000 00010 00000 000 00000 1110011", system::sret, Operands::none> {};
struct mret : SystemInstruction<"mret", "0011000 00010 00000 000 00000 1110011", system::mret, Operands::none> {};
struct wfi : SystemInstruction<"wfi", "0001000 00101 00000 000 00000 1110011", system::wfi, Operands::none> {};
struct sfence_vma
    : SystemInstruction<"sfence.vma", "0001001 ..... ..... 000 00000 1110011", system::sfence_vma, Operands::r2> {};
struct sinval_vma
    : SystemInstruction<"sinval.vma", "0001011 ..... ..... 000 00000 1110011", system::sfence_vma, Operands::r2> {};
struct sfence_w_inval : SystemInstruction<"sfence.w.inval", "0001100 00000 00000 000 00000 1110011",
                                          system::sfence_ordering, Operands::none> {};
struct sfence_inval_ir : SystemInstruction<"sfence.inval.ir", "0001100 00001 00000 000 00000 1110011",
                                           system::sfence_ordering, Operands::none> {};
struct csrrw : SystemInstruction<"csrrw", "............ ..... 001 ..... 1110011", system::csrrw, Operands::csr> {};
struct csrrs : SystemInstruction<"csrrs", "............ ..... 010 ..... 1110011", system::csrrs, Operands::csr> {};
struct csrrc : SystemInstruction<"csrrc", "............ ..... 011 ..... 1110011", system::csrrc, Operands::csr> {};
struct csrrwi : SystemInstruction<"csrrwi", "............ ..... 101 ..... 1110011", system::csrrwi, Operands::csr_imm> {
};
struct csrrsi : SystemInstruction<"csrrsi", "............ ..... 110 ..... 1110011", system::csrrsi, Operands::csr_imm> {
};
struct csrrci : SystemInstruction<"csrrci", "............ ..... 111 ..... 1110011", system::csrrci, Operands::csr_imm> {
};
struct cbo_inval
    : SystemInstruction<"cbo.inval", "000000000000 ..... 010 00000 0001111", system::cbo_inval, Operands::cbo> {};
struct cbo_clean
    : SystemInstruction<"cbo.clean", "000000000001 ..... 010 00000 0001111", system::cbo_clean, Operands::cbo> {};
struct cbo_flush
    : SystemInstruction<"cbo.flush", "000000000010 ..... 010 00000 0001111", system::cbo_flush, Operands::cbo> {};
// Not a change of mode: an ordinary store as far as control flow goes.
struct cbo_zero : Instruction<"cbo.zero", "000000000100 ..... 010 00000 0001111", WordFields, Operands::cbo> {
    static void run(auto& e, Fields f) { e.template helper<system::cbo_zero>("cbo.zero", f.word); }
};

using RvPrivileged = Group<ecall, ebreak, sret, mret, wfi, sfence_vma, sinval_vma, sfence_w_inval, sfence_inval_ir,
                           csrrw, csrrs, csrrc, csrrwi, csrrsi, csrrci, cbo_inval, cbo_clean, cbo_flush, cbo_zero>;

}  // namespace viv::riscv
