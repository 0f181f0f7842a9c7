// Running, typing, comparing and saving two machines. See twins.h.
#include "engine/control/lockstep/twins.h"

#include <algorithm>
#include <cstring>

#include "engine/host/bytes_file.h"

namespace viv::lockstep {

namespace {

struct VectorSink final : ByteSink {
    explicit VectorSink(std::vector<u8>& to) : bytes(to) {}
    Result<void> write(std::span<const u8> in) override {
        bytes.insert(bytes.end(), in.begin(), in.end());
        return {};
    }
    std::vector<u8>& bytes;
};

enum class Came : u8 { to_target, to_idle, to_end };

Came run_to(Machine& machine, u64 target) {
    while (machine.state() == RunState::running) {
        const u64 done = machine.instructions();
        if (done >= target) return Came::to_target;
        const auto ran = machine.run({.instructions = target - done, .host_ns = ~u64{0}});
        if (ran.state == RunState::running && ran.idle) return Came::to_idle;
    }
    return Came::to_end;
}

}  // namespace

void Port::offer() {
    if (offering_) return;  // the device asks for more from within its put(): the loop below sees it
    offering_ = true;
    while (state_.wanted && device_ != nullptr && !state_.input.empty()) {
        state_.wanted = false;
        const usize offered = state_.input.size();
        const usize count = std::min(device_->put(state_.input), offered);
        state_.input.erase(state_.input.begin(), state_.input.begin() + static_cast<std::ptrdiff_t>(count));
        if (count == offered) state_.wanted = true;
    }
    offering_ = false;
}

void Port::type(std::span<const u8> bytes) {
    state_.input.insert(state_.input.end(), bytes.begin(), bytes.end());
    offer();
}

usize Port::put(std::span<const u8> bytes) {
    output_.insert(output_.end(), bytes.begin(), bytes.end());
    return bytes.size();
}

void Port::input_wanted() {
    state_.wanted = true;
    offer();
}

Result<void> Twins::power_on() {
    for (auto& machine : machines_) machine.reset();
    stops_ = 0;
    same_output_ = true;
    for (const Side side : {Side::first, Side::second}) {
        auto& ports = ports_[static_cast<usize>(side)];
        ports = std::vector<Port>(maker_.ports());
        TRY_SET(auto machine, maker_.make(side, ports));
        for (unsigned i = 0; i < ports.size(); i++) ports[i].attach(maker_.device(*machine, i));
        machine->resume();
        machines_[static_cast<usize>(side)] = std::move(machine);
    }
    return {};
}

Twins::At Twins::advance(u64 limit) {
    for (auto& ports : ports_)
        for (Port& port : ports) port.clear_output();
    Machine& first = *machines_[0];
    const u64 stop = (instructions() / every_ + 1) * every_;
    const u64 target = std::min(stop, limit);
    const Came came = run_to(first, target);
    run_to(*machines_[1], target);
    for (usize i = 0; i < ports_[0].size(); i++)
        same_output_ = same_output_ && std::ranges::equal(ports_[0][i].output(), ports_[1][i].output());
    if (came == Came::to_target && target != stop) return At::cut;
    stops_++;
    return came == Came::to_target ? At::stop : came == Came::to_idle ? At::idle : At::ended;
}

void Twins::type(unsigned port, std::span<const u8> bytes) {
    for (auto& ports : ports_) ports[port].type(bytes);
}

bool Twins::same_state() {
    Machine &first = *machines_[0], &second = *machines_[1];
    if (!same_output_ || first.state() != second.state() || first.exit_code() != second.exit_code()) return false;
    for (usize i = 0; i < ports_[0].size(); i++)
        if (!(ports_[0][i].state() == ports_[1][i].state())) return false;
    constexpr auto what = Machine::Hashed::all_but_memory;
    return first.hash(what) == second.hash(what);
}

bool Twins::same_memory() {
    const auto& first = machines_[0]->board().memory().regions();
    const auto& second = machines_[1]->board().memory().regions();
    return std::ranges::equal(first, second, [](const auto& one, const auto& other) {
        return one->base == other->base && one->size == other->size &&
               std::memcmp(one->host, other->host, static_cast<usize>(one->size)) == 0;
    });
}

Result<Checkpoint> Twins::save() {
    Checkpoint made{.instructions = instructions(), .stops = stops_, .machine = {}, .ports = {}};
    VectorSink sink(made.machine);
    TRY(machines_[0]->save(sink));
    for (const Port& port : ports_[0]) made.ports.push_back(port.state());
    return made;
}

Result<void> Twins::restore(const Checkpoint& checkpoint) {
    for (const Side side : {Side::first, Side::second}) {
        Machine& machine = this->machine(side);
        TRY(machine.restore(state::Source::of(std::make_unique<host::BytesFile>(checkpoint.machine))));
        for (usize i = 0; i < checkpoint.ports.size(); i++) {
            ports(side)[i].set_state(checkpoint.ports[i]);
            ports(side)[i].clear_output();
        }
        machine.resume();
    }
    stops_ = checkpoint.stops;
    same_output_ = true;
    return {};
}

}  // namespace viv::lockstep
