// Putting a machine together. See launch.h.
#include "native/launch.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/control/saved_config.h"
#include "engine/dev/catalog.h"
#include "native/devices.h"
#include "native/host_posix.h"
#include "native/http.h"
#include "native/published.h"
#include "native/user_files.h"
#include "native/values.h"

namespace viv::native {

namespace {

// Saved files carry the options as words with a zero byte after each, which no argument holds.
std::string launch_text(const MachineOptions& options) {
    std::string text;
    for (const auto& word : machine_arguments(options)) text.append(word).push_back('\0');
    return text;
}

std::vector<std::string> launch_words(std::string_view text) {
    std::vector<std::string> words;
    for (usize end = 0; (end = text.find('\0')) != std::string_view::npos; text.remove_prefix(end + 1))
        words.emplace_back(text.substr(0, end));
    return words;
}

Result<Guest> guest_of(const GuestCatalog& catalog, const std::string& name) {
    TRY_SET(auto found, catalog.find(name));
    if (!found) return Error{fmt::format("{}: is not built; viv run {} builds it", name, name)};
    return std::move(*found);
}

void append_words(std::string& line, std::string_view words) {
    if (words.empty()) return;
    if (!line.empty()) line += ' ';
    line += words;
}

Result<void> check_sizes(const BoardConfig& config, const BoardKind& board) {
    if (config.cpus > board.maximum_cpus)
        return Error{fmt::format("--cpus {}: {} has at most {} CPUs", config.cpus, board.name, board.maximum_cpus)};
    return check_host_memory(config.memory, host_memory_bytes());
}

bool names_host(const MachineOptions& saved) {
    return saved.nets &&
           std::any_of(saved.nets->begin(), saved.nets->end(), [](const NetOption& net) { return net.touches_host(); });
}

std::string repeat_text(const MachineOptions& saved) {
    MachineOptions only;
    only.disks = saved.disks;
    if (names_host(saved)) only.nets = saved.nets;
    only.shares = saved.shares;
    only.devices = saved.devices;
    return fmt::format("{}", fmt::join(machine_arguments(only), " "));
}

// A saved machine holds what was read of its guest; only for the guest's disks must it be here.
Result<void> find_guest(Launch& launch, const GuestCatalog& catalog, const std::vector<PluggedDevice>& devices) {
    const auto& options = launch.options;
    if (auto found = catalog.find(options.guest); found.ok() && found.value()) {
        launch.guest = std::move(*found.value());
        launch.agent_port = launch.guest->exec_port;
        return {};
    }
    const auto with_disk = [](const auto& device) { return device.disk.has_value(); };
    const auto given = static_cast<usize>(std::count_if(options.devices.begin(), options.devices.end(), with_disk));
    usize disks = 0;
    for (const PluggedDevice& device : devices)
        if (device.back_end == PluggedDevice::BackEnd::disk) disks++;
    if (devices.empty() || disks != options.disks.size() + given)
        return Error{fmt::format("--restore {}: needs the guest {}, which is not built here; viv run {} builds it",
                                 launch.restore, options.guest, options.guest)};
    return {};
}

bool touches_host(const std::vector<DeviceOption>& devices) {
    for (const auto& device : devices)
        if (device.disk || device.share || (device.net && device.net->touches_host())) return true;
    return false;
}

// A saved file may come from anywhere, so what it says about this host's files is shown but never followed.
Result<void> merge_saved(MachineOptions& saved, const MachineOptions& given, const std::string& file) {
    const bool devices_needed = touches_host(saved.devices);
    const bool same_disks = given.disks.size() == saved.disks.size();
    const bool same_shares = given.shares.size() == saved.shares.size();
    const usize cards = saved.nets ? saved.nets->size() : 0;
    const bool same_nets = given.nets ? given.nets->size() == cards : !names_host(saved);
    const bool same_devices =
        given.devices.size() == saved.devices.size() || (given.devices.empty() && !devices_needed);
    if (!same_disks || !same_nets || !same_shares || !same_devices) {
        const auto text = repeat_text(saved);
        if (!same_nets && given.nets)
            return Error{
                fmt::format("--restore {}: was saved with {} network card{}; give --net as often, or not at all", file,
                            cards, cards == 1 ? "" : "s")};
        if (text.empty())
            return Error{
                fmt::format("--restore {}: was saved without --disk, --share and --device; leave them out", file)};
        return Error{fmt::format("--restore {}: the same devices are needed as when it was saved: {}", file, text)};
    }
    saved.disks = given.disks;
    saved.shares = given.shares;
    if (given.nets) saved.nets = given.nets;
    if (!given.devices.empty()) saved.devices = given.devices;
    return {};
}

void add_display(std::vector<DeviceOption>& devices, const BoardKind& kind) {
    const auto is_display = [](const DeviceOption& device) { return device.name.starts_with("virtio-gpu"); };
    if (std::any_of(devices.begin(), devices.end(), is_display)) return;
    for (const std::string_view name : kind.display_devices) {
        DeviceOption device;
        device.text = device.name = name;
        devices.push_back(std::move(device));
    }
}

}  // namespace

u64 host_memory_bytes() {
    const long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    return pages > 0 && size > 0 ? static_cast<u64>(pages) * static_cast<u64>(size) : ~u64{0};
}

Result<void> check_host_memory(u64 bytes, u64 host_bytes) {
    if (bytes <= host_bytes) return {};
    return Error{fmt::format("--memory {}: this host has {}M; give at most that", size_text(bytes), host_bytes >> 20)};
}

Result<void> check_machine(const MachineOptions& options) {
    if (!options.machine.empty()) TRY(find_board(options.machine));
    if (options.memory) TRY(check_host_memory(*options.memory, host_memory_bytes()));
    for (const auto& [option, path] :
         {std::pair{"--kernel", &options.kernel}, {"--initrd", &options.initrd}, {"--bios", &options.bios}})
        if (!path->empty()) TRY(check_readable(option, *path));
    for (const auto& disk : options.disks) {
        if (is_url(disk.file)) continue;
        if (auto file = open_file(disk.file, FileAccess::read_only); !file.ok())
            return Error{"--disk " + file.error().message};
    }
    for (const auto& device : options.devices)
        if (auto kind = find_device(device.name); !kind.ok())
            return Error{fmt::format("--device {}: {}", device.name, kind.error().message)};
    return {};
}

Result<Launch> prepare_launch(const MachineOptions& options, const GuestCatalog& catalog, Purpose purpose,
                              const std::string& extra_append) {
    Launch launch;
    launch.options = options;
    if (!options.nets) {
        launch.options.nets.emplace();
        if (options.deterministic == OnOff::off) launch.options.nets->push_back(default_net());
    }
    if (!options.guest.empty()) {
        TRY_SET(launch.guest, guest_of(catalog, options.guest));
        launch.agent_port = launch.guest->exec_port;
    }
    auto& board = launch.config.board;
    if (launch.guest) {
        board.machine = launch.guest->board;
        board.memory = launch.guest->memory;
        board.cpus = launch.guest->cpus;
        board.append = launch.guest->append;
        if (purpose == Purpose::exec) append_words(board.append, launch.guest->exec_append);
        append_words(board.append, extra_append);
    }
    if (!options.machine.empty()) board.machine = options.machine;
    board.cpu = options.cpu;
    if (options.memory) board.memory = *options.memory;
    if (options.cpus) board.cpus = *options.cpus;
    if (options.append) append_words(board.append, *options.append);
    TRY_SET(const BoardKind* kind, find_board(board.machine));
    TRY(check_sizes(board, *kind));
    if (options.display == OnOff::on) add_display(launch.options.devices, *kind);
    const auto load = [&](const char* option, const std::string& given, const std::string& guests,
                          std::optional<Blob>& into) -> Result<void> {
        const auto& path = given.empty() ? guests : given;
        if (path.empty()) return {};
        TRY_SET(into, read_blob(given.empty() ? "" : option, path, board.memory));
        return {};
    };
    TRY(load("--kernel", options.kernel, launch.guest ? launch.guest->kernel : "", board.kernel));
    TRY(load("--initrd", options.initrd, launch.guest ? launch.guest->initrd : "", board.initrd));
    TRY(load("--bios", options.bios, "", board.bios));
    launch.config.determinism = options.deterministic == OnOff::on ? Determinism::deterministic : Determinism::live;
    launch.config.seed = options.seed.value_or(1);
    launch.config.harts = options.parallel_harts == OnOff::on ? Harts::parallel : Harts::in_turn;
    board.jit = options.jit;
    board.jit_cache = options.jit_cache;
    launch.perf_map = options.perf_map;
    launch.config.launch = launch_text(launch.options);
    return launch;
}

Result<Launch> prepare_restore(const std::string& file, const MachineOptions& options, const GuestCatalog& catalog) {
    TRY_SET(auto source, open_saved("--restore", file));
    auto head = Machine::read_head(source);
    if (!head.ok()) return Error{fmt::format("--restore {}: {}", file, head.error().message)};
    Launch launch;
    launch.restore = file;
    launch.saved = std::move(source);
    launch.arrival = remember_arrival(launch.saved, catalog.cache_folder(), head->identity);
    if (launch.arrival && launch.arrival->is_first()) launch.arrival->bring(fetch_first(file));
    auto saved = parse_machine_arguments(launch_words(head->launch));
    if (!saved.ok())
        return Error{
            fmt::format("--restore {}: holds options that this viv does not know: {}", file, saved.error().message)};
    launch.options = std::move(*saved);
    TRY(merge_saved(launch.options, options, file));
    for (const PluggedDevice& device : head->devices)
        if (device.ports.size() == 2) launch.agent_port = device.ports[1];  // see make_machine()
    if (!launch.options.guest.empty()) {
        TRY(find_guest(launch, catalog, head->devices));
    }
    if (head->deterministic && launch.options.nets)
        for (const auto& net : *launch.options.nets)
            if (!net.repeatable())
                return Error{fmt::format("{}: brings what no run repeats; the machine of --restore {} is deterministic",
                                         net.where, file)};
    launch.config = config_of(std::move(*head));
    auto& board = launch.config.board;
    TRY_SET(const BoardKind* kind, find_board(board.machine));
    if (auto fits = check_sizes(board, *kind); !fits.ok())
        return Error{fmt::format("--restore {}: {}", file, fits.error().message)};
    if (options.parallel_harts == OnOff::on) launch.config.harts = Harts::parallel;
    board.jit = options.jit;
    board.jit_cache = options.jit_cache;
    launch.perf_map = options.perf_map;
    launch.config.launch = launch_text(launch.options);
    return launch;
}

Result<std::unique_ptr<Machine>> make_machine(Launch launch, const Connections& connections, HostServices& host) {
    raise_descriptor_limit();
    if (launch.perf_map == OnOff::on) {
        TRY(host.code_memory.write_perf_map());
    }
    auto& board = launch.config.board;
    TRY_SET(const BoardKind* kind, find_board(board.machine));
    DiskHost disk_host{nullptr, &host.log, GuestCatalog::of_this_user().cache_folder()};
    // What repeats exactly must not depend on a server: there the machine waits.
    if (connections.networks != nullptr && launch.config.determinism == Determinism::live)
        disk_host.events = &connections.networks->events();
    TRY_SET(board.devices, plug_devices(launch.options, launch.guest, *kind, connections.networks, disk_host));
    if (connections.agent != nullptr) {
        DeviceSpec console;
        console.name = kind->console_device;
        console.ports.push_back({"console", nullptr});  // port 0 is one in any case
        console.ports.push_back({connections.agent_port, connections.agent});
        board.devices.push_back(std::move(console));
    }
    board.serials = connections.serials;
    TRY_SET(auto machine, Machine::create(std::move(launch.config), host.machine_host()));
    if (launch.restore.empty()) return machine;
    if (auto restored = machine->open(std::move(launch.saved)); !restored.ok())
        return Error{fmt::format("--restore {}: {}", launch.restore, restored.error().message)};
    return machine;
}

}  // namespace viv::native
