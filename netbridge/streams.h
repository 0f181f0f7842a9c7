// The sockets of WISP streams, in libuv's loop: names are looked up, judged and connected to.
// Promises: the address that is connected to is one that was judged, so that a name cannot say one thing to the rules
// and another to the socket; look-ups under way are bounded; a stream's bytes are copied once.
#pragma once

#include <memory>

#include "netbridge/destination.h"
#include "netbridge/loop.h"
#include "netbridge/wisp.h"

namespace viv::netbridge {

class Streams final : public wisp::StreamOpener {
public:
    static constexpr usize most_lookups = 64;
    static constexpr u64 connect_timeout_ms = 15'000;

    Streams(uv_loop_t* loop, const DestinationRules& rules) : loop_(loop), rules_(rules) {}
    std::unique_ptr<wisp::StreamSocket> open(const wisp::ConnectRequest& request, wisp::StreamEvents& events) override;
    u64 open_sockets() const { return open_; }

private:
    class Link;
    class Socket;
    friend class Link;
    uv_loop_t* loop_;
    const DestinationRules& rules_;
    usize lookups_ = 0;
    u64 open_ = 0;
};

}  // namespace viv::netbridge
