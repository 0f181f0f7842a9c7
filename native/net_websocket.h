// The network `websocket`: a room of a relay (netbridge, or another that switches raw frames), each frame a binary
// message of a websocket, RFC 6455. Promises: wss:// wants a certificate that this host trusts, for the name in the
// URL; a connection that is lost or refused is looked for again, by the URLs in turn; frames meanwhile, or that the
// relay has no room for, are dropped; a message that is no frame, or too long, is not taken. Names are looked up once,
// at the start; nothing waits after that.
#pragma once

#include <memory>
#include <string_view>

#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::NetBackend>> open_websocket_network(Networks& networks, std::string_view where,
                                                                const WebsocketNet& options);

}  // namespace viv::native
