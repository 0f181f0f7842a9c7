// A descriptor that gives and takes one frame at a time: datagram sockets, TAP interfaces.
// Promises: frames are read only while the guest takes them, so that the kernel's queue, not ours, overflows; each poll
// reads a bounded number; what the kernel has no room for is dropped.
#pragma once

#include <vector>

#include "native/descriptor.h"
#include "native/host_network.h"

namespace viv::native {

class FrameDescriptor : public HostNetwork {
public:
    ~FrameDescriptor() override;

protected:
    explicit FrameDescriptor(Networks& networks);
    // From now on; once.
    void watch(Descriptor descriptor);
    int number() const { return descriptor_.number(); }
    // From within read_frame(): it gives no more frames, ever.
    void stop();
    // The next frame into `buffer`, and what it lacks: its size, 0 for one to be skipped, or -1 if there is none now.
    virtual ssize_t read_frame(std::span<u8> buffer, net::Offload& offload) = 0;

private:
    void flow_changed() override;
    void readable();

    Descriptor descriptor_;
    std::vector<u8> buffer_;
};

}  // namespace viv::native
