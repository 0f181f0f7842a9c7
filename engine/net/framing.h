// Frames within a stream of bytes, as QEMU's `socket` and `stream` networks send them over TCP and Unix sockets: the
// length in four bytes, the highest first, and the frame.
// Promises: a length is judged before anything is taken by it. One that QEMU would refuse, too (more than
// longest_on_wire), breaks the stream for good; a frame of a size that no card takes is skipped.
#pragma once

#include <array>
#include <span>

#include "engine/lang/bits.h"
#include "engine/net/net.h"

namespace viv::net {

inline constexpr usize frame_head_size = 4;
inline constexpr usize longest_on_wire = 4096 + 65536;  // QEMU's NET_BUFSIZE

std::array<u8, frame_head_size> frame_head(usize frame_size);

// What stands at the start of `bytes`.
struct Framed {
    enum class State : u8 { whole, incomplete, broken } state = State::incomplete;
    usize consumed = 0;         // whole: bytes with the head
    std::span<const u8> frame;  // whole: in `bytes`; empty if it is to be skipped
};
Framed take_frame(std::span<const u8> bytes);

}  // namespace viv::net
