// Commands on the machine as a whole: its state, its life. QMP names and results follow the QEMU QMP
// reference where it has the command; what only this machine has is named viv-*.
#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"

namespace viv::commands {

namespace {

// QMP's RunState.
std::string_view run_state(Machine& machine) {
    switch (machine.state()) {
        case RunState::running: return "running";
        case RunState::powered_off: return "shutdown";
        case RunState::paused: return machine.stop_reason() == StopReason::debug ? "debug" : "paused";
    }
    return "internal-error";
}

Result<void> query_status(CommandCall& call) {
    const bool running = call.machine().state() == RunState::running;
    call.value["status"] = run_state(call.machine());
    call.value["running"] = running;
    call.text = fmt::format("VM status: {}", run_state(call.machine()));
    if (call.machine().state() == RunState::powered_off)
        call.text += fmt::format(" (exit code {})", call.machine().exit_code());
    return {};
}

Result<void> query_version(CommandCall& call) {
    std::string_view version = call.context.host.version();
    call.text = fmt::format("vivarium {}", version);
    nlohmann::json numbers = nlohmann::json::object();
    for (const char* part : {"major", "minor", "micro"}) {
        int number = 0;
        const auto parsed = std::from_chars(version.data(), version.data() + version.size(), number);
        version.remove_prefix(static_cast<usize>(parsed.ptr - version.data()));
        if (version.starts_with('.')) version.remove_prefix(1);
        numbers[part] = number;
    }
    // The member is named so by the protocol; the numbers are this program's.
    call.value["qemu"] = std::move(numbers);
    call.value["package"] = call.text;
    return {};
}

Result<void> query_name(CommandCall& call) {
    const auto name = call.context.host.machine_name();
    if (!name.empty()) call.value["name"] = name;
    call.text = name.empty() ? "the machine has no name" : std::string(name);
    return {};
}

Result<void> query_time(CommandCall& call) {
    Machine& machine = call.machine();
    const u64 now = machine.timers().now_ns();
    const u64 instructions = machine.instructions();
    call.value["guest-ns"] = now;
    call.value["instructions"] = instructions;
    call.value["deterministic"] = machine.timers().clock().deterministic();
    call.text = fmt::format("guest time {}.{:09} s, {} instructions, {}", now / 1'000'000'000, now % 1'000'000'000,
                            instructions, machine.timers().clock().deterministic() ? "deterministic" : "live");
    return {};
}

Result<void> query_hash(CommandCall& call) {
    const std::string hash = call.machine().hash().hex();
    call.value["hash"] = hash;
    call.value["instructions"] = call.machine().instructions();
    call.text = fmt::format("{} after {} instructions", hash, call.machine().instructions());
    return {};
}

Result<void> stop(CommandCall& call) {
    call.machine().pause(StopReason::user);
    return {};
}

Result<void> cont(CommandCall& call) {
    if (call.machine().state() == RunState::powered_off)
        return Error{"the machine is powered off; system_reset starts it"};
    call.machine().resume();
    return {};
}

Result<void> system_reset(CommandCall& call) { return call.machine().reset(); }

Result<void> system_powerdown(CommandCall& call) {
    if (call.machine().press_power_button()) return {};
    return Error{"this machine has no power button that its guest could see; quit ends it"};
}

Result<void> quit(CommandCall& call) {
    call.machine().quit();
    return {};
}

constexpr Command rows[] = {
    {"info status", "query-status", {}, "whether the machine runs", query_status},
    {"info version", "query-version", {}, "the version of this program", query_version},
    {"info name", "query-name", {}, "the name the user gave the machine", query_name},
    {"info time", "viv-query-time", {}, "guest time and executed instructions", query_time},
    {"info hash", "viv-query-hash", {}, "a hash of the whole state, RAM included", query_hash},
    {"stop|s", "stop", {}, "pauses the machine", stop},
    {"cont|c", "cont", {}, "lets a paused machine go on", cont},
    {"system_reset", "system_reset", {}, "resets the machine as its reset line would", system_reset},
    {"system_powerdown", "system_powerdown", {}, "presses the power button: the guest may shut down", system_powerdown},
    {"quit|q", "quit", {}, "ends the machine at once", quit},
};

}  // namespace

std::span<const Command> machine_rows() { return rows; }

}  // namespace viv::commands
