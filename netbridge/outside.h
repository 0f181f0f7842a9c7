// A room's way out: NAT by libslirp, with DHCP and names, behind the rules about destinations.
// Promises: a frame is judged before libslirp sees it; sockets are bounded for each room; nothing that libslirp says
// goes back into the room from within give().
#pragma once

#include <memory>

#include "netbridge/journal.h"
#include "netbridge/loop.h"
#include "netbridge/metrics.h"
#include "netbridge/outside_filter.h"
#include "netbridge/rooms.h"

namespace viv::netbridge {

class Outside final : public Port {
public:
    static constexpr usize most_sockets = 1024;
    static constexpr usize most_waiting = 4096;  // frames for the room, within one turn of the loop

    // Null if libslirp refuses. Whoever opens it plugs it into the room, and out again.
    static std::unique_ptr<Outside> open(uv_loop_t* loop, Room& room, const DestinationRules& rules,
                                         const OutsideNetwork& network, Metrics& metrics, const u64& now_ns);
    ~Outside() override;
    void give(const SharedMessage& frame, u64 behind) override;

private:
    class Library;
    Outside();
    std::unique_ptr<Library> library_;
};

}  // namespace viv::netbridge
