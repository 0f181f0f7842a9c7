// Tables from the catalogues. See listing.h.
#include "native/listing.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "engine/board/board.h"
#include "engine/dev/catalog.h"
#include "native/launch.h"
#include "native/program_host.h"

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

// "model name : X" of /proc/cpuinfo.
std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("model name")) continue;
        const auto colon = line.find(':');
        if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
    }
    return "unknown";
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

std::string host_information(const GuestCatalog& catalog) {
    utsname names{};
    uname(&names);
    PosixThreads threads;
    std::string text;
    const auto row = [&](const char* name, const std::string& value) { text += fmt::format("{:18}{}\n", name, value); };
    row("viv", std::string(program_version()));
    row("system", fmt::format("{} {} {}", names.sysname, names.release, names.machine));
    row("processor", processor_name());
    row("hardware threads", std::to_string(threads.hardware_threads()));
    row("memory", fmt::format("{} MiB", host_memory_bytes() >> 20));
    row("page size", std::to_string(sysconf(_SC_PAGESIZE)));
    row("/dev/kvm", access("/dev/kvm", R_OK | W_OK) == 0 ? "usable"
                    : access("/dev/kvm", F_OK) == 0      ? "present, not accessible"
                                                         : "absent");
    row("guest recipes", catalog.guests_folder());
    row("cache", catalog.cache_folder());
    return text;
}

}  // namespace viv::native
