// A handful of regions, searched in order: RAM first, since boards add it first.
#include "engine/mem/guest_memory.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "engine/lang/check.h"

namespace viv {

Result<void> GuestMemory::add(u64 base, u64 size, Kind kind, std::string name) {
    CHECK(base % page_size == 0 && size % page_size == 0 && size != 0 && size - 1 <= ~base);
    for (const auto& region : regions_)
        if (base <= region->base + (region->size - 1) && region->base <= base + (size - 1))
            return Error{fmt::format("memory {} at {:#x} overlaps {}", name, base, region->name)};
    TRY_SET(auto block, memory_.allocate(size));
    auto region = std::make_unique<Region>();
    region->base = base;
    region->size = size;
    region->kind = kind;
    region->name = std::move(name);
    region->host = block->bytes().data();
    region->block = std::move(block);
    region->flags = std::make_unique<std::atomic<u8>[]>(size / page_size);
    region->index = regions_.size();
    for (u64 page = 0; page < size / page_size; page++) note_unchanged(*region, page);
    regions_.push_back(std::move(region));
    return {};
}

const GuestMemory::Region* GuestMemory::find(u64 address, u64 size) const {
    for (const auto& region : regions_)
        if (address >= region->base && range_fits(address - region->base, size, region->size)) return region.get();
    return nullptr;
}

u8* GuestMemory::host(u64 address, u64 size) const {
    const Region* region = find(address, size);
    if (region == nullptr) return nullptr;
    make_present(*region, address - region->base, size);
    return region->host + (address - region->base);
}

void GuestMemory::fetch(const Region& region, u64 offset, u64 size) const {
    if (size == 0) return;
    for (u64 page = offset >> page_bits; page <= (offset + size - 1) >> page_bits; page++)
        if (absent(region, page)) source_->fetch(region.index, page);
}

bool GuestMemory::read(u64 address, std::span<u8> out) const {
    const u8* from = host(address, out.size());
    if (from == nullptr) return false;
    if (!out.empty()) std::memcpy(out.data(), from, out.size());
    return true;
}

bool GuestMemory::write(u64 address, std::span<const u8> in) {
    const Region* region = find(address, in.size());
    return region != nullptr && region->kind == Kind::ram && load(address, in);
}

bool GuestMemory::load(u64 address, std::span<const u8> in) {
    u8* to = host(address, in.size());
    if (to == nullptr) return false;
    if (!in.empty()) std::memcpy(to, in.data(), in.size());
    wrote(address, in.size());
    return true;
}

std::atomic<u8>* GuestMemory::page_flags(u64 address) const {
    const Region* region = find(address, 1);
    return region == nullptr ? nullptr : &region->flags[(address - region->base) >> page_bits];
}

void GuestMemory::wrote(u64 address, u64 size) {
    const Region* region = find(address, size);
    if (region == nullptr) return;
    while (size != 0) {
        const u64 part = std::min(size, page_size - (address & page_mask));
        const u64 page = (address - region->base) >> page_bits;
        const u8 flags = region->flags[page].load(std::memory_order_relaxed);
        if ((flags & page_unchanged) != 0) note_changed(*region, page);
        // Given back to the host without having been brought: it is what is there now.
        if ((flags & page_absent) != 0) note_present(*region, page);
        if ((flags & page_has_code) != 0 && page_written_) page_written_(address, part);
        address += part;
        size -= part;
    }
}

u64 GuestMemory::ram_size() const {
    u64 total = 0;
    for (const auto& region : regions_)
        if (region->kind == Kind::ram) total += region->size;
    return total;
}

}  // namespace viv
