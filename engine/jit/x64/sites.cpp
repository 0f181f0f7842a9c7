// Accesses in loops off pointers that stay in a page for a while: each has a place of its own that remembers the page
// which it used last. See TlbSite and steady_slots.
// Promises: what such a place answers is what the TLB would answer. It costs fewer instructions than asking the TLB,
// and the load of the addend does not wait for the address.
#include <algorithm>
#include <cstddef>

#include "engine/jit/x64/compiler.h"
#include "engine/mem/tlb.h"

namespace viv::jit::x64 {

bool Compiler::is_steady(ir::ValueId address) const {
    if (region_->steady.empty()) return false;
    i64 offset = 0;
    const ir::Inst* made = &block_->code[address];
    if (made->op == ir::Op::add && is_constant(made->b, offset)) made = &block_->code[made->a];
    const std::vector<u64>& slots = region_->steady[static_cast<usize>(block_ - region_->blocks.data())];
    return made->op == ir::Op::get && std::binary_search(slots.begin(), slots.end(), made->imm);
}

// Accesses that are not at a multiple of their size always miss, so that no other question is needed about the page of
// the last byte.
void Compiler::ask_site(Site site) {
    // Neighbours in a page have different ones.
    const usize number = (guest_pc_ >> 1) + (region_->physical_page >> page_bits);
    site.place =
        static_cast<i32>(site.access == ir::MemoryAccess::load ? Tlb::load_site(number) : Tlb::store_site(number));
    a_.and_(Width::b64, site.scratch, static_cast<i64>(~page_mask) | (site.last - site.first));
    a_.cmp(Width::b64, site.scratch, at(Gpr::r15, site.place + i32{offsetof(TlbSite, page)}));
    a_.jcc(Condition::ne, site.miss);
    a_.mov(Width::b64, site.entry, at(Gpr::r15, site.place + i32{offsetof(TlbSite, addend)}));
    a_.bind(site.hit);
    sites_.push_back(site);
}

Mem Compiler::steady_memory(ir::ValueId address, unsigned bytes, ir::MemoryAccess access) {
    const Gpr base = source(address);
    const Gpr entry = allocate(), scratch = allocate();
    const Site site{.miss = a_.make_label(),
                    .hit = a_.make_label(),
                    .slow = a_.make_label(),
                    .base = base,
                    .entry = entry,
                    .scratch = scratch,
                    .first = 0,
                    .last = static_cast<i32>(bytes) - 1,
                    .access = access};
    a_.mov(Width::b64, scratch, base);
    ask_site(site);
    slow_.push_back(
        {site.slow, site.miss, give_up(), base, frame::fill_thunk(bytes, access == ir::MemoryAccess::store), 1});
    unlock(scratch);
    return at(entry, base);
}

void Compiler::missed_sites() {
    for (const Site& site : sites_) {
        a_.bind(site.miss);
        ask_tlb(site.base, site.first, site.last, 1, site.access, site.entry, site.scratch);
        a_.jcc(Condition::ne, site.slow);
        a_.mov(Width::b64, site.entry, at(Gpr::r15, site.entry, 1, offsetof(TlbEntry, addend)));
        a_.mov(Width::b64, at(Gpr::r15, site.place + i32{offsetof(TlbSite, page)}), site.scratch);
        a_.mov(Width::b64, at(Gpr::r15, site.place + i32{offsetof(TlbSite, addend)}), site.entry);
        a_.mov(Width::b64, at(Gpr::r15, i32{Tlb::sites_filled}), 1);
        a_.jmp(site.hit);
    }
}

}  // namespace viv::jit::x64
