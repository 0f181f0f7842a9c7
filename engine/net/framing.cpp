// Frames within a stream. See framing.h.
#include "engine/net/framing.h"

#include "engine/lang/bytes.h"

namespace viv::net {

std::array<u8, frame_head_size> frame_head(usize frame_size) {
    std::array<u8, frame_head_size> head;
    store_be<u32>(head.data(), static_cast<u32>(frame_size));
    return head;
}

Framed take_frame(std::span<const u8> bytes) {
    Framed framed;
    if (bytes.size() < frame_head_size) return framed;
    const usize size = load_be<u32>(bytes.data());
    if (size > longest_on_wire) {
        framed.state = Framed::State::broken;
        return framed;
    }
    if (bytes.size() - frame_head_size < size) return framed;
    framed.state = Framed::State::whole;
    framed.consumed = frame_head_size + size;
    if (good_size(size)) framed.frame = bytes.subspan(frame_head_size, size);
    return framed;
}

}  // namespace viv::net
