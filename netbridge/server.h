// The relay: listening sockets, websockets by libwebsockets, and what they lead to, in one loop.
// Promises: a client is judged before it costs more than its connection (address, origin, path, token); one that is
// refused, or breaks the protocol, is told by the code of its websocket or by HTTP; SIGINT and SIGTERM end the relay
// with a word to every client, and with nothing left open.
#pragma once

#include <memory>

#include "engine/lang/result.h"
#include "netbridge/journal.h"
#include "netbridge/settings.h"

namespace viv::netbridge {

class Server {
public:
    // Listens, gives up what it need not have, and says so in the journal. Both outlive it.
    static Result<std::unique_ptr<Server>> start(const Settings& settings, Journal& journal);
    virtual ~Server() = default;
    // Until a signal ends it.
    virtual void run() = 0;
};

}  // namespace viv::netbridge
