// The addresses of network cards, whichever bus they are on: what a user gives as `mac=`, and what those get that were
// given none.
#pragma once

#include <span>

#include "engine/dev/device_spec.h"
#include "engine/dev/properties.h"
#include "engine/net/inspect.h"

namespace viv {

inline constexpr net::MacAddress first_mac_address{0x52, 0x54, 0x00, 0x12, 0x34, 0x56};

// Gives each device of `specs` that takes a `mac` (dev/catalog) and has none an address that no other of them has: from
// first_mac_address upward, in order. What a user gave stays as it is, right or wrong.
void give_mac_addresses(std::span<DeviceSpec> specs);

// The property `mac`, or first_mac_address; a group's address and zero are errors.
Result<net::MacAddress> mac_address(const Properties& properties);

}  // namespace viv
