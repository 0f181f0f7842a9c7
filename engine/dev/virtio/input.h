// virtio-input: a keyboard, a mouse or a tablet. OASIS virtio 1.2, section 5.8.
// Promises: events reach the driver as whole evdev packets, in order. At most `largest_backlog` wait for buffers;
// beyond that motion is summed and the state of keys is kept, and one packet brings the driver up to date later: no key
// stays stuck, however slow the guest. What the host does while no driver listens is forgotten.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "engine/dev/input/events.h"
#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Input final : public Function, public input::InputDevice {
public:
    static constexpr usize largest_backlog = 256;  // events
    static constexpr usize longest_serial = 128;   // bytes

    Input(const Wiring& wiring, input::Kind kind, std::string serial = {});

    input::InputDevice* input() override { return this; }

    // The device's end for the host.
    input::Kind input_kind() const override { return kind_; }
    bool listening() const override { return running(); }
    bool key(u16 code, input::Press press) override;
    bool move(i32 right, i32 down) override;
    bool move_to(u32 x, u32 y) override;
    bool wheel(i32 away, i32 right) override;
    void flush() override;
    void release_all() override;
    u32 leds() const override { return s_.leds; }
    void attach(input::InputBackend* backend) override { backend_ = backend; }

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void config_written(u32 offset, std::span<const u8> bytes) override;
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;

private:
    static constexpr usize key_words = input::key_count / 64;
    using Keys = std::array<u64, key_words>;
    struct Event {
        u16 type = 0, code = 0;
        u32 value = 0;
    };
    enum Relative : usize { x, y, vertical, horizontal, relative_count };

    static bool is_down(const Keys& keys, u16 code) { return bit(keys[code / 64], code % 64); }
    static void set_down(Keys& keys, u16 code, bool down) {
        keys[code / 64] = deposit(keys[code / 64], code % 64, 1, down ? 1 : 0);
    }
    bool has_key(u16 code) const;
    bool add(Relative axis, i32 amount);
    void close_packet();
    void catch_up();
    void deliver();
    void take_status(const Chain& chain);
    void show_config();
    usize fill_config(std::span<u8> payload) const;

    static constexpr usize config_size = 136;
    input::Kind kind_;
    std::string serial_;
    input::InputBackend* backend_ = nullptr;
    std::array<u8, config_size> config_{};
    Chain chain_;
    // Presses since the last flush that are not in the backlog yet, in order.
    std::vector<Event> packet_;
    struct {
        u8 select = 0, subselect = 0;
        u32 leds = 0;
        Keys wanted{};                            // as the host has them
        Keys told{};                              // as the driver will have them after the backlog
        std::array<i32, relative_count> moved{};  // not in the backlog yet
        std::array<u32, 2> position{}, position_told{};
        bool position_known = false;  // the host has said where the pointer is
        bool position_valid = false;  // the driver knows position_told
        bool behind = false;          // `wanted` and `told` may differ
        std::vector<u64> backlog;     // events as they go over the ring
    } s_;
};

}  // namespace viv::virtio
