// One question to the TLB for several accesses off the same base: stack frames, fields of a structure, unrolled loops.
// See Compiler::Window.
// Promises: accesses are made in their order, each with the rights that it needs; the TLB is filled for the access in
// progress only, so that page tables are walked, and their bits set, as without windows.
#include <algorithm>
#include <bit>
#include <cstddef>

#include "engine/ir/effects.h"
#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/mem/tlb.h"

namespace viv::jit::x64 {

namespace {

using ir::MemoryAccess;
using ir::Op;

constexpr i64 widest_window = 512;
constexpr unsigned entry_bits = 5;
static_assert(sizeof(TlbEntry) == 1 << entry_bits);

}  // namespace

void Compiler::choose_windows() {
    windows_.clear();
    windowed_.assign(block_->code.size(), {});
    for (ir::ValueId id = 0; id < supported_size_; id++) {
        const ir::Inst& inst = block_->code[id];
        if (inst.op == Op::call) {
            // Whatever has been found out about pages may be wrong behind it.
            for (Window& window : windows_) window.open = false;
            continue;
        }
        const ir::Shape shape = ir::info_of(inst.op).shape;
        const bool store = shape == ir::Shape::store;
        if ((shape != ir::Shape::load && !store) || inst.type == ir::Type::i128) continue;
        ir::ValueId base = inst.a;
        i64 offset = 0, constant = 0;
        if (is_constant(base, constant)) continue;
        const ir::Inst& made = block_->code[base];
        if (made.op == Op::add && is_constant(made.b, constant) && constant == static_cast<i32>(constant)) {
            base = made.a;
            offset = constant;
        }
        const i64 end = offset + ir::bytes_of(inst.type) - 1;
        const auto fits = [&](const Window& window) {
            return window.open && window.base == base &&
                   std::max(window.last, end) - std::min(window.first, offset) < widest_window;
        };
        auto found = std::find_if(windows_.begin(), windows_.end(), fits);
        if (found == windows_.end()) {
            windows_.push_back({.base = base, .first = offset, .last = end, .open = true});
            found = windows_.end() - 1;
        }
        found->first = std::min(found->first, offset);
        found->last = std::max(found->last, end);
        found->count++;
        if (store) found->access = MemoryAccess::store;
        windowed_[id] = {static_cast<u32>(found - windows_.begin()), static_cast<i32>(offset)};
    }
    for (Window& window : windows_) {
        window.open = false;
        if (window.count < 2) continue;
        window.addend = static_cast<ir::ValueId>(values_.size());
        values_.push_back({.uses = window.count});
    }
    for (ir::ValueId id = 0; id < supported_size_; id++) {
        Windowed& windowed = windowed_[id];
        if (windowed.window == no_window) continue;
        const Window& window = windows_[windowed.window];
        if (window.addend == ir::no_value) {
            windowed = {};
            continue;
        }
        // The access needs the base instead of the address.
        values_[block_->code[id].a].uses--;
        values_[window.base].uses++;
    }
}

// The zero flag says whether the bytes from `first` to `last` lie in one page that the TLB holds, and the last is at a
// multiple of `alignment`; `entry` is the offset of its entry.
void Compiler::ask_tlb(Gpr base, i32 first, i32 last, unsigned alignment, MemoryAccess access, Gpr entry, Gpr scratch) {
    if (first != 0) a_.lea(Width::b64, scratch, at(base, first));
    const Gpr from = first != 0 ? scratch : base;
    if (features_.bmi2) {
        a_.rorx(Width::b64, entry, from, page_bits - entry_bits);
    } else {
        a_.mov(Width::b64, entry, from);
        a_.shr(Width::b64, entry, page_bits - entry_bits);
    }
    a_.and_(Width::b32, entry, i64{(Tlb::size - 1) << entry_bits});
    if (last != 0)
        a_.lea(Width::b64, scratch, at(base, last));
    else
        a_.mov(Width::b64, scratch, base);
    a_.and_(Width::b64, scratch, static_cast<i64>(~page_mask | (alignment - 1)));
    const i32 tag = access == MemoryAccess::load ? offsetof(TlbEntry, read) : offsetof(TlbEntry, write);
    a_.cmp(Width::b64, scratch, at(Gpr::r15, entry, 1, tag));
}

void Compiler::open_window(Window& window, const Windowed& windowed, unsigned bytes, MemoryAccess access) {
    window.open = true;
    const Gpr base = source(window.base);
    const Gpr entry = allocate(), scratch = allocate();
    const i32 first = static_cast<i32>(window.first), last = static_cast<i32>(window.last);
    const Label slow = a_.make_label(), opened = a_.make_label();
    const unsigned size = static_cast<unsigned>(last - first + 1);
    if (is_steady(window.base) && std::has_single_bit(size) && size <= 8) {
        // Accesses of one place: what it is now and will be then.
        a_.lea(Width::b64, scratch, at(base, first));
        ask_site({.miss = a_.make_label(),
                  .hit = opened,
                  .slow = slow,
                  .base = base,
                  .entry = entry,
                  .scratch = scratch,
                  .first = first,
                  .last = last,
                  .access = window.access});
    } else {
        ask_tlb(base, first, last, 1, window.access, entry, scratch);
        a_.jcc(Condition::ne, slow);
        a_.mov(Width::b64, entry, at(Gpr::r15, entry, 1, offsetof(TlbEntry, addend)));
        a_.bind(opened);
    }
    slow_windows_.push_back({slow, opened, give_up(), base, entry, scratch, windowed.offset,
                             frame::fill_thunk(bytes, access == MemoryAccess::store), first, last, window.access});
    unlock(scratch);
    give(window.addend, entry, true);
}

Compiler::Place Compiler::find_place(ir::ValueId address, unsigned bytes, MemoryAccess access) {
    const Windowed windowed = windowed_[at_];
    if (windowed.window == no_window) {
        const Mem memory = is_steady(address) ? steady_memory(address, bytes, access)
                                              : host_memory(address, bytes, access, Aligned::no);
        use(address);
        return {.memory = memory};
    }
    Window& window = windows_[windowed.window];
    if (!window.open) open_window(window, windowed, bytes, access);
    const Gpr base = source(window.base), addend = source(window.addend);
    use(window.base);
    use(window.addend);
    return {at(addend, base, 1, windowed.offset), true, base, windowed.offset};
}

void Compiler::access_place(const Place& place, unsigned bytes, MemoryAccess kind, Gpr scratch,
                            std::function<void(Mem)> access) {
    if (!place.windowed) return access(place.memory);
    const Label slow = a_.make_label(), back = a_.make_label();
    a_.test(Width::b64, place.memory.base, place.memory.base);
    a_.jcc(Condition::e, slow);
    access(place.memory);
    a_.bind(back);
    slow_windowed_.push_back({slow, back, give_up(), place.base, scratch, place.offset,
                              frame::fill_thunk(bytes, kind == MemoryAccess::store), std::move(access)});
}

void Compiler::slow_windows() {
    for (const SlowWindow& window : slow_windows_) {
        a_.bind(window.slow);
        a_.lea(Width::b64, window.scratch, at(window.base, window.offset));
        a_.mov(Width::b64, at(Gpr::rsp, frame::address), window.scratch);
        // Which asks the TLB first: a window across two pages fails here each time, with both of them in the TLB.
        a_.call(at(Gpr::rsp, frame::resolve + 8 * static_cast<i32>(window.thunk)));
        a_.jcc(Condition::e, window.give_up);
        const Label closed = a_.make_label();
        ask_tlb(window.base, window.first, window.last, 1, window.access, window.entry, window.scratch);
        a_.jcc(Condition::ne, closed, Reach::rel8);
        a_.mov(Width::b64, window.entry, at(Gpr::r15, window.entry, 1, offsetof(TlbEntry, addend)));
        a_.jmp(window.opened);
        a_.bind(closed);
        a_.mov(Width::b32, window.entry, 0);
        a_.jmp(window.opened);
    }
    for (const SlowWindowed& slow : slow_windowed_) {
        a_.bind(slow.slow);
        a_.mov(Width::b64, at(Gpr::rsp, frame::saved_rax), Gpr::rax);
        a_.lea(Width::b64, Gpr::rax, at(slow.base, slow.offset));
        a_.mov(Width::b64, at(Gpr::rsp, frame::address), Gpr::rax);
        a_.mov(Width::b64, Gpr::rax, at(Gpr::rsp, frame::saved_rax));
        a_.call(at(Gpr::rsp, frame::resolve + 8 * static_cast<i32>(slow.thunk)));
        a_.jcc(Condition::e, slow.give_up);
        if (slow.scratch == none_free) {
            // r15 can be had again, and holds no operand.
            a_.mov(Width::b64, Gpr::r15, at(Gpr::rsp, frame::address));
            slow.access(at(Gpr::r15));
            a_.mov(Width::b64, Gpr::r15, state(layout_.tlb));
        } else {
            a_.mov(Width::b64, slow.scratch, at(Gpr::rsp, frame::address));
            slow.access(at(slow.scratch));
        }
        a_.jmp(slow.back);
    }
}

}  // namespace viv::jit::x64
