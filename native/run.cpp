// A run from its options to its exit code. See run.h.
#include "native/run.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <optional>

#include "engine/lang/bytes.h"
#include "native/agent_port.h"
#include "native/console.h"
#include "native/http.h"
#include "native/point_folder.h"
#include "native/published.h"
#include "native/session.h"
#include "native/terminal.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

constexpr u64 read_ahead_limit = u64{64} << 20;
// Guest time flies while a deterministic guest waits: a day is a few seconds.
constexpr u64 deterministic_patience_ns = u64{86'400} * 1'000'000'000;

constexpr u64 ready_patience_ns = u64{300} * 1'000'000'000;

enum class Ending : u8 { none, powered_off, quit, timeout, instructions, signal, output_gone, gave_up };

Result<std::vector<u8>> read_standard_input() {
    std::vector<u8> content;
    while (true) {
        u8 buffer[65536];
        const ssize_t count = read(STDIN_FILENO, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return Error{fmt::format("standard input: cannot read: {}", error_text(errno))};
        if (count == 0) return content;
        content.insert(content.end(), buffer, buffer + count);
        if (content.size() > read_ahead_limit)
            return Error{fmt::format("standard input: is longer than {} MiB, which is what --deterministic reads ahead",
                                     read_ahead_limit >> 20)};
    }
}

void print_line(const std::string& line) {
    std::span<const u8> rest(reinterpret_cast<const u8*>(line.data()), line.size());
    while (!rest.empty()) {
        const ssize_t count = write(STDOUT_FILENO, rest.data(), rest.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return;
        rest = rest.subspan(static_cast<usize>(count));
    }
}

class Run {
public:
    explicit Run(const RunOptions& options)
        : options_(options),
          catalog_(GuestCatalog::of_this_user()),
          session_(options.verbose == OnOff::on ? LogLevel::debug : LogLevel::error, options.machine.guest) {}
    // The machine's devices hold on to the ports, and those to the session's events.
    ~Run() { session_.drop_machine(); }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    int execute();
    std::optional<int> signal() const { return signal_; }

private:
    struct Serial {
        Endpoint endpoint;
        std::unique_ptr<BytePort> port;
        SourcePort* source = nullptr;  // of a file or socket: the port, which is opened last
    };

    Result<void> check_hosts_side() const;
    Result<void> prepare();
    void make_ports(std::optional<std::vector<u8>> read_ahead);
    Result<void> connect();
    void live();
    void power_off();
    void finish_output();
    int result();
    Result<void> save();
    std::string extra_append() const;
    bool starts_saved() const { return !options_.restore.empty() || !options_.point.empty(); }
    Result<std::optional<Launch>> prepare_saved();
    bool console_wanted() const;

    const RunOptions& options_;
    GuestCatalog catalog_;
    Session session_;
    std::vector<Serial> serials_;
    std::unique_ptr<AgentPort> agent_;
    std::string agent_port_;
    Console* console_ = nullptr;  // one of serials_
    std::vector<ControlEndpoint> controls_;
    std::optional<Guest> guest_;
    std::shared_ptr<Arrival> arrival_;
    std::unique_ptr<Signals> signals_;
    Ending ending_ = Ending::none;
    std::optional<int> signal_;
};

// Everything on the host's side that can be wrong before a guest is built or a machine made.
Result<void> Run::check_hosts_side() const {
    if (options_.restore.empty())
        TRY(check_machine(options_.machine));
    else if (!is_url(options_.restore))
        TRY(check_saved("--restore", options_.restore));
    if (!options_.snapshots.empty()) TRY(PointFolder::check("--snapshots", options_.snapshots));
    if (!options_.save_at_end.empty()) TRY(check_writable("--save-at-end", options_.save_at_end));
    for (const auto& serial : serials_) TRY(StreamSource::check("--serial", serial.endpoint));
    return Session::check_controls(controls_);
}

std::string Run::extra_append() const {
    // A serial line does not know its terminal's size; the guests of the catalogue take it from the command line.
    const bool terminal = console_ != nullptr && console_->interactive();
    if (!terminal || options_.machine.deterministic == OnOff::on) return {};
    const auto size = Terminal(STDOUT_FILENO).size();
    return size.rows == 0 || size.columns == 0 ? std::string() : fmt::format("viv.tty={}x{}", size.rows, size.columns);
}

void Run::make_ports(std::optional<std::vector<u8>> read_ahead) {
    for (auto& serial : serials_) {
        if (serial.endpoint.kind != Endpoint::Kind::stdio) {
            auto port = std::make_unique<SourcePort>();
            serial.source = port.get();
            serial.port = std::move(port);
            continue;
        }
        Console::Setup setup;
        if (starts_saved()) {
            // Whoever reads the console has been there since it was saved.
            setup.patience.first_idle_ns = setup.patience.line_idle_ns;
        } else if (guest_) {
            setup.ready = guest_->console_ready;
            setup.patience.prompt = PipedInput::Prompt::known;
            // Booting silently, however long, is no sign of it.
            setup.patience.first_idle_ns = ready_patience_ns;
            setup.patience.first_busy_ns = ready_patience_ns;
        }
        if (read_ahead) {
            setup.input = -1;
            setup.input_so_far = std::move(*read_ahead);
            setup.patience.end_idle_ns = deterministic_patience_ns;
        }
        auto console = std::make_unique<Console>(session_.events, session_.host.log, std::move(setup),
                                                 [this] { ending_ = Ending::quit; });
        console_ = console.get();
        serial.port = std::move(console);
    }
}

// The machine as a file describes it; none if the options do.
Result<std::optional<Launch>> Run::prepare_saved() {
    std::string file = options_.restore;
    if (!options_.snapshots.empty()) {
        TRY_SET(auto points, PointFolder::open("--snapshots", options_.snapshots));
        const Point* const point = points->tree().find(options_.point);
        if (!options_.point.empty() && point == nullptr)
            return Error{fmt::format("--loadvm {}: there is no such point in {}; viv snapshot list --in {} shows them",
                                     options_.point, options_.snapshots, options_.snapshots)};
        const auto& machine = options_.machine;
        if (point != nullptr && machine.guest.empty() && machine.kernel.empty() && machine.bios.empty())
            file = points->path_of(*point);
        session_.program.set_points(std::move(points));
    }
    if (file.empty()) return std::optional<Launch>();
    TRY_SET(auto launch, prepare_restore(file, options_.machine, catalog_));
    // load_point() opens it, disks included.
    if (!options_.point.empty()) launch.restore.clear();
    return std::optional<Launch>(std::move(launch));
}

Result<void> Run::prepare() {
    if (!options_.machine.guest.empty()) {
        TRY_SET(guest_, catalog_.find(options_.machine.guest));
    }
    bool deterministic = options_.machine.deterministic == OnOff::on;
    TRY_SET(auto launch, prepare_saved());
    if (launch) {
        guest_ = launch->guest;
        deterministic = launch->config.determinism == Determinism::deterministic;
    }
    std::optional<std::vector<u8>> read_ahead;
    if (deterministic && console_wanted() && isatty(STDIN_FILENO) != 1) {
        TRY_SET(read_ahead, read_standard_input());
    }
    make_ports(std::move(read_ahead));
    if (!launch) {
        TRY_SET(launch, prepare_launch(options_.machine, catalog_, Purpose::console, extra_append()));
    }
    if (options_.no_reboot == OnOff::on) launch->config.on_reset = OnReset::power_off;
    Connections connections;
    connections.networks = &session_.networks;
    for (const auto& serial : serials_) connections.serials.push_back(serial.port.get());
    if (!launch->agent_port.empty()) {
        PosixEntropy entropy;
        u8 nonce[4];
        entropy.fill(nonce);
        agent_ = std::make_unique<AgentPort>(load_le<u32>(nonce) | 1);
        connections.agent = agent_.get();
        agent_port_ = connections.agent_port = launch->agent_port;
    }
    arrival_ = launch->arrival;
    TRY_SET(auto machine, make_machine(std::move(*launch), connections, session_.host));
    session_.adopt(std::move(machine));
    if (options_.point.empty()) return {};
    session_.machine().pause(StopReason::restored);
    if (auto loaded = load_point(session_.machine(), session_.program, options_.point); !loaded.ok())
        return Error{fmt::format("--loadvm {}: {}", options_.point, loaded.error().message)};
    return {};
}

// The machine is whole: its ports get their other ends, files last of all.
Result<void> Run::connect() {
    Machine& machine = session_.machine();
    for (usize i = 0; i < serials_.size(); i++) {
        ByteDevice* device = machine.board().serial(static_cast<unsigned>(i));
        if (device == nullptr && options_.serials.empty()) continue;  // a board without serial ports
        if (device == nullptr)
            return Error{fmt::format("--serial {}: {} has {} serial port{}", serials_[i].endpoint.text,
                                     machine.board().machine(), i, i == 1 ? "" : "s")};
        serials_[i].port->attach(device);
        session_.loop().add([port = serials_[i].port.get()] { port->service(); });
    }
    if (agent_ != nullptr) {
        agent_->attach(machine.board().console_port(agent_port_));
        agent_->connect(false);  // until it is needed
        session_.loop().add([this] { agent_->service(); });
    }
    TRY(session_.open_controls(controls_));
    for (const bool files : {false, true}) {
        for (auto& serial : serials_) {
            if (serial.source == nullptr || files != (serial.endpoint.kind == Endpoint::Kind::file)) continue;
            TRY_SET(auto source, StreamSource::open(session_.events, "--serial", serial.endpoint));
            serial.source->open(std::move(source));
        }
    }
    return {};
}

// By its power button, or else by its agent.
void Run::power_off() {
    if (session_.machine().press_power_button() || agent_ == nullptr) return;
    agent_->connect(true);
}

void Run::live() {
    Machine& machine = session_.machine();
    const u64 deadline_ns = options_.timeout_ns ? session_.now_ns() + *options_.timeout_ns : ~u64{0};
    const u64 last_instruction = options_.maximum_instructions.value_or(~u64{0});
    bool agent_asked = false;
    while (ending_ == Ending::none) {
        const auto ran = session_.loop().run(last_instruction);
        const u64 now_ns = deadline_ns == ~u64{0} ? 0 : session_.now_ns();
        if (ending_ != Ending::none) break;
        if (machine.state() == RunState::powered_off)
            ending_ = Ending::powered_off;
        else if (machine.instructions() >= last_instruction)
            ending_ = Ending::instructions;
        else if (now_ns >= deadline_ns)
            ending_ = Ending::timeout;
        else if (console_ != nullptr && console_->output_ended())
            ending_ = Ending::output_gone;
        else if (session_.controls_ended())
            ending_ = Ending::quit;
        if (ending_ != Ending::none) break;
        u64 wake_at_ns = ~u64{0};
        if (console_ != nullptr) {
            // A deterministic guest that waits for input alone has stopped its own clock: what would be decided some
            // time is decided now.
            const bool stopped =
                ran.may_sleep && machine.timers().clock().deterministic() && machine.state() == RunState::running;
            const u64 decision_ns = console_->next_decision_ns();
            const bool skip = stopped && decision_ns != ~u64{0};
            const auto advice =
                console_->observe(skip ? std::max(decision_ns, ran.guest_now_ns) : ran.guest_now_ns, ran.idle);
            if (advice == PipedInput::Advice::press_power_button) power_off();
            if (advice == PipedInput::Advice::give_up) {
                ending_ = Ending::gave_up;
                break;
            }
            wake_at_ns = console_->next_decision_ns();
        }
        if (agent_ != nullptr && !agent_asked && agent_->session().state() == AgentSession::State::ready) {
            agent_asked = true;  // it is only ever connected to be told this
            agent_->session().power_off();
        }
        session_.loop().wait(ran, wake_at_ns, deadline_ns == ~u64{0} ? deadline_ns : deadline_ns - now_ns);
    }
}

void Run::finish_output() {
    // A signal now means that somebody has waited enough; the one that ended the run has been heard.
    const bool heard = signal_.has_value();
    const auto no_signal = [this, heard] { return heard || !signal_; };
    if (console_ != nullptr) {
        const auto pending = [this]() -> usize {
            console_->service();
            return console_->output_ended() ? 0 : console_->output_pending();
        };
        // A quit need not wait for a reader that does not read.
        const bool hurry = ending_ == Ending::quit || ending_ == Ending::signal;
        session_.drain(pending, no_signal, hurry ? u64{500'000'000} : EventLoop::for_ever);
        console_->stop();
    }
    session_.drain_controls(no_signal);
    for (auto& serial : serials_)
        if (serial.source != nullptr)
            session_.drain([&] { return serial.source->service(), serial.source->output_pending(); }, no_signal,
                           u64{1'000'000'000});
}

Result<void> Run::save() {
    Machine& machine = session_.machine();
    if (machine.state() == RunState::powered_off)
        return Error{
            fmt::format("--save-at-end {}: the guest has powered off; nothing is saved", options_.save_at_end)};
    TRY_SET(const auto sink, FileSink::create("--save-at-end", options_.save_at_end));
    if (auto saved = machine.save(*sink); !saved.ok())
        return Error{fmt::format("--save-at-end {}: {}", options_.save_at_end, saved.error().message)};
    return {};
}

int Run::result() {
    switch (ending_) {
        case Ending::powered_off: return session_.machine().exit_code();
        case Ending::timeout:
            return complain(Error{fmt::format("run: --timeout: {:g} seconds are over",
                                              static_cast<double>(*options_.timeout_ns) / 1e9)},
                            exit_timeout);
        case Ending::gave_up:
            return complain(Error{"run: the guest stayed on after the end of its input, and was switched off"},
                            exit_failed);
        case Ending::output_gone: return 128 + SIGPIPE;
        default: return 0;
    }
}

bool Run::console_wanted() const {
    for (const auto& serial : serials_)
        if (serial.endpoint.kind == Endpoint::Kind::stdio) return true;
    return false;
}

int Run::execute() {
    if (options_.monitor) controls_.push_back({"--monitor", *options_.monitor, ControlProtocol::monitor});
    if (options_.qmp) controls_.push_back({"--qmp", *options_.qmp, ControlProtocol::qmp});
    if (options_.vnc) controls_.push_back({"--vnc", *options_.vnc, ControlProtocol::vnc});
    if (options_.gdb) controls_.push_back({"--gdb", *options_.gdb, ControlProtocol::gdb});
    for (const auto& endpoint : options_.serials) serials_.push_back({endpoint, nullptr});
    if (serials_.empty()) {
        Endpoint standard;
        standard.kind = Endpoint::Kind::stdio;
        standard.text = "stdio";
        for (const auto& control : controls_)
            if (control.endpoint.kind == Endpoint::Kind::stdio) standard.kind = Endpoint::Kind::null;
        serials_.push_back({standard, nullptr});
    }
    if (auto good = check_hosts_side(); !good.ok()) return complain(good.error(), exit_bad_input);
    if (const int code = ensure_guest(catalog_, options_.machine.guest); code != 0) return code;
    if (auto prepared = prepare(); !prepared.ok()) return complain(prepared.error(), exit_bad_input);
    Machine& machine = session_.machine();
    const auto end_asked = [this](int signal) {
        ending_ = Ending::signal;
        signal_ = signal;
    };
    // Before anything is created that an end by a signal would leave behind.
    signals_ = std::make_unique<Signals>(session_.events, end_asked, [] {});
    if (auto connected = connect(); !connected.ok()) return complain(connected.error(), exit_bad_input);
    if (console_ != nullptr) {
        console_->attach_monitor(machine, session_.program);
        console_->start();
    }
    if (options_.paused == OnOff::on)
        machine.pause(StopReason::user);
    else
        machine.resume();
    live();
    const bool line_open = console_ != nullptr && console_->line_open();
    finish_output();
    if (arrival_) arrival_->keep();
    int code = result();
    if (!options_.save_at_end.empty())
        if (auto saved = save(); !saved.ok()) code = complain(saved.error(), exit_failed);
    if (options_.print_hash == OnOff::on)
        print_line(fmt::format("{}state {} after {} instructions\n", line_open ? "\n" : "", machine.hash().hex(),
                               machine.instructions()));
    return code;
}

}  // namespace

int run(const RunOptions& options) {
    std::optional<int> signal;
    int code = 0;
    {
        Run run(options);
        code = run.execute();
        signal = run.signal();
    }
    if (signal) die_of(*signal);
    return code;
}

}  // namespace viv::native
