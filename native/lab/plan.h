// A lab as its TOML file describes it: machines, switches, and the links between them. site/guide/labs.md shows the
// format. Promises: what has been read is whole and consistent (names are unique and known, addresses are addresses,
// links lead to switches that are there); every mistake is a line of its own, "FILE:LINE: what is wrong and what would
// be right", all of them at once; nothing on the host is looked at but the file.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "engine/net/link.h"

namespace viv::native::lab {

constexpr usize most_machines = 64, most_switches = 64, most_links = 8;  // links: of one machine

// A network card and the cable that it is plugged into. The n-th of a machine is its n-th card.
struct CardPlan {
    std::string to;       // a switch
    std::string address;  // "10.0.0.1/24" or IPv6; empty: what the guest does by itself
    std::string gateway;  // empty: none
    std::string mac;      // always there, unique in the lab
    net::LinkQuality quality;
};

struct MachinePlan {
    std::string name;
    std::string guest;                 // of the catalogue
    std::vector<std::string> options;  // of viv exec: --memory and so on
    std::string setup;                 // a shell script; empty: none
    std::vector<CardPlan> cards;
};

struct SwitchPlan {
    std::string name;
    std::vector<std::string> outside;  // what else is plugged in, as --net says it: "user", "tap,ifname=..."
};

// A cable between two switches.
struct TrunkPlan {
    std::string name;  // "left-right"
    std::string from, to;
    net::LinkQuality quality;
};

struct TestPlan {
    std::string name, machine, run;
};

struct Plan {
    std::string title;
    u64 seed = 1;
    std::vector<MachinePlan> machines;
    std::vector<SwitchPlan> switches;
    std::vector<TrunkPlan> trunks;
    std::vector<TestPlan> tests;
};

// `name` stands for the file in messages. The error's message may have several lines.
Result<Plan> read_plan(std::string_view text, const std::string& name);
Result<Plan> read_plan_file(const std::string& path);

}  // namespace viv::native::lab
