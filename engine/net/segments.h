// TCP segments between cards that leave work to others and wires that do not: checksums (RFC 1071), cutting long
// segments and joining short ones (RFC 9293; IPv4 RFC 791, IPv6 RFC 8200). Promises: any bytes and any Offload are
// legal arguments; what cannot be done is refused before anything is handed on; frames go on in the order in which they
// came, and none of one connection before an earlier one.
#pragma once

#include <functional>
#include <vector>

#include "engine/net/net.h"

namespace viv::net {

// Fewer bytes a segment than any path has would make many frames of one.
inline constexpr u16 least_segment = 48;

// Whether the frame may be handed to such a device as it is. What is finished may be handed to any.
bool is_taken(const NetDevice::Takes& takes, std::span<const u8> frame, const Offload& offload);

// Makes `frame` what a wire carries, and gives it to `emit`, or its segments. False: it makes no sense.
bool finish_frame(std::span<u8> frame, const Offload& offload,
                  const std::function<void(std::span<const u8> frame)>& emit);

// The same without cutting it, for who takes TCP segments of any length.
bool finish_sums(std::span<u8> frame, const Offload& offload);

// What a card's driver leaves open in the headers of a long segment (its IP length, and that in the pseudo-header's
// sum) is written as NetBackend::send_offloaded wants it. False: it makes no sense.
bool set_long_header(std::span<u8> frame, const Offload& offload);

// Joins what comes in a row of one TCP connection, for a device that takes it so.
class SegmentJoiner {
public:
    using Emit = std::function<void(std::span<const u8> frame, const Offload& offload)>;

    // What cannot be joined goes on at once, behind what waits.
    void add(std::span<const u8> frame, const NetDevice::Takes& takes, const Emit& emit);
    // What waits.
    void flush(const Emit& emit);
    bool empty() const { return frame_.empty(); }

private:
    bool join(std::span<const u8> frame, usize transport, usize header, usize payload);

    std::vector<u8> frame_;  // waits for more; empty: nothing does
    usize transport_ = 0, header_ = 0;
    u16 segment_ = 0;
    bool joined_ = false;
};

}  // namespace viv::net
