// Writing to a descriptor without ever blocking, also where O_NONBLOCK must not be set because others share the open
// file (standard output). Promises: write() returns at once with what was taken; a reader that has gone is "ended",
// never a signal (SIGPIPE is ignored by the program).
#pragma once

#include <span>

#include "engine/lang/bits.h"
#include "native/descriptor.h"

namespace viv::native {

enum class Transfer : u8 { going, later, ended };  // later: wait until the descriptor is ready

class HostOutput {
public:
    // Owns a descriptor that nobody else writes to, and makes it non-blocking.
    static HostOutput own(Descriptor descriptor);
    // Standard output or error: the descriptor stays open at the end, and its flags stay as they are.
    static HostOutput borrow(int descriptor);

    struct Written {
        usize count = 0;
        Transfer state = Transfer::going;
    };
    Written write(std::span<const u8> bytes);
    int number() const { return number_; }  // to wait on

private:
    enum class Way : u8 { nonblocking, socket, file, blocking };
    Descriptor owned_;
    int number_ = -1;
    Way way_ = Way::nonblocking;
};

}  // namespace viv::native
