// Conversion of the machine's options, and their way back into arguments. See machine_options.h.
#include "native/machine_options.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/block/catalog.h"
#include "native/http.h"
#include "native/values.h"

namespace viv::native {

namespace {

constexpr u64 smallest_jit_cache = u64{1} << 20, largest_jit_cache = u64{1} << 30;

using Properties = std::map<std::string, std::string>;

std::optional<std::string> take(Properties& properties, const std::string& key) {
    auto node = properties.extract(key);
    if (node.empty()) return std::nullopt;
    return std::move(node.mapped());
}

Result<OnOff> take_switch(Properties& properties, std::string_view option, const std::string& key) {
    const auto text = take(properties, key);
    if (!text) return OnOff::off;
    TRY_SET(const bool on, parse_switch(option, key, *text));
    return on ? OnOff::on : OnOff::off;
}

Result<DiskOption::Below> parse_below(std::string_view option, std::string_view text) {
    using Below = DiskOption::Below;
    if (text == "on") return Below::files;
    if (text == "off") return Below::nothing;
    if (text == "web") return Below::web;
    return Error{fmt::format("{} backing={}: on, off or web is needed", option, text)};
}

// format, snapshot, readonly, backing, overlay and data-file of a disk; `file` has been taken already.
Result<DiskOption> take_disk(Properties& properties, std::string_view option, std::string file) {
    DiskOption disk;
    disk.file = std::move(file);
    if (const auto format = take(properties, "format"); format) {
        const auto known = block::find_format(*format);
        if (!known.ok()) return Error{fmt::format("{} {}: {}", option, disk.file, known.error().message)};
        if ((*known)->open == nullptr)
            return Error{
                fmt::format("{} {}: format={}: such images cannot be opened by this version; convert it with "
                            "`qemu-img convert -O qcow2`",
                            option, disk.file, *format)};
        disk.format = *format;
    }
    TRY_SET(disk.snapshot, take_switch(properties, option, "snapshot"));
    TRY_SET(disk.read_only, take_switch(properties, option, "readonly"));
    if (const auto backing = take(properties, "backing")) {
        TRY_SET(disk.below, parse_below(option, *backing));
    }
    if (auto overlay = take(properties, "overlay")) {
        if (overlay->empty() || is_url(*overlay))
            return Error{fmt::format("{} {}: overlay={}: a file of this host is needed", option, disk.file, *overlay)};
        disk.overlay = std::move(*overlay);
    }
    if (const auto data = take(properties, "data-file")) {
        if (data->empty()) return Error{fmt::format("{} {}: data-file= needs a file", option, disk.file)};
        disk.data_file = *data;
    }
    if (const auto key = take(properties, "key-file")) {
        if (key->empty()) return Error{fmt::format("{} {}: key-file= needs a file, or fd:N", option, disk.file)};
        disk.key_file = *key;
    }
    return disk;
}

// Commas in a value are doubled.
std::string escaped(std::string_view value) {
    std::string text;
    for (const char letter : value) text.append(letter == ',' ? 2 : 1, letter);
    return text;
}

std::string disk_argument(const DiskOption& disk) {
    std::string text = "file=" + escaped(disk.file);
    if (!disk.format.empty()) text += ",format=" + disk.format;
    if (disk.snapshot == OnOff::on) text += ",snapshot=on";
    if (disk.read_only == OnOff::on) text += ",readonly=on";
    if (disk.below == DiskOption::Below::nothing) text += ",backing=off";
    if (disk.below == DiskOption::Below::web) text += ",backing=web";
    if (!disk.overlay.empty()) text += ",overlay=" + escaped(disk.overlay);
    if (!disk.data_file.empty()) text += ",data-file=" + escaped(disk.data_file);
    if (!disk.key_file.empty()) text += ",key-file=" + escaped(disk.key_file);
    for (const auto& [key, value] : disk.device_properties) text += fmt::format(",{}={}", key, escaped(value));
    return text;
}

}  // namespace

Result<Jit> parse_jit(std::string_view option, std::string_view text) {
    const auto found = std::find(jit_names.begin(), jit_names.end(), text);
    if (found != jit_names.end()) return static_cast<Jit>(found - jit_names.begin());
    return Error{fmt::format("{} {}: is no tier; there are {}{}", option, text, fmt::join(jit_names, ", "),
                             suggestion(text, jit_names))};
}

Result<DiskOption> parse_disk(std::string_view option, std::string_view text) {
    TRY_SET(auto list, parse_properties(option, text, Head::optional));
    auto file = take(list.properties, "file");
    if (file && !list.head.empty())
        return Error{fmt::format("{} {}: names two files, {} and {}", option, text, list.head, *file)};
    if (!file) file = list.head;
    if (file->empty())
        return Error{fmt::format("{} {}: a file is missing, as in {} file=disk.img,readonly=on", option, text, option)};
    TRY_SET(auto disk, take_disk(list.properties, option, *file));
    constexpr std::string_view known[] = {"file",    "format",    "snapshot", "readonly", "backing",
                                          "overlay", "data-file", "key-file", "serial"};
    for (const auto& [key, value] : list.properties)
        if (key != "serial")
            return Error{
                fmt::format("{} {}: {} is not known; file, format, snapshot, readonly, backing, overlay, data-file, "
                            "key-file and serial are{}",
                            option, text, key, suggestion(key, known))};
    disk.device_properties = std::move(list.properties);
    return disk;
}

Result<ShareOption> parse_share(std::string_view option, std::string_view text) {
    ShareOption share;
    auto rest = text;
    if (rest.ends_with(":ro") || rest.ends_with(":rw")) {
        share.read_only = rest.ends_with(":ro") ? OnOff::on : OnOff::off;
        rest.remove_suffix(3);
    }
    const auto colon = rest.rfind(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == rest.size())
        return Error{fmt::format("{} {}: a folder and a tag are needed, as in {} work:host or work:host:ro", option,
                                 text, option)};
    share.folder = rest.substr(0, colon);
    share.tag = rest.substr(colon + 1);
    // The tag is a word of the guest's mount command; the limit is virtio-9p's configuration as Linux reads it.
    if (share.tag.size() > 31 || share.tag.find_first_of("/, ") != std::string::npos)
        return Error{fmt::format("{} {}: the tag {} must be a word of at most 31 characters without / , or spaces",
                                 option, text, share.tag)};
    return share;
}

Result<DeviceOption> parse_device(std::string_view text) {
    constexpr std::string_view option = "--device";
    TRY_SET(auto list, parse_properties(option, text, Head::required));
    if (list.head.empty())
        return Error{
            fmt::format("{} {}: the name of a device is missing; `viv list devices` shows them", option, text)};
    DeviceOption device;
    device.text = text;
    device.name = list.head;
    if (auto file = take(list.properties, "file")) {
        TRY_SET(device.disk, take_disk(list.properties, option, *file));
    }
    if (const auto folder = take(list.properties, "folder")) {
        ShareOption share;
        share.folder = *folder;
        TRY_SET(share.read_only, take_switch(list.properties, option, "readonly"));
        device.share = share;
    }
    if (const auto net = take(list.properties, "net")) {
        const auto where = "--device " + device.name + ",net";
        TRY_SET(device.net, parse_net(where, *net));
        if (device.net && !device.net->card)
            return Error{fmt::format("{} {}: card=off is for --net; here the card is named already", where, *net)};
        if (device.net && !device.net->model.empty())
            return Error{fmt::format("{} {}: model={} is for --net; here the device is named already", where, *net,
                                     device.net->model)};
    }
    device.properties = std::move(list.properties);
    return device;
}

void MachineArguments::declare(CommandLine& line) {
    line.positional("GUEST", guest_, "A guest of the catalogue (viv list guests)");
    line.group("The machine");
    line.value("--machine", machine_, "NAME", "The board (viv list machines)");
    line.value("--cpu", cpu_, "MODEL", "The CPU model, with its extensions");
    line.value("--cpus", cpus_, "N", "Number of CPUs");
    line.value("--memory", memory_, "SIZE", "RAM, as in 512M or 2G");
    line.value("--kernel", kernel_, "FILE", "Kernel to load");
    line.value("--initrd", initrd_, "FILE", "Initial RAM disk");
    line.value("--append", append_, "TEXT", "Kernel command line; added to the guest's own if it has one");
    line.value("--bios", bios_, "FILE", "Firmware instead of the board's own");
    line.group("Devices");
    line.values("--disk", disks_, "FILE[,...]",
                "A disk image or block device: [file=]F,readonly=on,snapshot=on,format=raw,serial=S");
    line.values("--net", nets_, "KIND[,...]",
                "A network card and where it leads: user[,hostfwd=tcp::2222-:22] (the default), none, stream, tap, ... "
                "(viv help net)");
    line.values("--share", shares_, "DIR:TAG[:ro]", "A host folder as 9p file system");
    line.values("--device", devices_, "NAME[,...]", "A device by name (viv list devices), with key=value properties");
    line.group("Time and order");
    line.flag("--deterministic", deterministic_, "Guest time from executed instructions: same inputs, same course");
    line.value("--seed", seed_, "N", "Of the deterministic machine's random numbers (default 1)");
    line.value("--harts", harts_, "MODE", "in-turn (one thread, the default) or parallel (a thread each)");
    line.group("Speed");
    line.value("--jit", jit_, "TIER",
               "full (translate what is hot as a whole, the default), quick (block by block) or off (interpreter)");
    line.value("--jit-cache", jit_cache_, "SIZE", "Memory for translated code, of each CPU (default 256M)");
    line.flag("--perf-map", perf_map_, "Name translated code in /tmp/perf-PID.map, for perf(1)");
}

namespace {

// What comes from a network is no function of the machine.
Result<void> check_repeatable(const MachineOptions& options, std::string_view verb) {
    const auto check = [&](const NetOption& net) -> Result<void> {
        if (net.repeatable()) return {};
        return Error{fmt::format("{}: brings what no run repeats; {} takes none, null, loopback and hub only",
                                 net.where, verb == "lockstep" ? "lockstep" : "--deterministic")};
    };
    if (options.nets)
        for (const auto& net : *options.nets) TRY(check(net));
    for (const auto& device : options.devices)
        if (device.net) TRY(check(*device.net));
    return {};
}

}  // namespace

Result<MachineOptions> MachineArguments::convert(std::string_view verb) const {
    MachineOptions options;
    options.guest = guest_.value_or("");
    options.machine = machine_.value_or("");
    options.cpu = cpu_.value_or("");
    options.kernel = kernel_.value_or("");
    options.initrd = initrd_.value_or("");
    options.bios = bios_.value_or("");
    options.append = append_;
    if (memory_) {
        TRY_SET(options.memory, parse_size("--memory", *memory_));
        if (*options.memory == 0 || *options.memory % 4096 != 0)
            return Error{fmt::format("--memory {}: a multiple of 4K above 0 is needed", *memory_)};
    }
    if (cpus_) {
        TRY_SET(options.cpus, parse_count("--cpus", *cpus_, 1, 4096));
    }
    for (const auto& text : disks_) {
        TRY_SET(auto disk, parse_disk("--disk", text));
        options.disks.push_back(std::move(disk));
    }
    for (const auto& text : nets_) {
        TRY_SET(auto net, parse_net("--net", text));
        if (!net && nets_.size() > 1) return Error{fmt::format("--net {}: is given together with another --net", text)};
        if (!options.nets) options.nets.emplace();
        if (net) options.nets->push_back(std::move(*net));
    }
    for (const auto& text : shares_) {
        TRY_SET(auto share, parse_share("--share", text));
        for (const auto& other : options.shares)
            if (other.tag == share.tag)
                return Error{fmt::format("--share {}: the tag {} is given twice", text, share.tag)};
        options.shares.push_back(std::move(share));
    }
    for (const auto& text : devices_) {
        TRY_SET(auto device, parse_device(text));
        options.devices.push_back(std::move(device));
    }
    options.deterministic = deterministic_ ? OnOff::on : OnOff::off;
    if (seed_) {
        if (!deterministic_)
            return Error{fmt::format("{}: --seed {}: has a meaning only with --deterministic", verb, *seed_)};
        TRY_SET(options.seed, parse_count("--seed", *seed_, 0, ~u64{0}));
    }
    if (harts_) {
        if (*harts_ != "in-turn" && *harts_ != "parallel")
            return Error{fmt::format("--harts {}: in-turn or parallel is needed", *harts_)};
        options.parallel_harts = *harts_ == "parallel" ? OnOff::on : OnOff::off;
        if (options.parallel_harts == OnOff::on && deterministic_)
            return Error{"--harts parallel: cannot be deterministic; use --harts in-turn with --deterministic"};
    }
    if (jit_) {
        TRY_SET(options.jit, parse_jit("--jit", *jit_));
    }
    if (jit_cache_) {
        TRY_SET(options.jit_cache, parse_size("--jit-cache", *jit_cache_));
        if (*options.jit_cache < smallest_jit_cache || *options.jit_cache > largest_jit_cache ||
            (*options.jit_cache & page_mask) != 0)
            return Error{fmt::format("--jit-cache {}: 1M to 1G is needed", *jit_cache_)};
    }
    options.perf_map = perf_map_ ? OnOff::on : OnOff::off;
    if (deterministic_) TRY(check_repeatable(options, verb));
    return options;
}

std::vector<std::string> machine_arguments(const MachineOptions& options) {
    std::vector<std::string> arguments;
    const auto add = [&](const char* name, const std::string& value) {
        arguments.emplace_back(name);
        arguments.push_back(value);
    };
    const auto add_text = [&](const char* name, const std::string& value) {
        if (!value.empty()) add(name, value);
    };
    if (!options.guest.empty()) arguments.push_back(options.guest);
    add_text("--machine", options.machine);
    add_text("--cpu", options.cpu);
    add_text("--kernel", options.kernel);
    add_text("--initrd", options.initrd);
    add_text("--bios", options.bios);
    if (options.append) add("--append", *options.append);
    if (options.memory) add("--memory", fmt::format("{}K", *options.memory / 1024));
    if (options.cpus) add("--cpus", std::to_string(*options.cpus));
    for (const auto& disk : options.disks) add("--disk", disk_argument(disk));
    if (options.nets && options.nets->empty()) add("--net", "none");
    if (options.nets)
        for (const auto& net : *options.nets) add("--net", net.text);
    for (const auto& share : options.shares)
        add("--share", fmt::format("{}:{}:{}", share.folder, share.tag, share.read_only == OnOff::on ? "ro" : "rw"));
    for (const auto& device : options.devices) add("--device", device.text);
    if (options.deterministic == OnOff::on) arguments.emplace_back("--deterministic");
    if (options.seed) add("--seed", std::to_string(*options.seed));
    if (options.parallel_harts == OnOff::on) add("--harts", "parallel");
    return arguments;
}

Result<MachineOptions> parse_machine_arguments(std::span<const std::string> arguments) {
    CommandLine line("machine", "");
    MachineArguments machine;
    machine.declare(line);
    TRY(line.parse(arguments));
    return machine.convert("machine");
}

}  // namespace viv::native
