// The run: machines made, stepped, typed at; progress and result. See lockstep.h.
#include "native/lockstep.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "native/launch.h"
#include "native/lockstep_input.h"
#include "native/lockstep_report.h"
#include "native/session.h"

namespace viv::native {

namespace {

using lockstep::Side;
using At = lockstep::Twins::At;

constexpr u64 input_limit = u64{64} << 20;
constexpr u64 progress_ns = 250'000'000;

void write_all(int descriptor, std::span<const u8> bytes) {
    while (!bytes.empty()) {
        const ssize_t count = write(descriptor, bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return;  // whoever closed it does not want it
        bytes = bytes.subspan(static_cast<usize>(count));
    }
}
void write_all(int descriptor, std::string_view text) {
    write_all(descriptor, {reinterpret_cast<const u8*>(text.data()), text.size()});
}

Result<std::vector<u8>> read_input(const std::string& path) {
    std::vector<u8> content;
    if (path.empty()) return content;
    const bool standard = path == "-";
    const Descriptor file(standard ? dup(STDIN_FILENO) : open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return Error{fmt::format("--input {}: {}", path, error_text(errno))};
    while (true) {
        u8 buffer[65536];
        const ssize_t count = read(file.number(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return Error{fmt::format("--input {}: cannot read: {}", path, error_text(errno))};
        if (count == 0) return content;
        content.insert(content.end(), buffer, buffer + count);
        if (content.size() > input_limit)
            return Error{fmt::format("--input {}: is longer than {} MiB", path, input_limit >> 20)};
    }
}

// A line on the terminal that is overwritten; nothing where there is no terminal.
class Progress {
public:
    void show(const std::string& text) {
        if (!terminal_) return;
        write_all(STDERR_FILENO, "\r\033[K" + text);
        shown_ = true;
    }
    // Before anything else is written.
    void clear() {
        if (std::exchange(shown_, false)) write_all(STDERR_FILENO, "\r\033[K");
    }

private:
    bool terminal_ = isatty(STDERR_FILENO) == 1;
    bool shown_ = false;
};

class Machines final : public lockstep::Maker {
public:
    Machines(const LockstepOptions& options, const GuestCatalog& catalog)
        : options_(options),
          catalog_(catalog),
          host_(options.verbose == OnOff::on ? LogLevel::debug : LogLevel::error) {
        // Two machines cannot write one disk.
        for (auto& disk : options_.machine.disks) keep_in_memory(disk);
        for (auto& device : options_.machine.devices)
            if (device.disk) keep_in_memory(*device.disk);
    }

    // What depends on more than the command line.
    Result<void> check() {
        for (const Jit tier : options_.tiers)
            if (tier != Jit::off && !translates(&host_.code_memory))
                return Error{fmt::format(
                    "lockstep: this host's processor has no translator, so {} cannot be compared with {} here",
                    jit_names[static_cast<usize>(options_.tiers[0])],
                    jit_names[static_cast<usize>(options_.tiers[1])])};
        return check_machine(options_.machine);
    }

    Result<Launch> prepare() {
        const auto purpose = options_.command.empty() ? Purpose::console : Purpose::exec;
        TRY_SET(auto launch, prepare_launch(options_.machine, catalog_, purpose, ""));
        if (launch.guest)
            for (auto& disk : launch.guest->disks) {
                disk.writes = Guest::Disk::Writes::discard;
                writable_disk_ = true;
            }
        agent_port_ = launch.guest && !options_.command.empty() ? launch.guest->exec_port : std::string();
        ready_ = launch.guest ? launch.guest->console_ready : std::string();
        return launch;
    }
    // After prepare(): checkpoints do not hold what is written to disks.
    bool writable_disk() const { return writable_disk_; }
    const std::string& console_ready() const { return ready_; }
    HostServices& host() { return host_; }

    unsigned ports() const override { return options_.command.empty() ? 1 : 2; }
    Result<std::unique_ptr<Machine>> make(Side side, std::span<lockstep::Port> ports) override {
        TRY_SET(auto launch, prepare());
        launch.config.board.jit = options_.tiers[static_cast<usize>(side)];
        Connections connections;
        connections.serials.push_back(&ports[lockstep_console]);
        if (!agent_port_.empty()) {
            connections.agent = &ports[lockstep_agent];
            connections.agent_port = agent_port_;
        }
        return make_machine(std::move(launch), connections, host_);
    }
    ByteDevice* device(Machine& machine, unsigned port) override {
        return port == lockstep_console ? machine.board().serial(0) : machine.board().console_port(agent_port_);
    }

private:
    void keep_in_memory(DiskOption& disk) {
        if (disk.read_only == OnOff::on) return;
        disk.snapshot = OnOff::on;
        writable_disk_ = true;
    }

    LockstepOptions options_;
    const GuestCatalog& catalog_;
    HostServices host_;
    std::string agent_port_, ready_;
    bool writable_disk_ = false;
};

class Run {
public:
    explicit Run(const LockstepOptions& options)
        : options_(options),
          catalog_(GuestCatalog::of_this_user()),
          machines_(options, catalog_),
          names_{std::string(jit_names[static_cast<usize>(options.tiers[0])]),
                 std::string(jit_names[static_cast<usize>(options.tiers[1])])} {}

    int execute();

private:
    Result<void> prepare();
    Result<bool> live();  // whether they stayed alike
    Result<bool> step();
    void show_output();
    void show_progress();
    int difference();
    u64 now_ns() { return machines_.host().clock.monotonic_ns(); }

    const LockstepOptions& options_;
    GuestCatalog catalog_;
    Machines machines_;
    std::array<std::string, 2> names_;
    std::optional<lockstep::Lockstep> run_;
    std::unique_ptr<LockstepInput> input_;
    Progress progress_;
    At at_ = At::stop;
    u64 started_ns_ = 0, shown_ns_ = 0;
};

Result<void> Run::prepare() {
    TRY_SET(auto input, read_input(options_.input));
    if (!options_.command.empty()) TRY(CommandInput::check(options_));
    TRY(machines_.prepare());
    lockstep::Settings settings;
    settings.every = options_.every;
    settings.memory_every = options_.memory_every;
    settings.maximum = options_.maximum;
    if (machines_.writable_disk()) settings.checkpoints = lockstep::Settings::Checkpoints::none;
    run_.emplace(machines_, settings);
    TRY(run_->power_on());
    if (options_.command.empty()) {
        input_ = std::make_unique<ConsoleInput>(std::move(input), machines_.console_ready());
        return {};
    }
    input_ = std::make_unique<CommandInput>(
        options_, std::move(input), [this](AgentProcess::Stream stream, std::span<const u8> bytes) {
            if (!bytes.empty()) progress_.clear();
            write_all(stream == AgentProcess::Stream::out ? STDOUT_FILENO : STDERR_FILENO, bytes);
        });
    return {};
}

void Run::show_output() {
    const auto output = run_->output(lockstep_console);
    if (output.empty() || options_.verbose == OnOff::off) return;
    progress_.clear();
    write_all(STDERR_FILENO, output);
}

void Run::show_progress() {
    const u64 now = now_ns();
    if (now - shown_ns_ < progress_ns) return;
    shown_ns_ = now;
    const double millions = static_cast<double>(run_->machine().instructions()) / 1e6;
    progress_.show(fmt::format(
        "lockstep {},{}: {:.0f} million instructions, {:.1f} million a second, {} comparisons", names_[0], names_[1],
        millions, millions * 1e9 / static_cast<double>(std::max<u64>(now - started_ns_, 1)), run_->comparisons()));
}

Result<bool> Run::step() {
    TRY_SET(const auto step, run_->step());
    at_ = step.at;
    show_output();
    show_progress();
    return step.alike;
}

Result<bool> Run::live() {
    started_ns_ = shown_ns_ = now_ns();
    while (true) {
        TRY_SET(const bool alike, step());
        if (!alike) return false;
        if (input_->stopped(*run_, at_) == LockstepInput::Next::end) break;
    }
    if (at_ == At::cut || at_ == At::ended) return true;  // the step has compared memory
    return run_->same_memory();
}

int Run::difference() {
    const auto found = run_->search([this](u64 alike, u64 differs) {
        progress_.show(fmt::format("lockstep {},{}: they part between {} and {} instructions", names_[0], names_[1],
                                   alike, differs));
    });
    progress_.clear();
    if (!found.ok()) return complain(Error{"lockstep: they differ, but: " + found.error().message}, exit_failed);
    write_all(STDOUT_FILENO, difference_text(*found, names_, disassemble_with_objdump));
    return exit_failed;
}

int Run::execute() {
    if (auto good = machines_.check(); !good.ok()) return complain(good.error(), exit_bad_input);
    if (const int code = ensure_guest(catalog_, options_.machine.guest); code != 0)
        return code == exit_bad_input ? code : exit_exec_failed;
    if (auto prepared = prepare(); !prepared.ok()) return complain(prepared.error(), exit_bad_input);
    const auto alike = live();
    if (!alike.ok()) {
        progress_.clear();
        return complain(Error{"lockstep: " + alike.error().message}, exit_exec_failed);
    }
    if (!*alike) return difference();
    progress_.clear();
    const auto& machine = run_->machine();
    write_all(
        STDOUT_FILENO,
        fmt::format("lockstep: no difference between {} and {} in {} instructions ({} comparisons, {} of memory): "
                    "{}; state {}\n",
                    names_[0], names_[1], machine.instructions(), run_->comparisons(), run_->memory_comparisons(),
                    input_->outcome(), run_->machine().hash().hex()));
    if (const auto failure = input_->failure())
        return complain(Error{"lockstep: " + failure->message}, exit_exec_failed);
    return 0;
}

}  // namespace

int lockstep(const LockstepOptions& options) { return Run(options).execute(); }

}  // namespace viv::native
