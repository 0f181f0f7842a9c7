// Byte streams between a device (serial port, virtio console port) and what the host put at its other end (terminal,
// file, socket, agent). Promises: neither side blocks or buffers without bound: put() takes what fits and says how
// much.
#pragma once

#include <span>
#include <string>

#include "engine/lang/bits.h"

namespace viv {

// The host's end, given to the device as wiring.
class ByteBackend {
public:
    virtual ~ByteBackend() = default;
    // Guest to host: returns how many bytes were taken; 0 means "later", and room_for_output() of the device is called
    // then.
    virtual usize put(std::span<const u8> bytes) = 0;
    // The device can take input again after ByteDevice::put returned less than it was given.
    virtual void input_wanted() = 0;
    // The guest opened or closed its end, where the device knows (virtio console ports).
    virtual void guest_opened(bool /*open*/) {}
};

// The device's end, called by the host between slices.
class ByteDevice {
public:
    virtual ~ByteDevice() = default;
    // Host to guest: returns how many bytes fit.
    virtual usize put(std::span<const u8> bytes) = 0;
    virtual void room_for_output() {}
    // The host's end was connected or lost (virtio console ports tell the guest).
    virtual void host_connected(bool /*connected*/) {}
};

// The other end of nothing: takes all output, gives no input.
class NullByteBackend final : public ByteBackend {
public:
    usize put(std::span<const u8> bytes) override { return bytes.size(); }
    void input_wanted() override {}
};

}  // namespace viv
