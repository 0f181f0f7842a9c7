// One open host file or block device with positioned I/O. Implementations: native/host_posix.cpp, a tab's storage.
// Promises: a call is done when it returns; what one call has written the next one reads; nothing is on stable storage
// before flush().
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
    // Writing past the end of a regular file lengthens it; what is left out between reads as zero.
    virtual Result<void> write_at(u64 offset, std::span<const u8> in) = 0;
    virtual Result<void> flush() = 0;  // to stable storage
    // The host begins to put on stable storage what has been written: a later flush() has less to do. Promises nothing.
    virtual void begin_flush() {}
    // Deallocates a range, which then reads as zero; false where the host cannot, and nothing has changed.
    virtual bool punch_hole(u64 offset, u64 length) = 0;
    // Cuts a regular file, or lengthens it with zeroes. Those who do not override it cannot.
    virtual Result<void> resize(u64) { return Error{"the file has a fixed size"}; }

    struct Extent {
        u64 length = 0;     // bytes that are alike from the offset asked for
        bool hole = false;  // they read as zero and take no space; never true by mistake
    };
    // What lies at `offset`, which is below size().
    virtual Extent extent_at(u64 offset) { return {size() - offset, false}; }
    virtual u64 allocated() { return size(); }  // bytes that the file takes on its host
};

}  // namespace viv::host
