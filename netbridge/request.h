// What an HTTP request wants of the relay, and whether it may come at all.
// Promises: any text is a legal argument. A browser says the origin of its page, and only listed ones are let in: else
// any page could use a relay that listens on its reader's own machine.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "netbridge/token.h"

namespace viv::netbridge {

struct Request {
    enum class Kind : u8 { room, wisp, offer, attach, health, metrics };
    Kind kind = Kind::room;
    std::string name;           // of the room or the tunnel; of WISP "wisp"
    Scope scope = Scope::room;  // what a token has to be for
};

// "/" and "/NAME" are rooms, "/room/NAME", too; "/wisp/" is WISP; "/tunnel/NAME" attaches
// to a tunnel, "/tunnel/NAME/offer" offers it; "/healthz" and "/metrics" are themselves. None for
// anything else.
std::optional<Request> parse_request(std::string_view path);
inline constexpr std::string_view usual_room = "lobby";

class Origins {
public:
    // SCHEME://HOST[:PORT], or * for all. Errors are for the option --origin.
    Result<void> add(std::string_view text);
    // An empty origin is a client that is no browser.
    bool allow(std::string_view origin) const;

private:
    std::vector<std::string> listed_;
    bool all_ = false;
};

}  // namespace viv::netbridge
