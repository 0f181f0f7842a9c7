// A tap on a cable, and the bytes of its file.
#include "engine/net/capture.h"

#include <gtest/gtest.h>

#include "engine/lang/bytes.h"

namespace viv::net {
namespace {

struct Seen {
    Passing direction;
    u8 mark;
    bool operator==(const Seen&) const = default;
};
struct Recorder final : FrameRecorder {
    explicit Recorder(std::vector<Seen>& into) : seen(into) {}
    void record(Passing direction, std::span<const u8> frame) override { seen.push_back({direction, frame[0]}); }
    std::vector<Seen>& seen;
};
struct Card final : NetDevice {
    bool receive(std::span<const u8> frame) override {
        if (!buffers) return false;
        marks.push_back(frame[0]);
        return true;
    }
    std::vector<u8> marks;
    bool buffers = true;
};

TEST(Capture, SeesWhatPassesAndChangesNothing) {
    std::vector<Seen> seen;
    const auto cable = make_captured(make_loopback_backend(), std::make_unique<Recorder>(seen));
    Card card;
    cable->connect(&card);
    cable->send(std::vector<u8>(60, 1));
    card.buffers = false;
    cable->send(std::vector<u8>(60, 2));
    EXPECT_EQ(seen, (std::vector<Seen>{{Passing::from_guest, 1}, {Passing::to_guest, 1}, {Passing::from_guest, 2}}));
    card.buffers = true;
    cable->receive_ready();
    EXPECT_EQ(card.marks, std::vector<u8>({1, 2}));
    EXPECT_EQ(seen.back(), (Seen{Passing::to_guest, 2})) << "when the card takes it";
    cable->connect(nullptr);
    cable->send(std::vector<u8>(60, 3));
    EXPECT_EQ(card.marks.size(), 2u);
}

TEST(Capture, TheFileIsBlocksWithTheirLengthAtBothEnds) {
    auto bytes = PcapngWriter::head("viv", std::string(300, 'n'));
    PcapngWriter::append_frame(bytes, Passing::to_guest, 0x1234'5678'9abc'def0, std::vector<u8>(61, 7));
    PcapngWriter::append_frame(bytes, Passing::from_guest, 1, std::vector<u8>(60, 8));
    std::vector<u32> types;
    usize at = 0;
    while (at < bytes.size()) {
        ASSERT_LE(at + 12, bytes.size());
        const u32 size = load_le<u32>(&bytes[at + 4]);
        ASSERT_EQ(size % 4, 0u);
        ASSERT_LE(at + size, bytes.size());
        EXPECT_EQ(load_le<u32>(&bytes[at + size - 4]), size);
        types.push_back(load_le<u32>(&bytes[at]));
        if (types.size() == 3) {
            EXPECT_EQ(load_le<u32>(&bytes[at + 12]), 0x1234'5678u);
            EXPECT_EQ(load_le<u32>(&bytes[at + 16]), 0x9abc'def0u);
            EXPECT_EQ(load_le<u32>(&bytes[at + 20]), 61u);
            EXPECT_EQ(bytes[at + 28 + 60], 7);
            EXPECT_EQ(load_le<u32>(&bytes[at + 28 + 64 + 4]), 1u) << "inbound";
        }
        at += size;
    }
    EXPECT_EQ(types, (std::vector<u32>{0x0a0d'0d0a, 1, 6, 6}));
}

}  // namespace
}  // namespace viv::net
