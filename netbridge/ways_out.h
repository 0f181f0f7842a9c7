// The ways out of this relay's rooms: NAT, or TAP interfaces.
// Promises: TAP interfaces are opened once, whether somebody is in their rooms or not; a NAT is there as long as its
// room.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "netbridge/outside.h"
#include "netbridge/settings.h"
#include "netbridge/tap.h"

namespace viv::netbridge {

class WaysOut {
public:
    // All outlive this, which outlives the rooms' clients.
    WaysOut(uv_loop_t* loop, const Settings& settings, Journal& journal, Metrics& metrics, const u64& now_ns)
        : loop_(loop), settings_(settings), journal_(journal), metrics_(metrics), now_ns_(now_ns) {}

    // Wants the privileges that the interfaces want.
    Result<void> open_taps();
    void opened(Room& room);
    void closing(Room& room);

private:
    uv_loop_t* loop_;
    const Settings& settings_;
    Journal& journal_;
    Metrics& metrics_;
    const u64& now_ns_;
    std::map<std::string, std::unique_ptr<Tap>> taps_;  // by room
    std::map<Room*, std::unique_ptr<Outside>> nats_;
};

}  // namespace viv::netbridge
