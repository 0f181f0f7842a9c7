// A second open of the same pipe or terminal gives an open file of our own, which may be non-blocking. See
// host_output.h.
#include "native/host_output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace viv::native {

HostOutput HostOutput::own(Descriptor descriptor) {
    HostOutput output;
    output.number_ = descriptor.number();
    output.owned_ = std::move(descriptor);
    fcntl(output.number_, F_SETFL, fcntl(output.number_, F_GETFL) | O_NONBLOCK);
    return output;
}

HostOutput HostOutput::borrow(int descriptor) {
    HostOutput output;
    output.number_ = descriptor;
    struct stat status {};
    if (fstat(descriptor, &status) == 0 && S_ISSOCK(status.st_mode)) {
        output.way_ = Way::socket;
    } else if (S_ISREG(status.st_mode)) {
        output.way_ = Way::file;  // a second open would have an offset of its own
    } else {
        output.owned_ = Descriptor(
            open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (!output.owned_) output.way_ = Way::blocking;
    }
    // A number of its own: two streams may write to the same descriptor.
    if (!output.owned_) output.owned_ = Descriptor(fcntl(descriptor, F_DUPFD_CLOEXEC, 3));
    if (output.owned_) output.number_ = output.owned_.number();
    return output;
}

HostOutput::Written HostOutput::write(std::span<const u8> bytes) {
    Written written;
    while (written.count < bytes.size()) {
        auto rest = bytes.subspan(written.count);
        ssize_t count = 0;
        if (way_ == Way::socket) {
            count = send(number_, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        } else {
            if (way_ == Way::blocking) {
                // A pipe that is ready takes PIPE_BUF bytes, a terminal at least a few hundred.
                pollfd ready{number_, POLLOUT, 0};
                if (poll(&ready, 1, 0) == 0) {
                    written.state = Transfer::later;
                    return written;
                }
                rest = rest.first(std::min<usize>(rest.size(), 256));
            }
            count = ::write(number_, rest.data(), rest.size());
        }
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            written.state = errno == EAGAIN || errno == EWOULDBLOCK ? Transfer::later : Transfer::ended;
            return written;
        }
        written.count += static_cast<usize>(count);
    }
    return written;
}

}  // namespace viv::native
