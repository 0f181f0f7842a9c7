// What JavaScript says about a machine, as JSON, made into its configuration.
// Promises: what is wrong is one line that names the field; a saved machine's head is believed in nothing that would
// take more than a page can give.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/machine.h"

namespace viv::web {

// The description of Session::start(); files that it names are taken out of `files`, and `machine_name` is set if it
// has one.
Result<MachineConfig> read_description(std::string_view description, std::map<std::string, std::vector<u8>>& files,
                                       std::string& machine_name);

// A saved machine's, with the wishes of Session::open().
Result<MachineConfig> describe_saved(Machine::SavedHead head, std::string_view wishes);

}  // namespace viv::web
