// An address space of devices: physical memory-mapped I/O, and (a second instance) port I/O on x86.
// Promises: ranges never overlap; a lookup is a binary search; an access that no range holds whole
// fails, and the CPU gives its guest the architecture's answer (an access fault, all ones).
#pragma once

#include <string>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

// The device side of a range. `offset` is relative to the range's start; `size` is 1, 2, 4 or 8 bytes and offset is a
// multiple of it. Values are little-endian integers in the low `size` bytes; a device answers any offset and size with
// a defined result.
class Mmio {
public:
    virtual ~Mmio() = default;
    virtual u64 read(u64 offset, unsigned size) = 0;
    virtual void write(u64 offset, unsigned size, u64 value) = 0;
};

class Bus {
public:
    struct Range {
        u64 base = 0;
        u64 size = 0;
        Mmio* device = nullptr;
        std::string name;
    };

    // Adds a range; an overlap with an existing one is an error that names both.
    Result<void> map(u64 base, u64 size, Mmio& device, std::string name);
    // Removes the range of `device` that starts at `base`; nothing happens if there is none.
    void unmap(u64 base, const Mmio& device);

    // The range that holds all of [address, address + size), or null.
    const Range* find(u64 address, unsigned size) const;

    // False if no range holds the access whole or it is not aligned to its size; then nothing has happened.
    bool read(u64 address, unsigned size, u64& value);
    bool write(u64 address, unsigned size, u64 value);

    const std::vector<Range>& ranges() const { return ranges_; }

private:
    std::vector<Range> ranges_;  // by base
};

}  // namespace viv
