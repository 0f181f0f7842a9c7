// The rows behind rv_c.h. Immediates are gathered by naming, for each bit of the result, where it stands in the
// half-word.
#include <array>
#include <initializer_list>

#include "engine/isa/riscv/rv_c.h"

namespace viv::riscv {

namespace {

using isa::encoding;
using isa::Encoding;
using isa::Text;

// Bits of an immediate: {to, from, count} moves `count` bits from bit `from` of the half-word to bit `to`.
struct Move {
    unsigned to, from, count;
};
constexpr u32 gather(u32 half, std::initializer_list<Move> moves) {
    u32 value = 0;
    for (const Move& move : moves) value |= (half >> move.from & ((1u << move.count) - 1)) << move.to;
    return value;
}
constexpr i32 gather_signed(u32 half, unsigned width, std::initializer_list<Move> moves) {
    return static_cast<i32>(sign_extend(gather(half, moves), width));
}

constexpr u32 rd(u32 h) { return h >> 7 & 31; }
constexpr u32 rs2(u32 h) { return h >> 2 & 31; }
constexpr u32 rd3(u32 h) { return 8 + (h >> 7 & 7); }  // rd' and rs1' in bits 9:7
constexpr u32 rs3(u32 h) { return 8 + (h >> 2 & 7); }  // rs2' and rd' in bits 4:2

constexpr u32 i_type(u32 opcode, u32 funct3, u32 d, u32 s1, i32 imm) {
    return opcode | d << 7 | funct3 << 12 | s1 << 15 | static_cast<u32>(imm) << 20;
}
constexpr u32 s_type(u32 opcode, u32 funct3, u32 s1, u32 s2, u32 imm) {
    return opcode | (imm & 31) << 7 | funct3 << 12 | s1 << 15 | s2 << 20 | (imm >> 5) << 25;
}
constexpr u32 r_type(u32 opcode, u32 funct3, u32 funct7, u32 d, u32 s1, u32 s2) {
    return opcode | d << 7 | funct3 << 12 | s1 << 15 | s2 << 20 | funct7 << 25;
}
constexpr u32 b_type(u32 funct3, u32 s1, u32 s2, i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return 0x63 | (o >> 11 & 1) << 7 | (o >> 1 & 15) << 8 | funct3 << 12 | s1 << 15 | s2 << 20 | (o >> 5 & 63) << 25 |
           (o >> 12 & 1) << 31;
}
constexpr u32 j_type(u32 d, i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return 0x6f | d << 7 | (o >> 12 & 255) << 12 | (o >> 11 & 1) << 20 | (o >> 1 & 1023) << 21 | (o >> 20 & 1) << 31;
}

constexpr u32 op_imm = 0x13, op_imm_32 = 0x1b, op = 0x33, op_32 = 0x3b, op_load = 0x03, op_store = 0x23,
              op_fload = 0x07, op_fstore = 0x27, op_lui = 0x37, op_jalr = 0x67;

constexpr i32 imm6(u32 h) { return gather_signed(h, 6, {{0, 2, 5}, {5, 12, 1}}); }
constexpr u32 shamt(u32 h) { return gather(h, {{0, 2, 5}, {5, 12, 1}}); }
constexpr u32 offset_w(u32 h) { return gather(h, {{2, 6, 1}, {3, 10, 3}, {6, 5, 1}}); }
constexpr u32 offset_d(u32 h) { return gather(h, {{3, 10, 3}, {6, 5, 2}}); }
constexpr u32 sp_load_w(u32 h) { return gather(h, {{2, 4, 3}, {5, 12, 1}, {6, 2, 2}}); }
constexpr u32 sp_load_d(u32 h) { return gather(h, {{3, 5, 2}, {5, 12, 1}, {6, 2, 3}}); }
constexpr u32 sp_store_w(u32 h) { return gather(h, {{2, 9, 4}, {6, 7, 2}}); }
constexpr u32 sp_store_d(u32 h) { return gather(h, {{3, 10, 3}, {6, 7, 3}}); }
constexpr i32 jump_offset(u32 h) {
    return gather_signed(h, 12,
                         {{1, 3, 3}, {4, 11, 1}, {5, 2, 1}, {6, 7, 1}, {7, 6, 1}, {8, 9, 2}, {10, 8, 1}, {11, 12, 1}});
}
constexpr i32 branch_offset(u32 h) {
    return gather_signed(h, 9, {{1, 3, 2}, {3, 10, 2}, {5, 2, 1}, {6, 5, 2}, {8, 12, 1}});
}
constexpr u32 load(u32 funct3, u32 d, u32 s1, u32 offset) {
    return i_type(op_load, funct3, d, s1, static_cast<i32>(offset));
}
constexpr u32 fload(u32 funct3, u32 d, u32 s1, u32 offset) {
    return i_type(op_fload, funct3, d, s1, static_cast<i32>(offset));
}
// Immediate shifts on rd'; a shift of 32 or more is refused for RV32 when the expansion is decoded.
constexpr u32 shift(u32 funct3, u32 funct6, u32 d, u32 amount) {
    return i_type(op_imm, funct3, d, d, static_cast<i32>(amount | funct6 << 6));
}
constexpr u32 alu3(u32 opcode, u32 funct3, u32 funct7, u32 h) {
    return r_type(opcode, funct3, funct7, rd3(h), rd3(h), rs3(h));
}

#define ROW(name, pattern, expression)                                                              \
    CompressedRow {                                                                                 \
        name, encoding<16>(Text(pattern)), []([[maybe_unused]] u32 h) -> u32 { return expression; } \
    }

constexpr std::array common_rows{
    // Quadrant 0
    ROW("c.addi4spn", "000 ........ ... 00",
        (h >> 5 & 255) == 0
            ? 0
            : i_type(op_imm, 0, rs3(h), 2, static_cast<i32>(gather(h, {{2, 6, 1}, {3, 5, 1}, {4, 11, 2}, {6, 7, 4}})))),
    ROW("c.fld", "001 ... ... .. ... 00", fload(3, rs3(h), rd3(h), offset_d(h))),
    ROW("c.lw", "010 ... ... .. ... 00", load(2, rs3(h), rd3(h), offset_w(h))),
    ROW("c.fsd", "101 ... ... .. ... 00", s_type(op_fstore, 3, rd3(h), rs3(h), offset_d(h))),
    ROW("c.sw", "110 ... ... .. ... 00", s_type(op_store, 2, rd3(h), rs3(h), offset_w(h))),
    // Zcb
    ROW("c.lbu", "100 000 ... .. ... 00", load(4, rs3(h), rd3(h), gather(h, {{0, 6, 1}, {1, 5, 1}}))),
    ROW("c.lhu", "100 001 ... 0. ... 00", load(5, rs3(h), rd3(h), gather(h, {{1, 5, 1}}))),
    ROW("c.lh", "100 001 ... 1. ... 00", load(1, rs3(h), rd3(h), gather(h, {{1, 5, 1}}))),
    ROW("c.sb", "100 010 ... .. ... 00", s_type(op_store, 0, rd3(h), rs3(h), gather(h, {{0, 6, 1}, {1, 5, 1}}))),
    ROW("c.sh", "100 011 ... 0. ... 00", s_type(op_store, 1, rd3(h), rs3(h), gather(h, {{1, 5, 1}}))),
    // Quadrant 1
    ROW("c.addi", "000 . ..... ..... 01", i_type(op_imm, 0, rd(h), rd(h), imm6(h))),
    ROW("c.li", "010 . ..... ..... 01", i_type(op_imm, 0, rd(h), 0, imm6(h))),
    ROW("c.addi16sp", "011 . 00010 ..... 01",
        gather(h, {{0, 2, 5}, {5, 12, 1}}) == 0
            ? 0
            : i_type(op_imm, 0, 2, 2, gather_signed(h, 10, {{4, 6, 1}, {5, 2, 1}, {6, 5, 1}, {7, 3, 2}, {9, 12, 1}}))),
    ROW("c.lui", "011 . ..... ..... 01", imm6(h) == 0 ? 0 : op_lui | rd(h) << 7 | static_cast<u32>(imm6(h)) << 12),
    ROW("c.srli", "100 . 00 ... ..... 01", shift(5, 0, rd3(h), shamt(h))),
    ROW("c.srai", "100 . 01 ... ..... 01", shift(5, 0x10, rd3(h), shamt(h))),
    ROW("c.andi", "100 . 10 ... ..... 01", i_type(op_imm, 7, rd3(h), rd3(h), imm6(h))),
    ROW("c.sub", "100 0 11 ... 00 ... 01", alu3(op, 0, 0x20, h)),
    ROW("c.xor", "100 0 11 ... 01 ... 01", alu3(op, 4, 0, h)),
    ROW("c.or", "100 0 11 ... 10 ... 01", alu3(op, 6, 0, h)),
    ROW("c.and", "100 0 11 ... 11 ... 01", alu3(op, 7, 0, h)),
    ROW("c.mul", "100 1 11 ... 10 ... 01", alu3(op, 0, 1, h)),                            // Zcb
    ROW("c.zext.b", "100 1 11 ... 11 000 01", i_type(op_imm, 7, rd3(h), rd3(h), 0xff)),   // Zcb
    ROW("c.sext.b", "100 1 11 ... 11 001 01", i_type(op_imm, 1, rd3(h), rd3(h), 0x604)),  // Zcb
    ROW("c.sext.h", "100 1 11 ... 11 011 01", i_type(op_imm, 1, rd3(h), rd3(h), 0x605)),  // Zcb
    ROW("c.not", "100 1 11 ... 11 101 01", i_type(op_imm, 4, rd3(h), rd3(h), -1)),        // Zcb
    ROW("c.j", "101 ........... 01", j_type(0, jump_offset(h))),
    ROW("c.beqz", "110 ... ... ..... 01", b_type(0, rd3(h), 0, branch_offset(h))),
    ROW("c.bnez", "111 ... ... ..... 01", b_type(1, rd3(h), 0, branch_offset(h))),
    // Quadrant 2
    ROW("c.slli", "000 . ..... ..... 10", shift(1, 0, rd(h), shamt(h))),
    ROW("c.fldsp", "001 . ..... ..... 10", fload(3, rd(h), 2, sp_load_d(h))),
    ROW("c.lwsp", "010 . ..... ..... 10", rd(h) == 0 ? 0 : load(2, rd(h), 2, sp_load_w(h))),
    ROW("c.jr", "100 0 ..... 00000 10", rd(h) == 0 ? 0 : i_type(op_jalr, 0, 0, rd(h), 0)),
    ROW("c.mv", "100 0 ..... ..... 10", r_type(op, 0, 0, rd(h), 0, rs2(h))),
    ROW("c.ebreak", "100 1 00000 00000 10", 0x0010'0073),
    ROW("c.jalr", "100 1 ..... 00000 10", i_type(op_jalr, 0, 1, rd(h), 0)),
    ROW("c.add", "100 1 ..... ..... 10", r_type(op, 0, 0, rd(h), rd(h), rs2(h))),
    ROW("c.fsdsp", "101 ...... ..... 10", s_type(op_fstore, 3, 2, rs2(h), sp_store_d(h))),
    ROW("c.swsp", "110 ...... ..... 10", s_type(op_store, 2, 2, rs2(h), sp_store_w(h))),
};

constexpr std::array rv32_rows{
    ROW("c.flw", "011 ... ... .. ... 00", fload(2, rs3(h), rd3(h), offset_w(h))),
    ROW("c.fsw", "111 ... ... .. ... 00", s_type(op_fstore, 2, rd3(h), rs3(h), offset_w(h))),
    ROW("c.zext.h", "100 1 11 ... 11 010 01", r_type(op, 4, 0x04, rd3(h), rd3(h), 0)),
    ROW("c.jal", "001 ........... 01", j_type(1, jump_offset(h))),
    ROW("c.flwsp", "011 . ..... ..... 10", fload(2, rd(h), 2, sp_load_w(h))),
    ROW("c.fswsp", "111 ...... ..... 10", s_type(op_fstore, 2, 2, rs2(h), sp_store_w(h))),
};

constexpr std::array rv64_rows{
    ROW("c.ld", "011 ... ... .. ... 00", load(3, rs3(h), rd3(h), offset_d(h))),
    ROW("c.sd", "111 ... ... .. ... 00", s_type(op_store, 3, rd3(h), rs3(h), offset_d(h))),
    ROW("c.zext.h", "100 1 11 ... 11 010 01", r_type(op_32, 4, 0x04, rd3(h), rd3(h), 0)),
    ROW("c.zext.w", "100 1 11 ... 11 100 01", r_type(op_32, 0, 0x04, rd3(h), rd3(h), 0)),
    ROW("c.addiw", "001 . ..... ..... 01", rd(h) == 0 ? 0 : i_type(op_imm_32, 0, rd(h), rd(h), imm6(h))),
    ROW("c.subw", "100 1 11 ... 00 ... 01", alu3(op_32, 0, 0x20, h)),
    ROW("c.addw", "100 1 11 ... 01 ... 01", alu3(op_32, 0, 0, h)),
    ROW("c.ldsp", "011 . ..... ..... 10", rd(h) == 0 ? 0 : load(3, rd(h), 2, sp_load_d(h))),
    ROW("c.sdsp", "111 ...... ..... 10", s_type(op_store, 3, 2, rs2(h), sp_store_d(h))),
};
#undef ROW

const CompressedRow* find(u16 half, unsigned xlen) {
    const auto search = [&](const auto& rows) -> const CompressedRow* {
        for (const auto& row : rows)
            if (row.encoding.matches(half)) return &row;
        return nullptr;
    };
    if (const CompressedRow* row = search(common_rows)) return row;
    return xlen == 64 ? search(rv64_rows) : search(rv32_rows);
}

}  // namespace

u32 expand_compressed(u16 half, unsigned xlen) {
    const CompressedRow* row = find(half, xlen);
    return row == nullptr ? 0 : row->expand(half);
}

const char* compressed_name(u16 half, unsigned xlen) {
    const CompressedRow* row = find(half, xlen);
    return row == nullptr || row->expand(half) == 0 ? nullptr : row->name;
}

}  // namespace viv::riscv
