// A network card's other end in a page: frames of the guest wait here until JavaScript takes them, those that it gives
// wait until the guest does (net/intake.h). Promises: both are bounded, and what finds no room is dropped, as a switch
// does; a frame's size is checked, nothing else of it is looked at.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/control/machine.h"
#include "engine/net/intake.h"

namespace viv::web {

// Outlives the machine.
class WebNetwork final : private MachineListener {
public:
    static constexpr usize most_waiting_bytes = 4 << 20;

    WebNetwork() : intake_([] {}) {}
    WebNetwork(const WebNetwork&) = delete;
    WebNetwork& operator=(const WebNetwork&) = delete;

    // What the card is plugged into; once.
    std::unique_ptr<net::NetBackend> make_plug();
    // The machine whose network it is, from now on.
    void follow(Machine& machine);

    void give(std::span<const u8> frame);
    // Before each slice.
    void flush() { intake_.flush(); }
    // What the guest has sent since the last call: of each frame its size, 32 bits with the lowest byte first, and its
    // bytes. Valid until the next call.
    std::span<const u8> take_frames();

private:
    class Plug;
    void send(std::span<const u8> frame);
    void stopped(StopReason) override { intake_.set_running(false); }
    void resumed() override { intake_.set_running(true); }

    net::Intake intake_;
    std::vector<u8> sent_, taken_;
};

}  // namespace viv::web
