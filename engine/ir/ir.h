// The intermediate representation: one block of typed SSA values between guest semantics and every backend.
// Promises: a ValueId names the instruction that made it; operands come before their uses; no guest is known here: state is reached by slots
// (byte offsets into the vCPU's state), everything else by helper calls with declared effects. See jit.md and semantics.md for the laws.
#pragma once

#include <vector>

#include "engine/lang/bits.h"

namespace viv::ir {

using ValueId = u32;
inline constexpr ValueId no_value = ~u32{0};

enum class Type : u8 { none, i1, i8, i16, i32, i64, i128 };

template <class T> inline constexpr Type type_of = Type::none;
template <> inline constexpr Type type_of<bool> = Type::i1;
template <> inline constexpr Type type_of<u8> = Type::i8;
template <> inline constexpr Type type_of<u16> = Type::i16;
template <> inline constexpr Type type_of<u32> = Type::i32;
template <> inline constexpr Type type_of<u64> = Type::i64;
template <> inline constexpr Type type_of<u128> = Type::i128;

constexpr unsigned bits_of(Type type) {
    constexpr unsigned widths[] = {0, 1, 8, 16, 32, 64, 128};
    return widths[static_cast<unsigned>(type)];
}
constexpr unsigned bytes_of(Type type) { return type == Type::i1 ? 1 : bits_of(type) / 8; }

enum class Op : u8 {
#define IR_UNARY(name, meaning) name,
#define IR_BINARY(name, meaning) name,
#define IR_COMPARE(name, meaning) name,
#include "engine/ir/ops.def"
    constant,       // imm (and imm_high for i128)
    zext, sext, trunc,
    select,         // a ? b : c
    get,            // state slot at byte offset imm
    set,            // state slot at byte offset imm := a; `type` is the slot's
    load,           // guest memory at virtual address a; `type` is the width. May leave the block at the current guest instruction
    store,          // guest memory at virtual address a := b; `type` is b's. May leave the block likewise
    fence,          // all earlier memory accesses before all later ones
    call,           // helper imm (index into Block::calls); may leave the block if its effects say so
    guest,          // start of the guest instruction at pc imm; everything up to the next one belongs to it
    // Terminators: the last instruction of a block, and only it.
    jump,           // to guest pc imm
    branch,         // a ? pc imm : pc imm2
    jump_indirect,  // to guest pc a; hint in Inst::hint
    leave,          // to the dispatcher: pc has been set by a call, or interrupts must be looked at
};

enum class JumpHint : u8 { none, call, return_ };  // for jump, jump_indirect: how a return predictor should see it

// What a helper may do beyond computing its result from its arguments.
enum Effect : u8 {
    effect_none = 0,
    effect_reads_state = 1,
    effect_writes_state = 2,
    effect_reads_memory = 4,
    effect_writes_memory = 8,
    effect_may_trap = 16,   // returns false after delivering a trap: the block is left
    effect_ends_block = 32, // the instruction's successor is found by the dispatcher
};

// A helper: plain C++ called with the vCPU and up to four integer arguments.
using HelperFunction = u64 (*)(void* cpu, u64 a, u64 b, u64 c, u64 d);

struct Call {
    const char* name = nullptr;  // static string, for printing and parsing
    HelperFunction function = nullptr;
    u8 effects = effect_none;
    ValueId arguments[4] = {no_value, no_value, no_value, no_value};
};

struct Inst {
    Op op = Op::constant;
    Type type = Type::none;  // of the result; of the datum for set and store; of the operands for comparisons
    JumpHint hint = JumpHint::none;
    ValueId a = no_value, b = no_value, c = no_value;
    u64 imm = 0, imm2 = 0;
};

struct Block {
    u64 pc = 0;    // guest address of the first instruction
    u64 mode = 0;  // the ISA's mode bits that the translation consulted: part of the block's key
    std::vector<Inst> code;
    std::vector<Call> calls;
};

}  // namespace viv::ir
