// Large zeroed blocks of host memory for guest RAM. Untouched pages should cost nothing (an anonymous mapping
// natively).
#pragma once

#include <memory>
#include <span>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::host {

// Owns one block; released on destruction.
class MemoryBlock {
public:
    virtual ~MemoryBlock() = default;
    virtual std::span<u8> bytes() = 0;
    // Makes [offset, offset + size) read as zero and gives its pages back to the host. Page-aligned; used by the
    // balloon.
    virtual void discard(u64 offset, u64 size) = 0;
};

class Memory {
public:
    virtual ~Memory() = default;
    // `size` is a multiple of 4096. Fails with a message that names the size.
    virtual Result<std::unique_ptr<MemoryBlock>> allocate(u64 size) = 0;
};

}  // namespace viv::host
