// The networks `stream` and `socket` (listen=, connect=): frames in a stream, as QEMU's of these names.
// Promises: one other side at a time; frames while there is none, or that a slow one has no room for, are dropped, and
// nothing is buffered without a bound; a stream that breaks the protocol is ended. Nothing waits but opening a
// connection that has to be there from the start (ten seconds at most).
#pragma once

#include <memory>
#include <string_view>

#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::NetBackend>> open_stream_network(Networks& networks, std::string_view where,
                                                             const StreamNet& options);

}  // namespace viv::native
