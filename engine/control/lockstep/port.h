// The host's end of a serial or console port of one of two machines in lockstep: what goes in waits here until the
// device takes it, what comes out is gathered. Promises: output is never refused, so that the guest's course does not
// depend on who reads it; all of it that a checkpoint must hold is in State.
#pragma once

#include <span>
#include <vector>

#include "engine/dev/ports.h"

namespace viv::lockstep {

class Port final : public ByteBackend {
public:
    struct State {
        std::vector<u8> input;  // typed, not yet taken by the device
        bool wanted = true;     // the device has taken all that it was offered
        bool opened = false;    // by the guest, where the device knows
        bool operator==(const State&) const = default;
    };

    // Null: the board has no such port, and what is typed waits for ever.
    void attach(ByteDevice* device) { device_ = device; }
    // Adds input and offers it. While the machine does not run.
    void type(std::span<const u8> bytes);
    // What the guest has sent since the last clear_output().
    std::span<const u8> output() const { return output_; }
    void clear_output() { output_.clear(); }

    const State& state() const { return state_; }
    void set_state(const State& state) { state_ = state; }

    usize put(std::span<const u8> bytes) override;
    void input_wanted() override;
    void guest_opened(bool open) override { state_.opened = open; }

private:
    void offer();

    ByteDevice* device_ = nullptr;
    State state_;
    std::vector<u8> output_;
    bool offering_ = false;
};

}  // namespace viv::lockstep
