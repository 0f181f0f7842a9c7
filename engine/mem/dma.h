// A device's view of guest memory: bus-master reads and writes by physical address.
// Promises: every range is checked; a bad one returns false and copies nothing. Integers are little endian.
#pragma once

#include <optional>
#include <span>

#include "engine/lang/bytes.h"
#include "engine/mem/guest_memory.h"

namespace viv {

class Dma {
public:
    explicit Dma(GuestMemory& memory) : memory_(memory) {}

    [[nodiscard]] bool read(u64 address, std::span<u8> out) const { return memory_.read(address, out); }
    [[nodiscard]] bool write(u64 address, std::span<const u8> in) { return memory_.write(address, in); }

    // A view for zero-copy work, empty if the range is not RAM. For writing, call wrote() when the bytes are in.
    std::span<u8> view(u64 address, u64 size) const {
        const auto* region = memory_.find(address, size);
        if (region == nullptr || region->kind != GuestMemory::Kind::ram) return {};
        memory_.make_present(*region, address - region->base, size);
        return {region->host + (address - region->base), static_cast<usize>(size)};
    }
    void wrote(u64 address, u64 size) { memory_.wrote(address, size); }

    template <class T>
    std::optional<T> load(u64 address) const {
        u8 raw[sizeof(T)];
        if (!read(address, raw)) return std::nullopt;
        return load_le<T>(raw);
    }
    template <class T>
    [[nodiscard]] bool store(u64 address, T value) {
        u8 raw[sizeof(T)];
        store_le(raw, value);
        return write(address, raw);
    }

    GuestMemory& memory() { return memory_; }

private:
    GuestMemory& memory_;
};

}  // namespace viv
