// Tables from the catalogues. See listing.h.
#include "native/listing.h"

#include <fmt/format.h>

#include "engine/board/board.h"
#include "engine/dev/catalog.h"

namespace viv::native {

namespace {

std::string machines() {
    std::string text;
    for (const auto& board : board_catalog())
        text += fmt::format("{:14}{} (up to {} CPUs, default {})\n", board.name, board.description, board.maximum_cpus,
                            board.default_cpu);
    return text;
}

std::string guests(const GuestCatalog& catalog) {
    std::string text;
    for (const auto& row : catalog.list())
        text += fmt::format("{:18}{:10}{}\n", row.name,
                            row.state == GuestCatalog::Row::State::ready ? "ready" : "not built", row.title);
    if (text.empty())
        text = fmt::format("no recipes in {}; set VIVARIUM_GUESTS to the folder guests of the source tree\n",
                           catalog.guests_folder());
    return text;
}

std::string_view bus_name(DeviceBus bus) {
    switch (bus) {
        case DeviceBus::board: return "on board";
        case DeviceBus::virtio_mmio: return "mmio";
        case DeviceBus::pci: return "pci";
        case DeviceBus::scsi: return "scsi";
    }
    return {};
}

std::string devices() {
    std::string text;
    for (const auto& kind : device_catalog()) {
        text += fmt::format("{:24}{:10}{}", kind.name, bus_name(kind.bus), kind.description);
        text += kind.properties.empty() ? "\n" : fmt::format(": {}\n", kind.properties);
    }
    return text;
}

}  // namespace

std::string listing(const ListOptions& options, const GuestCatalog& catalog) {
    switch (options.what) {
        case ListOptions::What::machines: return machines();
        case ListOptions::What::guests: return guests(catalog);
        case ListOptions::What::devices: break;
    }
    return devices();
}

}  // namespace viv::native
