// A hart with vector registers to fill and read by element, and encodings of vector instructions, for the vector tests.
#pragma once

#include <cstring>
#include <initializer_list>

#include "tests/isa/bench.h"

namespace viv::riscv::test {

// Second operand kinds, funct3 of OP-V.
constexpr u32 opivv = 0, opfvv = 1, opmvv = 2, opivi = 3, opivx = 4, opfvf = 5, opmvx = 6;
enum class Mask : u32 { v0 = 0, none = 1 };

constexpr u32 op_v(u32 funct6, u32 funct3, unsigned vd, unsigned vs2, unsigned vs1, Mask mask = Mask::none) {
    return 0x57 | vd << 7 | funct3 << 12 | (vs1 & 31) << 15 | vs2 << 20 | static_cast<u32>(mask) << 25 | funct6 << 26;
}
constexpr u32 vsetvli(unsigned rd, unsigned rs1, u32 vtype) { return 0x7057 | rd << 7 | rs1 << 15 | vtype << 20; }
constexpr u32 vsetivli(unsigned rd, u32 avl, u32 vtype) { return 0xc000'7057 | rd << 7 | avl << 15 | vtype << 20; }
constexpr u32 vsetvl(unsigned rd, unsigned rs1, unsigned rs2) { return 0x8000'7057 | rd << 7 | rs1 << 15 | rs2 << 20; }

// vtype of a width in bits and a multiplier 2^lmul.
constexpr u32 vtype(unsigned sew, int lmul = 0) {
    return static_cast<u32>(std::countr_zero(sew) - 3) << 3 | (static_cast<u32>(lmul) & 7);
}

enum class Unit : u32 { plain = 0, whole = 8, mask = 11, fault_first = 16 };
constexpr u32 width_bits(unsigned eew) { return (eew == 8 ? 0u : static_cast<u32>(std::countr_zero(eew)) + 1) << 12; }
constexpr u32 memory_op(u32 opcode, u32 mop, unsigned eew, unsigned v, unsigned rs1, u32 rs2, unsigned fields,
                        Mask mask) {
    return opcode | v << 7 | width_bits(eew) | rs1 << 15 | rs2 << 20 | static_cast<u32>(mask) << 25 | mop << 26 |
           (fields - 1) << 29;
}
constexpr u32 vle(unsigned eew, unsigned vd, unsigned rs1, Unit kind = Unit::plain, unsigned fields = 1,
                  Mask mask = Mask::none) {
    return memory_op(0x07, 0, eew, vd, rs1, static_cast<u32>(kind), fields, mask);
}
constexpr u32 vse(unsigned eew, unsigned vs3, unsigned rs1, Unit kind = Unit::plain, unsigned fields = 1,
                  Mask mask = Mask::none) {
    return memory_op(0x27, 0, eew, vs3, rs1, static_cast<u32>(kind), fields, mask);
}
constexpr u32 vlse(unsigned eew, unsigned vd, unsigned rs1, unsigned rs2, unsigned fields = 1, Mask mask = Mask::none) {
    return memory_op(0x07, 2, eew, vd, rs1, rs2, fields, mask);
}
constexpr u32 vluxei(unsigned eew, unsigned vd, unsigned rs1, unsigned vs2, unsigned fields = 1,
                     Mask mask = Mask::none) {
    return memory_op(0x07, 1, eew, vd, rs1, vs2, fields, mask);
}
constexpr u32 vsoxei(unsigned eew, unsigned vs3, unsigned rs1, unsigned vs2, unsigned fields = 1,
                     Mask mask = Mask::none) {
    return memory_op(0x27, 3, eew, vs3, rs1, vs2, fields, mask);
}

class VectorBench : public Bench {
public:
    explicit VectorBench(HartConfig config = {}) : Bench(config) {
        hart.s.mstatus |= u64{1} << mstatus::vs_shift | u64{1} << mstatus::fs_shift;  // initial
        hart.s.mtvec = ram_base + 0x1000;
        hart.restored();
    }

    // Sets vtype, and vl to `length` or to VLMAX if that is less.
    void set(u32 type, u64 length) {
        x(5) = length;
        execute(vsetvli(6, 5, type));
    }
    // Executes one instruction; whether it was done without a trap.
    bool execute(u32 word) {
        hart.s.pc = ram_base;
        hart.s.mcause = 0;
        put32(ram_base, word);
        run(1);
        return hart.s.pc == ram_base + 4;
    }
    // Whether it is an illegal instruction; nothing else may go wrong.
    bool illegal(u32 word) {
        const bool done = execute(word);
        EXPECT_TRUE(done || hart.s.mcause == static_cast<u64>(Cause::illegal)) << hart.s.mcause;
        return !done;
    }

    template <class T>
    void fill(unsigned reg, std::initializer_list<T> values) {
        std::memcpy(hart.vector_register(reg), std::data(values), values.size() * sizeof(T));
    }
    template <class T>
    std::vector<T> elements(unsigned reg, usize count) {
        std::vector<T> values(count);
        std::memcpy(values.data(), hart.vector_register(reg), count * sizeof(T));
        return values;
    }
};

}  // namespace viv::riscv::test
