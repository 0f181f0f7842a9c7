// What the tests of the IR share: a made-up guest with a few slots and helpers, memory with a hole, and a text that
// uses every operation.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "engine/ir/ir.h"
#include "engine/ir/oracle.h"
#include "engine/ir/parse.h"
#include "engine/ir/print.h"
#include "engine/ir/slots.h"
#include "engine/ir/verify.h"

namespace viv::ir::test {

struct Cpu {
    alignas(16) u8 state[128] = {};
    std::vector<std::array<u64, 4>> calls;
    u64 answer = 1;
};

namespace slot {
constexpr u64 a = 0, b = 8, pc = 16, wide_a = 32, wide_b = 48, word_a = 64, word_b = 68, half_a = 72, half_b = 74,
              byte_a = 76, byte_b = 77, bit_a = 78, bit_b = 79, flags = 80, rounding = 81, wide_c = 96;
}

inline SlotTable slots() {
    return SlotTable({{slot::a, Type::i64, "a"},
                      {slot::b, Type::i64, "b"},
                      {slot::pc, Type::i64, "pc"},
                      {slot::wide_a, Type::i128, "wide_a"},
                      {slot::wide_b, Type::i128, "wide_b"},
                      {slot::wide_c, Type::i128, "wide_c"},
                      {slot::word_a, Type::i32, "word_a"},
                      {slot::word_b, Type::i32, "word_b"},
                      {slot::half_a, Type::i16, "half_a"},
                      {slot::half_b, Type::i16, "half_b"},
                      {slot::byte_a, Type::i8, "byte_a"},
                      {slot::byte_b, Type::i8, "byte_b"},
                      {slot::bit_a, Type::i1, "bit_a"},
                      {slot::bit_b, Type::i1, "bit_b"},
                      {slot::flags, Type::i8, "flags"},
                      {slot::rounding, Type::i8, "rounding"}});
}
// The first and second slot of a type, for operands.
inline std::array<u64, 2> slots_of(Type type) {
    switch (type) {
        case Type::i1: return {slot::bit_a, slot::bit_b};
        case Type::i8: return {slot::byte_a, slot::byte_b};
        case Type::i16: return {slot::half_a, slot::half_b};
        case Type::i32: return {slot::word_a, slot::word_b};
        case Type::i64: return {slot::a, slot::b};
        default: return {slot::wide_a, slot::wide_b};
    }
}

// Records its arguments and returns what the test wants.
inline u64 record(void* cpu, u64 a, u64 b, u64 c, u64 d) {
    Cpu& self = *static_cast<Cpu*>(cpu);
    self.calls.push_back({a, b, c, d});
    return self.answer;
}
inline u64 sum(void*, u64 a, u64 b, u64 c, u64 d) { return a + b + c + d; }
inline std::vector<Helper> helpers() { return {{"record", record}, {"vector.sum", sum}}; }

// 256 bytes at 0x1000; atomic accesses find them at physical 0x9000.
struct Memory final : OracleMemory {
    static constexpr u64 base = 0x1000, size = 256, physical_base = 0x9000;
    std::array<u8, size> bytes{};
    std::vector<unsigned> counts;
    u8* at(u64 address, u64 length) {
        return address >= base && range_fits(address - base, length, size) ? &bytes[address - base] : nullptr;
    }
    bool load(u64 address, std::span<u8> out) override {
        const u8* from = at(address, out.size());
        if (from != nullptr) std::memcpy(out.data(), from, out.size());
        return from != nullptr;
    }
    bool store(u64 address, std::span<const u8> in) override {
        u8* to = at(address, in.size());
        if (to != nullptr) std::memcpy(to, in.data(), in.size());
        return to != nullptr;
    }
    u8* atomic(u64 address, unsigned length, MemoryAccess, u64& physical) override {
        if (address % length != 0) return nullptr;
        physical = address - base + physical_base;
        return at(address, length);
    }
    void calling(unsigned instructions) override { counts.push_back(instructions); }
};

inline Outcome run(const Block& block, Cpu& cpu, Memory& memory) {
    return Oracle().run(block, cpu.state, &cpu, memory);
}

// Every operation, as print() writes it. (Values of a text are named by their place.)
inline const char* const every_operation = R"(block pc 0x8000 mode 0x5 size 12
float_unit flags flags rounding rounding canonical after_rounding
float_unit flags byte_b rounding none first_operand before_rounding
guest 0x8000
%1:i64 = get a
%2:i64 = get b
%3:i64 = constant 0xffffffffffffffff
%4:i128 = constant 0x10000000000000002
%5:i1 = constant 0x1
%6:i64 = not %1
%7:i64 = neg %1
%8:i64 = clz %1
%9:i64 = ctz %1
%10:i64 = popcount %1
%11:i64 = byte_swap %1
%12:i64 = add %1, %2
%13:i64 = sub %1, %2
%14:i64 = mul %1, %2
%15:i64 = mulhu %1, %2
%16:i64 = mulhs %1, %2
%17:i64 = mulhsu %1, %2
%18:i64 = divu %1, %2
%19:i64 = divs %1, %2
%20:i64 = remu %1, %2
%21:i64 = rems %1, %2
%22:i64 = and %1, %2
%23:i64 = or %1, %2
%24:i64 = xor %1, %2
%25:i64 = shl %1, %2
%26:i64 = shr %1, %2
%27:i64 = sar %1, %2
%28:i64 = rotl %1, %2
%29:i64 = rotr %1, %2
%30:i64 = minu %1, %2
%31:i64 = maxu %1, %2
%32:i64 = mins %1, %2
%33:i64 = maxs %1, %2
%34:i64 = clmul %1, %2
%35:i64 = clmulh %1, %2
%36:i1 = eq.i64 %1, %2
%37:i1 = ne.i64 %1, %2
%38:i1 = ltu.i64 %1, %2
%39:i1 = lts.i64 %1, %2
%40:i1 = geu.i64 %1, %2
%41:i1 = ges.i64 %1, %2
%42:i1 = xor %36, %41
%43:i32 = trunc %1
%44:i16 = trunc %43
%45:i128 = sext %44
%46:i64 = zext %42
%47:i64 = select %42, %1, %2
%48:i16 = float_classify %43
set half_a, %48
guest 0x8004
%51:i64 = physical.i32 load %1
%52:i64 = physical.i64 store %1
%53:i32 = load %1
%54:i8 = load_acquire %1
fence
store.i64 %1, %2
guest 0x8006
store_release.i32 %1, %43
guest 0x8007
%60:i64 = exchange %1, %2
guest 0x8008
%62:i64 = fetch_op add %1, %2
guest 0x8009
%64:i16 = fetch_op maxu %1, %44
guest 0x800a
%66:i64 = compare_exchange %1, %2, %3
guest 0x800b
%68:i64 = call vector.sum(%1, %2, %3, %1)
%69:i64 = call record() reads_state reads_memory may_leave
set a, %68
guest 0x800c
%72:i32 = float_sqrt %43 unit 0 nearest_even
%73:i64 = float_add %1, %2 unit 1 toward_zero
%74:i64 = float_sub %1, %2 unit 0 dynamic
%75:i64 = float_mul %1, %2 unit 0 down
%76:i64 = float_div %1, %2 unit 0 up
%77:i64 = float_min %1, %2 unit 0
%78:i64 = float_max %1, %2 unit 0
%79:i64 = float_mul_add %1, %2, %3 unit 0 nearest_max_magnitude
%80:i1 = float_eq.i64 %1, %2 unit 0
%81:i1 = float_lt.i64 %1, %2 unit 0
%82:i1 = float_le.i64 %1, %2 unit 0
%83:i32 = float_to_signed %1 unit 0 nearest_even
%84:i8 = float_to_unsigned %1 unit 0 nearest_even
%85:i64 = float_from_signed %83 unit 0 nearest_even
%86:i16 = float_from_unsigned %84 unit 1 nearest_even
%87:i32 = float_convert %1 unit 0 to_odd
%88:i64 = address 0x8004
%89:i128 = lanes.i32 add %4, %4
%90:i128 = lanes.i8 sar %4, %84
%91:i128 = lanes.i16 geu %4, %89
%92:i128 = splat %43
%93:i128 = lane_mask.i1 128, %1
%94:i128 = expand_bits.i64 2, %4
%95:i128 = insert_bits.i8 16, %4, %94
set wide_a, %4
guest 0x800d
load_lanes.i32 wide_a, 8, %1, %2
guest 0x800e
store_lanes.i8 wide_b, 16, %1, %2
branch %82, 0x8000, 0x800c
)";

}  // namespace viv::ir::test
