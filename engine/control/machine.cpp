// The life of a machine: made, run, paused, reset, powered off. Slices of execution are in slices.cpp and parallel.cpp.
#include "engine/control/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/control/implementation.h"
#include "engine/control/lazy_memory.h"
#include "engine/control/saving.h"

namespace viv {

namespace {

// How long an idle machine may wait for the threads that write its file.
constexpr u64 look_after_saving_ns = 1'000'000;

// The parts of a configuration that can be kept when the rest moves into the board.
MachineConfig kept_part(const MachineConfig& config, const BoardKind& kind) {
    MachineConfig kept;
    kept.board.machine = config.board.machine;
    kept.board.cpu = config.board.cpu.empty() ? std::string(kind.default_cpu) : config.board.cpu;
    kept.board.memory = config.board.memory;
    kept.board.cpus = config.board.cpus;
    kept.board.append = config.board.append;
    kept.board.jit = config.board.jit;
    kept.determinism = config.determinism;
    kept.seed = config.seed;
    kept.start = config.start;
    kept.harts = config.harts;
    kept.on_reset = config.on_reset;
    kept.launch = config.launch;
    return kept;
}

std::vector<PluggedDevice> plugged_devices(const BoardConfig& config) {
    std::vector<PluggedDevice> devices;
    std::map<std::string, unsigned> numbers;
    for (const DeviceSpec& spec : config.devices) {
        PluggedDevice device;
        const unsigned number = numbers[spec.name]++;
        const auto id = spec.properties.find("id");
        device.id = id != spec.properties.end() ? id->second : fmt::format("{}.{}", spec.name, number);
        device.kind = spec.name;
        device.properties = spec.properties;
        for (const DeviceSpec::Port& port : spec.ports) device.ports.push_back(port.name);
        device.disk = spec.disk.get();
        device.net = spec.net.get();
        using BackEnd = PluggedDevice::BackEnd;
        device.back_end = spec.disk     ? BackEnd::disk
                          : spec.net    ? BackEnd::net
                          : spec.folder ? BackEnd::folder
                                        : BackEnd::none;
        devices.push_back(std::move(device));
    }
    return devices;
}

}  // namespace

Machine::Implementation::Implementation(MachineConfig kept, const MachineHost& machine_host)
    : config(std::move(kept)),
      host(machine_host),
      log(machine_host.log, "machine"),
      inlet(config.determinism, config.seed, machine_host.clock, machine_host.entropy),
      clock(inlet),
      timers(clock),
      jobs([this](const Job& job) { tell([&](MachineListener& listener) { listener.job_changed(job); }); }) {}

Machine::Implementation::~Implementation() = default;

Result<void> Machine::Implementation::build(BoardConfig board_config, const BoardKind& kind) {
    BoardServices services{host.memory, clock, timers, inlet, host.log, *this, host.code_memory};
    // What a deterministic run does is the same each time, down to when code is compiled.
    if (config.determinism == Determinism::live) services.threads = host.threads;
    if (config.harts == Harts::parallel) {
        device_lock = host.threads->make_mutex();
        services.device_lock = device_lock.get();
        services.exclusive = [this](const std::function<void()>& section) {
            if (parallel)
                parallel->exclusive(section);
            else
                section();
        };
    }
    plugged = plugged_devices(board_config);
    clock.set_instruction_source([this] { return instructions(); }, std::max(1U, config.board.cpus));
    clock.set_wall_clock();
    TRY_SET(board, kind.create(std::move(board_config), services));
    cpus = board->cpus();
    if (config.start == Start::power_on) TRY(board->reset());
    instruction_base = u64{0} - instructions();
    if (config.harts == Harts::parallel)
        parallel = std::make_unique<Parallel>(
            cpus, Parallel::Wiring{*host.threads, host.clock, *device_lock, timers, attention});
    timers.set_deadline_listener([this] {
        interrupt_running_cpu();
        if (parallel) parallel->deadline_changed();
    });
    if (config.start == Start::power_on) {
        clock.resume();
    } else {
        state = RunState::paused;
        stop_reason = StopReason::user;
    }
    return {};
}

u64 Machine::Implementation::instructions() const {
    if (frozen_instructions) return *frozen_instructions;
    u64 total = instruction_base;
    for (const Cpu* cpu : cpus) total += cpu->instructions();
    return total;
}

void Machine::Implementation::thaw_instructions() {
    const u64 total = *frozen_instructions;
    frozen_instructions.reset();
    instruction_base = 0;
    instruction_base = total - instructions();
}

Machine::Ran Machine::Implementation::run(const Slice& slice) {
    settle();
    jobs.advance();
    if (saving) advance_saving();
    if (state == RunState::running && stopped_at) run_past_breakpoint();
    Ran ran;
    if (state == RunState::running) ran = parallel ? run_parallel(slice) : run_in_turn(slice);
    ran.state = state;
    if (state != RunState::running) {
        ran.idle = true;
        ran.idle_ns = ~u64{0};
    }
    if (lazy && lazy->is_near() && ran.idle) {
        bring_memory();
        if (lazy) ran.idle_ns = 0;
    }
    if (jobs.waiting()) ran.idle_ns = 0;
    if (saving) ran.idle_ns = std::min(ran.idle_ns, saving->wants_steps() ? 0 : look_after_saving_ns);
    return ran;
}

// CPUs that do not run are left alone: an asked-for attention is state, which would show in hash().
void Machine::Implementation::interrupt_running_cpu() {
    if (Cpu* cpu = running_cpu.load()) cpu->request_attention();
}

void Machine::Implementation::request_attention() {
    attention.store(true);
    if (!parallel) return interrupt_running_cpu();
    for (Cpu* cpu : cpus) cpu->request_attention();
}

void Machine::Implementation::pause(StopReason why) {
    if (state != RunState::running) return;
    clock.pause();
    state = RunState::paused;
    stop_reason = why;
    only.reset();
    tell([&](MachineListener& listener) { listener.stopped(why); });
}

void Machine::Implementation::resume(std::optional<unsigned> only_hart) {
    if (state != RunState::paused) return;
    only = only_hart;
    if (parallel) parallel->try_all();
    state = RunState::running;
    stop_reason = StopReason::none;
    clock.resume();
    tell([](MachineListener& listener) { listener.resumed(); });
}

Result<void> Machine::Implementation::reset(ResetBy by) {
    pending = Pending::nothing;
    if (config.on_reset == OnReset::power_off) {
        finish(by == ResetBy::guest ? StopReason::guest_reset : StopReason::host_reset, 0);
        return {};
    }
    turn = {};
    stopped_at.reset();
    freeze_instructions(instructions());
    auto done = board->reset();
    thaw_instructions();
    if (parallel) parallel->try_all();
    if (!done.ok()) return done;
    if (state == RunState::powered_off) {
        state = RunState::running;
        stop_reason = StopReason::none;
        clock.resume();
    }
    tell([&](MachineListener& listener) { listener.was_reset(by); });
    return {};
}

bool Machine::Implementation::press_power_button() {
    if (state == RunState::powered_off || !board->press_power_button()) return false;
    tell([](MachineListener& listener) { listener.power_button_pressed(); });
    return true;
}

void Machine::Implementation::finish(StopReason why, int code) {
    if (state == RunState::powered_off) return;
    clock.pause();
    state = RunState::powered_off;
    stop_reason = why;
    exit_code = code;
    only.reset();
    tell([&](MachineListener& listener) { listener.powered_off(code); });
}

// The first request of a slice counts: what a guest asks for after its own power-off it did not live to ask.
void Machine::Implementation::power_off(int code) {
    if (pending != Pending::nothing) return;
    pending = Pending::power_off;
    pending_code = code;
    interrupt_running_cpu();
    if (parallel) parallel->stop_soon();
}

void Machine::Implementation::reset_requested() {
    if (pending != Pending::nothing) return;
    pending = Pending::reset;
    interrupt_running_cpu();
    if (parallel) parallel->stop_soon();
}

void Machine::Implementation::settle() {
    if (memory_lost.exchange(false)) return finish(StopReason::host_error, 1);
    switch (std::exchange(pending, Pending::nothing)) {
        case Pending::nothing: return;
        case Pending::power_off: return finish(StopReason::guest_power_off, pending_code);
        case Pending::reset:
            if (state == RunState::powered_off) return;
            if (auto done = reset(ResetBy::guest); !done.ok()) {
                log.error("the guest's reset failed: {}", done.error().message);
                finish(StopReason::guest_power_off, 1);
            }
            return;
    }
}

Result<std::unique_ptr<Machine>> Machine::create(MachineConfig config, const MachineHost& host, const BoardKind& kind) {
    if (config.harts == Harts::parallel && config.determinism == Determinism::deterministic)
        return Error{"a deterministic machine runs its CPUs in turn: leave out one of the two options"};
    if (config.harts == Harts::parallel && host.threads == nullptr)
        return Error{"this host has no threads: CPUs can only run in turn"};
    auto implementation = std::make_unique<Implementation>(kept_part(config, kind), host);
    TRY(implementation->build(std::move(config.board), kind));
    return std::unique_ptr<Machine>(new Machine(std::move(implementation)));
}

Machine::Machine(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
Machine::~Machine() = default;

Machine::Ran Machine::run(const Slice& slice) { return implementation_->run(slice); }
void Machine::request_attention() { implementation_->request_attention(); }
RunState Machine::state() const { return implementation_->state; }
StopReason Machine::stop_reason() const { return implementation_->stop_reason; }
int Machine::exit_code() const { return implementation_->exit_code; }
void Machine::pause(StopReason reason) { implementation_->pause(reason); }
void Machine::resume() { implementation_->resume({}); }
void Machine::resume_one(unsigned cpu) { implementation_->resume(cpu); }
Result<void> Machine::reset() { return implementation_->reset(ResetBy::host); }
bool Machine::press_power_button() { return implementation_->press_power_button(); }
void Machine::quit() { implementation_->finish(StopReason::quit, 0); }
Board& Machine::board() { return *implementation_->board; }
Timers& Machine::timers() { return implementation_->timers; }
const MachineConfig& Machine::config() const { return implementation_->config; }
std::span<const PluggedDevice> Machine::plugged() const { return implementation_->plugged; }
u64 Machine::thread_id(unsigned cpu) const {
    if (implementation_->parallel) return implementation_->parallel->thread_id(cpu);
    const host::Threads* threads = implementation_->host.threads;
    return threads == nullptr ? 0 : threads->current_id();
}
u64 Machine::instructions() const { return implementation_->instructions(); }
std::optional<exec::TranslatorReport> Machine::translator_report(unsigned cpu, usize most) const {
    return implementation_->cpus[cpu]->translator_report(most);
}
void Machine::add_listener(MachineListener& listener) { implementation_->listeners.push_back(&listener); }
void Machine::remove_listener(MachineListener& listener) { std::erase(implementation_->listeners, &listener); }
Hash128 Machine::hash(Hashed what) { return implementation_->hash(what); }
std::string Machine::listing() { return implementation_->listing(); }
std::string Machine::schema() { return implementation_->schema(); }
Result<void> Machine::save(ByteSink& sink, const Moment& moment) { return implementation_->save(sink, moment); }
Result<void> Machine::begin_save(std::unique_ptr<ByteSink> sink, Saved saved, Moment moment) {
    return implementation_->begin_save(std::move(sink), std::move(saved), std::move(moment));
}
Result<void> Machine::restore(std::shared_ptr<state::Source> source) {
    return implementation_->restore(std::move(source));
}
Result<void> Machine::open(std::shared_ptr<state::Source> source, const Moment& moment) {
    return implementation_->begin_restore(std::move(source), moment);
}
void Machine::give_up() { implementation_->finish(StopReason::host_error, 1); }
Jobs& Machine::jobs() { return implementation_->jobs; }
void Machine::step(unsigned cpu, Others others) { implementation_->step(cpu, others); }
DebugPoints& Machine::debug_points() { return implementation_->points; }
void Machine::debug_points_changed() { implementation_->debug_points_changed(); }

}  // namespace viv
