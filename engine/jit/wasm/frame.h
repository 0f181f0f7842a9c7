// What generated code, its translations in memory and the backend share: records, and the functions that code calls.
// Promises: addresses and places in the table have 32 bits; a translation does not depend on where it lies, since what
// depends on that is in records, which are filled in when its function is installed.
//
// A translation in code memory is: a Header, a Record for each block, a Link and a Record for each jump that can be
// linked, and the function's body.
#pragma once

#include "engine/exec/translation.h"
#include "engine/lang/bits.h"

namespace viv::jit::wasm {

// A way into code. Its address is what the rest of the engine knows as code.
struct Record {
    u32 place = 0;     // of the function in the table; 0: not installed yet
    u32 block = 0;     // 1 + number of the block to begin with; in a link's record: the exit word
    u32 base = 0;      // address of the translation
    u32 distance = 0;  // from there to this record
};
static_assert(sizeof(Record) == 16);

struct Header {
    enum State : u32 { fresh, waiting, installed };
    u32 state = fresh;
    u32 entries = 0, links = 0;
    u32 padding = 0;              // so that records lie at multiples of their size
    u32 body = 0, body_size = 0;  // from the translation's start, in bytes
    u32 place = 0;
    u32 region = 0;  // of several blocks
};
static_assert(sizeof(Header) == 32);

// A jump that can be linked: the address of the record that it goes to; and its own, which leaves.
struct Link {
    u32 target = 0;
    u32 word = 0;  // the exit word
    u32 unused[2] = {};
    Record leave;
};
static_assert(sizeof(Link) == 32);

constexpr u32 record_at(u32 block) { return static_cast<u32>(sizeof(Header) + block * sizeof(Record)); }
constexpr u32 link_at(u32 blocks, u32 link) { return static_cast<u32>(record_at(blocks) + link * sizeof(Link)); }

// One a backend; generated code has its address.
struct Frame {
    u64 page = 0;  // virtual, in which code ran when it was left
    u8* state = nullptr;
    exec::Translatable* guest = nullptr;
    i32 tlb = 0, budget = 0;  // as in CpuLayout
};

// Arguments of the functions that code calls by their address, which is their place in the table.
namespace resolve_bits {
constexpr u32 size = 0xff, store = 0x100, aligned = 0x200;
}
// The host address of an access, after the TLB has been filled, or 0: not to be made by generated code.
u32 resolve(Frame* frame, u64 address, u32 what);
// An integer operation that has no short form: `what` is the Op and, from bit 8 on, the Type.
u64 compute_integer(u64 a, u64 b, u64 unused, u32 what, u32 unused_flags);
// A floating-point one (SoftCall::pack() of float.cpp); flags are ORed into the byte at the address `flags`.
u64 compute_float(u64 a, u64 b, u64 c, u32 what, u32 flags);
// The same for float_mul_add of doubles, rounded to nearest even.
u64 compute_fused(u64 a, u64 b, u64 c, u32 what, u32 flags);
// Leaves generated code: what an unlinked jump goes to.
u32 leave(u8* state, Frame* frame, const Record* record, u64 page, i64 budget);

template <class Function>
u32 place_of(Function* function) {
    return static_cast<u32>(reinterpret_cast<std::uintptr_t>(function));
}

}  // namespace viv::jit::wasm
