// Transfers of elements between guest memory and the state's slots of vectors. See compiler.h.
// Promises: one question to the TLB for all bytes of a transfer; unless they lie in one page that it holds, or can be
// made to hold, nothing has been done and the interpreter does the instruction. No byte is written twice, no element in
// parts.
#include <bit>
#include <cstddef>

#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/mem/tlb.h"

namespace viv::jit::x64 {

namespace {

using ir::MemoryAccess;
using ir::Op;

constexpr unsigned entry_bits = 5;
static_assert(sizeof(TlbEntry) == 1 << entry_bits);

}  // namespace

// The zero flag says whether all bytes lie in one page that the TLB holds.
void Compiler::ask_for_transfer(const SlowTransfer& transfer) {
    if (transfer.bytes == none_free)
        return ask_tlb(transfer.base, 0, transfer.last, 1, transfer.access, transfer.entry, transfer.scratch);
    if (features_.bmi2) {
        a_.rorx(Width::b64, transfer.entry, transfer.base, page_bits - entry_bits);
    } else {
        a_.mov(Width::b64, transfer.entry, transfer.base);
        a_.shr(Width::b64, transfer.entry, page_bits - entry_bits);
    }
    a_.and_(Width::b32, transfer.entry, i64{(Tlb::size - 1) << entry_bits});
    a_.lea(Width::b64, transfer.scratch, at(transfer.base, transfer.bytes, 1, -1));
    a_.and_(Width::b64, transfer.scratch, static_cast<i64>(~page_mask));
    const i32 tag = transfer.access == MemoryAccess::load ? offsetof(TlbEntry, read) : offsetof(TlbEntry, write);
    a_.cmp(Width::b64, transfer.scratch, at(Gpr::r15, transfer.entry, 1, tag));
}

void Compiler::transfer_lanes(const ir::Inst& inst) {
    const bool loads = inst.op == Op::load_lanes;
    const unsigned size = ir::bytes_of(inst.type);
    const auto used = [&] {
        use(inst.a);
        use(inst.b);
    };
    i64 constant = 0;
    const bool known = is_constant(inst.b, constant);
    const u64 count = static_cast<u64>(constant);
    if (known && count > inst.imm2) return leave_to_interpreter();
    if (known && count == 0) return used();
    if (loads) read_before_write(static_cast<i32>(inst.imm), static_cast<unsigned>(ir::transferred(inst)));

    SlowTransfer transfer{.slow = a_.make_label(),
                          .opened = a_.make_label(),
                          .give_up = give_up(),
                          .base = source(inst.a),
                          .entry = allocate(),
                          .scratch = allocate(),
                          .bytes = none_free,
                          .last = static_cast<i32>(count * size) - 1,
                          .access = loads ? MemoryAccess::load : MemoryAccess::store};
    const Label done = a_.make_label();
    if (!known) {
        transfer.bytes = allocate();
        load_to(transfer.bytes, inst.b);
        a_.cmp(Width::b64, transfer.bytes, static_cast<i64>(inst.imm2));
        a_.jcc(Condition::a, transfer.give_up);
        if (size > 1) a_.shl(Width::b64, transfer.bytes, static_cast<unsigned>(std::countr_zero(size)));
        a_.test(Width::b64, transfer.bytes, transfer.bytes);
        a_.jcc(Condition::e, done);
    }
    ask_for_transfer(transfer);
    a_.jcc(Condition::ne, transfer.slow);
    a_.bind(transfer.opened);
    a_.mov(Width::b64, transfer.entry, at(Gpr::r15, transfer.entry, 1, offsetof(TlbEntry, addend)));
    a_.add(Width::b64, transfer.entry, transfer.base);
    if (known)
        copy_bytes(inst, transfer.entry, transfer.scratch, count * size);
    else
        copy_bytes(inst, transfer.entry, transfer.scratch, transfer.bytes);
    a_.bind(done);
    slow_transfers_.push_back(transfer);
    used();
}

// Through xmm0; elements are never torn, since they lie whole in a piece.
void Compiler::copy_piece(const ir::Inst& inst, Mem memory, Mem state, unsigned bytes) {
    const bool loads = inst.op == Op::load_lanes;
    const Mem from = loads ? memory : state, to = loads ? state : memory;
    constexpr Xmm x = Xmm::xmm0;
    switch (bytes) {
        case 16: a_.movups(x, from), a_.movups(to, x); break;
        case 8: a_.movq(x, from), a_.movq(to, x); break;
        case 4: a_.movd(x, from), a_.movd(to, x); break;
        case 2: a_.pinsrw(x, from, 0), a_.pextrw(to, x, 0); break;
        default: a_.pinsrb(x, from, 0), a_.pextrb(to, x, 0); break;
    }
}

void Compiler::copy_bytes(const ir::Inst& inst, Gpr from, Gpr offset, u64 bytes) {
    constexpr u64 unrolled = 128;
    const i32 place = static_cast<i32>(inst.imm) - frame::state_bias;
    if (bytes > unrolled) {
        const Label loop = a_.make_label();
        const u64 whole = bytes & ~u64{15};
        a_.mov(Width::b32, offset, 0);
        a_.bind(loop);
        copy_piece(inst, at(from, offset), at(Gpr::rbp, offset, 1, place), 16);
        a_.add(Width::b32, offset, 16);
        a_.cmp(Width::b32, offset, static_cast<i64>(whole));
        a_.jcc(Condition::ne, loop, Reach::rel8);
    }
    u64 done = bytes > unrolled ? bytes & ~u64{15} : 0;
    for (unsigned piece = 16; piece > 0; piece /= 2)
        for (; bytes - done >= piece; done += piece) {
            const i32 at_byte = static_cast<i32>(done);
            copy_piece(inst, at(from, at_byte), at(Gpr::rbp, place + at_byte), piece);
        }
}

// `bytes` is not kept.
void Compiler::copy_bytes(const ir::Inst& inst, Gpr from, Gpr offset, Gpr bytes) {
    const u64 most = ir::transferred(inst);
    const Mem memory = at(from, offset),
              slots = at(Gpr::rbp, offset, 1, static_cast<i32>(inst.imm) - frame::state_bias);
    a_.mov(Width::b32, offset, 0);
    if (most >= 16) {
        const Label loop = a_.make_label(), rest = a_.make_label();
        a_.sub(Width::b32, bytes, 16);
        a_.jcc(Condition::b, rest, Reach::rel8);
        a_.bind(loop);
        copy_piece(inst, memory, slots, 16);
        a_.add(Width::b32, offset, 16);
        a_.sub(Width::b32, bytes, 16);
        a_.jcc(Condition::ae, loop, Reach::rel8);
        a_.bind(rest);
    }
    // What is left of it has the same low bits.
    for (unsigned piece = 8; piece >= ir::bytes_of(inst.type); piece /= 2) {
        if (piece > most) continue;
        const Label next = a_.make_label();
        a_.test(Width::b32, bytes, i64{piece});
        a_.jcc(Condition::e, next, Reach::rel8);
        copy_piece(inst, memory, slots, piece);
        if (piece > ir::bytes_of(inst.type)) a_.add(Width::b32, offset, i64{piece});
        a_.bind(next);
    }
}

// The TLB is filled for the first byte, which is to be accessed in any case.
void Compiler::slow_transfers() {
    for (const SlowTransfer& transfer : slow_transfers_) {
        a_.bind(transfer.slow);
        a_.mov(Width::b64, at(Gpr::rsp, frame::address), transfer.base);
        a_.call(at(Gpr::rsp,
                   frame::fill + 8 * static_cast<i32>(frame::fill_thunk(1, transfer.access == MemoryAccess::store))));
        a_.jcc(Condition::e, transfer.give_up);
        ask_for_transfer(transfer);
        a_.jcc(Condition::ne, transfer.give_up);
        a_.jmp(transfer.opened);
    }
}

}  // namespace viv::jit::x64
