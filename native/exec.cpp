// The stages of an exec: boot, copies in, the command, copies out, power-off. See exec.h.
#include "native/exec.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <deque>

#include "engine/lang/bytes.h"
#include "native/agent_copy.h"
#include "native/agent_port.h"
#include "native/exec_streams.h"
#include "native/session.h"
#include "native/terminal.h"

namespace viv::native {

namespace {

constexpr u64 second_ns = 1'000'000'000;
constexpr u64 boot_patience_ns = 300 * second_ns;
constexpr u64 power_off_patience_ns = 30 * second_ns;

class Exec {
public:
    explicit Exec(const ExecOptions& options)
        : options_(options),
          catalog_(GuestCatalog::of_this_user()),
          session_(options.verbose == OnOff::on ? LogLevel::debug : LogLevel::error, options.machine.guest) {}
    ~Exec() { session_.drop_machine(); }
    Exec(const Exec&) = delete;
    Exec& operator=(const Exec&) = delete;

    int execute();
    std::optional<int> signal() const { return signal_; }

private:
    enum class Stage : u8 { boot, copy_in, command, copy_out, power_off, over };

    Result<void> check() const;
    Result<void> prepare();
    std::unique_ptr<AgentProcess> make_process() const;
    void live();
    void step();
    void next_operation();
    void end_with_failure(const std::string& why);
    std::string console_end() const;
    void signalled(int signal);
    bool keeps_anything() const;
    AgentSession& agent() { return port_->session(); }

    const ExecOptions& options_;
    GuestCatalog catalog_;
    Session session_;
    std::unique_ptr<ConsoleTail> console_;
    std::unique_ptr<AgentPort> port_;
    std::vector<ControlEndpoint> controls_;
    std::unique_ptr<ExecStreams> streams_;
    std::unique_ptr<Signals> signals_;
    std::optional<Guest> guest_;
    std::unique_ptr<AgentOperation> operation_;
    AgentProcess* process_ = nullptr;  // operation_, while it is the command
    Stage stage_ = Stage::boot;
    usize copies_done_ = 0;
    int code_ = 0;
    u64 stage_start_ns_ = 0;
    bool interrupted_ = false;
    bool ended_early_ = false;
    std::optional<int> signal_;
};

Result<void> Exec::check() const {
    TRY(check_machine(options_.machine));
    for (const auto& copy : options_.copy_in) TRY(AgentUpload::check(copy.from));
    for (const auto& copy : options_.copy_out) TRY(AgentDownload::check(copy.from, copy.to));
    TRY(AgentProcess::check({options_.command, options_.environment, options_.folder, false, 0, 0}));
    return Session::check_controls(controls_);
}

Result<void> Exec::prepare() {
    TRY_SET(auto launch, prepare_launch(options_.machine, catalog_, Purpose::exec, ""));
    guest_ = launch.guest;
    PosixEntropy entropy;
    u8 nonce[4];
    entropy.fill(nonce);
    port_ = std::make_unique<AgentPort>(load_le<u32>(nonce) | 1);
    console_ = std::make_unique<ConsoleTail>(
        options_.verbose == OnOff::on ? ByteStream::standard(session_.events, -1, STDERR_FILENO) : nullptr);
    Connections connections;
    connections.networks = &session_.networks;
    connections.serials.push_back(console_.get());
    connections.agent = port_.get();
    connections.agent_port = guest_->exec_port;
    TRY_SET(auto machine, make_machine(std::move(launch), connections, session_.host));
    auto& board = machine->board();
    ByteDevice* device = board.console_port(guest_->exec_port);
    if (device == nullptr)
        return Error{fmt::format("exec: {} has no console port for the guest's agent", board.machine())};
    session_.adopt(std::move(machine));
    port_->attach(device);
    console_->attach(board.serial(0));
    session_.loop().add([this] { console_->service(); });
    session_.loop().add([this] {
        port_->service();
        if (process_ != nullptr) streams_->service(*process_);
    });
    return session_.open_controls(controls_);
}

std::string Exec::console_end() const {
    auto tail = console_->last_lines();
    if (tail.empty()) return "; its console shows nothing";
    tail.pop_back();
    return "; the end of its console:\n" + tail;
}

void Exec::end_with_failure(const std::string& why) {
    if (stage_ == Stage::over) return;
    stage_ = Stage::over;
    streams_->stop();
    code_ = complain(Error{"exec: " + why}, exit_exec_failed);
}

void Exec::signalled(int signal) {
    if (signal == SIGINT && stage_ == Stage::command && process_ != nullptr && !std::exchange(interrupted_, true)) {
        process_->send_signal(SIGINT);
        return;
    }
    signal_ = signal;
    stage_ = Stage::over;
}

// Does anything of this machine outlive it? Then it has to be shut down, not switched off.
bool Exec::keeps_anything() const {
    const auto& machine = options_.machine;
    const auto keeps = [](const DiskOption& disk) {
        return disk.read_only == OnOff::off && disk.snapshot == OnOff::off;
    };
    for (const auto& disk : guest_->disks)
        if (disk.writes == Guest::Disk::Writes::keep) return true;
    for (const auto& device : machine.devices)
        if (device.share || (device.disk && keeps(*device.disk))) return true;
    return !machine.shares.empty() || std::any_of(machine.disks.begin(), machine.disks.end(), keeps);
}

std::unique_ptr<AgentProcess> Exec::make_process() const {
    AgentProcess::Start start{
        options_.command, options_.environment, options_.folder, options_.terminal == OnOff::on, 0, 0};
    if (start.terminal) {
        const auto size = streams_->size();
        start.rows = size.rows;
        start.columns = size.columns;
        const bool given = std::any_of(start.environment.begin(), start.environment.end(),
                                       [](const auto& text) { return text.starts_with("TERM="); });
        if (const char* name = std::getenv("TERM"); name != nullptr && !given)
            start.environment.push_back(fmt::format("TERM={}", name));
    }
    return std::make_unique<AgentProcess>(std::move(start));
}

// Starts what comes next, now that nothing is under way.
void Exec::next_operation() {
    if (stage_ == Stage::boot) {
        stage_ = Stage::copy_in;
        copies_done_ = 0;
    }
    if (stage_ == Stage::copy_in) {
        if (copies_done_ < options_.copy_in.size()) {
            const auto& copy = options_.copy_in[copies_done_++];
            operation_ = std::make_unique<AgentUpload>(copy.from, copy.to);
            return agent().start(*operation_);
        }
        stage_ = Stage::command;
        auto process = make_process();
        process_ = process.get();
        operation_ = std::move(process);
        streams_->start();
        return agent().start(*operation_);
    }
    if (stage_ == Stage::command) {
        code_ = process_->exit_code();
        process_ = nullptr;
        streams_->stop();
        stage_ = Stage::copy_out;
        copies_done_ = 0;
    }
    if (stage_ == Stage::copy_out) {
        if (copies_done_ < options_.copy_out.size()) {
            const auto& copy = options_.copy_out[copies_done_++];
            operation_ = std::make_unique<AgentDownload>(copy.from, copy.to, [](std::string_view line) {
                complain(Error{fmt::format("exec: --copy-out: {}", line)}, 0);
            });
            return agent().start(*operation_);
        }
        if (!keeps_anything()) {
            stage_ = Stage::over;
            return;
        }
        stage_ = Stage::power_off;
        stage_start_ns_ = session_.now_ns();
        agent().power_off();
    }
}

void Exec::step() {
    Machine& machine = session_.machine();
    if (machine.state() == RunState::paused) stage_start_ns_ = session_.now_ns();  // a debugger takes its time
    const u64 waited_ns = session_.now_ns() - stage_start_ns_;
    if (stage_ == Stage::power_off) {
        if (machine.state() == RunState::powered_off || waited_ns > power_off_patience_ns) stage_ = Stage::over;
        return;
    }
    if (agent().state() == AgentSession::State::lost) return end_with_failure(agent().problem() + console_end());
    if (machine.state() == RunState::powered_off)
        return end_with_failure((stage_ == Stage::boot ? "the guest powered off before its agent answered"
                                                       : "the guest powered off before the end") +
                                console_end());
    if (stage_ == Stage::boot) {
        if (agent().state() == AgentSession::State::ready)
            next_operation();
        else if (waited_ns > boot_patience_ns)
            end_with_failure(fmt::format("the guest's agent did not answer within {} s{}", boot_patience_ns / second_ns,
                                         console_end()));
        return;
    }
    if (operation_ == nullptr || !operation_->done()) return;
    if (operation_->failure()) return end_with_failure(operation_->failure()->message);
    // All that the command has written must have been taken over first.
    if (process_ != nullptr &&
        !(process_->output(AgentProcess::Stream::out).empty() && process_->output(AgentProcess::Stream::error).empty()))
        return;
    next_operation();
}

void Exec::live() {
    const u64 start_ns = session_.now_ns();
    const u64 deadline_ns = options_.timeout_ns ? start_ns + *options_.timeout_ns : ~u64{0};
    stage_start_ns_ = start_ns;
    while (stage_ != Stage::over) {
        const auto ran = session_.loop().run(~u64{0});
        step();
        if (stage_ == Stage::over) break;
        const u64 now_ns = session_.now_ns();
        if (now_ns >= deadline_ns) {
            streams_->stop();
            const double seconds = static_cast<double>(*options_.timeout_ns) / 1e9;
            const auto booting =
                stage_ == Stage::boot ? "; the guest's agent has not answered" + console_end() : std::string();
            code_ = complain(Error{fmt::format("exec: --timeout: {:g} seconds are over{}", seconds, booting)},
                             exit_timeout);
            stage_ = Stage::over;
            ended_early_ = true;
            break;
        }
        // Boot and power-off are watched by the clock, too.
        session_.loop().wait(ran, ~u64{0}, std::min(deadline_ns - now_ns, second_ns));
    }
}

int Exec::execute() {
    if (options_.qmp) controls_.push_back({"--qmp", *options_.qmp, ControlProtocol::qmp});
    if (options_.gdb) controls_.push_back({"--gdb", *options_.gdb, ControlProtocol::gdb});
    if (auto good = check(); !good.ok()) return complain(good.error(), exit_bad_input);
    if (const int code = ensure_guest(catalog_, options_.machine.guest); code != 0)
        return code == exit_bad_input ? code : exit_exec_failed;
    const auto quit = [this] { end_with_failure("ended by Ctrl-A x"); };
    streams_ = std::make_unique<ExecStreams>(
        session_.events, session_.host.log, ExecStreams::Descriptors{},
        options_.terminal == OnOff::on ? ExecStreams::Mode::terminal : ExecStreams::Mode::plain, quit);
    const auto resized = [this] {
        if (process_ != nullptr && options_.terminal == OnOff::on)
            process_->resize(streams_->size().rows, streams_->size().columns);
    };
    signals_ = std::make_unique<Signals>(
        session_.events, [this](int signal) { signalled(signal); }, resized);
    // Sockets that prepare() makes do not outlive an end by a signal.
    if (auto prepared = prepare(); !prepared.ok()) return complain(prepared.error(), exit_bad_input);
    live();
    const bool heard = signal_.has_value();
    const auto go_on = [this, heard] { return heard || !signal_; };
    const auto pending = [this] {
        streams_->flush();
        return streams_->pending();
    };
    // After a time-out nobody may be left who reads.
    session_.drain(pending, go_on, ended_early_ || heard ? second_ns : EventLoop::for_ever);
    streams_->stop();
    session_.drain_controls(go_on);
    return code_;
}

}  // namespace

int exec(const ExecOptions& options) {
    std::optional<int> signal;
    int code = 0;
    {
        Exec exec(options);
        code = exec.execute();
        signal = exec.signal();
    }
    if (signal) die_of(*signal);
    return code;
}

}  // namespace viv::native
