// Ethernet frames between a network device and its back end.
// Promises: a frame is 14 to 65,550 bytes without FCS; send() copies what it keeps; neither side blocks.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/lang/bits.h"

namespace viv::net {

// The device's end.
class NetDevice {
public:
    virtual ~NetDevice() = default;
    // A frame for the guest. False if it has no buffer now: the frame is dropped or kept by the back end, which is told
    // by NetBackend::receive_ready.
    virtual bool receive(std::span<const u8> frame) = 0;
};

// The back end's end, given to the device as wiring.
class NetBackend {
public:
    virtual ~NetBackend() = default;
    virtual void attach(NetDevice* device) = 0;
    virtual void send(std::span<const u8> frame) = 0;
    virtual void receive_ready() {}
};

// Drops everything.
std::unique_ptr<NetBackend> make_null_backend();
// Gives every frame back to its sender.
std::unique_ptr<NetBackend> make_loopback_backend();

}  // namespace viv::net
