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

// What a frame still lacks, since a card leaves it to who carries the frame, or need not be looked at by who gets it
// (virtio 1.2, 5.1.6.2).
struct Offload {
    // The 16-bit ones' complement sum (RFC 1071) from `sum_from` to the frame's end belongs `sum_at` bytes behind
    // `sum_from`, where the pseudo-header's is. 0: nothing is lacking.
    u16 sum_from = 0, sum_at = 0;
    // TCP: it is to be segments of at most so many bytes of payload, each behind a copy of its first `header` bytes. 0:
    // it is one.
    u16 segment = 0, header = 0;
    bool checked = false;  // the TCP or UDP checksum has been found right

    bool is_finished() const { return sum_from == 0 && segment == 0; }
};

// The device's end.
class NetDevice {
public:
    virtual ~NetDevice() = default;
    // A frame for the guest. False if it has no buffer now: the frame is dropped or kept by the back end, which is told
    // by NetBackend::receive_ready. A device that no driver has set up takes every frame, and drops it.
    virtual bool receive(std::span<const u8> frame) = 0;

    // What the driver can make of frames that are not as a wire carries them; it may change at any time.
    struct Takes {
        bool checked = false;  // Offload::checked, and checksums that are lacking
        bool tcp4 = false, tcp6 = false;
    };
    virtual Takes takes() const { return {}; }
    // As receive(), of such a frame as it takes.
    virtual bool receive_offloaded(std::span<const u8> frame, const Offload& /*offload*/) { return receive(frame); }

    // The cable in the card: up from the start. Without it frames are dropped both ways, and the driver is told.
    virtual void set_link(bool /*up*/) {}
    virtual bool link_up() const { return true; }
};

// The back end's end, given to the device as wiring.
class NetBackend {
public:
    virtual ~NetBackend() = default;
    // Null, too: nothing is connected any more. The device outlives its connection.
    void connect(NetDevice* device) {
        device_ = device;
        attach(device);
    }
    NetDevice* device() const { return device_; }
    // A frame from the guest: its bytes are guest memory, and may change behind any check. It may be answered at once.
    virtual void send(std::span<const u8> frame) = 0;
    // The same of a frame that lacks something, and is the caller's own memory: a back end that does not know what to
    // do with it is given frames as a wire carries them instead (segments.h). What makes no sense is dropped.
    virtual void send_offloaded(std::span<const u8> frame, const Offload& offload);
    virtual void receive_ready() {}

protected:
    virtual void attach(NetDevice* device) = 0;

private:
    NetDevice* device_ = nullptr;
};

// Drops everything.
std::unique_ptr<NetBackend> make_null_backend();
// Gives every frame back to its sender.
std::unique_ptr<NetBackend> make_loopback_backend();

}  // namespace viv::net
