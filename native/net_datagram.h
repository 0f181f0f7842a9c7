// The networks `dgram` and `socket` (udp=, mcast=): a frame a datagram, as QEMU's of these names, over UDP, a UDP
// multicast group or Unix sockets.
// Promises: datagrams of an impossible size are dropped, and so are those of UDP that do not come from `remote` (unless
// it is a group); frames that the kernel has no room for are dropped; a Unix socket's name is removed at the end.
#pragma once

#include <memory>
#include <string_view>

#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::NetBackend>> open_datagram_network(Networks& networks, std::string_view where,
                                                               const DatagramNet& options);

}  // namespace viv::native
