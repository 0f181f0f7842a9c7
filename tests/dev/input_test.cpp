// virtio-input as Linux's driver uses it: configuration queries, event and status queues; and guests that listen late,
// little or never.
#include "engine/dev/virtio/input.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "engine/dev/virtio/create.h"
#include "tests/dev/virtio_bench.h"

namespace viv::virtio {
namespace {

using input::Kind;
using input::Press;
using test::Buffer;
using test::Direction;
using test::Ring;
using test::Via;

struct Event {
    u16 type, code;
    i32 value;
    bool operator==(const Event&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Event& event) {
    return out << "(" << event.type << " " << event.code << " " << event.value << ")";
}
constexpr Event sync{0, 0, 0};

struct Lights final : input::InputBackend {
    void leds_changed(u32 leds) override { changes.push_back(leds); }
    std::vector<u32> changes;
};

struct Machine {
    explicit Machine(Via via, Kind kind)
        : rig(via, [&](const Wiring& wiring) { return std::make_unique<Input>(wiring, kind, "serial-7"); }) {
        device = static_cast<Input*>(rig.function);
        device->attach(&lights);
    }
    void start() {
        ASSERT_TRUE(rig.negotiate(test::ring_features));
        events = std::make_unique<Ring>(rig, 0, 64);
        status = std::make_unique<Ring>(rig, 1, 64);
        rig.go();
    }
    void give_buffers(unsigned count) {
        for (unsigned i = 0; i < count && events->in_flight() < 64; i++) {
            const u64 at = rig.allocate(8, 8);
            buffers[events->add({{at, 8, Direction::from_device}})] = at;
        }
        events->notify();
    }
    std::vector<Event> take() {
        std::vector<Event> taken;
        while (const auto used = events->take()) {
            EXPECT_EQ(used->length, 8u);
            const u64 at = buffers.at(static_cast<u16>(used->head));
            taken.push_back({rig.get<u16>(at), rig.get<u16>(at + 2), static_cast<i32>(rig.get<u32>(at + 4))});
        }
        return taken;
    }
    // What a driver reads for a select and subsel.
    std::vector<u8> query(u8 select, u8 subselect) {
        rig.port->set_config(0, 1, select);
        rig.port->set_config(1, 1, subselect);
        std::vector<u8> bytes(rig.port->config(2, 1));
        for (usize i = 0; i < bytes.size(); i++)
            bytes[i] = static_cast<u8>(rig.port->config(static_cast<u32>(8 + i), 1));
        return bytes;
    }
    std::string query_text(u8 select) {
        const auto bytes = query(select, 0);
        return {bytes.begin(), bytes.end()};
    }
    std::set<u16> query_bits(u8 select, u8 subselect) {
        std::set<u16> codes;
        const auto bytes = query(select, subselect);
        for (usize i = 0; i < bytes.size() * 8; i++)
            if (bit(bytes[i / 8], i % 8)) codes.insert(static_cast<u16>(i));
        if (!bytes.empty() && subselect != input::ev_rep) {
            EXPECT_NE(bytes.back(), 0);
        }
        return codes;
    }

    Lights lights;
    test::Rig rig;
    Input* device;
    std::unique_ptr<Ring> events, status;
    std::map<u16, u64> buffers;
};

class InputTest : public testing::TestWithParam<Via> {};
INSTANTIATE_TEST_SUITE_P(Transports, InputTest, testing::Values(Via::mmio, Via::pci), test::via_name);

TEST_P(InputTest, SaysWhatItIs) {
    Machine keyboard(GetParam(), Kind::keyboard), mouse(GetParam(), Kind::mouse), tablet(GetParam(), Kind::tablet);
    EXPECT_EQ(keyboard.query_text(1), "Vivarium Keyboard");
    EXPECT_EQ(mouse.query_text(1), "Vivarium Mouse");
    EXPECT_EQ(tablet.query_text(1), "Vivarium Tablet");
    EXPECT_EQ(keyboard.query_text(2), "serial-7");
    EXPECT_EQ(keyboard.query(3, 0), (std::vector<u8>{6, 0, 0x49, 0x56, 1, 0, 1, 0}));
    EXPECT_EQ(tablet.query(3, 0), (std::vector<u8>{6, 0, 0x49, 0x56, 3, 0, 1, 0}));

    const auto keys = keyboard.query_bits(0x11, input::ev_key);
    for (const u16 code : std::initializer_list<u16>{1, 30, 57, 83, 88, 100, 111, 125, 194})
        EXPECT_TRUE(keys.contains(code)) << code;
    for (const u16 code : std::initializer_list<u16>{0, 84, 0x110, 249}) EXPECT_FALSE(keys.contains(code)) << code;
    EXPECT_EQ(keyboard.query_bits(0x11, input::ev_led), (std::set<u16>{0, 1, 2}));
    EXPECT_EQ(keyboard.query(0x11, input::ev_rep).size(), 1u);
    EXPECT_TRUE(keyboard.query(0x11, input::ev_rel).empty());
    EXPECT_TRUE(keyboard.query(0x12, 0).empty());

    const std::set<u16> buttons = {0x110, 0x111, 0x112, 0x113, 0x114};
    EXPECT_EQ(mouse.query_bits(0x11, input::ev_key), buttons);
    EXPECT_EQ(mouse.query_bits(0x11, input::ev_rel), (std::set<u16>{0, 1, 6, 8}));
    EXPECT_TRUE(mouse.query(0x11, input::ev_abs).empty());
    EXPECT_TRUE(mouse.query(0x11, input::ev_rep).empty());

    EXPECT_EQ(tablet.query_bits(0x11, input::ev_key), buttons);
    EXPECT_EQ(tablet.query_bits(0x11, input::ev_rel), (std::set<u16>{6, 8}));
    EXPECT_EQ(tablet.query_bits(0x11, input::ev_abs), (std::set<u16>{0, 1}));
    for (const u8 axis : std::initializer_list<u8>{0, 1}) {
        const auto info = tablet.query(0x12, axis);
        ASSERT_EQ(info.size(), 20u);
        EXPECT_EQ(load_le<u32>(info.data()), 0u);
        EXPECT_EQ(load_le<u32>(info.data() + 4), 32767u);
    }
    EXPECT_TRUE(tablet.query(0x12, 2).empty());
    EXPECT_TRUE(tablet.query(0x10, 0).empty());
    EXPECT_TRUE(tablet.query(0, 0).empty());
    EXPECT_TRUE(tablet.query(0xff, 0xff).empty());
    EXPECT_TRUE(tablet.query(1, 1).empty());
    // The whole space reads, and answers nothing beyond.
    for (u32 offset = 0; offset < 160; offset++) tablet.rig.port->config(offset, 1);
    EXPECT_EQ(tablet.rig.function->queue_count(), 2);
}

TEST_P(InputTest, SendsKeysInPackets) {
    Machine machine(GetParam(), Kind::keyboard);
    machine.start();
    machine.give_buffers(64);
    auto& keyboard = *machine.device;
    EXPECT_TRUE(keyboard.key(30, Press::down));
    EXPECT_TRUE(machine.take().empty());  // not before the flush
    keyboard.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{1, 30, 1}, sync}));
    EXPECT_TRUE(machine.rig.port->interrupt());
    EXPECT_NE(machine.rig.port->take_interrupts() & 1, 0u);
    EXPECT_TRUE(keyboard.key(30, Press::down));  // the host repeats, the guest does that itself
    keyboard.flush();
    EXPECT_TRUE(machine.take().empty());
    keyboard.key(42, Press::down);
    keyboard.key(30, Press::up);
    keyboard.key(42, Press::up);
    keyboard.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{1, 42, 1}, {1, 30, 0}, {1, 42, 0}, sync}));
    keyboard.flush();
    EXPECT_TRUE(machine.take().empty());
    for (const u16 code : std::initializer_list<u16>{0, 84, 0x110, 0x2ff, 0x300, 0xffff})
        EXPECT_FALSE(keyboard.key(code, Press::down)) << code;
    EXPECT_FALSE(keyboard.move(1, 1));
    EXPECT_FALSE(keyboard.move_to(1, 1));
    EXPECT_FALSE(keyboard.wheel(1, 0));
    EXPECT_EQ(keyboard.input_kind(), Kind::keyboard);
    EXPECT_EQ(machine.rig.function->input(), &keyboard);
}

TEST_P(InputTest, SendsMotionAndButtons) {
    Machine machine(GetParam(), Kind::mouse);
    machine.start();
    machine.give_buffers(64);
    auto& mouse = *machine.device;
    EXPECT_TRUE(mouse.move(3, -2));
    EXPECT_TRUE(mouse.move(4, 0));
    EXPECT_TRUE(mouse.key(input::btn_left, Press::down));
    mouse.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{2, 0, 7}, {2, 1, -2}, {1, 0x110, 1}, sync}));
    EXPECT_TRUE(mouse.wheel(-1, 2));
    mouse.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{2, 8, -1}, {2, 6, 2}, sync}));
    mouse.move(5, 5);
    mouse.move(-5, -5);
    mouse.flush();
    EXPECT_TRUE(machine.take().empty());
    EXPECT_FALSE(mouse.move_to(1, 1));
    EXPECT_FALSE(mouse.key(30, Press::down));
    for (int i = 0; i < 3; i++) mouse.move(2'000'000'000, -2'000'000'000);
    mouse.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{2, 0, 0x7fff'ffff}, {2, 1, -0x7fff'ffff - 1}, sync}));
}

TEST_P(InputTest, SendsPositions) {
    Machine machine(GetParam(), Kind::tablet);
    machine.start();
    machine.give_buffers(64);
    auto& tablet = *machine.device;
    EXPECT_TRUE(tablet.move_to(0, 0));
    tablet.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{3, 0, 0}, {3, 1, 0}, sync}));  // the first is always told
    tablet.move_to(100, 0);
    tablet.move_to(200, 0);
    tablet.wheel(1, 0);
    tablet.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{2, 8, 1}, {3, 0, 200}, sync}));
    tablet.move_to(99'999, 40'000);
    tablet.flush();
    EXPECT_EQ(machine.take(), (std::vector<Event>{{3, 0, 32767}, {3, 1, 32767}, sync}));
    EXPECT_FALSE(tablet.move(1, 1));
}

TEST_P(InputTest, TellsTheHostAboutLights) {
    Machine machine(GetParam(), Kind::keyboard);
    machine.start();
    const auto send = [&](std::initializer_list<Event> events) {
        const u64 at = machine.rig.allocate(8 * events.size() + 8);
        u64 to = at;
        for (const Event& event : events) {
            machine.rig.put<u16>(to, event.type);
            machine.rig.put<u16>(to + 2, event.code);
            machine.rig.put<u32>(to + 4, static_cast<u32>(event.value));
            to += 8;
        }
        machine.status->add({{at, static_cast<u32>(to - at), Direction::to_device}});
        machine.status->notify();
        const auto used = machine.status->take();
        ASSERT_TRUE(used.has_value());
        EXPECT_EQ(used->length, 0u);
    };
    send({{0x11, 1, 1}});
    EXPECT_EQ(machine.device->leds(), 2u);
    send({{0x11, 0, 5}, {0x11, 1, 0}, sync});
    EXPECT_EQ(machine.device->leds(), 1u);
    send({{0x11, 9, 1}, {1, 0, 1}, {0x11, 0xffff, 1}});
    EXPECT_EQ(machine.lights.changes, (std::vector<u32>{2, 1}));
    machine.rig.port->set_status(0);
    EXPECT_EQ(machine.lights.changes, (std::vector<u32>{2, 1, 0}));
}

TEST_P(InputTest, ForgetsWhatNobodyListensTo) {
    Machine machine(GetParam(), Kind::keyboard);
    EXPECT_FALSE(machine.device->listening());
    EXPECT_FALSE(machine.device->key(30, Press::down));
    machine.device->flush();
    machine.start();
    EXPECT_TRUE(machine.device->listening());
    machine.give_buffers(8);
    EXPECT_TRUE(machine.device->key(30, Press::up));
    machine.device->flush();
    EXPECT_TRUE(machine.take().empty());
}

// Applies what a driver hears to a keyboard of its own.
struct Heard {
    std::set<u16> down;
    i64 x = 0, y = 0;
    i32 at_x = -1, at_y = -1;
    void hear(const std::vector<Event>& events) {
        for (const Event& event : events) {
            if (event.type == 1 && event.value == 1) {
                EXPECT_TRUE(down.insert(event.code).second);
            }
            if (event.type == 1 && event.value == 0) {
                EXPECT_EQ(down.erase(event.code), 1u);
            }
            if (event.type == 2 && event.code == 0) x += event.value;
            if (event.type == 2 && event.code == 1) y += event.value;
            if (event.type == 3 && event.code == 0) at_x = event.value;
            if (event.type == 3 && event.code == 1) at_y = event.value;
        }
    }
};

TEST_P(InputTest, ASlowGuestEndsWithTheRightKeys) {
    Machine machine(GetParam(), Kind::keyboard);
    machine.start();
    auto& keyboard = *machine.device;
    // Far more than the backlog holds, to a guest without a single buffer; two keys stay down.
    for (int i = 0; i < 5000; i++) {
        keyboard.key(30, i % 2 == 0 ? Press::down : Press::up);
        keyboard.flush();
    }
    keyboard.key(31, Press::down);
    keyboard.flush();
    keyboard.key(32, Press::down);
    keyboard.key(32, Press::up);
    for (u16 code = 2; code < 81; code++) keyboard.key(code, Press::down);  // more than one packet takes
    for (u16 code = 2; code < 81; code++)
        if (code != 40 && code != 41) keyboard.key(code, Press::up);
    keyboard.flush();
    Heard heard;
    usize events = 0;
    for (int i = 0; i < 400; i++) {
        machine.give_buffers(3);
        const auto some = machine.take();
        events += some.size();
        heard.hear(some);
    }
    EXPECT_EQ(heard.down, (std::set<u16>{40, 41}));
    EXPECT_LE(events, Input::largest_backlog + 10);
    keyboard.release_all();
    heard.hear(machine.take());
    EXPECT_TRUE(heard.down.empty());
}

TEST_P(InputTest, MotionIsSummedForASlowGuest) {
    Machine mouse(GetParam(), Kind::mouse), tablet(GetParam(), Kind::tablet);
    mouse.start();
    tablet.start();
    for (int i = 0; i < 10'000; i++) {
        mouse.device->move(3, -1);
        mouse.device->flush();
        tablet.device->move_to(static_cast<u32>(i), static_cast<u32>(2 * i));
        tablet.device->flush();
    }
    Heard heard, placed;
    for (int i = 0; i < 100; i++) {
        mouse.give_buffers(7);
        heard.hear(mouse.take());
        tablet.give_buffers(7);
        placed.hear(tablet.take());
    }
    EXPECT_EQ(heard.x, 30'000);
    EXPECT_EQ(heard.y, -10'000);
    EXPECT_EQ(placed.at_x, 9'999);
    EXPECT_EQ(placed.at_y, 19'998);
}

TEST_P(InputTest, ASavedMachineGoesOn) {
    Machine machine(GetParam(), Kind::keyboard);
    machine.start();
    machine.give_buffers(1);
    machine.query(0x11, input::ev_key);
    machine.device->key(30, Press::down);
    machine.device->key(48, Press::down);
    machine.device->flush();
    machine.device->key(46, Press::down);  // pressed, not flushed
    const auto saved = machine.rig.save_all();

    Machine next(GetParam(), Kind::keyboard);
    next.rig.load_all(saved);
    next.events = std::make_unique<Ring>(next.rig, *machine.events);
    next.buffers = machine.buffers;
    EXPECT_EQ(next.rig.port->config(2, 1), machine.rig.port->config(2, 1));
    EXPECT_EQ(next.take(), (std::vector<Event>{{1, 30, 1}}));
    next.give_buffers(8);
    EXPECT_EQ(next.take(), (std::vector<Event>{{1, 48, 1}, sync, {1, 46, 1}, sync}));
    next.device->release_all();
    EXPECT_EQ(next.take(), (std::vector<Event>{{1, 30, 0}, {1, 46, 0}, {1, 48, 0}, sync}));

    // A device of another kind, or keys that no keyboard has, are refused.
    Machine mouse(GetParam(), Kind::mouse);
    EXPECT_FALSE(test::load(mouse.rig.transport(), saved.device).ok());
}

TEST_P(InputTest, BuffersThatAreTooSmallComeBackEmpty) {
    Machine machine(GetParam(), Kind::keyboard);
    machine.start();
    const u64 at = machine.rig.allocate(64);
    machine.events->add({{at, 7, Direction::from_device}});
    machine.events->add({{at, 8, Direction::to_device}});
    machine.events->add({{at, 3, Direction::from_device}, {at + 3, 40, Direction::from_device}});
    machine.events->add({{at + 48, 8, Direction::from_device}});
    machine.events->notify();
    machine.device->key(30, Press::down);
    machine.device->flush();
    EXPECT_EQ(machine.events->take()->length, 0u);
    EXPECT_EQ(machine.events->take()->length, 0u);
    EXPECT_EQ(machine.events->take()->length, 8u);
    EXPECT_EQ(machine.rig.get<u64>(at), u64{30} << 16 | 1 | u64{1} << 32);
    EXPECT_EQ(machine.events->take()->length, 8u);
    EXPECT_EQ(machine.rig.get<u64>(at + 48), 0u);
}

TEST_P(InputTest, RandomUseEndsWhereTheHostIs) {
    std::mt19937 random(3);
    Machine machine(GetParam(), Kind::keyboard);
    machine.start();
    std::set<u16> down;
    Heard heard;
    for (int i = 0; i < 20'000; i++) {
        const u16 code = static_cast<u16>(1 + random() % 83);
        const Press press = random() % 2 == 0 ? Press::down : Press::up;
        machine.device->key(code, press);
        if (press == Press::down)
            down.insert(code);
        else
            down.erase(code);
        if (random() % 4 == 0) machine.device->flush();
        if (random() % 16 == 0 && machine.events->in_flight() < 32) {
            const u64 mark = machine.rig.mark();
            machine.give_buffers(static_cast<unsigned>(random() % 24));
            heard.hear(machine.take());
            if (machine.events->in_flight() == 0) machine.rig.release_to(mark);
        }
    }
    machine.device->flush();
    for (int i = 0; i < 40; i++) {
        machine.give_buffers(10);
        heard.hear(machine.take());
    }
    EXPECT_EQ(heard.down, down);
}

TEST(Input, IsMadeFromASpec) {
    test::Bench bench;
    test::HeapMemory heap;
    GuestMemory memory(heap);
    Dma dma(memory);
    const Wiring wiring{dma, bench.timers, bench.inlet, bench.sink};
    DeviceSpec spec;
    spec.name = "virtio-keyboard-device";
    for (const auto& [maker, kind] :
         {std::pair{&make_keyboard, "virtio-keyboard"}, std::pair{&make_mouse, "virtio-mouse"},
          std::pair{&make_tablet, "virtio-tablet"}}) {
        const auto properties = Properties::check(spec, "serial=TEXT");
        const auto made = maker(spec, *properties, wiring);
        ASSERT_TRUE(made.ok());
        EXPECT_EQ(made.value()->kind(), kind);
    }
    spec.properties["serial"] = std::string(200, 's');
    const auto properties = Properties::check(spec, "serial=TEXT");
    EXPECT_FALSE(make_keyboard(spec, *properties, wiring).ok());
}

}  // namespace
}  // namespace viv::virtio
