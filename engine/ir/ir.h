// The intermediate representation: one block of typed SSA values between guest semantics and every backend.
// Promises: a ValueId names the instruction that made it; operands come before their uses; no guest is known here:
// state is reached by slots (byte offsets into the vCPU's state), everything else by helper calls with declared
// effects. See jit.md and semantics.md for the laws. Floating-point values are integers of the format's width (i16,
// i32, i64 hold binary16, binary32, binary64): only operations know formats.
#pragma once

#include <vector>

#include "engine/float/softfloat.h"
#include "engine/lang/bits.h"

namespace viv::ir {

using ValueId = u32;
inline constexpr ValueId no_value = ~u32{0};

enum class Type : u8 { none, i1, i8, i16, i32, i64, i128 };

template <class T>
inline constexpr Type type_of = Type::none;
template <>
inline constexpr Type type_of<bool> = Type::i1;
template <>
inline constexpr Type type_of<u8> = Type::i8;
template <>
inline constexpr Type type_of<u16> = Type::i16;
template <>
inline constexpr Type type_of<u32> = Type::i32;
template <>
inline constexpr Type type_of<u64> = Type::i64;
template <>
inline constexpr Type type_of<u128> = Type::i128;

constexpr unsigned bits_of(Type type) {
    constexpr unsigned widths[] = {0, 1, 8, 16, 32, 64, 128};
    return widths[static_cast<unsigned>(type)];
}
constexpr unsigned bytes_of(Type type) { return type == Type::i1 ? 1 : bits_of(type) / 8; }

enum class Op : u8 {
#define IR_UNARY(name, meaning) name,
#define IR_BINARY(name, meaning) name,
#define IR_COMPARE(name, meaning) name,
#define IR_FLOAT_UNARY(name, meaning) name,
#define IR_FLOAT_BINARY(name, meaning) name,
#define IR_FLOAT_TERNARY(name, meaning) name,
#define IR_FLOAT_COMPARE(name, meaning) name,
#define IR_FLOAT_CONVERT(name, meaning) name,
#include "engine/ir/ops.def"
    constant,  // imm, and imm2 above it for i128
    // The guest address imm, an i64, if the code runs in the virtual page for which it was built; in another one, what
    // is as far from there.
    address,
    zext,
    sext,
    trunc,
    select,  // a ? b : c
    // A vector is an i128: lanes of 8 to 64 bits, the first lowest.
    // Each lane of a OP that of b. OP is imm, an operation that is_lane_operation(), on lanes of the Type imm2. The
    // lanes of a comparison are all ones or zero. The b of a shift is one value of the lanes' type, for all lanes.
    lanes,
    splat,      // a, which is as wide as a lane, in every lane
    lane_mask,  // all ones in lane i of the Type imm2 (i1, too) if imm + i is below a, an i64; zero elsewhere
    // Between lanes of the Type imm2 and bits of an i128 from bit imm on, which is a multiple of their number.
    expand_bits,  // all ones in lane i if bit imm + i of a is set; zero elsewhere
    insert_bits,  // a, with its bit imm + i being the highest of lane i of b
    get,          // state slot at byte offset imm
    set,          // state slot at byte offset imm := a; `type` is the slot's
    // Guest memory at virtual address a (an i64). All may leave the block at the current guest instruction, before
    // which nothing of it has been done: the access faults, or it is not to plain memory. Little endian: other guests
    // add byte_swap.
    load,           // `type` is the width
    store,          // := b; `type` is b's
    load_acquire,   // and no later access before it
    store_release,  // and no earlier access after it
    // Between memory at a, an i64, and the state from the i128 slot at byte offset imm on: b (an i64) elements of
    // `type`, one behind the other in both places; none is touched if b is 0. They leave the block, too, where b is
    // above imm2.
    load_lanes,   // to the state; bytes of the slots that are not written stay
    store_lanes,  // to memory
    // Atomic and sequentially consistent; `type` is the width. They leave the block, too, where the address is not a
    // multiple of the width.
    exchange,          // memory := b; the result is what was there
    fetch_op,          // memory := memory OP b, OP being the binary operation imm; the result is what was there
    compare_exchange,  // if memory == b then memory := c; the result is what was there
    physical,  // the physical address behind a, an i64, if an atomic access of `type` and of kind imm (MemoryAccess)
               // can be made there
    fence,     // all earlier memory accesses before all later ones
    call,      // helper imm (index into Block::calls); may leave the block if its effects say so
    guest,     // start of the guest instruction at pc imm; everything up to the next one belongs to it
    // Terminators: the last instruction of a block, and only it.
    jump,           // to guest pc imm
    branch,         // a ? pc imm : pc imm2
    jump_indirect,  // to guest pc a
    leave,  // to the dispatcher: the pc is in the state; mode, translation, code or interrupts must be looked at
};
inline constexpr usize op_count = static_cast<usize>(Op::leave) + 1;

// For jump and jump_indirect: how a return predictor should see it. A call returns to the end of the block (pc + size).
enum class JumpHint : u8 { none, call, return_ };

enum class MemoryAccess : u8 { load, store };

// The first six are numbered like soft::Rounding. Operations that do not round carry nearest_even.
enum class Rounding : u8 { nearest_even, toward_zero, down, up, nearest_max_magnitude, to_odd, dynamic };

// Where floating-point operations accumulate their exception flags and find a dynamic rounding mode, and what IEEE 754
// leaves to the guest.
struct FloatUnit {
    static constexpr u64 no_slot = ~u64{0};
    // Slots of type i8. Flags, numbered like soft::Flag, are ORed into the first; the second holds a soft::Rounding for
    // Rounding::dynamic, where larger values mean nearest_even.
    u64 flags = no_slot;
    u64 rounding = no_slot;
    soft::NanRule nan_rule = soft::NanRule::canonical;
    soft::Tininess tininess = soft::Tininess::after_rounding;
    bool operator==(const FloatUnit&) const = default;
};

// What a helper may do beyond computing its result from its arguments, as bits. (No enum: its operators would meet
// those of values.h.)
using Effects = u8;
inline constexpr Effects effect_none = 0, effect_reads_state = 1, effect_writes_state = 2, effect_reads_memory = 4,
                         effect_writes_memory = 8;
// May return 0 to leave the block. The helper has then set the guest's pc: to a trap's vector, or behind the
// instruction, if something must be looked at before the next one.
inline constexpr Effects effect_may_leave = 16;
// It sets the guest's pc in any case; `leave` follows.
inline constexpr Effects effect_ends_block = 32;
inline constexpr Effects all_effects = 63;

// A helper: plain C++ called with the vCPU and up to four i64 arguments. The result is an i64.
using HelperFunction = u64 (*)(void* cpu, u64 a, u64 b, u64 c, u64 d);

struct Helper {
    const char* name = nullptr;  // static string, for printing and parsing
    HelperFunction function = nullptr;
};

struct Call {
    Helper helper;
    Effects effects = effect_none;
    ValueId arguments[4] = {no_value, no_value, no_value, no_value};
};

struct Inst {
    Op op = Op::constant;
    // Of the result; of the datum for set, stores and physical; of the operands for comparisons.
    Type type = Type::none;
    JumpHint hint = JumpHint::none;
    Rounding rounding = Rounding::nearest_even;
    ValueId a = no_value, b = no_value, c = no_value;
    u64 imm = 0, imm2 = 0;  // floating-point operations: imm is the index of the float unit
};

struct Block {
    u64 pc = 0;    // guest address of the first instruction
    u64 mode = 0;  // the ISA's mode bits that the translation consulted: part of the block's key
    u64 size = 0;  // bytes of guest code from pc on that it was made from
    std::vector<Inst> code;
    std::vector<Call> calls;
    std::vector<FloatUnit> float_units;
};

}  // namespace viv::ir
