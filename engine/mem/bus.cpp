// Binary search over a few dozen ranges. Dispatch stays outside any lock: the caller serialises device accesses.
#include "engine/mem/bus.h"

#include <fmt/core.h>

#include <algorithm>

namespace viv {

Result<void> Bus::map(u64 base, u64 size, Mmio& device, std::string name) {
    if (size == 0 || size - 1 > ~base)
        return Error{
            fmt::format("device range {} at {:#x} of {:#x} bytes does not fit the address space", name, base, size)};
    const auto at = std::upper_bound(ranges_.begin(), ranges_.end(), base,
                                     [](u64 value, const Range& range) { return value < range.base; });
    const Range* clash = nullptr;
    if (at != ranges_.end() && at->base - base < size) clash = &*at;
    if (at != ranges_.begin() && base - (at - 1)->base < (at - 1)->size) clash = &*(at - 1);
    if (clash != nullptr)
        return Error{
            fmt::format("device range {} at {:#x} overlaps {} at {:#x}", name, base, clash->name, clash->base)};
    ranges_.insert(at, Range{base, size, &device, std::move(name)});
    return {};
}

void Bus::unmap(u64 base, const Mmio& device) {
    std::erase_if(ranges_, [&](const Range& range) { return range.base == base && range.device == &device; });
}

const Bus::Range* Bus::find(u64 address, unsigned size) const {
    const auto after = std::upper_bound(ranges_.begin(), ranges_.end(), address,
                                        [](u64 value, const Range& range) { return value < range.base; });
    if (after == ranges_.begin()) return nullptr;
    const Range& range = *(after - 1);
    return range_fits(address - range.base, size, range.size) ? &range : nullptr;
}

bool Bus::read(u64 address, unsigned size, u64& value) {
    if (address % size != 0) return false;
    const Range* range = find(address, size);
    if (range == nullptr) return false;
    value = range->device->read(address - range->base, size) & low_mask(size * 8);
    return true;
}

bool Bus::write(u64 address, unsigned size, u64 value) {
    if (address % size != 0) return false;
    const Range* range = find(address, size);
    if (range == nullptr) return false;
    range->device->write(address - range->base, size, value & low_mask(size * 8));
    return true;
}

}  // namespace viv
