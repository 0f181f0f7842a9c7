// Address translation: page tables (Sv32/39/48/57 with Svade, Svnapot, Svpbmt), PMP, the TLB contexts, and every data
// access that misses the TLB. Specification: RISC-V Privileged ISA 20240411, chapters 3.7 (PMP), 10.3 to 10.6 (Sv32 to
// Sv57), 12 to 15 (Svnapot, Svpbmt, Svinval, Svade).
#include <cstring>

#include "engine/isa/riscv/hart_context.h"
#include "engine/lang/bytes.h"

namespace viv::riscv {

namespace {

constexpr u64 pte_v = 1, pte_r = 2, pte_w = 4, pte_x = 8, pte_u = 16, pte_g = 32, pte_a = 64, pte_d = 128;
constexpr u64 pte_n = u64{1} << 63, pte_pbmt = u64{3} << 61, pte_reserved = u64{0x7f} << 54;
constexpr u64 menvcfg_pbmte = u64{1} << 62;
constexpr u8 pmp_r = 1, pmp_w = 2, pmp_x = 4, pmp_a = 3 << 3, pmp_l = 1 << 7;

// What distinguishes contexts besides satp: privilege and, for data, SUM and MXR.
constexpr u64 context_sum = 4, context_mxr = 8;

unsigned satp_levels(u64 satp, unsigned xlen) {
    if (xlen == 32) return (satp >> 31 & 1) != 0 ? 2 : 0;
    switch (satp >> 60) {
        case 8: return 3;
        case 9: return 4;
        case 10: return 5;
        default: return 0;
    }
}

}  // namespace

Privilege Hart::data_privilege() const {
    if ((s.mstatus & mstatus::mprv) != 0 && s.privilege == Privilege::machine)
        return static_cast<Privilege>(s.mstatus >> mstatus::mpp_shift & 3);
    return s.privilege;
}

// ---- PMP -----------------------------------------------------------------------------------------------------------

void Hart::update_pmp() {
    // Firmware that gives everything away is the common case and costs one test.
    pmp_open_ = (s.pmpcfg[0] & (pmp_a | pmp_l | pmp_r | pmp_w | pmp_x)) == (pmp_a | pmp_r | pmp_w | pmp_x) &&
                std::countr_one(s.pmpaddr[0]) >= (config_.xlen == 64 ? 53 : 31);
    flush_tlb();
}

bool Hart::pmp_allows(u64 physical, unsigned size, AccessKind kind, Privilege privilege, bool& whole_page) const {
    if (pmp_open_ && privilege != Privilege::machine) return true;
    const u64 first = physical, last = physical + size - 1;
    const u64 page = physical & ~page_mask;
    u64 below = 0;  // pmpaddr of the entry before, in bytes
    for (unsigned i = 0; i < pmp_entries; i++) {
        const u8 cfg = s.pmpcfg[i];
        const u64 address = s.pmpaddr[i] << 2;
        u64 low = 0, high = 0;  // high is exclusive
        switch ((cfg & pmp_a) >> 3) {
            case 1: low = below, high = address; break;        // TOR
            case 2: low = address, high = address + 4; break;  // NA4
            case 3: {                                          // NAPOT
                const unsigned ones = static_cast<unsigned>(std::countr_one(s.pmpaddr[i]));
                const u64 length = ones >= 54 ? ~u64{0} : u64{8} << ones;
                low = ones >= 54 ? 0 : address & ~(length - 1);
                high = low + length;
                break;
            }
            default: below = address; continue;  // OFF
        }
        below = address;
        if (low >= high) continue;
        if ((low > page && low < page + page_size) || (high > page && high < page + page_size)) whole_page = false;
        if (last < low || first >= high) continue;
        if (first < low || last >= high) return false;  // matches a part of the access
        if (privilege == Privilege::machine && (cfg & pmp_l) == 0) return true;
        const u8 needed = kind == AccessKind::fetch ? pmp_x : kind == AccessKind::load ? pmp_r : pmp_w;
        return (cfg & needed) != 0;
    }
    return privilege == Privilege::machine;
}

// ---- Page tables ---------------------------------------------------------------------------------------------------

Hart::Fault Hart::walk(u64 address, AccessKind kind, Privilege privilege, Translation& out) {
    const unsigned levels = satp_levels(s.satp, config_.xlen);
    if (levels == 0 || privilege == Privilege::machine) {
        out.physical = config_.xlen == 64 ? address : address & 0xffff'ffff;
        out.readable = out.writable = true;
        return Fault::none;
    }
    const bool rv32 = config_.xlen == 32;
    const unsigned index_bits = rv32 ? 10 : 9, pte_size = rv32 ? 4 : 8;
    if (!rv32 && static_cast<u64>(sign_extend(address, page_bits + 9 * levels)) != address) return Fault::page;

    u64 table = (s.satp & low_mask(rv32 ? 22 : 44)) << page_bits;
    for (unsigned level = levels; level-- > 0;) {
        const u64 index = address >> (page_bits + index_bits * level) & low_mask(index_bits);
        const u64 at = table + index * pte_size;
        bool whole = true;
        const u8* from = wiring_.memory.host(at, pte_size);
        if (from == nullptr || !pmp_allows(at, pte_size, AccessKind::load, Privilege::supervisor, whole))
            return Fault::access;
        const u64 pte = rv32 ? __atomic_load_n(reinterpret_cast<const u32*>(from), __ATOMIC_RELAXED)
                             : __atomic_load_n(reinterpret_cast<const u64*>(from), __ATOMIC_RELAXED);
        if ((pte & pte_v) == 0 || (pte & (pte_r | pte_w)) == pte_w ||
            (pte & (pte_r | pte_w | pte_x)) == (pte_w | pte_x))
            return Fault::page;
        if (!rv32) {
            if ((pte & pte_reserved) != 0 || (pte & pte_pbmt) == pte_pbmt) return Fault::page;
            if ((pte & pte_pbmt) != 0 && (s.menvcfg & menvcfg_pbmte) == 0) return Fault::page;
        }
        // Of a pointer, the bit holds for all mappings below it (section 10.3.1).
        out.global = out.global || (pte & pte_g) != 0;
        u64 ppn = rv32 ? pte >> 10 : pte >> 10 & low_mask(44);
        if ((pte & (pte_r | pte_x)) == 0) {  // a pointer to the next level
            if (!rv32 && (pte & (pte_n | pte_pbmt)) != 0) return Fault::page;
            if ((pte & (pte_u | pte_a | pte_d)) != 0) return Fault::page;
            table = ppn << page_bits;
            continue;
        }
        if ((ppn & low_mask(index_bits * level)) != 0) return Fault::page;  // misaligned superpage
        u64 low_bits = page_bits + index_bits * level;
        if (!rv32 && (pte & pte_n) != 0) {
            if (level != 0 || (ppn & 15) != 8) return Fault::page;  // only 64 KiB ranges are defined
            ppn &= ~u64{15};
            low_bits = 16;
        }
        const bool user_page = (pte & pte_u) != 0;
        if (privilege == Privilege::user && !user_page) return Fault::page;
        if (privilege == Privilege::supervisor && user_page &&
            (kind == AccessKind::fetch || (s.mstatus & mstatus::sum) == 0))
            return Fault::page;
        const bool readable = (pte & pte_r) != 0 || ((s.mstatus & mstatus::mxr) != 0 && (pte & pte_x) != 0);
        const bool writable = (pte & pte_w) != 0;
        const bool allowed = kind == AccessKind::fetch  ? (pte & pte_x) != 0
                             : kind == AccessKind::load ? readable
                                                        : writable;
        // Svade: software keeps the accessed and dirty bits.
        if (!allowed || (pte & pte_a) == 0 || (kind == AccessKind::store && (pte & pte_d) == 0)) return Fault::page;
        out.physical = (ppn << page_bits & ~low_mask(static_cast<unsigned>(low_bits))) |
                       (address & low_mask(static_cast<unsigned>(low_bits)));
        out.readable = readable;
        out.writable = writable && (pte & pte_d) != 0;
        out.reach = u64{1} << low_bits;
        return Fault::none;
    }
    return Fault::page;
}

Hart::Fault Hart::translate(u64 address, unsigned size, AccessKind kind, Privilege privilege, Translation& out) {
    if (const Fault fault = walk(address, kind, privilege, out); fault != Fault::none) return fault;
    if (!pmp_allows(out.physical, size, kind, privilege, out.whole_page)) return Fault::access;
    bool ignored = true;
    if (out.readable && kind != AccessKind::load)
        out.readable = pmp_allows(out.physical, size, AccessKind::load, privilege, ignored);
    if (out.writable && kind != AccessKind::store)
        out.writable = pmp_allows(out.physical, size, AccessKind::store, privilege, ignored);
    return Fault::none;
}

bool Hart::fault(Fault what, u64 address, AccessKind kind) {
    static constexpr Cause page[] = {Cause::fetch_page, Cause::load_page, Cause::store_page};
    static constexpr Cause access[] = {Cause::fetch_access, Cause::load_access, Cause::store_access};
    return raise((what == Fault::page ? page : access)[static_cast<unsigned>(kind)], address);
}

// ---- Contexts ------------------------------------------------------------------------------------------------------

Hart::Context& Hart::context_for(Privilege privilege, u64 data_bits) {
    const bool translated = privilege != Privilege::machine && satp_levels(s.satp, config_.xlen) != 0;
    const u64 satp = translated ? s.satp : 0;
    const u64 mode = static_cast<u64>(privilege) | (translated ? data_bits : 0);
    Context* oldest = nullptr;
    for (auto& context : contexts_) {
        if (context->satp == satp && context->mode == mode) {
            context->last_use = ++context_clock_;
            return *context;
        }
        if (context.get() != data_context_ && &context->fetch != fetch &&
            (oldest == nullptr || context->last_use < oldest->last_use))
            oldest = context.get();
    }
    oldest->tlb.flush();
    oldest->fetch.flush();
    oldest->jumps.flush();
    oldest->satp = satp;
    oldest->mode = mode;
    oldest->last_use = ++context_clock_;
    return *oldest;
}

void Hart::update_contexts() {
    const u64 data_bits =
        ((s.mstatus & mstatus::sum) != 0 ? context_sum : 0) | ((s.mstatus & mstatus::mxr) != 0 ? context_mxr : 0);
    code_context_ = &context_for(s.privilege, 0);
    fetch = &code_context_->fetch;
    const bool shared = s.privilege == Privilege::supervisor && code_context_->satp != 0;
    jump_tables_ = shared ? global_jumps_.get() : &code_context_->jumps;
    data_context_ = &context_for(data_privilege(), data_bits);
    tlb = data_context_->tlb.entries();
}

void Hart::flush_tlb(u64 address, u64 asid) {
    const bool all_addresses = address == ~u64{0} || (address >= large_low_ && address <= large_high_);
    for (auto& context : contexts_) {
        const u64 own = config_.xlen == 64 ? context->satp >> 44 & 0xffff : context->satp >> 22 & 0x1ff;
        if (asid != ~u64{0} && own != asid) continue;
        if (all_addresses) {
            context->tlb.flush();
            context->fetch.flush();
            context->jumps.flush();
        } else {
            context->jumps.flush_page(address);
            context->tlb.flush_page(address);
            context->fetch.flush_page(address);
        }
    }
    // A fence for one address space leaves global mappings alone (section 10.2.1).
    if (asid == ~u64{0}) {
        if (all_addresses)
            global_jumps_->flush();
        else
            global_jumps_->flush_page(address);
    }
    if (address == ~u64{0} && asid == ~u64{0}) large_low_ = ~u64{0}, large_high_ = 0;
}

void Hart::protect_page(u64 physical_page) {
    for (auto& context : contexts_) context->tlb.protect(physical_page);
}

exec::JumpTable& Hart::jump_table(u64 mode) {
    exec::JumpTable& table = jump_tables_->of(mode);
    jumps = table.entries();
    return table;
}

void Hart::insert_jump(u64 mode, u64 pc, const u8* code) {
    if (jump_tables_ == global_jumps_.get() && !fetch->at(pc).global) return;
    jump_table(mode).insert(pc, code);
}

void Hart::forget_jumps(u64 offset, const u8* first, const u8* last) {
    const auto forget = [&](exec::JumpTable& table) { table.forget(offset, first, last); };
    for (auto& context : contexts_) context->jumps.change(forget);
    global_jumps_->change(forget);
}

void Hart::flush_jump_tables() {
    for (auto& context : contexts_) context->jumps.flush();
    global_jumps_->flush();
}

bool Hart::fill_tlb(u64 address, unsigned size, AccessKind kind) {
    if (config_.xlen == 32) address &= 0xffff'ffff;
    if ((address & page_mask) + size > page_size) return false;
    const auto holds = [&](const TlbEntry* entry) {
        return entry != nullptr && (kind == AccessKind::load ? entry->read : entry->write) == (address & ~page_mask);
    };
    if (holds(data_context_->tlb.recall(address))) return true;
    Translation translation;
    if (translate(address, size, kind, data_privilege(), translation) != Fault::none) return false;
    fill(address, translation, kind);
    return holds(&Tlb::at(tlb, address));
}

void Hart::code_page_made(u64 physical_page) { wiring_.protect_code(physical_page); }

exec::FetchedPage Hart::fetch_page(u64 address, u64 pc) {
    Translation translation;
    Fault what = translate(address, 2, AccessKind::fetch, s.privilege, translation);
    if (what == Fault::none) {
        const u64 physical_page = translation.physical & ~page_mask;
        note_reach(address, translation.reach);
        if (const u8* bytes = wiring_.memory.host(physical_page, page_size); bytes != nullptr)
            return {bytes, physical_page, translation.global};
        what = Fault::access;
    }
    // The trap belongs to the instruction at `pc`, which no slot stands for yet.
    s.pc = pc;
    current_ = nullptr;
    fault(what, address, AccessKind::fetch);
    return {};
}

// The TLB holds pages of 4 KiB. A fence names any address of a superpage, so one inside the range of all superpages
// seen flushes everything.
void Hart::note_reach(u64 address, u64 reach) {
    if (reach == page_size) return;
    large_low_ = std::min(large_low_, align_down(address, reach));
    large_high_ = std::max(large_high_, address | (reach - 1));
}

void Hart::fill(u64 address, const Translation& translation, AccessKind kind) {
    const u64 page = address & ~page_mask, physical_page = translation.physical & ~page_mask;
    if (!translation.whole_page || page_watched(page)) return;
    const auto* region = wiring_.memory.find(physical_page, page_size);
    if (region == nullptr) return;
    wiring_.memory.make_present(*region, physical_page - region->base, page_size);
    TlbEntry entry;
    entry.physical = physical_page;
    entry.addend = reinterpret_cast<std::uintptr_t>(region->host + (physical_page - region->base)) -
                   static_cast<std::uintptr_t>(page);
    if (translation.readable) entry.read = page;
    const bool ram = region->kind == GuestMemory::Kind::ram;
    const std::atomic<u8>& flags = region->flags[(physical_page - region->base) >> page_bits];
    // Told before it happens, so that the write that fills an entry is the only one that has to ask.
    if (kind == AccessKind::store && ram && flags.load(std::memory_order_relaxed) == page_unchanged)
        wiring_.memory.wrote(physical_page, page_size);
    if (translation.writable && ram && flags.load(std::memory_order_relaxed) == 0) entry.write = page;
    if (entry.read == TlbEntry::invalid && entry.write == TlbEntry::invalid) return;
    note_reach(address, translation.reach);
    data_context_->tlb.insert(page, entry);
}

// ---- Data accesses -------------------------------------------------------------------------------------------------

bool Hart::access_device(u64 physical, unsigned size, AccessKind kind, u64& value) {
    leave_wanted = true;
    host::Lock lock(wiring_.device_lock);
    return kind == AccessKind::load ? wiring_.bus.read(physical, size, value)
                                    : wiring_.bus.write(physical, size, value);
}

bool Hart::access(u64 address, unsigned size, AccessKind kind, u64& value) {
    if (config_.xlen == 32) address &= 0xffff'ffff;
    if (data_triggers_ != 0 && fire_triggers(address, size, kind == AccessKind::load ? trigger::load : trigger::store))
        return false;
    const Privilege privilege = data_privilege();
    const unsigned here = static_cast<unsigned>(std::min<u64>(size, page_size - (address & page_mask)));
    Translation first, second;
    // Misaligned accesses miss the inline probe, and displaced entries come back from the victims.
    const auto cached = [&](const TlbEntry* entry) {
        if (entry == nullptr || (kind == AccessKind::load ? entry->read : entry->write) != (address & ~page_mask))
            return false;
        u8* at = reinterpret_cast<u8*>(address + entry->addend);
        if (kind == AccessKind::load) {
            value = 0;
            std::memcpy(&value, at, size);
        } else
            std::memcpy(at, &value, size);
        return true;
    };
    if (here == size && (cached(&Tlb::at(tlb, address)) || cached(data_context_->tlb.recall(address)))) return true;
    if (const Fault what = translate(address, here, kind, privilege, first); what != Fault::none)
        return fault(what, address, kind);
    if (here == size) {
        fill(address, first, kind);
        if (debug_points_ != nullptr) note_watch(address, size, kind);
        u8* at = wiring_.memory.host(first.physical, size);
        if (at == nullptr)
            return access_device(first.physical, size, kind, value) || fault(Fault::access, address, kind);
        const bool aligned = (first.physical & (size - 1)) == 0;
        if (kind == AccessKind::load) {
            value = 0;
            if (!aligned)
                std::memcpy(&value, at, size);
            else if (size == 1)
                value = __atomic_load_n(at, __ATOMIC_RELAXED);
            else if (size == 2)
                value = __atomic_load_n(reinterpret_cast<u16*>(at), __ATOMIC_RELAXED);
            else if (size == 4)
                value = __atomic_load_n(reinterpret_cast<u32*>(at), __ATOMIC_RELAXED);
            else
                value = __atomic_load_n(reinterpret_cast<u64*>(at), __ATOMIC_RELAXED);
            return true;
        }
        if (wiring_.memory.find(first.physical, size)->kind == GuestMemory::Kind::rom)
            return fault(Fault::access, address, kind);
        if (!aligned)
            std::memcpy(at, &value, size);
        else if (size == 1)
            __atomic_store_n(at, static_cast<u8>(value), __ATOMIC_RELAXED);
        else if (size == 2)
            __atomic_store_n(reinterpret_cast<u16*>(at), static_cast<u16>(value), __ATOMIC_RELAXED);
        else if (size == 4)
            __atomic_store_n(reinterpret_cast<u32*>(at), static_cast<u32>(value), __ATOMIC_RELAXED);
        else
            __atomic_store_n(reinterpret_cast<u64*>(at), value, __ATOMIC_RELAXED);
        wrote_atomically(first.physical, size);
        return true;
    }
    // Across a page boundary: both halves are translated before either is touched.
    const u64 next = config_.xlen == 32 ? (address + here) & 0xffff'ffff : address + here;
    if (const Fault what = translate(next, size - here, kind, privilege, second); what != Fault::none)
        return fault(what, next, kind);
    u8* low = wiring_.memory.host(first.physical, here);
    u8* high = wiring_.memory.host(second.physical, size - here);
    const bool ram =
        kind == AccessKind::load || (low != nullptr && high != nullptr &&
                                     wiring_.memory.find(first.physical, here)->kind == GuestMemory::Kind::ram &&
                                     wiring_.memory.find(second.physical, size - here)->kind == GuestMemory::Kind::ram);
    if (low == nullptr || high == nullptr || !ram) return fault(Fault::access, address, kind);
    if (debug_points_ != nullptr) note_watch(address, size, kind);
    u8 bytes[8] = {};
    if (kind == AccessKind::load) {
        std::memcpy(bytes, low, here);
        std::memcpy(bytes + here, high, size - here);
        value = load_le<u64>(bytes);
        return true;
    }
    store_le(bytes, value);
    std::memcpy(low, bytes, here);
    std::memcpy(high, bytes + here, size - here);
    wrote_atomically(first.physical, here);
    wrote_atomically(second.physical, size - here);
    return true;
}

bool Hart::load(u64 address, unsigned size, u64& value) { return access(address, size, AccessKind::load, value); }
bool Hart::store(u64 address, unsigned size, u64 value) { return access(address, size, AccessKind::store, value); }

u8* Hart::atomic_pointer(u64 address, unsigned size, AccessKind kind, u64 accesses, u64& physical) {
    if (data_triggers_ != 0 && fire_triggers(address, size, accesses)) return nullptr;
    if ((address & (size - 1)) != 0)
        return raise(kind == AccessKind::load ? Cause::load_misaligned : Cause::store_misaligned, address), nullptr;
    Translation translation;
    const TlbEntry& entry = Tlb::at(tlb, address);
    if ((address & ~page_mask) == (kind == AccessKind::load ? entry.read : entry.write)) {
        physical = entry.physical | (address & page_mask);
        return reinterpret_cast<u8*>(address + entry.addend);
    }
    if (const Fault what = translate(address, size, kind, data_privilege(), translation); what != Fault::none)
        return fault(what, address, kind), nullptr;
    physical = translation.physical;
    const auto* region = wiring_.memory.find(physical, size);
    if (region == nullptr || (kind == AccessKind::store && region->kind == GuestMemory::Kind::rom))
        return fault(Fault::access, address, kind), nullptr;
    if (debug_points_ != nullptr) note_watch(address, size, kind);
    wiring_.memory.make_present(*region, physical - region->base, size);
    fill(address, translation, kind);
    return region->host + (physical - region->base);
}

void Hart::wrote_atomically(u64 physical, unsigned size) {
    const auto* flags = wiring_.memory.page_flags(physical);
    if (flags == nullptr || flags->load(std::memory_order_relaxed) == 0) return;
    // The page in execution may have been changed: the slots are looked up anew.
    leave_wanted = true;
    wiring_.memory.wrote(physical, size);
}

bool Hart::probe(u64 address, unsigned size, AccessKind kind) {
    Translation translation;
    if (const Fault what = translate(address, size, kind, data_privilege(), translation); what != Fault::none)
        return fault(what, address, kind);
    return true;
}

bool Hart::readable(u64 address, unsigned size) {
    const unsigned here = static_cast<unsigned>(std::min<u64>(size, page_size - (address & page_mask)));
    if (data_triggers_ != 0 && triggers_that_match(address, size, trigger::load) != 0) return false;
    Translation translation;
    if (translate(address, here, AccessKind::load, data_privilege(), translation) != Fault::none) return false;
    if (wiring_.memory.host(translation.physical, here) == nullptr) return false;
    if (here == size) return true;
    const u64 next = config_.xlen == 32 ? (address + here) & 0xffff'ffff : address + here;
    return readable(next, size - here);
}

// ---- Debugger ------------------------------------------------------------------------------------------------------

bool Hart::page_watched(u64 address) const {
    const u64 page = address & ~page_mask;
    if (data_triggers_ != 0 && page_triggered(page)) return true;
    if (debug_points_ == nullptr) return false;
    for (const auto& watch : debug_points_->watches)
        if (watch.address <= (page | page_mask) && watch.address + watch.length > page) return true;
    return false;
}

void Hart::note_watch(u64 address, unsigned size, AccessKind kind) {
    for (const auto& watch : debug_points_->watches) {
        const u8 wanted =
            static_cast<u8>(kind == AccessKind::load ? DebugPoints::Access::read : DebugPoints::Access::write);
        if ((static_cast<u8>(watch.access) & wanted) == 0) continue;
        if (address >= watch.address + watch.length || watch.address >= address + size) continue;
        debug_event_ = {DebugEvent::Kind::watch, std::max(address, watch.address), watch.access};
        debug_hit_ = true;
        leave_wanted = true;
        return;
    }
}

std::optional<u64> Hart::translate(u64 virtual_address) {
    // As the current mode sees it, whatever the kind of access; machine mode sees what MPRV would.
    for (const AccessKind kind : {AccessKind::load, AccessKind::fetch}) {
        for (const Privilege privilege : {data_privilege(), Privilege::supervisor, Privilege::user}) {
            if (privilege > data_privilege()) continue;
            Translation translation;
            if (walk(virtual_address, kind, privilege, translation) == Fault::none) return translation.physical;
        }
    }
    return std::nullopt;
}

bool Hart::read_memory(u64 virtual_address, std::span<u8> out) {
    for (usize done = 0; done < out.size();) {
        const u64 address = virtual_address + done;
        const usize part = static_cast<usize>(std::min<u64>(out.size() - done, page_size - (address & page_mask)));
        const auto physical = translate(address);
        if (!physical || !wiring_.memory.read(*physical, out.subspan(done, part))) return false;
        done += part;
    }
    return true;
}

bool Hart::write_memory(u64 virtual_address, std::span<const u8> in) {
    for (usize done = 0; done < in.size();) {
        const u64 address = virtual_address + done;
        const usize part = static_cast<usize>(std::min<u64>(in.size() - done, page_size - (address & page_mask)));
        const auto physical = translate(address);
        if (!physical || !wiring_.memory.load(*physical, in.subspan(done, part))) return false;
        done += part;
    }
    return true;
}

}  // namespace viv::riscv
