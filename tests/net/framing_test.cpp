// Frames within a stream: QEMU's four bytes of length, and what a hostile other side may send.
#include "engine/net/framing.h"

#include <gtest/gtest.h>

#include <vector>

namespace viv::net {
namespace {

std::vector<u8> stream_of(std::initializer_list<usize> sizes) {
    std::vector<u8> bytes;
    u8 mark = 1;
    for (const usize size : sizes) {
        const auto head = frame_head(size);
        bytes.insert(bytes.end(), head.begin(), head.end());
        bytes.insert(bytes.end(), size, mark++);
    }
    return bytes;
}

TEST(Framing, TheLengthHasItsHighestByteFirst) { EXPECT_EQ(frame_head(0x1234), (std::array<u8, 4>{0, 0, 0x12, 0x34})); }

TEST(Framing, FramesComeOutWhole) {
    const auto bytes = stream_of({60, smallest_frame, largest_frame});
    std::span<const u8> rest = bytes;
    for (const usize size : {usize{60}, smallest_frame, largest_frame}) {
        const auto framed = take_frame(rest);
        ASSERT_EQ(framed.state, Framed::State::whole);
        EXPECT_EQ(framed.frame.size(), size);
        rest = rest.subspan(framed.consumed);
    }
    EXPECT_TRUE(rest.empty());
}

TEST(Framing, APrefixIsIncomplete) {
    const auto bytes = stream_of({60});
    for (usize size = 0; size < bytes.size(); size++) {
        const std::vector<u8> cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_EQ(take_frame(cut).state, Framed::State::incomplete) << size;
    }
}

TEST(Framing, SizesThatNoCardTakesAreSkippedAndImpossibleOnesBreakTheStream) {
    for (const usize size : {usize{0}, usize{1}, smallest_frame - 1, largest_frame + 1, longest_on_wire}) {
        const auto bytes = stream_of({size, 60});
        const auto framed = take_frame(bytes);
        ASSERT_EQ(framed.state, Framed::State::whole) << size;
        EXPECT_TRUE(framed.frame.empty()) << size;
        EXPECT_EQ(take_frame(std::span(bytes).subspan(framed.consumed)).frame.size(), 60u);
    }
    for (const u32 size : {u32{longest_on_wire + 1}, 0x7fff'ffffu, 0xffff'ffffu}) {
        const auto head = frame_head(size);
        EXPECT_EQ(take_frame(head).state, Framed::State::broken) << size << " is judged by its head alone";
    }
}

}  // namespace
}  // namespace viv::net
