// Commands on devices: what is on the board, what was plugged in, the disks.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"
#include "engine/lang/nearest.h"

namespace viv::commands {

namespace {

Result<void> query_devices(CommandCall& call) {
    const std::string wanted = call.text_argument(0);
    call.value = nlohmann::json::array();
    std::vector<std::string_view> names;
    for (const NamedDevice& device : call.machine().board().devices()) {
        names.push_back(device.name);
        if (call.has(0) && device.name != wanted) continue;
        call.text += fmt::format("{:<28} {}\n", device.name, device.device->kind());
        nlohmann::json row = nlohmann::json::object();
        row["name"] = device.name;
        row["kind"] = device.device->kind();
        call.value.push_back(std::move(row));
        if (!call.has(0)) continue;
        Archive archive = Archive::describer(call.text, device.name);
        device.device->state(archive);
    }
    if (!call.has(0) || !call.value.empty()) return {};
    call.error_class = ErrorClass::device_not_found;
    const auto near = nearest_name(wanted, names);
    return Error{fmt::format("there is no device '{}'{}", wanted,
                             near.empty() ? std::string() : fmt::format("; did you mean '{}'?", near))};
}

Result<void> query_block(CommandCall& call) {
    call.value = nlohmann::json::array();
    for (const PluggedDevice& device : call.machine().plugged()) {
        if (device.disk == nullptr) continue;
        const block::Disk& disk = *device.disk;
        call.text += fmt::format("{}: {}, {} bytes, {}{}\n", device.id, device.kind, disk.size(),
                                 disk.read_only() ? "read-only" : "read-write",
                                 disk.file_name().empty() ? std::string() : fmt::format(", {}", disk.file_name()));
        nlohmann::json row = nlohmann::json::object();
        row["device"] = device.id;
        row["qdev"] = device.kind;
        row["locked"] = false;
        row["removable"] = false;
        row["type"] = "unknown";
        nlohmann::json image = nlohmann::json::object();
        image["virtual-size"] = disk.size();
        image["filename"] = disk.file_name();
        image["format"] = disk.format();
        nlohmann::json inserted = nlohmann::json::object();
        inserted["node-name"] = device.id;
        inserted["file"] = disk.file_name();
        inserted["drv"] = disk.format();
        inserted["ro"] = disk.read_only();
        inserted["image"] = std::move(image);
        row["inserted"] = std::move(inserted);
        call.value.push_back(std::move(row));
    }
    if (call.text.empty()) call.text = "no disks";
    return {};
}

// The cards that a cable can be pulled out of.
std::vector<const PluggedDevice*> cards(const Machine& machine) {
    std::vector<const PluggedDevice*> found;
    for (const PluggedDevice& device : machine.plugged())
        if (device.net != nullptr && device.net->device() != nullptr) found.push_back(&device);
    return found;
}

Result<void> query_network(CommandCall& call) {
    call.value = nlohmann::json::array();
    for (const PluggedDevice* card : cards(call.machine())) {
        const bool up = card->net->device()->link_up();
        call.text += fmt::format("{}: {}, the cable is {}\n", card->id, card->kind, up ? "in" : "out");
        nlohmann::json row = nlohmann::json::object();
        row["name"] = card->id;
        row["kind"] = card->kind;
        row["up"] = up;
        call.value.push_back(std::move(row));
    }
    if (call.text.empty()) call.text = "no network cards";
    return {};
}

Result<void> set_link(CommandCall& call) {
    const std::string wanted = call.text_argument(0);
    std::vector<std::string_view> names;
    for (const PluggedDevice* card : cards(call.machine())) {
        names.push_back(card->id);
        if (card->id != wanted) continue;
        card->net->device()->set_link(call.boolean(1));
        return {};
    }
    call.error_class = ErrorClass::device_not_found;
    const auto near = nearest_name(wanted, names);
    return Error{fmt::format("there is no network card '{}'{}; info network lists them", wanted,
                             near.empty() ? std::string() : fmt::format("; did you mean '{}'?", near))};
}

Result<void> query_plugged(CommandCall& call) {
    call.value = nlohmann::json::array();
    for (const PluggedDevice& device : call.machine().plugged()) {
        nlohmann::json row = nlohmann::json::object();
        row["id"] = device.id;
        row["kind"] = device.kind;
        row["properties"] = device.properties;
        call.value.push_back(std::move(row));
        call.text += fmt::format("{}: {}", device.id, device.kind);
        for (const auto& [key, text] : device.properties) call.text += fmt::format(" {}={}", key, text);
        call.text += '\n';
    }
    if (call.text.empty()) call.text = "nothing was plugged in";
    return {};
}

constexpr Argument device_argument[] = {
    {"name", ArgumentType::text, Need::optional, "only this one, with its state's fields"}};

constexpr Argument link_arguments[] = {
    {"name", ArgumentType::text, Need::required, "the network card"},
    {"up", ArgumentType::boolean, Need::required, "on: the cable is in; off: it is out"}};

constexpr Command rows[] = {
    {"info devices", "viv-query-devices", device_argument, "the devices of the machine", query_devices},
    {"info plugged", "viv-query-plugged", {}, "the devices that the user plugged in", query_plugged},
    {"info block", "query-block", {}, "the disks", query_block},
    {"info network", "viv-query-network", {}, "the network cards", query_network},
    {"set_link", "set_link", link_arguments, "put a network card's cable in, or pull it out", set_link},
};

}  // namespace

std::span<const Command> device_rows() { return rows; }

}  // namespace viv::commands
