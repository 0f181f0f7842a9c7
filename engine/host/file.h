// One open host file or block device with positioned I/O. Implementations: native/host_posix.cpp, a tab's storage.
#pragma once

#include <span>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::host {

class File {
public:
    virtual ~File() = default;
    virtual u64 size() = 0;  // bytes, at the time of the call
    // All of `out` or an error; reading past the end is an error.
    virtual Result<void> read_at(u64 offset, std::span<u8> out) = 0;
    virtual Result<void> write_at(u64 offset, std::span<const u8> in) = 0;
    virtual Result<void> flush() = 0;  // to stable storage
    // Deallocates a range, which then reads as zero; false where the host cannot, and nothing has changed.
    virtual bool punch_hole(u64 offset, u64 length) = 0;
};

}  // namespace viv::host
