// What JavaScript says about a machine, as JSON, made into its configuration.
// Promises: what is wrong is one line that names the field; a saved machine's head is believed in nothing that would
// take more than a page can give.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/machine.h"
#include "web/worker/disk_web.h"
#include "web/worker/net_web.h"
#include "web/worker/serial_web.h"

namespace viv::web {

// A console port by name, with JavaScript at its other end.
struct Port {
    std::string name;
    std::unique_ptr<WebSerial> stream;  // outlives the machine
};

// JavaScript's ends of what is plugged in. They outlive the machine.
struct PageEnds {
    std::vector<Port>& ports;
    WebNetwork& network;
    WebDisks& disks;
};

// The description of Session::start(); files that it names are taken out of `files`, `machine_name` is set if it
// has one, and `ends` get what it asks for.
Result<MachineConfig> read_description(std::string_view description, std::map<std::string, std::vector<u8>>& files,
                                       std::string& machine_name, const PageEnds& ends);

// A saved machine's, with the wishes of Session::open(). A port that is wished for and that the machine does not have
// leads nowhere.
Result<MachineConfig> describe_saved(Machine::SavedHead head, std::string_view wishes, const PageEnds& ends);

}  // namespace viv::web
