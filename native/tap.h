// The network `tap`: a TAP interface of this host, whose other end is the kernel's own network (tuntap, Linux's
// Documentation/networking/tuntap.rst).
// Promises: an interface that was prepared for this user needs no privilege; a new one is there as long as the machine;
// frames that the kernel has no room for are dropped.
#pragma once

#include <memory>
#include <string_view>

#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::NetBackend>> open_tap_network(Networks& networks, std::string_view where,
                                                          const TapNet& options);

}  // namespace viv::native
