// The network `vde`: a port of a vde_switch of this host, by libvdeplug (vde_open(3)).
// Promises: of libvdeplug's modules the one for switches alone is used, which starts no program; frames that the switch
// has no room for are dropped; a switch that does not answer is an error after some seconds; one that ends is logged,
// and is not looked for again.
#pragma once

#include <memory>
#include <string_view>

#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::NetBackend>> open_vde_network(Networks& networks, std::string_view where,
                                                          const VdeNet& options);

}  // namespace viv::native
