// See saved_config.h.
#include "engine/control/saved_config.h"

#include <fmt/format.h>

namespace viv {

MachineConfig config_of(Machine::SavedHead head) {
    MachineConfig config;
    config.start = Start::empty;
    BoardConfig& board = config.board;
    board.machine = std::move(head.machine);
    board.cpu = std::move(head.cpu);
    board.memory = head.memory;
    board.cpus = head.cpus;
    board.append = std::move(head.append);
    board.kernel = std::move(head.kernel);
    board.initrd = std::move(head.initrd);
    board.bios = std::move(head.bios);
    config.determinism = head.deterministic ? Determinism::deterministic : Determinism::live;
    config.seed = head.seed;
    config.harts = head.harts;
    config.launch = std::move(head.launch);
    return config;
}

Result<std::vector<DeviceSpec>> plug_detached(std::span<const PluggedDevice> devices, std::string_view who) {
    std::vector<DeviceSpec> specs;
    for (const PluggedDevice& device : devices) {
        using BackEnd = PluggedDevice::BackEnd;
        if (device.back_end == BackEnd::disk || device.back_end == BackEnd::folder)
            return Error{fmt::format("the saved machine has a {} ({}), which {} cannot give it",
                                     device.back_end == BackEnd::disk ? "disk" : "shared folder", device.id, who)};
        DeviceSpec spec;
        spec.name = device.kind;
        spec.properties = device.properties;
        if (device.back_end == BackEnd::net) spec.net = net::make_null_backend();
        for (const auto& port : device.ports) spec.ports.push_back({port, nullptr});
        specs.push_back(std::move(spec));
    }
    return specs;
}

}  // namespace viv
