// The Internet's checksum (RFC 1071), and whether a frame's are right (IPv4 RFC 791, TCP RFC 9293, UDP RFC 768, IPv6
// RFC 8200). Promises: any bytes are a legal argument.
#pragma once

#include <span>

#include "engine/lang/bits.h"

namespace viv::net {

// The ones' complement sum of big-endian halves, folded, not complemented. Of an odd number of bytes the last is the
// upper half of a number.
u16 sum_of(std::span<const u8> bytes, u64 start = 0);

// none: the frame has no such sum, or one that cannot be checked in a fragment.
enum class Sum : u8 { none, right, wrong };
struct FrameSums {
    Sum ip = Sum::none;         // of an IPv4 header
    Sum transport = Sum::none;  // of TCP and UDP
};
FrameSums check_sums(std::span<const u8> frame);

}  // namespace viv::net
