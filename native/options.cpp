// The verbs and their options. See options.h; the machine's own options are in machine_options.cpp, the topics of `viv
// help` in help.cpp.
#include "native/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "native/help.h"
#include "native/machine_options.h"
#include "native/published.h"
#include "native/values.h"

namespace viv::native {

namespace {

using Arguments = std::span<const std::string>;

OnOff on_off(bool on) { return on ? OnOff::on : OnOff::off; }

Result<std::optional<Endpoint>> convert_endpoint(std::string_view option, const std::optional<std::string>& text,
                                                 EndpointUse use) {
    if (!text) return std::optional<Endpoint>();
    TRY_SET(auto endpoint, parse_endpoint(option, *text, use));
    return std::optional<Endpoint>(std::move(endpoint));
}

Result<std::optional<u64>> convert_seconds(std::string_view option, const std::optional<std::string>& text) {
    if (!text) return std::optional<u64>();
    TRY_SET(const u64 nanoseconds, parse_seconds(option, *text));
    return std::optional<u64>(nanoseconds);
}

// A monitor and its like, as options.
struct ControlArguments {
    std::optional<std::string> qmp, gdb;

    void declare(CommandLine& line) {
        line.value("--qmp", qmp, "WHERE", "QMP monitor: tcp:HOST:PORT, unix:PATH or stdio");
        line.value("--gdb", gdb, "WHERE", "gdb stub: [tcp:]HOST:PORT, unix:PATH or stdio");
    }
};

class RunArguments {
public:
    void declare(CommandLine& line) {
        machine_.declare(line);
        line.group("Connections");
        line.values("--serial", serials_, "WHERE",
                    "A serial port's other end: stdio, null, file:F, tcp:HOST:PORT[,server], unix:PATH[,server] "
                    "(default stdio)");
        line.value("--monitor", monitor_, "WHERE", "Monitor with a prompt: stdio, tcp:HOST:PORT or unix:PATH");
        line.value("--vnc", vnc_, "WHERE",
                   "The display for a VNC viewer: [tcp:]HOST:PORT or unix:PATH; plugs in a display, a keyboard and a "
                   "tablet if there is no display");
        control_.declare(line);
        line.group("Course");
        line.flag("--paused", paused_, "Wait for a debugger or monitor before the first instruction");
        line.flag("--no-reboot", no_reboot_, "A reset ends the run as a power-off does");
        line.value("--timeout", timeout_, "SECONDS", "End after this time, with exit code 124");
        line.value("--max-instructions", maximum_, "N", "End after N instructions since power-on");
        line.flag("--print-hash", print_hash_, "Print the hash of the machine's state at the end");
        line.value("--save-at-end", save_, "FILE", "Save the machine at the end (unless the guest has powered off)");
        line.value("--restore", restore_, "FILE",
                   "Go on with a saved machine: a file, a published folder, or a URL of either");
        line.value("--snapshots", snapshots_, "DIR",
                   "Keep the machine's points there (savevm, viv snapshot); made if missing");
        line.value("--loadvm", point_, "NAME", "Start from this point of --snapshots, disks included");
        line.flag("--verbose", verbose_, "Say more on standard error");
    }

    Result<RunOptions> convert() const {
        RunOptions options;
        TRY_SET(options.machine, machine_.convert("run"));
        for (const auto& text : serials_) {
            TRY_SET(auto endpoint, parse_endpoint("--serial", text, EndpointUse::serial));
            options.serials.push_back(std::move(endpoint));
        }
        TRY_SET(options.monitor, convert_endpoint("--monitor", monitor_, EndpointUse::monitor));
        TRY_SET(options.vnc, convert_endpoint("--vnc", vnc_, EndpointUse::viewer));
        options.machine.display = on_off(options.vnc.has_value());
        TRY_SET(options.qmp, convert_endpoint("--qmp", control_.qmp, EndpointUse::monitor));
        TRY_SET(options.gdb, convert_endpoint("--gdb", control_.gdb, EndpointUse::debugger));
        options.paused = on_off(paused_);
        options.no_reboot = on_off(no_reboot_);
        TRY_SET(options.timeout_ns, convert_seconds("--timeout", timeout_));
        if (maximum_) {
            TRY_SET(options.maximum_instructions, parse_count("--max-instructions", *maximum_, 1, ~u64{0}));
        }
        options.print_hash = on_off(print_hash_);
        options.save_at_end = save_.value_or("");
        options.restore = restore_.value_or("");
        options.snapshots = snapshots_.value_or("");
        options.point = point_.value_or("");
        options.verbose = on_off(verbose_);
        TRY(check_machine(options));
        TRY(check_standard_streams(options));
        return options;
    }

private:
    Result<void> check_machine(const RunOptions& options) const {
        if (save_ && save_->empty()) return Error{"--save-at-end: the name of a file is missing"};
        if (restore_ && restore_->empty()) return Error{"--restore: the name of a file is missing"};
        if (snapshots_ && snapshots_->empty()) return Error{"--snapshots: the name of a folder is missing"};
        if (point_ && point_->empty()) return Error{"--loadvm: the name of a point is missing"};
        if (point_ && !snapshots_)
            return Error{fmt::format("--loadvm {}: needs --snapshots, the folder of points", *point_)};
        if (point_ && restore_) return Error{"--loadvm: cannot be given with --restore: each is a whole machine"};
        const auto& machine = options.machine;
        // A point may be gone to in a machine that is described as it was when it was made, or be its description.
        const bool described = !machine.guest.empty() || !machine.kernel.empty() || !machine.bios.empty();
        if (!restore_ && (!point_ || described)) {
            if (machine.guest.empty() && machine.kernel.empty() && machine.bios.empty())
                return Error{"run: nothing to boot; name a guest (viv list guests), or give --kernel or --bios"};
            return {};
        }
        // A saved machine is what it was: only what hangs on the host can be said anew.
        constexpr std::pair<const char*, std::string MachineOptions::*> texts[] = {
            {"GUEST", &MachineOptions::guest},     {"--machine", &MachineOptions::machine},
            {"--cpu", &MachineOptions::cpu},       {"--kernel", &MachineOptions::kernel},
            {"--initrd", &MachineOptions::initrd}, {"--bios", &MachineOptions::bios}};
        std::string given;
        for (const auto& [name, field] : texts)
            if (!(machine.*field).empty()) given = name;
        if (machine.append) given = "--append";
        if (machine.memory) given = "--memory";
        if (machine.cpus) given = "--cpus";
        if (machine.deterministic == OnOff::on) given = "--deterministic";
        if (!given.empty())
            return Error{fmt::format("{}: cannot be given with {}: the saved machine has its own", given,
                                     restore_ ? "--restore" : "--loadvm alone")};
        return {};
    }

    static Result<void> check_standard_streams(const RunOptions& options) {
        std::vector<std::string> users;
        for (const auto& serial : options.serials)
            if (serial.kind == Endpoint::Kind::stdio) users.emplace_back("--serial");
        const auto add = [&](const char* name, const std::optional<Endpoint>& endpoint) {
            if (endpoint && endpoint->kind == Endpoint::Kind::stdio) users.emplace_back(name);
        };
        add("--monitor", options.monitor);
        add("--qmp", options.qmp);
        add("--gdb", options.gdb);
        if (users.size() < 2) return {};
        return Error{fmt::format("{} stdio and {} stdio: standard input can serve one only{}", users[0], users[1],
                                 users[1] == "--monitor" ? "; on a terminal Ctrl-A c reaches a monitor anyway" : "")};
    }

    MachineArguments machine_;
    ControlArguments control_;
    std::vector<std::string> serials_;
    std::optional<std::string> monitor_, vnc_, timeout_, maximum_, save_, restore_, snapshots_, point_;
    bool paused_ = false, no_reboot_ = false, print_hash_ = false, verbose_ = false;
};

Result<CopyOption> parse_copy(std::string_view option, std::string_view text, std::string_view form) {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size())
        return Error{fmt::format("{} {}: {} is needed", option, text, form)};
    if (text.find(':', colon + 1) != std::string_view::npos)
        return Error{fmt::format("{} {}: more than one colon; a path with a colon cannot be given, but its folder can",
                                 option, text)};
    return CopyOption{std::string(text.substr(0, colon)), std::string(text.substr(colon + 1))};
}

// What a command in a guest needs, as options.
struct CommandArguments {
    std::vector<std::string> copy_in, environment;
    std::optional<std::string> folder;

    void declare(CommandLine& line) {
        line.values("--copy-in", copy_in, "HOST:GUEST", "Copy a file or folder into the guest before the command");
        line.values("--env", environment, "NAME=VALUE", "A variable of the command's environment");
        line.value("--cwd", folder, "DIR", "The folder in the guest to run it in");
    }
    template <class Options>
    Result<void> convert(Options& options) const {
        for (const auto& text : copy_in) {
            TRY_SET(auto copy, parse_copy("--copy-in", text, "HOST:GUEST"));
            options.copy_in.push_back(std::move(copy));
        }
        for (const auto& text : environment)
            if (text.find('=') == std::string::npos || text.front() == '=')
                return Error{fmt::format("--env {}: NAME=VALUE is needed", text)};
        options.environment = environment;
        options.folder = folder.value_or("");
        return {};
    }
};

class ExecArguments {
public:
    void declare(CommandLine& line) {
        machine_.declare(line);
        line.group("Command");
        line.value("--timeout", timeout_, "SECONDS", "End after this time, boot included, with exit code 124");
        command_.declare(line);
        line.values("--copy-out", copy_out_, "GUEST:HOST", "Copy a file or folder out of the guest after the command");
        line.flag("--tty", terminal_, "Give the command a terminal");
        line.group("Connections");
        control_.declare(line);
        line.flag("--verbose", verbose_, "Show the guest's console on standard error");
    }

    Result<ExecOptions> convert(Arguments command) const {
        ExecOptions options;
        TRY_SET(options.machine, machine_.convert("exec"));
        if (options.machine.guest.empty())
            return Error{"exec: the name of a guest is missing, as in viv exec linux-riscv64 -- uname -a"};
        TRY_SET(options.timeout_ns, convert_seconds("--timeout", timeout_));
        TRY(command_.convert(options));
        for (const auto& text : copy_out_) {
            TRY_SET(auto copy, parse_copy("--copy-out", text, "GUEST:HOST"));
            options.copy_out.push_back(std::move(copy));
        }
        options.terminal = on_off(terminal_);
        TRY_SET(options.qmp, convert_endpoint("--qmp", control_.qmp, EndpointUse::monitor));
        TRY_SET(options.gdb, convert_endpoint("--gdb", control_.gdb, EndpointUse::debugger));
        for (const auto* endpoint : {&options.qmp, &options.gdb})
            if (*endpoint && (*endpoint)->kind == Endpoint::Kind::stdio)
                return Error{fmt::format("{} stdio: standard input belongs to the command; give tcp: or unix:",
                                         endpoint == &options.qmp ? "--qmp" : "--gdb")};
        options.verbose = on_off(verbose_);
        options.command.assign(command.begin(), command.end());
        return options;
    }

private:
    MachineArguments machine_;
    ControlArguments control_;
    CommandArguments command_;
    std::optional<std::string> timeout_;
    std::vector<std::string> copy_out_;
    bool terminal_ = false, verbose_ = false;
};

class LockstepArguments {
public:
    void declare(CommandLine& line) {
        machine_.declare(line);
        line.group("Comparison");
        line.value("--tiers", tiers_, "TIER,TIER",
                   fmt::format("What the two machines run with, of {} (default: off and the best that this host has)",
                               fmt::join(jit_names, ", ")));
        line.value("--every", every_, "N", "Compare all but memory each N instructions (default 1M)");
        line.value("--memory-every", memory_every_, "N", "Compare memory too, each N comparisons (default 256)");
        line.value("--max-instructions", maximum_, "N", "End after N instructions, as in 2G");
        line.group("Input");
        line.value("--input", input_, "FILE",
                   "Type this file (- for standard input) into the console, or give it to the command (default: none)");
        command_.declare(line);
        line.flag("--verbose", verbose_, "Show the guest's console on standard error");
    }

    Result<LockstepOptions> convert(Arguments command) {
        LockstepOptions options;
        machine_.be_deterministic();
        TRY_SET(options.machine, machine_.convert("lockstep"));
        const auto& machine = options.machine;
        if (machine.guest.empty() && machine.kernel.empty() && machine.bios.empty())
            return Error{"lockstep: nothing to boot; name a guest (viv list guests), or give --kernel or --bios"};
        if (machine_.jit_given()) return Error{"--jit: two tiers are needed here, as in --tiers off,quick"};
        for (const auto& share : machine.shares) TRY(check_share("--share " + share.folder + ":" + share.tag, share));
        for (const auto& device : machine.devices)
            if (device.share) TRY(check_share("--device " + device.text, *device.share));
        options.tiers = {Jit::off, static_cast<Jit>(jit_names.size() - 1)};
        if (tiers_) {
            const auto comma = tiers_->find(',');
            if (comma == std::string::npos)
                return Error{fmt::format("--tiers {}: two of them are needed, as in --tiers off,quick", *tiers_)};
            TRY_SET(options.tiers[0], parse_jit("--tiers", tiers_->substr(0, comma)));
            TRY_SET(options.tiers[1], parse_jit("--tiers", tiers_->substr(comma + 1)));
        }
        TRY(number("--every", every_, options.every));
        TRY(number("--memory-every", memory_every_, options.memory_every));
        TRY(number("--max-instructions", maximum_, options.maximum));
        if (input_ && input_->empty()) return Error{"--input: the name of a file is missing"};
        options.input = input_.value_or("");
        TRY(command_.convert(options));
        if (command.empty() && !(options.copy_in.empty() && options.environment.empty() && options.folder.empty()))
            return Error{"lockstep: --copy-in, --env and --cwd need a command, which follows two dashes"};
        if (!command.empty() && machine.guest.empty())
            return Error{"lockstep: a command needs a guest, as in viv lockstep linux-riscv64 -- uname -a"};
        options.command.assign(command.begin(), command.end());
        options.verbose = on_off(verbose_);
        return options;
    }

private:
    // What one machine changes the other would see.
    static Result<void> check_share(const std::string& name, const ShareOption& share) {
        if (share.read_only == OnOff::on) return {};
        return Error{fmt::format("{}: two machines cannot both write there; share it read-only ({})", name,
                                 name.starts_with("--share") ? ":ro" : "readonly=on")};
    }
    static Result<void> number(const char* option, const std::optional<std::string>& text, u64& into) {
        if (!text) return {};
        TRY_SET(into, parse_instructions(option, *text));
        return {};
    }

    MachineArguments machine_;
    CommandArguments command_;
    std::optional<std::string> tiers_, every_, memory_every_, maximum_, input_;
    bool verbose_ = false;
};

// Parses `arguments` with `line`; the help text if that was asked for.
Result<std::optional<HelpOptions>> parse(CommandLine& line, Arguments arguments) {
    TRY_SET(const auto parsed, line.parse(arguments));
    if (parsed == CommandLine::Parsed::help_asked) return std::optional<HelpOptions>(HelpOptions{line.help()});
    return std::optional<HelpOptions>();
}

Result<Command> parse_run(Arguments arguments) {
    CommandLine line("run", "Boots a guest of the catalogue, or a kernel or firmware of yours.");
    RunArguments run;
    run.declare(line);
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    TRY_SET(auto options, run.convert());
    return Command(std::move(options));
}

Result<Command> parse_exec(Arguments arguments) {
    CommandLine line("exec",
                     "Boots a guest, runs a command in it, and ends with the command's exit code:\n"
                     "viv exec [options] GUEST -- COMMAND [ARGUMENTS]");
    ExecArguments exec;
    exec.declare(line);
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    const auto before = arguments.first(static_cast<usize>(dashes - arguments.begin()));
    TRY_SET(auto help, parse(line, before));
    if (help) return Command(std::move(*help));
    if (dashes == arguments.end() || dashes + 1 == arguments.end())
        return Error{"exec: the command is missing; it follows two dashes, as in viv exec linux-riscv64 -- uname -a"};
    TRY_SET(auto options, exec.convert(arguments.subspan(before.size() + 1)));
    return Command(std::move(options));
}

Result<Command> parse_lockstep(Arguments arguments) {
    CommandLine line("lockstep",
                     "Runs a machine twice at once, with two tiers, and compares the two. Exit code 0: no difference;\n"
                     "1: a difference, which is shown; 125: the guest did not get as far as its command.\n"
                     "viv lockstep [options] [GUEST] [-- COMMAND [ARGUMENTS]]");
    LockstepArguments lockstep;
    lockstep.declare(line);
    const auto dashes = std::find(arguments.begin(), arguments.end(), "--");
    const auto before = arguments.first(static_cast<usize>(dashes - arguments.begin()));
    TRY_SET(auto help, parse(line, before));
    if (help) return Command(std::move(*help));
    if (dashes != arguments.end() && dashes + 1 == arguments.end())
        return Error{"lockstep: the command is missing; it follows two dashes, as in viv lockstep GUEST -- uname -a"};
    const auto behind = dashes == arguments.end() ? Arguments() : arguments.subspan(before.size() + 1);
    TRY_SET(auto options, lockstep.convert(behind));
    return Command(std::move(options));
}

Result<Command> parse_save(Arguments arguments) {
    CommandLine line("save",
                     "Saves the machine of a running viv to a file, for `viv run --restore`.\n"
                     "That viv must have been started with --qmp.");
    std::optional<std::string> from, file;
    line.positional("FILE", file, "The file to write");
    line.value("--from", from, "WHERE", "The running viv's --qmp: tcp:HOST:PORT or unix:PATH");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    if (!file || file->empty())
        return Error{"save: the name of a file is missing, as in viv save --from unix:vm.sock vm.saved"};
    if (!from)
        return Error{"save: --from is missing: the running viv's --qmp, as in viv save --from unix:vm.sock vm.saved"};
    TRY_SET(auto endpoint, parse_endpoint("--from", *from, EndpointUse::running_viv));
    return Command(SaveOptions{std::move(endpoint), *file});
}

Result<Command> parse_snapshot(Arguments arguments) {
    CommandLine line("snapshot",
                     "The points of a machine: moments of it and of its disks to which it can be put back.\n"
                     "viv snapshot create  --from WHERE NAME     keeps this moment of a running machine\n"
                     "viv snapshot restore --from WHERE NAME     puts it back to a point\n"
                     "viv snapshot delete  --from WHERE NAME     or --in DIR NAME [--disk FILE]\n"
                     "viv snapshot list    --from WHERE [--json] or --in DIR [--json]\n"
                     "That viv must have been started with --qmp WHERE --snapshots DIR.");
    std::optional<std::string> what, name, from, folder;
    SnapshotOptions options;
    bool json = false;
    line.positional("WHAT", what, "create, restore, delete or list");
    line.positional("NAME", name, "The point");
    line.value("--from", from, "WHERE", "The running viv's --qmp: tcp:HOST:PORT or unix:PATH");
    line.value("--in", folder, "DIR", "The folder of the points, while no viv uses it");
    line.values("--disk", options.disks, "FILE", "With delete --in: an image whose snapshot of this name goes too");
    line.flag("--json", json, "With list: as JSON");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    constexpr std::array<std::string_view, 4> names{"create", "restore", "delete", "list"};
    const auto found = std::find(names.begin(), names.end(), what.value_or(""));
    if (found == names.end())
        return Error{
            what ? fmt::format("snapshot {}: there are {}{}", *what, fmt::join(names, ", "), suggestion(*what, names))
                 : fmt::format("snapshot: what? {}", fmt::join(names, ", "))};
    using What = SnapshotOptions::What;
    options.what = static_cast<What>(found - names.begin());
    const auto verb = fmt::format("snapshot {}", *found);
    if (options.what == What::list && name) return Error{fmt::format("{}: one word too many: {}", verb, *name)};
    if (options.what != What::list && (!name || name->empty()))
        return Error{fmt::format("{}: the name of a point is missing, as in viv {} --from unix:vm.sock before-upgrade",
                                 verb, verb)};
    const bool in_folder = options.what == What::list || options.what == What::remove;
    if (folder && !in_folder)
        return Error{fmt::format("{}: --in: only a running machine can do that; give --from{}", verb,
                                 options.what == What::restore ? ", or start it by viv run --loadvm" : "")};
    if (from.has_value() == folder.has_value())
        return Error{fmt::format("{}: {}: --from, the running viv's --qmp{}", verb,
                                 from ? "one of the two is needed" : "this is missing",
                                 in_folder ? ", or --in, the folder of the points" : "")};
    if (folder && folder->empty()) return Error{"--in: the name of a folder is missing"};
    if (!options.disks.empty() && (options.what != What::remove || !folder))
        return Error{fmt::format("{}: --disk: has a meaning only with delete --in", verb)};
    if (json && options.what != What::list) return Error{fmt::format("{}: --json: has a meaning only with list", verb)};
    if (from) {
        TRY_SET(options.from, parse_endpoint("--from", *from, EndpointUse::running_viv));
    }
    options.folder = folder.value_or("");
    options.name = name.value_or("");
    options.json = on_off(json);
    return Command(std::move(options));
}

Result<Command> parse_publish(Arguments arguments) {
    CommandLine line("publish",
                     "Makes a folder of a saved machine that any web server can offer: viv run --restore URL opens it\n"
                     "and fetches what the guest touches. Machines in one folder share what they have in common.");
    std::optional<std::string> from, folder, name, typed;
    bool no_rehearsal = false;
    line.positional("FILE", from, "The saved machine");
    line.positional("DIR", folder, "The folder; made if it is missing");
    line.value("--name", name, "NAME", "What the machine is called there: DIR/NAME.viv (default: machine)");
    line.value("--type", typed, "LINE",
               "What its first users will type: the machine is opened once here to find out what it needs for that,\n"
               "which goes into DIR/NAME.first (default: Enter alone)");
    line.flag("--no-rehearsal", no_rehearsal, "Do not open it");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    if (!from || from->empty() || !folder || folder->empty())
        return Error{"publish: a saved machine and a folder are needed, as in viv publish vm.saved public/vm"};
    if (no_rehearsal && typed) return Error{"publish: --type is for the rehearsal, which --no-rehearsal leaves out"};
    PublishOptions options{*from, *folder, name.value_or(std::string(usual_published_name)), on_off(!no_rehearsal),
                           typed.value_or("")};
    const auto good = [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    };
    if (options.name.empty() || options.name.front() == '.' ||
        !std::all_of(options.name.begin(), options.name.end(), good))
        return Error{fmt::format("publish: --name {}: letters, digits, '-', '_' and '.' make a name", options.name)};
    return Command(std::move(options));
}

Result<Command> parse_lab(Arguments arguments) {
    CommandLine line(
        "lab",
        "Starts the machines, switches and links that a file describes, and stops them together. Lines of standard\n"
        "input go to the machines: h1 ping -c 3 h2");
    std::optional<std::string> file, logs, timeout;
    bool check = false, test = false, no_input = false;
    line.positional("FILE", file, "The lab, in TOML (site/guide/labs.md)");
    line.flag("--check", check, "Only say whether the file is right");
    line.flag("--test", test, "Run its tests, and end; the exit code says whether all have passed");
    line.flag("--no-input", no_input, "Leave standard input alone: the lab ends by a signal");
    line.value("--logs", logs, "DIR", "Keep the machines' consoles there, as MACHINE.log; made if missing");
    line.value("--timeout", timeout, "SECONDS", "End after this time, with exit code 124");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    if (!file || file->empty()) return Error{"lab: a file is missing, as in viv lab router.toml"};
    if (logs && logs->empty()) return Error{"--logs: the name of a folder is missing"};
    if (test && check) return Error{"lab: --check starts nothing; --test would have to"};
    LabOptions options{*file, logs.value_or(""), on_off(check), on_off(test), on_off(!no_input), {}};
    TRY_SET(options.timeout_ns, convert_seconds("--timeout", timeout));
    return Command(std::move(options));
}

Result<Command> parse_list(Arguments arguments) {
    CommandLine line("list", "Lists the boards, the guests of the catalogue or the devices.");
    std::optional<std::string> what;
    line.positional("WHAT", what, "machines, guests or devices");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    constexpr std::string_view names[] = {"machines", "guests", "devices"};
    const auto found = std::find(std::begin(names), std::end(names), what.value_or(""));
    if (found == std::end(names))
        return Error{
            what ? fmt::format("list {}: there are machines, guests and devices{}", *what, suggestion(*what, names))
                 : "list: what? machines, guests or devices"};
    return Command(ListOptions{static_cast<ListOptions::What>(found - std::begin(names))});
}

Result<Command> parse_info(Arguments arguments) {
    CommandLine line("info",
                     "Shows what viv knows of this host, or what a running viv tells of its machine:\n"
                     "viv info host\n"
                     "viv info jit --from unix:vm.sock     of one that was started with --qmp unix:vm.sock");
    std::optional<std::string> what, from, most;
    InfoOptions options;
    bool json = false;
    line.positional("WHAT", what, "host, or jit: translated code, and where the time goes in it");
    line.group("With jit");
    line.value("--from", from, "WHERE", "The running viv's --qmp: tcp:HOST:PORT or unix:PATH");
    line.value("--most", most, "N", fmt::format("So many translations of each CPU (default {})", options.most));
    line.flag("--json", json, "The answer of QMP's query-jit, as it is");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    const auto found = std::find(info_names.begin(), info_names.end(), what.value_or(""));
    if (found == info_names.end())
        return Error{what ? fmt::format("info {}: there are {}{}", *what, fmt::join(info_names, " and "),
                                        suggestion(*what, info_names))
                          : fmt::format("info: what? {}", fmt::join(info_names, " or "))};
    options.what = static_cast<InfoOptions::What>(found - info_names.begin());
    if (options.what == InfoOptions::What::host) {
        if (from || most || json)
            return Error{fmt::format("info host: {} has a meaning only with info jit", from   ? "--from"
                                                                                       : most ? "--most"
                                                                                              : "--json")};
        return Command(std::move(options));
    }
    if (!from)
        return Error{
            "info jit: --from is missing; start a machine with viv run GUEST --qmp unix:vm.sock, and ask it "
            "with viv info jit --from unix:vm.sock"};
    TRY_SET(options.from, parse_endpoint("--from", *from, EndpointUse::running_viv));
    if (most) {
        TRY_SET(options.most, parse_count("--most", *most, 0, HottestLimit::maximum));
    }
    options.json = on_off(json);
    return Command(std::move(options));
}

Result<Command> parse_version(Arguments arguments) {
    CommandLine line("version", "Prints the version.");
    TRY_SET(auto help, parse(line, arguments));
    if (help) return Command(std::move(*help));
    return Command(VersionOptions{});
}

Result<Command> parse_help(Arguments arguments);

struct Verb {
    std::string_view name;
    Result<Command> (*parse)(Arguments);
};
constexpr Verb verbs[] = {{"run", parse_run},         {"exec", parse_exec},         {"lockstep", parse_lockstep},
                          {"save", parse_save},       {"snapshot", parse_snapshot}, {"publish", parse_publish},
                          {"lab", parse_lab},         {"list", parse_list},         {"info", parse_info},
                          {"version", parse_version}, {"help", parse_help}};

const Verb* find_verb(std::string_view name) {
    const auto found =
        std::find_if(std::begin(verbs), std::end(verbs), [&](const Verb& verb) { return verb.name == name; });
    return found == std::end(verbs) ? nullptr : found;
}

Result<Command> parse_help(Arguments arguments) {
    if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") return Command(HelpOptions{overview()});
    if (arguments.size() > 1) return Error{fmt::format("help: one word too many: {}", arguments[1])};
    const auto& topic = arguments[0];
    if (const Verb* verb = find_verb(topic); verb != nullptr && topic != "help") {
        const std::vector<std::string> ask = {"--help"};
        return verb->parse(Arguments(ask));
    }
    if (auto text = help_topic(topic); !text.empty()) return Command(HelpOptions{std::move(text)});
    auto names = help_topic_names();
    for (const auto& verb : verbs) names.push_back(verb.name);
    return Error{fmt::format("help {}: is no topic; viv help lists them{}", topic, suggestion(topic, names))};
}

}  // namespace

Result<Command> parse_command_line(std::span<const std::string> arguments) {
    if (arguments.empty()) return Error{"a command is missing, as in viv run linux-riscv64; viv help lists them"};
    const auto& first = arguments[0];
    if (first == "--help" || first == "-h") return parse_help({});
    if (first == "--version") return parse_version({});
    if (const Verb* verb = find_verb(first); verb != nullptr) return verb->parse(arguments.subspan(1));
    std::vector<std::string_view> names;
    for (const auto& verb : verbs) names.push_back(verb.name);
    if (first.starts_with('-'))
        return Error{fmt::format("{}: an option before the command; write viv run {} ...", first, first)};
    return Error{
        fmt::format("{}: is no command; there are {}{}", first, fmt::join(names, ", "), suggestion(first, names))};
}

}  // namespace viv::native
