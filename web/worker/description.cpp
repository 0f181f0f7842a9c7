// See description.h.
#include "web/worker/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/control/saved_config.h"

namespace viv::web {

namespace {

using Json = nlohmann::json;

constexpr u64 least_memory = 1 << 20, most_memory = std::numeric_limits<u32>::max();
constexpr u64 usual_jit_cache = u64{32} << 20;

Error wrong(std::string_view field, std::string_view what) { return Error{fmt::format("{}: {}", field, what)}; }

Result<void> read_text(const Json& value, std::string_view field, std::string& into) {
    if (!value.is_string()) return wrong(field, "must be a string");
    into = value.get<std::string>();
    return {};
}

Result<void> read_number(const Json& value, std::string_view field, u64 least, u64 most, u64& into) {
    if (!value.is_number_unsigned() || value.get<u64>() < least || value.get<u64>() > most)
        return wrong(field, fmt::format("must be a whole number from {} to {}", least, most));
    into = value.get<u64>();
    return {};
}

constexpr usize most_ports = 30, longest_port_name = 64;

Result<void> read_ports(const Json& value, std::string_view field, std::vector<Port>& ports) {
    const auto fits = [](const Json& name) {
        return name.is_string() && !name.get_ref<const std::string&>().empty() &&
               name.get_ref<const std::string&>().size() <= longest_port_name;
    };
    if (!value.is_array() || value.size() > most_ports || !std::all_of(value.begin(), value.end(), fits))
        return wrong(field, fmt::format("must be a list of at most {} names", most_ports));
    for (const Json& name : value) ports.push_back({name.get<std::string>(), std::make_unique<WebSerial>()});
    return {};
}

// The console that has these ports: what a guest's agent sits behind.
DeviceSpec console_with(const BoardKind& kind, const std::vector<Port>& ports) {
    DeviceSpec console;
    console.name = kind.console_device;
    console.ports.push_back({"console", nullptr});  // port 0 is one in any case
    for (const Port& port : ports) console.ports.push_back({port.name, port.stream.get()});
    return console;
}

// What the network's field says of the card. A saved machine's is what it was.
Result<void> read_net(const Json& value, std::map<std::string, std::string>& properties) {
    if (!value.is_object()) return wrong("net", "must be an object");
    for (const auto& [field, given] : value.items()) {
        if (field != "mac") return wrong("net", fmt::format("{}: is nothing to be said of a network card", field));
        TRY(read_text(given, "net: mac", properties["mac"]));
    }
    return {};
}

constexpr usize most_disks = 16;

Result<void> read_disks(const Json& value, std::vector<WebDisks::Wanted>& disks) {
    if (!value.is_array() || value.size() > most_disks)
        return wrong("disks", fmt::format("must be a list of at most {}", most_disks));
    for (const Json& each : value) {
        if (!each.is_object()) return wrong("disks", "must be objects");
        WebDisks::Wanted disk;
        for (const auto& [field, given] : each.items()) {
            if (field == "source") {
                u64 number = 0;
                TRY(read_number(given, "disks: source", 1, ~u32{0}, number));
                disk.number = static_cast<u32>(number);
            } else if (field == "url") {
                TRY(read_text(given, "disks: url", disk.url));
            } else if (field == "kept" || field == "readOnly") {
                if (!given.is_boolean()) return wrong("disks", fmt::format("{}: must be true or false", field));
                (field == "kept" ? disk.kept : disk.read_only) = given.get<bool>();
            } else {
                return wrong("disks", fmt::format("{}: is nothing to be said of a disk", field));
            }
        }
        if (disk.number == 0) return wrong("disks", "source: is missing");
        disks.push_back(std::move(disk));
    }
    return {};
}

// The fields that say how a machine is executed, which are no part of it. False: it is none of them.
Result<bool> read_wish(const std::string& field, const Json& value, BoardConfig& board) {
    if (field == "jitCache") {
        u64 number = 0;
        TRY(read_number(value, field, 1 << 16, u64{1} << 30, number));
        if (number % 4096 != 0) return wrong(field, "must be a multiple of 4096");
        board.jit_cache = number;
        return true;
    }
    if (field != "jit") return false;
    std::string tier;
    TRY(read_text(value, field, tier));
    const auto found = std::find(jit_names.begin(), jit_names.end(), tier);
    if (found == jit_names.end()) return wrong(field, "must be \"off\", \"quick\" or \"full\"");
    board.jit = static_cast<Jit>(found - jit_names.begin());
    return true;
}

// What a file from anywhere asks for is within what read() takes of a description.
Result<void> check_saved_sizes(const BoardConfig& board) {
    TRY_SET(const BoardKind* kind, find_board(board.machine));
    if (board.cpus == 0 || board.cpus > kind->maximum_cpus)
        return Error{fmt::format("the saved machine has {} CPUs; {} has at most {}", board.cpus, kind->name,
                                 kind->maximum_cpus)};
    if (board.memory < least_memory || board.memory > most_memory || board.memory % 4096 != 0)
        return Error{fmt::format("the saved machine has {} bytes of memory, which no page can give", board.memory)};
    return {};
}

}  // namespace

Result<MachineConfig> read_description(std::string_view description, std::map<std::string, std::vector<u8>>& files,
                                       std::string& machine_name, const PageEnds& ends) {
    const Json all = Json::parse(description, nullptr, false);
    if (!all.is_object()) return Error{"the machine's description: is no JSON object"};
    MachineConfig config;
    BoardConfig& board = config.board;
    board.jit_cache = usual_jit_cache;
    DeviceSpec card;
    std::vector<WebDisks::Wanted> disks;
    bool display = false;
    for (const auto& [field, value] : all.items()) {
        const auto take_file = [&, name = &field, from = &value](std::optional<Blob>& into) -> Result<void> {
            std::string file;
            TRY(read_text(*from, *name, file));
            const auto found = files.find(file);
            if (found == files.end()) return wrong(*name, fmt::format("there is no file called '{}'", file));
            into = Blob{file, std::move(found->second)};
            files.erase(found);
            return {};
        };
        u64 number = 0;
        if (field == "name") {
            TRY(read_text(value, field, machine_name));
        } else if (field == "board") {
            TRY(read_text(value, field, board.machine));
        } else if (field == "cpu") {
            TRY(read_text(value, field, board.cpu));
        } else if (field == "append") {
            TRY(read_text(value, field, board.append));
        } else if (field == "memory") {
            TRY(read_number(value, field, least_memory, most_memory, board.memory));
            if (board.memory % 4096 != 0) return wrong(field, "must be a multiple of 4096");
        } else if (field == "cpus") {
            TRY(read_number(value, field, 1, 64, number));
            board.cpus = static_cast<unsigned>(number);
        } else if (field == "seed") {
            TRY(read_number(value, field, 0, ~u64{0}, config.seed));
        } else if (field == "deterministic") {
            if (!value.is_boolean()) return wrong(field, "must be true or false");
            config.determinism = value.get<bool>() ? Determinism::deterministic : Determinism::live;
        } else if (field == "kernel") {
            TRY(take_file(board.kernel));
        } else if (field == "initrd") {
            TRY(take_file(board.initrd));
        } else if (field == "bios") {
            TRY(take_file(board.bios));
        } else if (field == "ports") {
            TRY(read_ports(value, field, ends.ports));
        } else if (field == "display") {
            if (!value.is_boolean()) return wrong(field, "must be true or false");
            display = value.get<bool>();
        } else if (field == "disks") {
            TRY(read_disks(value, disks));
        } else if (field == "net") {
            TRY(read_net(value, card.properties));
            card.net = ends.network.make_plug();
        } else {
            TRY_SET(const bool wish, read_wish(field, value, board));
            if (!wish) return wrong(field, "is no field of a machine's description");
        }
    }
    TRY_SET(const BoardKind* kind, find_board(board.machine));
    if (board.cpus > kind->maximum_cpus)
        return wrong("cpus", fmt::format("{} has at most {}", kind->name, kind->maximum_cpus));
    for (const WebDisks::Wanted& disk : disks) {
        DeviceSpec device;
        device.name = kind->disk_device;
        TRY_SET(device.disk, ends.disks.open(disk, config.determinism == Determinism::deterministic
                                                       ? WebDisks::Waiting::machine_waits
                                                       : WebDisks::Waiting::machine_goes_on));
        board.devices.push_back(std::move(device));
    }
    if (!ends.ports.empty()) board.devices.push_back(console_with(*kind, ends.ports));
    for (const std::string_view name : kind->display_devices) {
        if (!display) break;
        DeviceSpec device;
        device.name = name;
        board.devices.push_back(std::move(device));
    }
    if (card.net == nullptr) return config;
    if (config.determinism == Determinism::deterministic)
        return wrong("net", "a deterministic machine has none: what comes from it is not the same twice");
    card.name = kind->net_device;
    board.devices.push_back(std::move(card));
    return config;
}

Result<MachineConfig> describe_saved(Machine::SavedHead head, std::string_view wishes, const PageEnds& ends) {
    TRY_SET(auto devices, plug_detached(head.devices, "a page"));
    MachineConfig config = config_of(std::move(head));
    BoardConfig& board = config.board;
    TRY(check_saved_sizes(board));
    board.devices = std::move(devices);
    config.harts = Harts::in_turn;  // a page has one thread for them
    board.jit_cache = usual_jit_cache;
    const Json all = Json::parse(wishes, nullptr, false);
    if (!all.is_object()) return Error{"the wishes for the machine: are no JSON object"};
    for (const auto& [field, value] : all.items()) {
        if (field == "ports") {
            TRY(read_ports(value, field, ends.ports));
            continue;
        }
        if (field == "net") {
            const auto card = std::find_if(board.devices.begin(), board.devices.end(),
                                           [](const DeviceSpec& each) { return each.net != nullptr; });
            if (card == board.devices.end()) return wrong(field, "the saved machine has no network card");
            card->net = ends.network.make_plug();
            continue;
        }
        TRY_SET(const bool wish, read_wish(field, value, board));
        if (!wish) return wrong(field, "is nothing to be wished of a saved machine");
    }
    for (DeviceSpec& device : board.devices)
        for (usize i = 1; i < device.ports.size(); i++)
            for (const Port& port : ends.ports)
                if (port.name == device.ports[i].name) device.ports[i].backend = port.stream.get();
    return config;
}

}  // namespace viv::web
