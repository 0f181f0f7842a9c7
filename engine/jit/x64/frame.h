// The stack frame of generated code: the ways out, and room for values.
// Promises: while generated code runs, rsp points at it and is 16-byte aligned. The addresses are in the frame, not in
// the code, so the code can lie anywhere.
#pragma once

#include "engine/jit/x64/operands.h"

namespace viv::jit::x64::frame {

// rbp points so many bytes into the state: a displacement of one byte reaches its first 256.
constexpr i32 state_bias = 128;

constexpr i32 exit = 0;   // leaves with the exit word in eax
constexpr i32 miss = 8;   // on at the guest address in rcx, which is not in its place of the jump table, at rax
constexpr i32 page = 16;  // the virtual page that the code runs in
constexpr i32 fill = 24;  // see fill_thunk
constexpr unsigned fill_thunks = 10;
constexpr i32 resolve = fill + 8 * fill_thunks;     // as fill, and the address becomes the host's
constexpr i32 address = resolve + 8 * fill_thunks;  // the argument of a fill thunk
constexpr i32 soft = address + 8;                   // does soft_operation on soft_values, flags to where rax points
constexpr i32 soft_operation = soft + 8;
constexpr i32 soft_values = soft_operation + 8;   // three; the result comes to the first
constexpr i32 activate_float = soft_values + 24;  // makes MXCSR gather the guest's flags
constexpr i32 merge_float = activate_float + 8;   // moves them to the state and stops that; uses rcx and rdx
constexpr i32 float_active = merge_float + 8;     // a byte: whether it does
constexpr i32 mxcsr = float_active + 4;
constexpr i32 saved_rax = mxcsr + 4;
constexpr i32 spills = saved_rax + 8;
constexpr unsigned spill_count = 62;
constexpr i32 size = spills + 8 * spill_count;
static_assert(size % 16 == 8);  // with the return address and six saved registers the stack is aligned

// The thunk that makes the TLB hold an access of `bytes` (1 to 16): all registers but the flags are kept; the zero flag
// says that it could not.
constexpr unsigned fill_thunk(unsigned bytes, bool store) {
    unsigned log = 0;
    while ((1u << log) < bytes) log++;
    return log + (store ? 5 : 0);
}

}  // namespace viv::jit::x64::frame
