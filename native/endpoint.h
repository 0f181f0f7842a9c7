// Where a byte stream ends on the host, as options write it: stdio, null, file:F, tcp:HOST:PORT[,server],
// unix:PATH[,server]. Promises: parsing touches nothing on the host; the error names the option and lists what that
// option can take.
#pragma once

#include <string>
#include <string_view>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::native {

struct Endpoint {
    enum class Kind : u8 { null, stdio, file, tcp, unix_socket };
    enum class Role : u8 { connect, listen };
    Kind kind = Kind::null;
    Role role = Role::connect;
    std::string host;  // tcp; empty: this host only
    u16 port = 0;      // tcp
    std::string path;  // file, unix_socket
    std::string text;  // as the user wrote it, for messages
    bool operator==(const Endpoint&) const = default;
};

// What an option takes. Monitors, debug stubs and displays always listen; where a running viv has one, we connect.
enum class EndpointUse : u8 { serial, monitor, debugger, viewer, running_viv };
Result<Endpoint> parse_endpoint(std::string_view option, std::string_view text, EndpointUse use);

}  // namespace viv::native
