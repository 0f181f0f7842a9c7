// Debug triggers: four address triggers of type mcontrol6 that raise breakpoint exceptions, for firmware and kernels.
// Promises: a trigger fires before its instruction has done anything, and before a debugger's watchpoint sees the
// access; while none is armed nothing is slower: pages that a data trigger may match are kept out of the TLB, and
// instructions that one may match are marked when they are decoded, both as for a debugger's points.
// Specification: RISC-V Debug Specification 1.0, chapter 5 (Sdtrig). Left out, as it allows: matching data, chains,
// other actions, textra. Re-entry is avoided in machine mode by tcontrol, in supervisor mode by sstatus.SIE.
#include <algorithm>

#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

namespace {

constexpr u64 type_mcontrol6 = 6, type_disabled = 15;
constexpr u64 mode_user = 1 << 3, mode_supervisor = 1 << 4, mode_machine = 1 << 6;
constexpr u64 every_mode = mode_user | mode_supervisor | mode_machine;
constexpr unsigned match_shift = 7, size_shift = 16;
constexpr u64 match_field = u64{15} << match_shift, size_field = u64{7} << size_shift;
// "Fired before the instruction": hit1 is 0 for ever.
constexpr u64 hit0 = u64{1} << 22;

enum Match : u64 { match_equal = 0, match_napot = 1, match_ge = 2, match_lt = 3 };

u64 match_of(u64 tdata1) { return (tdata1 & match_field) >> match_shift; }

// Bytes of an access; 0: any.
unsigned size_of(u64 tdata1) {
    const u64 code = (tdata1 & size_field) >> size_shift;
    return code == 0 ? 0 : code == 5 ? 8 : 1u << (code - 1);
}

u64 mode_bit(Privilege privilege) {
    switch (privilege) {
        case Privilege::user: return mode_user;
        case Privilege::supervisor: return mode_supervisor;
        case Privilege::machine: break;
    }
    return mode_machine;
}

// Whether any address in [first, last] matches.
bool matches(u64 tdata1, u64 tdata2, u64 first, u64 last) {
    switch (match_of(tdata1)) {
        case match_napot: {
            const u64 inside = low_mask(static_cast<unsigned>(std::countr_one(tdata2)) + 1);
            return first <= (tdata2 | inside) && last >= (tdata2 & ~inside);
        }
        case match_ge: return last >= tdata2;
        case match_lt: return first < tdata2;
        default: return first <= tdata2 && tdata2 <= last;
    }
}

}  // namespace

u64 Hart::disabled_trigger() const { return type_disabled << (config_.xlen - 4); }

u64 Hart::legal_tdata1(u64 value) const {
    const unsigned type_shift = config_.xlen - 4;
    if ((value >> type_shift & 15) != type_mcontrol6) return disabled_trigger();
    constexpr u64 accesses = trigger::execute | trigger::store | trigger::load;
    u64 legal = value & (hit0 | size_field | match_field | every_mode | accesses);
    if (match_of(legal) > match_lt) legal &= ~match_field;
    const u64 size = (legal & size_field) >> size_shift;
    // The length of an instruction is not compared.
    if (size == 4 || size > 5 || (legal & trigger::execute) != 0) legal &= ~size_field;
    return legal | type_mcontrol6 << type_shift;
}

u64 Hart::legal_tdata2(u64 tdata1, u64 value) const {
    if (config_.xlen == 32) value &= 0xffff'ffff;
    // The largest range is half of all addresses (maskmax6 is XLEN - 1).
    const u64 ones = low_mask(config_.xlen - 1);
    const bool napot = tdata1 >> (config_.xlen - 4) == type_mcontrol6 && match_of(tdata1) == match_napot;
    return napot && (value & ones) == ones ? value & ~(u64{1} << (config_.xlen - 2)) : value;
}

void Hart::write_trigger(u64 tdata1, u64 tdata2) {
    s.tdata1[s.tselect] = legal_tdata1(tdata1);
    s.tdata2[s.tselect] = legal_tdata2(s.tdata1[s.tselect], tdata2);
    // The slots of the instruction that writes must outlive it.
    triggers_written_ = true;
}

void Hart::arm_triggers() {
    triggers_written_ = false;
    const u8 fetch_before = fetch_triggers_, data_before = data_triggers_;
    fetch_triggers_ = data_triggers_ = 0;
    for (unsigned i = 0; i < trigger_count; i++) {
        const u64 tdata1 = s.tdata1[i];
        if (tdata1 >> (config_.xlen - 4) != type_mcontrol6 || (tdata1 & every_mode) == 0) continue;
        const u8 bit = static_cast<u8>(1 << i);
        if ((tdata1 & trigger::execute) != 0) fetch_triggers_ |= bit;
        if ((tdata1 & (trigger::load | trigger::store)) != 0) data_triggers_ |= bit;
    }
    if ((fetch_before | fetch_triggers_) != 0) forget_code();
    if ((data_before | data_triggers_) != 0) flush_tlb();
}

bool Hart::triggers_may_fire() const {
    switch (s.privilege) {
        case Privilege::machine: return (s.tcontrol & trigger::mte) != 0;
        case Privilege::supervisor: {
            const bool handles_itself = (s.medeleg >> static_cast<unsigned>(Cause::breakpoint) & 1) != 0;
            return !handles_itself || (s.mstatus & mstatus::sie) != 0;
        }
        case Privilege::user: break;
    }
    return true;
}

bool Hart::fire_triggers(u64 address, unsigned size, u64 accesses) {
    const u64 matched = triggers_that_match(address, size, accesses);
    if (matched == 0) return false;
    for (unsigned i = 0; i < trigger_count; i++)
        if (bit(matched, i)) s.tdata1[i] |= hit0;
    raise(Cause::breakpoint, address);
    return true;
}

u64 Hart::triggers_that_match(u64 address, unsigned size, u64 accesses) const {
    if (!triggers_may_fire()) return 0;
    const u64 last = address + size - 1 < address ? ~u64{0} : address + size - 1;
    u64 matched = 0;
    for (unsigned i = 0; i < trigger_count; i++) {
        const u64 tdata1 = s.tdata1[i];
        if (!bit(u64{fetch_triggers_} | data_triggers_, i)) continue;
        if ((tdata1 & accesses) == 0 || (tdata1 & mode_bit(s.privilege)) == 0) continue;
        if (size_of(tdata1) != 0 && size_of(tdata1) != size) continue;
        if (matches(tdata1, s.tdata2[i], address, last)) matched |= u64{1} << i;
    }
    return matched;
}

bool Hart::fire_fetch_triggers() {
    if (fetch_triggers_ == 0 || !fire_triggers(s.pc, 1, trigger::execute)) return false;
    budget--;  // like an instruction that traps
    return true;
}

bool Hart::page_triggered(u64 page) const {
    for (unsigned i = 0; i < trigger_count; i++)
        if (bit(data_triggers_, i) && matches(s.tdata1[i], s.tdata2[i], page, page | page_mask)) return true;
    return false;
}

// Pages of code are shared by address spaces, so what an address has in common with others of its page decides.
bool Hart::trigger_near(u64 pc) const {
    for (unsigned i = 0; i < trigger_count; i++) {
        if (!bit(fetch_triggers_, i)) continue;
        const u64 tdata1 = s.tdata1[i], offset = s.tdata2[i] & page_mask;
        switch (match_of(tdata1)) {
            case match_equal:
                if (offset == (pc & page_mask)) return true;
                break;
            case match_napot:
                if (std::countr_one(s.tdata2[i]) >= static_cast<int>(page_bits) - 1 ||
                    matches(tdata1, offset, pc & page_mask, pc & page_mask))
                    return true;
                break;
            default: return true;
        }
    }
    return false;
}

void Hart::check_triggers() {
    for (unsigned i = 0; i < trigger_count; i++) {
        s.tdata1[i] = legal_tdata1(s.tdata1[i]);
        s.tdata2[i] = legal_tdata2(s.tdata1[i], s.tdata2[i]);
    }
    s.tcontrol &= trigger::mte | trigger::mpte;
}

}  // namespace viv::riscv
