// Frames and streams of frames from hostile ends of a wire: framing, inspection, the switch, the capture's blocks.
// Promises: what comes out of a stream is what went in; a switch gives a frame to each other port at most once.
#include <cstddef>

#include "engine/lang/check.h"
#include "engine/net/capture.h"
#include "engine/net/framing.h"
#include "engine/net/hub.h"
#include "engine/net/inspect.h"
#include "engine/net/segments.h"

namespace {

using namespace viv;

struct Card final : net::NetDevice {
    explicit Card(std::unique_ptr<net::NetBackend> to) : cable(std::move(to)) { cable->connect(this); }
    bool receive(std::span<const u8> frame) override {
        CHECK(net::good_size(frame.size()));
        received++;
        return (received & 7) != 7;  // now and then there is no buffer
    }
    u64 received = 0;
    std::unique_ptr<net::NetBackend> cable;
};

// Whatever a driver or a wire says of a frame; cut, joined and cut again it has the same payload.
void finish_and_join(std::span<const u8> frame, const net::Offload& offload) {
    std::vector<u8> own(frame.begin(), frame.end());
    net::finish_sums(own, offload);
    own.assign(frame.begin(), frame.end());
    std::vector<std::vector<u8>> pieces, again;
    net::finish_frame(own, offload,
                      [&](std::span<const u8> piece) { pieces.emplace_back(piece.begin(), piece.end()); });
    net::SegmentJoiner joiner;
    const auto cut = [&](std::span<const u8> whole, const net::Offload& lacks) {
        CHECK(net::good_size(whole.size()));
        std::vector<u8> bytes(whole.begin(), whole.end());
        CHECK(net::finish_frame(bytes, lacks,
                                [&](std::span<const u8> piece) { again.emplace_back(piece.begin(), piece.end()); }));
    };
    for (const auto& piece : pieces) {
        CHECK(net::good_size(piece.size()));
        joiner.add(piece, {.checked = true, .tcp4 = true, .tcp6 = true}, cut);
    }
    joiner.flush(cut);
    CHECK(again.size() == pieces.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, size_t size) {
    const std::span<const u8> bytes(data, size);
    net::is_martian(bytes);
    net::may_open_connection(bytes);
    net::Hub hub;
    Card cards[3] = {Card(hub.make_port()), Card(hub.make_port()), Card(hub.make_port())};
    std::vector<u8> file;
    usize turn = 0;
    std::span<const u8> rest = bytes;
    while (true) {
        const auto framed = net::take_frame(rest);
        if (framed.state != net::Framed::State::whole) break;
        CHECK(framed.consumed <= rest.size() && framed.consumed >= net::frame_head_size);
        if (!framed.frame.empty()) {
            CHECK(net::good_size(framed.frame.size()));
            const auto head = net::frame_head(framed.frame.size());
            CHECK(std::equal(head.begin(), head.end(), rest.begin()));
            net::is_martian(framed.frame);
            net::may_open_connection(framed.frame);
            const auto number = [&](usize at) {
                return static_cast<u16>(framed.frame[at] << 8 | framed.frame[at + 1]);
            };
            finish_and_join(framed.frame, {.sum_from = number(0), .sum_at = number(2), .segment = number(4)});
            finish_and_join(framed.frame, {.sum_from = number(0), .sum_at = number(2)});
            Card& sender = cards[turn++ % 3];
            const u64 before = sender.received;
            sender.cable->send(framed.frame);
            CHECK(sender.received == before);
            net::PcapngWriter::append_frame(file, net::Passing::from_guest, turn, framed.frame);
            for (Card& card : cards) card.cable->receive_ready();
        }
        rest = rest.subspan(framed.consumed);
    }
    CHECK(file.size() % 4 == 0);
    return 0;
}
