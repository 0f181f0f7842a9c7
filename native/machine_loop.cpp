// Slices and waiting. See machine_loop.h.
#include "native/machine_loop.h"

#include <algorithm>

namespace viv::native {

namespace {

constexpr u64 live_slice_ns = 1'500'000;
constexpr u64 parallel_slice_ns = 3'000'000;  // stopping and starting the harts' threads costs tens of microseconds
constexpr u64 unlimited_instructions = u64{1} << 40;
// Deterministic machines see input at the ends of slices, so those must depend on instructions alone.
constexpr u64 deterministic_slice = 1'000'000;

}  // namespace

Machine::Ran MachineLoop::run_slice(u64 last_instruction) {
    const auto& config = machine_.config();
    Machine::Slice slice;
    slice.host_ns = config.harts == Harts::parallel ? parallel_slice_ns : live_slice_ns;
    const u64 done = machine_.instructions();
    const bool deterministic = config.determinism == Determinism::deterministic;
    slice.instructions = deterministic ? deterministic_slice - done % deterministic_slice : unlimited_instructions;
    slice.instructions = std::min(slice.instructions, last_instruction - std::min(done, last_instruction));
    return machine_.run(slice);
}

MachineLoop::Ran MachineLoop::run(u64 last_instruction) {
    last_instruction_ = last_instruction;
    for (const auto& service : services_) service();
    const u64 instructions_before = machine_.instructions();
    const u64 time_before = machine_.timers().now_ns();
    const auto slice = run_slice(last_instruction);
    Ran ran;
    ran.guest_now_ns = machine_.timers().now_ns();
    ran.idle = slice.idle;
    ran.may_sleep = slice.idle;
    ran.sleep_ns = slice.idle_ns;
    if (machine_.config().determinism == Determinism::deterministic && !slice.idle) {
        const u64 busy_ns =
            (machine_.instructions() - instructions_before) / std::max(1u, machine_.config().board.cpus);
        ran.idle = ran.guest_now_ns - time_before > 2 * busy_ns;
    }
    return ran;
}

void MachineLoop::wait(const Ran& ran, u64 wake_at_ns, u64 longest_ns) {
    if (!ran.may_sleep) return events_.poll(0);
    // What came of the slice must be out before the sleep, and what that brought must be worked on.
    for (const auto& service : services_) service();
    const u64 instructions_before = machine_.instructions();
    const auto slice = run_slice(last_instruction_);
    if (!slice.idle || machine_.instructions() != instructions_before) return events_.poll(0);
    u64 sleep_ns = std::min(slice.idle_ns, longest_ns);
    if (machine_.state() == RunState::running && wake_at_ns != EventLoop::for_ever) {
        const u64 now_ns = machine_.timers().now_ns();
        sleep_ns = std::min(sleep_ns, wake_at_ns > now_ns ? wake_at_ns - now_ns : 0);
    }
    events_.poll(sleep_ns);
}

}  // namespace viv::native
