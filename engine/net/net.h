// Ethernet frames between a network device and its back end.
// Promises: a frame is smallest_frame to largest_frame bytes, without FCS; who is handed one copies what it keeps;
// neither side blocks. Everything here is called on the machine's thread, or on a hart's while that thread waits.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/lang/bits.h"

namespace viv::net {

// Two addresses and a type; and what a segment of 64 KiB may be before it is cut for the wire.
inline constexpr usize smallest_frame = 14, largest_frame = 65'550;
constexpr bool good_size(usize bytes) { return bytes >= smallest_frame && bytes <= largest_frame; }

// The device's end.
class NetDevice {
public:
    virtual ~NetDevice() = default;
    // A frame for the guest. False if it has no buffer now: the frame is dropped or kept by the back end, which is told
    // by NetBackend::receive_ready. A device that no driver has set up takes every frame, and drops it.
    virtual bool receive(std::span<const u8> frame) = 0;
};

// The back end's end, given to the device as wiring.
class NetBackend {
public:
    virtual ~NetBackend() = default;
    // Null, too: nothing is attached any more. The device outlives its attachment.
    virtual void attach(NetDevice* device) = 0;
    // A frame from the guest: its bytes are guest memory, and may change behind any check. It may be answered at once.
    virtual void send(std::span<const u8> frame) = 0;
    virtual void receive_ready() {}
};

// Drops everything.
std::unique_ptr<NetBackend> make_null_backend();
// Gives every frame back to its sender.
std::unique_ptr<NetBackend> make_loopback_backend();

}  // namespace viv::net
