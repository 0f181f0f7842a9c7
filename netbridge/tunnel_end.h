// The ends of a tunnel that are no websockets: `netbridge offer` joins each stream that is attached to with a
// connection of its own to a local service (a gdb stub, a monitor, a VNC server of any emulator); `netbridge attach`
// listens locally and joins each connection that comes with a stream of the tunnel.
// Promises: bytes are passed on as they are; whoever takes too little holds the other side back, and what waits is
// bounded; when one side ends, so does the other, after what was still for it. An offer whose relay is lost is made
// again, with pauses up to ten seconds. Errors at the start name the option.
#pragma once

#include <memory>
#include <string>

#include "engine/lang/result.h"
#include "netbridge/journal.h"
#include "netbridge/settings.h"

namespace viv::netbridge {

class TunnelEnd {
public:
    static Result<std::unique_ptr<TunnelEnd>> start(const TunnelOrder& order, Journal& journal);
    virtual ~TunnelEnd() = default;
    // Until SIGINT or SIGTERM.
    virtual void run() = 0;
};

}  // namespace viv::netbridge
