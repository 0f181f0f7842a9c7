// M: multiplication and division. Specification: RISC-V Unprivileged ISA 20240411, chapter 12.
#pragma once

#include "engine/isa/riscv/rv_i.h"

namespace viv::riscv {

RISCV_R(mul_, "mul", "0000001 ..... ..... 000 ..... 0110011", a* b)
RISCV_R(mulh, "mulh", "0000001 ..... ..... 001 ..... 0110011", mulhs(a, b))
RISCV_R(mulhsu_, "mulhsu", "0000001 ..... ..... 010 ..... 0110011", mulhsu(a, b))
RISCV_R(mulhu_, "mulhu", "0000001 ..... ..... 011 ..... 0110011", mulhu(a, b))
RISCV_R(div_, "div", "0000001 ..... ..... 100 ..... 0110011", divs(a, b))
RISCV_R(divu_, "divu", "0000001 ..... ..... 101 ..... 0110011", divu(a, b))
RISCV_R(rem_, "rem", "0000001 ..... ..... 110 ..... 0110011", rems(a, b))
RISCV_R(remu_, "remu", "0000001 ..... ..... 111 ..... 0110011", remu(a, b))
RISCV_RW(mulw, "mulw", "0000001 ..... ..... 000 ..... 0111011", a* b)
RISCV_RW(divw, "divw", "0000001 ..... ..... 100 ..... 0111011", divs(a, b))
RISCV_RW(divuw, "divuw", "0000001 ..... ..... 101 ..... 0111011", divu(a, b))
RISCV_RW(remw, "remw", "0000001 ..... ..... 110 ..... 0111011", rems(a, b))
RISCV_RW(remuw, "remuw", "0000001 ..... ..... 111 ..... 0111011", remu(a, b))

using RvM = Group<mul_, mulh, mulhsu_, mulhu_, div_, divu_, rem_, remu_>;
using Rv64M = Group<mulw, divw, divuw, remw, remuw>;

}  // namespace viv::riscv
