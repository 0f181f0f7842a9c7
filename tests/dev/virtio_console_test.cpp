// virtio-serial through both transports: the multiport conversation as Linux holds it, data both ways with backends
// that refuse and rings that are empty, opening and closing by either side, resizing, the plain console without
// multiport, saving in the middle of a write, and random messages.
#include <gtest/gtest.h>

#include <random>

#include "engine/dev/virtio/console.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

using virtio::Console;

class PortBackend final : public ByteBackend {
public:
    usize put(std::span<const u8> bytes) override {
        const usize count = std::min(room, bytes.size());
        output.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
        room -= count;
        return count;
    }
    void input_wanted() override { wanted++; }
    void guest_opened(bool is_open) override {
        open = is_open;
        changes++;
    }
    std::string output;
    usize room = ~usize{0};
    unsigned wanted = 0, changes = 0;
    bool open = false;
};

struct Message {
    u32 id;
    u16 event, value;
    std::string extra;
    bool operator==(const Message&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Message& m) {
    return out << "{port " << m.id << ", event " << m.event << ", value " << m.value << ", '" << m.extra << "'}";
}

struct VirtioConsoleTest : ::testing::TestWithParam<Via> {
    PortBackend backends[3];
    std::unique_ptr<Rig> rig;
    std::map<u16, std::unique_ptr<Ring>> rings;
    std::map<u32, u64> control_buffers;

    std::unique_ptr<Rig> make_rig() {
        return std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
            return std::make_unique<Console>(
                wiring, std::vector<Console::PortOptions>{
                            {"hvc0", &backends[0]}, {"org.vivarium.agent.0", &backends[1]}, {"spare", nullptr}});
        });
    }
    Console& device() { return static_cast<Console&>(*rig->function); }
    ByteDevice& port(std::string_view name) { return *device().port(name); }

    void start(u64 dropped = 0) {
        rig = make_rig();
        place(dropped);
    }
    void place(u64 dropped = 0) {
        ASSERT_TRUE(rig->negotiate(rig->port->offered() & ~dropped));
        rings.clear();
        control_buffers.clear();
        for (u16 queue = 0; queue < 8; queue++) rings[queue] = std::make_unique<Ring>(*rig, queue, 16);
        rig->go();
    }
    void offer_control(unsigned count) {
        for (unsigned i = 0; i < count; i++) {
            const u64 at = rig->allocate(64);
            control_buffers[rings[2]->add({{at, 64, Direction::from_device}})] = at;
        }
        rings[2]->kick();
    }
    std::vector<Message> messages() {
        std::vector<Message> result;
        while (const auto used = rings[2]->take()) {
            const u64 at = control_buffers[used->head];
            result.push_back({rig->get<u32>(at), rig->get<u16>(at + 4), rig->get<u16>(at + 6),
                              rig->get_text(at + 8, used->length - 8)});
        }
        return result;
    }
    void tell(u32 id, u16 event, u16 value) {
        const u64 at = rig->allocate(8);
        rig->put<u32>(at, id);
        rig->put<u16>(at + 4, event);
        rig->put<u16>(at + 6, value);
        rings[3]->add({{at, 8, Direction::to_device}});
        rings[3]->kick();
        EXPECT_TRUE(rings[3]->take());
    }
    // What Linux does until its ports are in use.
    void converse() {
        offer_control(16);
        tell(0, 0, 1);
        for (u32 id = 0; id < 3; id++) tell(id, 3, 1);
        tell(0, 6, 1);
        tell(1, 6, 1);
        messages();
        offer_control(16 - static_cast<unsigned>(rings[2]->in_flight()));
    }
    u64 offer_input(u16 queue, u32 size) {
        const u64 at = rig->allocate(size);
        rings[queue]->add({{at, size, Direction::from_device}});
        rings[queue]->kick();
        return at;
    }
    void write(u16 queue, std::string_view text, usize split = 0) {
        const u64 at = rig->allocate(text.size());
        rig->put_text(at, text);
        if (split == 0) split = text.size();
        std::vector<Buffer> buffers{{at, static_cast<u32>(split), Direction::to_device}};
        if (split < text.size())
            buffers.push_back({at + split, static_cast<u32>(text.size() - split), Direction::to_device});
        rings[queue]->add(buffers);
        rings[queue]->kick();
    }
    static usize put(ByteDevice& to, std::string_view text) {
        return to.put(std::span(reinterpret_cast<const u8*>(text.data()), text.size()));
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioConsoleTest, ::testing::Values(Via::mmio, Via::pci), via_name);

// Only virtio-mmio can disable a queue.
struct VirtioConsoleMmioTest : VirtioConsoleTest {};
INSTANTIATE_TEST_SUITE_P(Transports, VirtioConsoleMmioTest, ::testing::Values(Via::mmio), via_name);

TEST_P(VirtioConsoleTest, AnnouncesItsPortsAsTheGuestTakesThem) {
    start();
    EXPECT_EQ(rig->port->config(4, 4), 3u) << "max_nr_ports";
    offer_control(16);
    EXPECT_TRUE(messages().empty()) << "not before DEVICE_READY";
    tell(0, 0, 1);
    EXPECT_EQ(messages(), (std::vector<Message>{{0, 1, 1, ""}, {1, 1, 1, ""}, {2, 1, 1, ""}}));
    tell(0, 3, 1);
    EXPECT_EQ(messages(), (std::vector<Message>{{0, 4, 1, ""}, {0, 7, 1, "hvc0"}, {0, 6, 1, ""}}));
    tell(1, 3, 1);
    EXPECT_EQ(messages(), (std::vector<Message>{{1, 7, 1, "org.vivarium.agent.0"}, {1, 6, 1, ""}}));
    tell(2, 3, 1);
    EXPECT_EQ(messages(), (std::vector<Message>{{2, 7, 1, "spare"}})) << "nobody is connected to it";
    EXPECT_FALSE(backends[1].open);
    tell(1, 6, 1);
    EXPECT_TRUE(backends[1].open);
    tell(1, 6, 0);
    EXPECT_FALSE(backends[1].open);
    EXPECT_EQ(backends[1].changes, 2u);
    EXPECT_EQ(device().port("nothing"), nullptr);
}

TEST_P(VirtioConsoleTest, MessagesWaitForBuffers) {
    start();
    tell(0, 0, 1);
    tell(0, 3, 1);
    offer_control(2);
    EXPECT_EQ(messages(), (std::vector<Message>{{0, 1, 1, ""}, {0, 4, 1, ""}}));
    offer_control(2);
    EXPECT_EQ(messages(), (std::vector<Message>{{0, 7, 1, "hvc0"}, {0, 6, 1, ""}}));
    port("hvc0").host_connected(false);
    port("hvc0").host_connected(true);
    port("hvc0").host_connected(false);
    offer_control(4);
    EXPECT_EQ(messages(), (std::vector<Message>{{0, 6, 0, ""}, {1, 1, 1, ""}, {2, 1, 1, ""}}))
        << "of the changes only the last is told";
}

TEST_P(VirtioConsoleTest, OutputReachesTheBackendWhole) {
    start();
    converse();
    write(1, "to the console");
    write(5, "to the agent", 3);
    EXPECT_EQ(backends[0].output, "to the console");
    EXPECT_EQ(backends[1].output, "to the agent");
    EXPECT_TRUE(rings[1]->take());
    EXPECT_TRUE(rings[5]->take());
    write(7, "to nobody");
    EXPECT_TRUE(rings[7]->take()) << "swallowed";
}

TEST_P(VirtioConsoleTest, ARefusingBackendHoldsTheRing) {
    start();
    converse();
    backends[1].room = 5;
    write(5, "0123456789", 4);
    write(5, "abc");
    EXPECT_EQ(backends[1].output, "01234");
    EXPECT_FALSE(rings[5]->take());
    rings[5]->notify();
    EXPECT_EQ(backends[1].output, "01234");
    backends[1].room = 3;
    port("org.vivarium.agent.0").room_for_output();
    EXPECT_EQ(backends[1].output, "01234567");
    EXPECT_FALSE(rings[5]->take());
    backends[1].room = 100;
    port("org.vivarium.agent.0").room_for_output();
    EXPECT_EQ(backends[1].output, "0123456789abc");
    EXPECT_TRUE(rings[5]->take());
    EXPECT_TRUE(rings[5]->take());
    backends[1].room = 0;
    write(5, "lost");
    port("org.vivarium.agent.0").host_connected(false);
    EXPECT_TRUE(rings[5]->take()) << "nobody will take it any more";
    EXPECT_EQ(messages(), (std::vector<Message>{{1, 6, 0, ""}}));
    port("org.vivarium.agent.0").host_connected(true);
    EXPECT_EQ(messages(), (std::vector<Message>{{1, 6, 1, ""}}));
    backends[1].room = 100;
    write(5, "new");
    EXPECT_EQ(backends[1].output, "0123456789abcnew");
}

TEST_P(VirtioConsoleTest, InputFillsBuffersAndAsksForMore) {
    start();
    converse();
    EXPECT_EQ(put(port("org.vivarium.agent.0"), "early"), 0u);
    const u64 first = offer_input(4, 4);
    EXPECT_EQ(backends[1].wanted, 1u);
    const u64 second = offer_input(4, 4);
    EXPECT_EQ(backends[1].wanted, 1u) << "nothing was refused since";
    EXPECT_EQ(put(port("org.vivarium.agent.0"), "abcdefghij"), 8u);
    EXPECT_EQ(rig->get_text(first, 4) + rig->get_text(second, 4), "abcdefgh");
    EXPECT_EQ(rings[4]->take()->length, 4u);
    EXPECT_EQ(rings[4]->take()->length, 4u);
    const u64 third = offer_input(4, 16);
    EXPECT_EQ(backends[1].wanted, 2u);
    EXPECT_EQ(put(port("org.vivarium.agent.0"), "ij"), 2u);
    EXPECT_EQ(rings[4]->take()->length, 2u);
    EXPECT_EQ(rig->get_text(third, 2), "ij");
    EXPECT_TRUE(rig->port->interrupt());
    offer_input(4, 16);
    tell(1, 6, 0);
    EXPECT_EQ(put(port("org.vivarium.agent.0"), "x"), 0u) << "the guest has closed it";
    const unsigned wanted = backends[1].wanted;
    tell(1, 6, 1);
    EXPECT_EQ(backends[1].wanted, wanted + 1);
    EXPECT_EQ(put(port("spare"), "x"), 0u);
}

TEST_P(VirtioConsoleTest, TheConsoleResizes) {
    rig = make_rig();
    device().resize(80, 25);
    place();
    EXPECT_EQ(rig->port->config(0, 4), 80u | 25u << 16);
    offer_control(8);
    tell(0, 0, 1);
    tell(0, 3, 1);
    EXPECT_EQ(messages()[4], (Message{0, 5, 1, std::string("\x50\0\x19\0", 4)}));
    rig->port->take_interrupts();
    rings[2]->interrupt_after(0);
    device().resize(132, 43);
    EXPECT_EQ(rig->port->config(0, 2), 132u);
    EXPECT_EQ(messages(), (std::vector<Message>{{0, 5, 1, std::string("\x84\0\x2b\0", 4)}}));
    EXPECT_EQ(rig->port->take_interrupts(), 3u);
    device().resize(132, 43);
    EXPECT_EQ(rig->port->take_interrupts(), 0u) << "no change";
}

TEST_P(VirtioConsoleTest, WithoutMultiportThereIsOnePlainConsole) {
    start(feature(1));
    EXPECT_TRUE(backends[0].open);
    write(1, "plain");
    EXPECT_EQ(backends[0].output, "plain");
    const u64 at = offer_input(0, 8);
    EXPECT_EQ(put(port("hvc0"), "in"), 2u);
    EXPECT_EQ(rig->get_text(at, 2), "in");
    offer_control(4);
    EXPECT_TRUE(messages().empty());
    EXPECT_EQ(put(port("org.vivarium.agent.0"), "x"), 0u);
    rig->port->set_status(0);
    EXPECT_FALSE(backends[0].open);
    EXPECT_EQ(put(port("hvc0"), "x"), 0u);
}

TEST_P(VirtioConsoleTest, EmergencyWritesNeedNoQueues) {
    rig = make_rig();
    for (const char c : std::string("panic")) rig->port->set_config(8, 4, static_cast<u8>(c));
    EXPECT_EQ(backends[0].output, "panic");
}

TEST_P(VirtioConsoleTest, ABackendMayAnswerFromWithinPut) {
    struct Echo final : ByteBackend {
        usize put(std::span<const u8> bytes) override {
            device->room_for_output();
            return device->put(bytes);
        }
        void input_wanted() override { device->room_for_output(); }
        ByteDevice* device = nullptr;
    } echo;
    rig = std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
        return std::make_unique<Console>(wiring, std::vector<Console::PortOptions>{{"echo", &echo}});
    });
    echo.device = device().port("echo");
    ASSERT_TRUE(rig->negotiate(rig->port->offered() & ~feature(1)));
    rings[0] = std::make_unique<Ring>(*rig, 0, 16);
    rings[1] = std::make_unique<Ring>(*rig, 1, 16);
    rig->go();
    const u64 at = offer_input(0, 4);
    write(1, "echoed");
    EXPECT_EQ(rig->get_text(at, 4), "echo");
    EXPECT_FALSE(rings[1]->take());
    const u64 rest = offer_input(0, 4);
    EXPECT_EQ(rig->get_text(rest, 2), "ed");
    EXPECT_TRUE(rings[1]->take());
}

TEST_P(VirtioConsoleTest, ASavedMachineContinuesInTheMiddleOfAWrite) {
    start();
    converse();
    backends[1].room = 4;
    write(5, "0123456789");
    EXPECT_EQ(backends[1].output, "0123");
    device().resize(100, 30);
    const auto saved = rig->save_all();
    backends[1].room = 100;
    auto other = make_rig();
    other->load_all(saved);
    EXPECT_EQ(other->save_all().device, saved.device);
    EXPECT_EQ(other->port->config(0, 2), 100u);
    EXPECT_TRUE(backends[1].open);
    other->advance(1);
    EXPECT_EQ(backends[1].output, "0123456789") << "neither twice nor lost";
    Ring again(*other, *rings[5]);
    EXPECT_TRUE(again.take());
}

TEST_P(VirtioConsoleMmioTest, ADisabledQueueForgetsItsProgress) {
    start();
    converse();
    backends[1].room = 4;
    write(5, "0123456789");
    auto& mmio = static_cast<MmioPort&>(*rig->port);
    mmio.put(0x030, 5);
    mmio.put(0x044, 0);
    rings[5] = std::make_unique<Ring>(*rig, 5, 16);
    backends[1].room = 100;
    write(5, "abcdef");
    EXPECT_EQ(backends[1].output, "0123abcdef");
}

TEST_P(VirtioConsoleTest, AResetClosesEverything) {
    start();
    converse();
    backends[1].room = 0;
    write(5, "held");
    rig->port->set_status(0);
    EXPECT_FALSE(backends[0].open);
    EXPECT_FALSE(backends[1].open);
    backends[1].room = 100;
    port("org.vivarium.agent.0").room_for_output();
    EXPECT_EQ(backends[1].output, "");
    place();
    converse();
    write(5, "fresh");
    EXPECT_EQ(backends[1].output, "fresh");
}

TEST_P(VirtioConsoleTest, NonsenseFromTheGuestIsIgnored) {
    start();
    converse();
    tell(3, 3, 1);
    tell(~u32{0}, 6, 1);
    tell(0, 99, 1);
    tell(1, 3, 0);
    const u64 at = rig->allocate(8);
    rings[3]->add({{at, 7, Direction::to_device}});
    rings[3]->kick();
    EXPECT_TRUE(rings[3]->take());
    EXPECT_EQ(rig->sink.lines.size(), 5u);
    EXPECT_FALSE(rig->needs_reset());
    std::mt19937_64 random(31);
    const u64 mark = rig->mark();
    for (int i = 0; i < 20'000; i++) {
        rig->release_to(mark);
        tell(static_cast<u32>(random() % 4), static_cast<u16>(random() % 9), static_cast<u16>(random() % 3));
        if (random() % 4 == 0) put(port(random() % 2 ? "hvc0" : "org.vivarium.agent.0"), "some input");
        if (random() % 8 == 0) port(random() % 2 ? "hvc0" : "org.vivarium.agent.0").host_connected(random() % 2);
        if (random() % 4 == 0) device().resize(static_cast<u16>(random() % 200), static_cast<u16>(random() % 50));
        backends[0].room = backends[1].room = random() % 8;
        if (random() % 3 == 0) port("hvc0").room_for_output();
    }
    EXPECT_FALSE(rig->needs_reset());
}

}  // namespace
}  // namespace viv::test
