// virtio-net through both transports: sending in any framing, receiving with and without mergeable buffers, refusals
// and the call when there is room again, the receive filter and its control commands, the link, loopback, saving,
// resets, and random rings.
#include <gtest/gtest.h>

#include <random>

#include "engine/dev/virtio/net.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

using virtio::Net;

class TestBackend final : public net::NetBackend {
public:
    struct Shared {
        net::NetDevice* device = nullptr;
        std::vector<std::string> sent;
        std::vector<net::Offload> offloads;
        unsigned ready = 0;
        bool loops = false;
    };
    explicit TestBackend(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    void attach(net::NetDevice* device) override { shared_->device = device; }
    void send_offloaded(std::span<const u8> frame, const net::Offload& offload) override {
        shared_->offloads.push_back(offload);
        send(frame);
    }
    void send(std::span<const u8> frame) override {
        shared_->sent.emplace_back(frame.begin(), frame.end());
        if (shared_->loops) shared_->device->receive(frame);
    }
    void receive_ready() override { shared_->ready++; }

private:
    std::shared_ptr<Shared> shared_;
};

const std::string to_me("\x52\x54\x00\x12\x34\x56", 6);
const std::string other_mac("\x52\x54\x00\xaa\xbb\xcc", 6);
const std::string group_mac("\x01\x00\x5e\x00\x00\x01", 6);
const std::string everyone("\xff\xff\xff\xff\xff\xff", 6);

std::string frame_to(const std::string& to, usize size = 60, char fill = 'f') {
    return to + std::string(size - to.size(), fill);
}

struct VirtioNetTest : ::testing::TestWithParam<Via> {
    std::shared_ptr<TestBackend::Shared> wire = std::make_shared<TestBackend::Shared>();
    std::unique_ptr<Rig> rig;
    std::unique_ptr<Ring> receive, transmit, control;

    std::unique_ptr<Rig> make_rig() {
        return std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
            return std::make_unique<Net>(wiring, std::make_unique<TestBackend>(wire), Net::Options{});
        });
    }
    Net& device() { return static_cast<Net&>(*rig->function); }
    void start(u64 dropped = 0) {
        rig = make_rig();
        ASSERT_TRUE(rig->negotiate(rig->port->offered() & ~dropped));
        place();
    }
    void place() {
        receive = std::make_unique<Ring>(*rig, 0, 16);
        transmit = std::make_unique<Ring>(*rig, 1, 16);
        control = std::make_unique<Ring>(*rig, 2, 16);
        rig->go();
    }
    u64 offer(u32 size, Table table = Table::direct) {
        const u64 at = rig->allocate(size);
        receive->add({{at, size, Direction::from_device}}, table);
        receive->kick();
        return at;
    }
    bool deliver(const std::string& frame) {
        return device().receive(std::span(reinterpret_cast<const u8*>(frame.data()), frame.size()));
    }
    bool accepts(const std::string& to) {
        const u16 before = receive->used_index();
        EXPECT_TRUE(deliver(frame_to(to)));
        if (receive->used_index() == before) return false;
        receive->take();
        offer(100);
        return true;
    }
    u8 command(u8 kind, u8 what, const std::string& data) {
        const u64 at = rig->allocate(2 + data.size()), ack = rig->allocate(1);
        rig->put<u8>(at, kind);
        rig->put<u8>(at + 1, what);
        rig->put_text(at + 2, data);
        rig->put<u8>(ack, 0xee);
        control->add({{at, 2, Direction::to_device},
                      {at + 2, static_cast<u32>(data.size()), Direction::to_device},
                      {ack, 1, Direction::from_device}});
        control->kick();
        control->take();
        return rig->get<u8>(ack);
    }
    void send(const std::vector<u32>& pieces, const std::string& bytes) {
        std::vector<Buffer> buffers;
        usize done = 0;
        for (const u32 piece : pieces) {
            const u64 at = rig->allocate(piece);
            rig->put_text(at, bytes.substr(done, piece));
            buffers.push_back({at, piece, Direction::to_device});
            done += piece;
        }
        transmit->add(buffers);
        transmit->kick();
        EXPECT_TRUE(transmit->take());
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioNetTest, ::testing::Values(Via::mmio, Via::pci), via_name);

const std::string header(12, '\0');

TEST_P(VirtioNetTest, ShowsItsAddressAndLink) {
    start();
    EXPECT_EQ(rig->port->config(0, 4), 0x1200'5452u);
    EXPECT_EQ(rig->port->config(4, 2), 0x5634u);
    EXPECT_EQ(rig->port->config(6, 2), 1u);
    device().set_link(false);
    EXPECT_EQ(rig->port->config(6, 2), 0u);
    EXPECT_EQ(rig->port->take_interrupts(), 2u);
    offer(100);
    EXPECT_TRUE(deliver(frame_to(to_me)));
    EXPECT_FALSE(receive->take()) << "the cable is out";
    send({72}, header + frame_to(other_mac));
    EXPECT_TRUE(wire->sent.empty());
    device().set_link(true);
    EXPECT_TRUE(deliver(frame_to(to_me)));
    EXPECT_TRUE(receive->take());
}

TEST_P(VirtioNetTest, SendsFramesInAnyFraming) {
    start();
    const std::string frame = frame_to(other_mac, 200) + "end";
    send({12, 203}, header + frame);
    send({215}, header + frame);
    send({5, 20, 190}, header + frame);
    EXPECT_EQ(wire->sent, std::vector<std::string>(3, frame));
    wire->sent.clear();
    send({12, 13}, header + std::string(13, 'x'));
    send({7}, std::string(7, '\0'));
    send({12, 60'000, 5'551}, header + std::string(65'551, 'x'));
    send({72}, std::string("\x01", 1) + std::string(11, '\0') + frame_to(other_mac));
    EXPECT_TRUE(wire->sent.empty()) << "too short, too long, or an offload that was not negotiated";
    send({12, 60'000, 5'550}, header + std::string(65'550, 'x'));
    EXPECT_EQ(wire->sent.size(), 1u);
    EXPECT_FALSE(rig->needs_reset());
}

std::string header_with(u8 flags, u8 segmentation, u16 length, u16 segment, u16 from, u16 at) {
    std::string text{static_cast<char>(flags), static_cast<char>(segmentation)};
    for (const u16 value : {length, segment, from, at, u16{0}}) {
        text += static_cast<char>(value & 0xff);
        text += static_cast<char>(value >> 8);
    }
    return text;
}

TEST_P(VirtioNetTest, LeavesWorkToTheBackEndAsTheDriverAsks) {
    start();
    const std::string frame = frame_to(other_mac, 5000);
    send({5012}, header_with(1, 1, 66, 1448, 34, 16) + frame);
    send({12, 5000}, header_with(1, 0, 0, 0, 34, 6) + frame);
    ASSERT_EQ(wire->offloads.size(), 2u);
    EXPECT_EQ(wire->sent, (std::vector<std::string>{frame, frame}));
    EXPECT_EQ(wire->offloads[0].segment, 1448);
    EXPECT_EQ(wire->offloads[0].header, 66);
    EXPECT_EQ(wire->offloads[0].sum_from, 34);
    EXPECT_EQ(wire->offloads[0].sum_at, 16);
    EXPECT_EQ(wire->offloads[1].segment, 0);
    EXPECT_EQ(wire->offloads[1].sum_at, 6);
    // UDP, a checksum that is not left, no length, and a flag that is nothing for a device.
    for (const auto& wrong : {header_with(1, 3, 66, 1448, 34, 16), header_with(0, 1, 66, 1448, 34, 16),
                              header_with(1, 1, 66, 0, 34, 16), header_with(2, 0, 0, 0, 0, 0)})
        send({5012}, wrong + frame);
    EXPECT_EQ(wire->sent.size(), 2u);
}

TEST_P(VirtioNetTest, TellsTheDriverWhatAFrameLacks) {
    start();
    EXPECT_TRUE(device().takes().checked);
    EXPECT_TRUE(device().takes().tcp4);
    EXPECT_TRUE(device().takes().tcp6);
    std::string frame = frame_to(to_me, 3000);
    frame.replace(12, 2, std::string("\x08\x00", 2));
    const auto give = [&](const net::Offload& offload) {
        const u64 at = offer(4000);
        EXPECT_TRUE(
            device().receive_offloaded(std::span(reinterpret_cast<const u8*>(frame.data()), frame.size()), offload));
        EXPECT_TRUE(receive->take());
        std::string head = rig->get_text(at, 12);
        EXPECT_EQ(rig->get_text(at + 12, frame.size()), frame);
        head[10] = 0;  // num_buffers
        return head;
    };
    EXPECT_EQ(give({.sum_from = 34, .sum_at = 16, .segment = 1448, .header = 66}), header_with(1, 1, 66, 1448, 34, 16));
    EXPECT_EQ(give({.checked = true}), header_with(2, 0, 0, 0, 0, 0));
    frame.replace(12, 2, "\x86\xdd");
    EXPECT_EQ(give({.sum_from = 54, .sum_at = 16, .segment = 1428, .header = 86}), header_with(1, 4, 86, 1428, 54, 16));

    // Without the features everything is as on the wire, and what has them only in part is refused.
    const auto bits = [](std::initializer_list<unsigned> all) {
        u64 set = 0;
        for (const unsigned each : all) set |= u64{1} << each;
        return set;
    };
    start(bits({0, 1, 7, 8, 11, 12}));
    EXPECT_FALSE(device().takes().checked);
    send({3012}, header_with(1, 0, 0, 0, 34, 16) + frame);
    EXPECT_TRUE(wire->offloads.size() == 0);
    rig = make_rig();
    EXPECT_FALSE(rig->negotiate(rig->port->offered() & ~bits({0})));
    rig = make_rig();
    EXPECT_FALSE(rig->negotiate(rig->port->offered() & ~bits({1})));
}

TEST_P(VirtioNetTest, ReceivesIntoOneBuffer) {
    start();
    const u64 at = offer(1526);
    const std::string frame = frame_to(to_me, 1514);
    EXPECT_TRUE(deliver(frame));
    EXPECT_EQ(receive->take()->length, 1526u);
    EXPECT_EQ(rig->get_text(at, 10), std::string(10, '\0'));
    EXPECT_EQ(rig->get<u16>(at + 10), 1u);
    EXPECT_EQ(rig->get_text(at + 12, 1514), frame);
    EXPECT_TRUE(rig->port->interrupt());
}

TEST_P(VirtioNetTest, MergesBuffersAndShowsThemTogether) {
    start();
    const u64 first = offer(100), second = offer(100, Table::indirect), third = offer(100);
    std::string frame = to_me;
    while (frame.size() < 250) frame += static_cast<char>('a' + frame.size() % 26);
    EXPECT_TRUE(deliver(frame));
    EXPECT_EQ(rig->get<u16>(first + 10), 3u);
    EXPECT_EQ(rig->get_text(first + 12, 88) + rig->get_text(second, 100) + rig->get_text(third, 62), frame);
    EXPECT_EQ(receive->take()->length, 100u);
    EXPECT_EQ(receive->take()->length, 100u);
    EXPECT_EQ(receive->take()->length, 62u);
    for (int i = 0; i < 15; i++) offer(7);
    EXPECT_TRUE(deliver(frame_to(to_me, 60))) << "even the header may cross buffers";
    for (int i = 0; i < 11; i++) EXPECT_TRUE(receive->take());
    EXPECT_FALSE(receive->take());
}

TEST_P(VirtioNetTest, WithoutRoomTheFrameIsRefusedAndTheBackEndCalledLater) {
    start();
    EXPECT_FALSE(deliver(frame_to(to_me)));
    EXPECT_EQ(wire->ready, 0u);
    offer(40);
    EXPECT_EQ(wire->ready, 1u);
    EXPECT_FALSE(deliver(frame_to(to_me))) << "40 bytes are not enough";
    EXPECT_FALSE(receive->take());
    const u64 second = offer(40);
    EXPECT_EQ(wire->ready, 2u);
    EXPECT_TRUE(deliver(frame_to(to_me, 60)));
    EXPECT_TRUE(receive->take());
    EXPECT_TRUE(receive->take());
    EXPECT_EQ(rig->get_text(second, 32), std::string(32, 'f'));
    offer(100);
    EXPECT_EQ(wire->ready, 2u) << "nobody waits";
}

TEST_P(VirtioNetTest, WithoutMergingATooSmallBufferDropsTheFrame) {
    start(feature(15));
    offer(40);
    const u64 second = offer(100);
    EXPECT_TRUE(deliver(frame_to(to_me))) << "dropped: it would never fit";
    EXPECT_FALSE(receive->take());
    EXPECT_TRUE(deliver(frame_to(to_me, 20)));
    EXPECT_TRUE(receive->take());
    EXPECT_TRUE(deliver(frame_to(to_me)));
    EXPECT_TRUE(receive->take());
    EXPECT_EQ(rig->get<u16>(second + 10), 1u);
}

TEST_P(VirtioNetTest, FiltersAsTheDriverAsks) {
    start();
    for (int i = 0; i < 8; i++) offer(100);
    EXPECT_TRUE(accepts(other_mac)) << "promiscuous until told otherwise";
    EXPECT_EQ(command(0, 0, std::string(1, '\0')), 0);
    EXPECT_TRUE(accepts(to_me));
    EXPECT_TRUE(accepts(everyone));
    EXPECT_FALSE(accepts(other_mac));
    EXPECT_FALSE(accepts(group_mac));
    EXPECT_EQ(command(0, 1, "\1"), 0);
    EXPECT_TRUE(accepts(group_mac)) << "all multicast";
    EXPECT_EQ(command(0, 3, "\1"), 0);
    EXPECT_FALSE(accepts(group_mac)) << "no multicast";
    EXPECT_TRUE(accepts(everyone));
    EXPECT_EQ(command(0, 5, "\1"), 0);
    EXPECT_FALSE(accepts(everyone)) << "no broadcast";
    EXPECT_EQ(command(0, 2, "\1"), 0);
    EXPECT_TRUE(accepts(other_mac)) << "all unicast";
    EXPECT_EQ(command(0, 4, "\1"), 0);
    EXPECT_FALSE(accepts(to_me)) << "no unicast";
    for (const u8 what : std::initializer_list<u8>{1, 2, 3, 4, 5}) EXPECT_EQ(command(0, what, std::string(1, '\0')), 0);
    const auto number = [](u32 n) {
        return std::string(1, static_cast<char>(n)) + std::string(1, static_cast<char>(n >> 8)) + std::string(2, '\0');
    };
    EXPECT_EQ(command(1, 0, number(1) + other_mac + number(1) + group_mac), 0);
    EXPECT_TRUE(accepts(other_mac));
    EXPECT_TRUE(accepts(group_mac));
    EXPECT_EQ(command(1, 0, number(2) + other_mac), 1) << "fewer addresses than announced";
    EXPECT_EQ(command(1, 0, number(0)), 1);
    EXPECT_TRUE(accepts(other_mac)) << "a refused command changes nothing";
    std::string many = number(0) + number(100);
    for (int i = 0; i < 100; i++) many += group_mac;
    EXPECT_EQ(command(1, 0, many), 0);
    EXPECT_FALSE(accepts(other_mac));
    EXPECT_TRUE(accepts(std::string("\x33\x33\0\0\0\1", 6))) << "a list too long lets all multicast pass";
    EXPECT_EQ(command(1, 1, other_mac), 0);
    EXPECT_TRUE(accepts(other_mac));
    EXPECT_FALSE(accepts(to_me));
    EXPECT_EQ(rig->port->config(0, 4), 0xaa00'5452u);
    EXPECT_EQ(command(1, 1, "short"), 1);
    EXPECT_EQ(command(0, 9, "\1"), 1);
    EXPECT_EQ(command(0, 0, ""), 1);
    EXPECT_EQ(command(7, 0, "\1"), 1);

    const auto saved = rig->save_all();
    auto other = make_rig();
    other->load_all(saved);
    EXPECT_EQ(other->save_all().device, saved.device);
    EXPECT_EQ(other->port->config(0, 4), 0xaa00'5452u);
    rig->port->set_status(0);
    EXPECT_EQ(rig->port->config(0, 4), 0x1200'5452u);
}

// An IPv4 frame of UDP between two ports, ours and another's, either way.
std::string datagram(u16 mine, u16 other, bool to_us) {
    std::string frame = frame_to(to_us ? to_me : other_mac, 60, '\0');
    const auto put16 = [&](usize at, u16 value) {
        frame[at] = static_cast<char>(value >> 8);
        frame[at + 1] = static_cast<char>(value);
    };
    put16(12, 0x0800);
    frame[14] = 0x45;
    frame[23] = 17;
    frame[to_us ? 33 : 29] = 15;  // 0.0.0.15 and 0.0.0.2
    frame[to_us ? 29 : 33] = 2;
    put16(to_us ? 36 : 34, mine);
    put16(to_us ? 34 : 36, other);
    return frame;
}

TEST_P(VirtioNetTest, AFlowIsReceivedBesideWhereItIsSent) {
    constexpr unsigned f_mq = 22;
    Net::Options options;
    options.queue_pairs = 3;
    const auto make = [&] {
        return std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
            return std::make_unique<Net>(wiring, std::make_unique<TestBackend>(wire), options);
        });
    };
    rig = make();
    EXPECT_EQ(rig->port->config(8, 2), 3u);
    EXPECT_EQ(rig->function->queue_count(), 7);
    ASSERT_TRUE(rig->negotiate(rig->port->offered()));
    std::vector<std::unique_ptr<Ring>> receivers, transmitters;
    for (u16 pair = 0; pair < 3; pair++) {
        receivers.push_back(std::make_unique<Ring>(*rig, static_cast<u16>(2 * pair), 16));
        transmitters.push_back(std::make_unique<Ring>(*rig, static_cast<u16>(2 * pair + 1), 16));
    }
    control = std::make_unique<Ring>(*rig, 6, 16);
    rig->go();
    for (auto& ring : receivers)
        for (unsigned i = 0; i < 8; i++) ring->add({{rig->allocate(100), 100, Direction::from_device}});
    const auto send_through = [&](unsigned pair, const std::string& frame) {
        const u64 at = rig->allocate(12 + frame.size());
        rig->put_text(at + 12, frame);
        transmitters[pair]->add({{at, static_cast<u32>(12 + frame.size()), Direction::to_device}});
        transmitters[pair]->notify();
        EXPECT_TRUE(transmitters[pair]->take());
    };
    const auto arrives_at = [&](const std::string& frame) {
        EXPECT_TRUE(deliver(frame));
        int found = -1;
        for (int pair = 0; pair < 3; pair++)
            if (receivers[static_cast<usize>(pair)]->take()) found = pair;
        return found;
    };
    send_through(2, datagram(1000, 53, false));
    EXPECT_EQ(arrives_at(datagram(1000, 53, true)), 0) << "one pair is in use until the driver says more";
    const auto pairs = [](u16 count) { return std::string{static_cast<char>(count), '\0'}; };
    EXPECT_EQ(command(4, 0, pairs(0)), 1);
    EXPECT_EQ(command(4, 0, pairs(4)), 1);
    EXPECT_EQ(command(4, 1, pairs(3)), 1) << "RSS is not there";
    EXPECT_EQ(command(4, 0, pairs(3)), 0);
    for (const unsigned pair : {2u, 1u, 0u, 2u}) {
        send_through(pair, datagram(1000, 53, false));
        EXPECT_EQ(arrives_at(datagram(1000, 53, true)), static_cast<int>(pair));
    }
    const auto saved = rig->save_all();
    auto other = make();
    other->load_all(saved);
    EXPECT_EQ(other->save_all().device, saved.device);
    EXPECT_EQ(command(4, 0, pairs(2)), 0);
    EXPECT_NE(arrives_at(datagram(1000, 53, true)), 2);
    // A driver that does not know of pairs has its control queue behind the first.
    ASSERT_TRUE(rig->negotiate(rig->port->offered() & ~feature(f_mq)));
    place();
    EXPECT_EQ(command(4, 0, pairs(2)), 1);
    EXPECT_EQ(command(0, 0, std::string(1, '\1')), 0);
    EXPECT_FALSE(rig->negotiate(ring_features | feature(f_mq))) << "pairs need the control queue";
}

TEST_P(VirtioNetTest, LoopedFramesComeBackWithinTheNotification) {
    start();
    wire->loops = true;
    const u64 at = offer(100);
    send({72}, header + frame_to(to_me));
    EXPECT_TRUE(receive->take());
    EXPECT_EQ(rig->get_text(at + 12, 60), frame_to(to_me));
    send({72}, header + frame_to(to_me));
    EXPECT_FALSE(receive->take());
}

TEST_P(VirtioNetTest, FramesBeforeTheDriverIsReadyAreDropped) {
    rig = make_rig();
    EXPECT_TRUE(deliver(frame_to(to_me)));
    ASSERT_TRUE(rig->negotiate(rig->port->offered()));
    EXPECT_TRUE(deliver(frame_to(to_me)));
    place();
    offer(100);
    EXPECT_FALSE(receive->take());
    EXPECT_TRUE(deliver(frame_to(to_me)));
    EXPECT_TRUE(receive->take());
    offer(100);
    rig->port->set_status(0);
    EXPECT_TRUE(deliver(frame_to(to_me)));
    EXPECT_FALSE(receive->take());
    EXPECT_FALSE(rig->negotiate(ring_features | feature(18))) << "the receive filter needs the control queue";
}

TEST_P(VirtioNetTest, ControlWithoutRoomForAnAnswerBreaksTheDevice) {
    start();
    const u64 at = rig->allocate(4);
    control->add({{at, 3, Direction::to_device}});
    control->kick();
    EXPECT_TRUE(rig->needs_reset());
    offer(100);
    EXPECT_TRUE(deliver(frame_to(to_me)));
    EXPECT_FALSE(receive->take());
}

TEST_P(VirtioNetTest, RandomRingsNeverEscape) {
    std::mt19937_64 random(29);
    start();
    wire->loops = true;
    const u64 mark = rig->mark();
    usize good = 0;
    for (int i = 0; i < 10'000; i++) {
        if (rig->needs_reset() || i % 40 == 0) {
            rig->release_to(mark);
            good += wire->sent.size();
            wire->sent.clear();
            ASSERT_TRUE(rig->negotiate(random() % 2 ? rig->port->offered() : ring_features));
            place();
        }
        Ring& ring = *(random() % 3 == 0 ? receive : random() % 2 ? transmit : control);
        std::vector<Buffer> buffers;
        for (u64 n = 1 + random() % 3; n > 0; n--) {
            const u32 size = static_cast<u32>(random() % 200);
            const u64 at = random() % 64 == 0 ? random() : rig->allocate(size + 1);
            buffers.push_back({at, size, &ring == receive.get() ? Direction::from_device : Direction::to_device});
        }
        if (random() % 4 == 0) buffers.push_back({rig->allocate(1), 1, Direction::from_device});
        const u64 table = rig->allocate(buffers.size() * 16);
        for (u16 d = 0; d < buffers.size(); d++)
            ring.write_descriptor(
                table, d, buffers[d].address, buffers[d].length,
                static_cast<u16>((buffers[d].direction == Direction::from_device ? 2 : 0) | (d + 1u < buffers.size())),
                static_cast<u16>(d + 1));
        const u16 head = static_cast<u16>(random() % 16);
        ring.write_descriptor(ring.descriptors, head, table, static_cast<u32>(buffers.size() * 16), 4, 0);
        ring.offer(head);
        ring.notify();
        deliver(frame_to(random() % 2 ? to_me : group_mac, 14 + random() % 300));
    }
    EXPECT_GT(good, 1'000u);
}

}  // namespace
}  // namespace viv::test
