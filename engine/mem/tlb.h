// The software TLB: what generated code and the interpreter probe before they touch guest RAM through a host pointer.
// Promises: an entry is only ever present for plain RAM or ROM pages that the access may use without any further check;
// the layout is shared with the JIT. A tag is the virtual page address; the probe compares it with `address &
// (~page_mask | (size - 1))`, so a misaligned access always misses.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <utility>

#include "engine/lang/bits.h"
#include "engine/mem/guest_memory.h"

namespace viv {

struct TlbEntry {
    static constexpr u64 invalid = ~u64{0};  // never equal to a masked address
    u64 read = invalid;
    u64 write = invalid;
    std::uintptr_t addend = 0;  // host address = virtual address + addend
    u64 physical = invalid;     // page address, so that a page can be found by what it maps to
};
static_assert(sizeof(TlbEntry) == 32);

// The page that one access in generated code used last, where that is likely to be the next one's, too: looked at
// before the entries are, at an address that does not depend on the access's.
struct TlbSite {
    u64 page = TlbEntry::invalid;
    std::uintptr_t addend = 0;
};
static_assert(sizeof(TlbSite) == 16);

class Tlb {
public:
    static constexpr unsigned index_bits = 12;
    static constexpr usize size = usize{1} << index_bits;
    static constexpr usize victims = 8;

    static constexpr usize index(u64 address) { return (address >> page_bits) & (size - 1); }

    // Sites of accesses, as many for loads as for stores; generated code fills them from entries, and then makes what
    // lies at `sites_filled` not 0. Offsets are in bytes from entries(). A site holds nothing that the TLB does not
    // hold.
    static constexpr usize sites = 64;
    static constexpr usize sites_filled = size * sizeof(TlbEntry);
    static constexpr usize load_site(usize number) { return sites_filled + 8 + number % sites * sizeof(TlbSite); }
    static constexpr usize store_site(usize number) { return load_site(number) + sites * sizeof(TlbSite); }

    TlbEntry* entries() { return entries_.data(); }
    // The place for `address` in a table: one shift and one mask, as generated code does it.
    static TlbEntry& at(TlbEntry* entries, u64 address) {
        constexpr unsigned entry_bits = 5;
        static_assert(sizeof(TlbEntry) == 1 << entry_bits);
        const u64 offset = (address >> (page_bits - entry_bits)) & ((size - 1) << entry_bits);
        return *reinterpret_cast<TlbEntry*>(reinterpret_cast<char*>(entries) + offset);
    }

    // Puts an entry in its place; the one it displaces goes to a victim.
    void insert(u64 address, const TlbEntry& entry) {
        TlbEntry& place = entries_[index(address)];
        TlbEntry lost = place;
        if (place.physical != TlbEntry::invalid && page_of(place) != page_of(entry))
            lost = std::exchange(victims_[next_victim_++ % victims], place);
        note_filled(index(address));
        place = entry;
        for (TlbEntry& victim : victims_)
            if (victim.physical != TlbEntry::invalid && page_of(victim) == page_of(entry))
                lost = std::exchange(victim, TlbEntry{});
        if (lost.physical != TlbEntry::invalid) forget_sites();
    }

    // Brings a victim for the page of `address` back into its place; null if there is none.
    TlbEntry* recall(u64 address) {
        const u64 page = address & ~page_mask;
        for (TlbEntry& victim : victims_) {
            if (victim.physical == TlbEntry::invalid || page_of(victim) != page) continue;
            TlbEntry& place = entries_[index(address)];
            const TlbEntry found = victim;
            victim = place;
            note_filled(index(address));
            place = found;
            return &place;
        }
        return nullptr;
    }

    void flush() {
        if (filled_ == 0) return;
        for_each_filled([](TlbEntry& entry) { entry = TlbEntry{}; });
        filled_ = 0;
        victims_.fill(TlbEntry{});
        forget_sites();
    }
    void flush_page(u64 address) {
        const u64 page = address & ~page_mask;
        forget_sites();
        drop_if(entries_[index(address)], page);
        for (TlbEntry& victim : victims_) drop_if(victim, page);
    }
    // Takes away the right to write to a physical page without asking.
    void protect(u64 physical_page) {
        const auto protect_entry = [&](TlbEntry& entry) {
            if (entry.physical == physical_page) entry.write = TlbEntry::invalid;
        };
        forget_sites();
        for_each_filled(protect_entry);
        std::for_each(victims_.begin(), victims_.end(), protect_entry);
    }

private:
    static u64 page_of(const TlbEntry& entry) { return entry.read != TlbEntry::invalid ? entry.read : entry.write; }
    static void drop_if(TlbEntry& entry, u64 page) {
        if (entry.read == page) entry.read = TlbEntry::invalid;
        if (entry.write == page) entry.write = TlbEntry::invalid;
    }

    // Entries lie in groups, and those that have been filled since the last flush are known: neighbouring pages are
    // used together, so that flushing costs little where little was used.
    static constexpr usize groups = 64, group_size = size / groups;
    void note_filled(usize place) { filled_ |= u64{1} << place / group_size; }
    template <class Change>
    void for_each_filled(Change&& change) {
        for (u64 left = filled_; left != 0; left &= left - 1) {
            const auto first = entries_.begin() + std::countr_zero(left) * static_cast<std::ptrdiff_t>(group_size);
            std::for_each(first, first + group_size, change);
        }
    }

    void forget_sites() {
        static_assert(offsetof(Tlb, sites_filled_) == sites_filled && offsetof(Tlb, sites_) == load_site(0));
        if (sites_filled_ == 0) return;
        sites_filled_ = 0;
        sites_.fill(TlbSite{});
    }

    std::array<TlbEntry, size> entries_;
    u64 sites_filled_ = 0;
    std::array<TlbSite, 2 * sites> sites_;
    std::array<TlbEntry, victims> victims_;
    unsigned next_victim_ = 0;
    u64 filled_ = 0;  // groups, as bits
};

}  // namespace viv
