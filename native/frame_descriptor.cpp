// Reading frames from a descriptor. See frame_descriptor.h.
#include "native/frame_descriptor.h"

namespace viv::native {

namespace {

constexpr unsigned frames_a_poll = 256;

}  // namespace

// A byte more than the largest frame, so that a longer one is seen to be that.
FrameDescriptor::FrameDescriptor(Networks& networks) : HostNetwork(networks), buffer_(net::largest_frame + 1) {}

FrameDescriptor::~FrameDescriptor() { stop(); }

void FrameDescriptor::stop() {
    if (descriptor_) events().remove(descriptor_.number());
    descriptor_.reset();
}

void FrameDescriptor::watch(Descriptor descriptor) {
    descriptor_ = std::move(descriptor);
    events().add(number(), flowing() ? Interest::read : Interest::none, [this](EventLoop::Ready) { readable(); });
}

void FrameDescriptor::flow_changed() {
    if (descriptor_) events().change(number(), flowing() ? Interest::read : Interest::none);
}

void FrameDescriptor::readable() {
    for (unsigned i = 0; i < frames_a_poll && flowing(); i++) {
        net::Offload offload;
        const ssize_t size = read_frame(buffer_, offload);
        if (size < 0) return;
        const auto frame = std::span(buffer_).first(static_cast<usize>(size));
        if (!net::good_size(frame.size())) continue;
        if (offload.is_finished() && !offload.checked)
            deliver(frame);
        else
            deliver_offloaded(frame, offload);
    }
}

}  // namespace viv::native
