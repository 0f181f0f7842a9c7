// Guest physical RAM and ROM, and what is known about each of its pages.
// Promises: a host pointer is handed out only for a range that lies whole inside one region; regions never move. A page
// that carries a flag is never written through a cached host pointer: every writer either finds the flag clear or
// reports by wrote().
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/host/memory.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

constexpr unsigned page_bits = 12;
constexpr u64 page_size = u64{1} << page_bits;
constexpr u64 page_mask = page_size - 1;

enum PageFlag : u8 {
    page_has_code = 1,   // some hart holds a translation of instructions on this page
    page_unchanged = 2,  // has not been written since it was made, all zero, or since note_unchanged()
    page_absent = 4,     // its content is still to come from the PageSource
};

// Where the content of pages comes from that are read or written for the first time.
class PageSource {
public:
    virtual ~PageSource() = default;
    // Puts the content in place and calls GuestMemory::note_present(); may do so for other absent pages as well. Comes
    // from any thread that touches memory, several at once.
    virtual void fetch(usize region, u64 page) = 0;
};

class GuestMemory {
public:
    enum class Kind : u8 { ram, rom };
    struct Region {
        u64 base = 0;
        u64 size = 0;  // a multiple of page_size
        Kind kind = Kind::ram;
        std::string name;
        std::unique_ptr<host::MemoryBlock> block;
        u8* host = nullptr;
        std::unique_ptr<std::atomic<u8>[]> flags;  // one byte of PageFlag a page
        usize index = 0;                           // among regions()
    };

    explicit GuestMemory(host::Memory& memory) : memory_(memory) {}

    // Base and size are page-aligned. Overlaps and host failures are errors.
    Result<void> add(u64 base, u64 size, Kind kind, std::string name);

    // The region that holds all of [address, address + size), or null. To look at its bytes: host(), or make_present()
    // first.
    const Region* find(u64 address, u64 size) const;
    // A pointer for reading (and for writing if the region is RAM), or null. Writers call wrote() afterwards, or use
    // write().
    u8* host(u64 address, u64 size) const;

    // Copies; false (and nothing copied) unless the whole range is RAM or ROM (write: RAM).
    bool read(u64 address, std::span<u8> out) const;
    bool write(u64 address, std::span<const u8> in);
    // Firmware loading: writes ROM too.
    bool load(u64 address, std::span<const u8> in);

    // The flags byte of the page at `address`, or null outside RAM and ROM.
    std::atomic<u8>* page_flags(u64 address) const;
    // Reports a write to [address, address + size) made, or just about to be made, through a host pointer.
    void wrote(u64 address, u64 size);
    // Called for each page with code that is written: physical address and size of the part within that page.
    void set_page_listener(std::function<void(u64 address, u64 size)> listener) { page_written_ = std::move(listener); }

    // To know which pages change from now on; `page` counts from the region's start. Nobody runs, and every CPU forgets
    // where it may write before it does (Cpu::pages_noted).
    void note_unchanged(const Region& region, u64 page) { region.flags[page].fetch_or(page_unchanged); }
    // To have the page taken for changed whatever happens to it.
    void note_changed(const Region& region, u64 page) {
        region.flags[page].fetch_and(static_cast<u8>(~page_unchanged));
    }
    static bool unchanged(const Region& region, u64 page) {
        return (region.flags[page].load(std::memory_order_relaxed) & page_unchanged) != 0;
    }

    // From now on pages may be absent; null: none is. `source` outlives the memory, or the next call.
    void set_page_source(PageSource* source) { source_ = source; }
    void note_absent(const Region& region, u64 page) { region.flags[page].store(page_absent); }
    void note_present(const Region& region, u64 page) {
        region.flags[page].fetch_and(static_cast<u8>(~page_absent), std::memory_order_release);
    }
    static bool absent(const Region& region, u64 page) {
        return (region.flags[page].load(std::memory_order_acquire) & page_absent) != 0;
    }
    // Has the pages of [offset, offset + size), which lies in the region, brought if they are absent.
    void make_present(const Region& region, u64 offset, u64 size) const {
        if (source_ != nullptr) fetch(region, offset, size);
    }

    const std::vector<std::unique_ptr<Region>>& regions() const { return regions_; }
    u64 ram_size() const;

private:
    void fetch(const Region& region, u64 offset, u64 size) const;

    host::Memory& memory_;
    std::vector<std::unique_ptr<Region>> regions_;  // in the order of adding; a handful
    std::function<void(u64, u64)> page_written_;
    PageSource* source_ = nullptr;
};

}  // namespace viv
