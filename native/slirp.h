// The network `user`: libslirp between the guest's card and this host's sockets. NAT without privilege: DHCP, DNS,
// TFTP, TCP, UDP, ICMP where the host lets users ping, IPv4 and IPv6. Promises: no frame of a guest reaches an address
// that means this host itself (127.0.0.0/8, 0.0.0.0/8, ::1 and their like) but through the address that the network
// gives the host, and not there either with host_loopback off; nothing of libslirp runs while the machine is paused,
// and its clock stands still then. The program ignores SIGPIPE: libslirp writes to what may have gone.
#pragma once

#include <memory>
#include <string_view>

#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::NetBackend>> open_user_network(Networks& networks, std::string_view where,
                                                           const UserNet& options);

}  // namespace viv::native
