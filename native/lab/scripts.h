// What a lab says to the shells of its guests.
#pragma once

#include <string>

#include "native/lab/plan.h"

namespace viv::native::lab {

// Does the lab, and not the guest, set up this machine's cards? So it is if one has an address.
bool sets_up_cards(const MachinePlan& machine);

// Gives the machine its name, the names of all others, and its cards their addresses.
std::string configuration_script(const Plan& plan, const MachinePlan& machine);

}  // namespace viv::native::lab
