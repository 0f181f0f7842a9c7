// What a vCPU and a translator of its code to host code ask of each other. The room jit implements Translator, guests
// implement Translatable; neither knows the other.
// Promises: everything that generated code touches of a vCPU is named in CpuLayout; all else goes through calls.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <bitset>
#include <span>
#include <vector>

#include "engine/exec/exec.h"
#include "engine/exec/translated_code.h"
#include "engine/exec/translator_report.h"
#include "engine/ir/ir.h"
#include "engine/ir/slots.h"
#include "engine/lang/bits.h"
#include "engine/mem/tlb.h"

namespace viv::exec {

// Where generated code goes on at a guest address, for one address space and mode. Generated code probes it, so the
// layout is fixed: an address is in its own place or in that of its neighbour (place ^ 1), since kernels have so many
// addresses that others jump to that some pair of busy ones always shares a place. Only addresses for which code exists
// are in it; it is flushed with the translations of addresses.
class JumpTable {
public:
    struct Entry {
        static constexpr u64 invalid = ~u64{0};
        u64 pc = invalid;
        const u8* code = nullptr;
    };
    static_assert(sizeof(void*) != 8 || sizeof(Entry) == 16);
    static constexpr unsigned index_bits = 15;
    static constexpr usize size = usize{1} << index_bits;
    static constexpr unsigned index_shift = 1;
    static constexpr usize index(u64 pc) { return pc >> index_shift & (size - 1); }

    Entry* entries() { return entries_.data(); }
    // The code at `pc`, or null.
    const u8* find(u64 pc) const {
        const Entry& own = entries_[index(pc)];
        const Entry& neighbour = entries_[index(pc) ^ 1];
        return own.pc == pc ? own.code : neighbour.pc == pc ? neighbour.code : nullptr;
    }
    void insert(u64 pc, const u8* code) {
        Entry& own = entries_[index(pc)];
        Entry& neighbour = entries_[index(pc) ^ 1];
        if (neighbour.pc == pc || (own.pc != pc && own.code != nullptr)) neighbour = own;
        own = {pc, code};
        filled_ |= u64{1} << index(pc) / group_size;
        pages_.set(page_bit(pc));
    }
    void flush() {
        if (filled_ == 0) return;
        for_each_filled([](Entry& entry) { entry = {}; });
        filled_ = 0;
        pages_.reset();
    }
    // Forgets the addresses in the page of `address`.
    void flush_page(u64 address) {
        if (!pages_[page_bit(address)]) return;
        for_each_filled([&](Entry& entry) {
            if (((entry.pc ^ address) & ~page_mask) == 0) entry = {};
        });
    }
    // Forgets the addresses at `offset` within any page whose code begins in [first, last).
    void forget(u64 offset, const u8* first, const u8* last) {
        for (usize i = index(offset & page_mask); i < size; i += page_size >> index_shift)
            for (Entry* entry : {&entries_[i], &entries_[i ^ 1]})
                if (entry->code >= first && entry->code < last) *entry = {};
    }

private:
    static constexpr usize page_bits_size = 4096;
    static constexpr usize page_bit(u64 pc) { return pc >> page_bits & (page_bits_size - 1); }

    alignas(64) std::array<Entry, size> entries_;
    std::bitset<page_bits_size> pages_;  // of which there may be addresses, by the low bits of their number
    // In groups, as in Tlb.
    static constexpr usize groups = 64, group_size = size / groups;
    template <class Change>
    void for_each_filled(Change&& change) {
        for (u64 left = filled_; left != 0; left &= left - 1) {
            const auto first = entries_.begin() + std::countr_zero(left) * static_cast<std::ptrdiff_t>(group_size);
            std::for_each(first, first + group_size, change);
        }
    }
    u64 filled_ = 0;
};

// How often code may still run before it asks to be translated better. Counters are taken by a hash of the address, so
// some are shared: then both are asked for earlier.
struct HeatTable {
    static constexpr usize size = 32768;
    static constexpr u32 never = ~u32{0};
    std::array<u32, size> left{};
};

// Where generated code finds what it uses of a vCPU: byte offsets from the guest's state, in which the IR's slots lie.
struct CpuLayout {
    void* cpu = nullptr;  // what helpers are called with
    u8* state = nullptr;
    i32 pc = 0;      // u64, a slot of the state
    i32 budget = 0;  // i64, Engine::budget
    i32 tlb = 0;     // TlbEntry*, of the current address space and mode
    i32 jumps = 0;   // JumpTable::Entry*, likewise
    i32 heat = 0;    // HeatTable
    i32 fetch = 0;   // FetchTable*, of the current address space and mode
    static constexpr i32 none = -1;
    i32 float_flags = none;  // u8, a slot: where the float units of its blocks gather flags
    // Guest addresses are kept as u64 whose higher bits are zero: 32 or 64.
    unsigned address_bits = 64;
};

// A vCPU as its translator sees it.
class Translatable {
public:
    virtual ~Translatable() = default;
    virtual CpuLayout layout() = 0;
    virtual ir::SlotTable slots() const = 0;
    virtual u64 pc() const = 0;
    // The block key besides the address: what translations made now depend on.
    virtual u64 translation_mode() const = 0;
    // The table of the current address space and mode.
    virtual const JumpTable& jump_table() = 0;
    // Code for the vCPU's pc, which engine.code_page() has just been asked for: puts it into that table, unless the
    // table is shared with address spaces in which the pc may mean something else.
    virtual void insert_jump(u64 pc, const u8* code) = 0;
    // Code in [first, last) for the addresses at `offset` within a page is going to be dropped, or there is better
    // code: it is in no jump table of this vCPU any more.
    virtual void forget_jumps(u64 offset, const u8* first, const u8* last) = 0;
    virtual void flush_jump_tables() = 0;
    // The block at `pc`, an address in the page at `page_va` with the given bytes: at most `limit` instructions, all of
    // which begin in the page, and only the first of which may reach beyond it, if there are bytes behind it. Without
    // code and with size 0 if the bytes do not hold the first instruction whole. The result depends on nothing else, so
    // this may be called on any thread.
    virtual ir::Block translate_block(std::span<const u8> page, u64 page_va, u64 pc, u64 mode,
                                      unsigned limit) const = 0;
    // Makes the TLB hold the page of an access. False, and nothing has changed for the guest: it faults, or must be
    // made by the interpreter.
    virtual bool fill_tlb(u64 address, unsigned size, ir::MemoryAccess access) = 0;
};

// Where code is to be found for the vCPU's pc.
struct CodeLocation {
    u64 physical_page = 0;
    u64 virtual_page = 0;
    const u8* bytes = nullptr;  // page_size of them
};

class Translator {
public:
    virtual ~Translator() = default;
    // Runs the vCPU from its pc until it must look at interrupts or mode, its budget is used up or attention is wanted.
    virtual void run() = 0;
    // The bytes [physical, physical + size), within one page, have changed. Returns whether translations of code on
    // that page are left. Not while generated code runs, unless it has called a helper or a device.
    virtual bool code_written(u64 physical, u64 size) = 0;
    // Drops all translations.
    virtual void forget_code() = 0;
    // The translations that are entered at `pc`, which lies on that page; in any mode. Not while code runs.
    virtual std::vector<TranslatedCode> describe(const CodeLocation& /*page*/, u64 /*pc*/) const { return {}; }
    // What has been done so far, with at most the `most` hottest translations. Not while code runs.
    virtual TranslatorReport report(usize /*most*/) const { return {}; }
};

}  // namespace viv::exec
