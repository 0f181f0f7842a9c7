// Slices of execution with the harts in turn, and what a debugger does to them. Deterministic machines run here only:
// the next hart, the end of its quantum and the moment of a timer follow from the machine's state alone, so that a
// slice may end anywhere. A timer is run when instructions() reaches its deadline exactly (time/clock.h gives the
// rate).
#include "engine/control/implementation.h"

namespace viv {

namespace {

// What is taken off a slice for work that executes nothing, so that a machine which only runs timers or skips idle time
// still returns from run().
constexpr u64 overhead_cost = 16;
constexpr u64 skip_cost = 1'000;

// How long a hart that is alone runs before timers and the clock are looked at in live time.
constexpr u64 alone_at_once = 200'000;

constexpr u64 instructions_beside_step = 500;  // Others::go_on
constexpr unsigned timers_in_step = 1'000;     // how many deadlines a step waits for a hart to wake

}  // namespace

// Instructions until the next timer is due, at least 1; deterministic time only.
u64 Machine::Implementation::until_deadline() {
    const u64 deadline = timers.next_deadline_ns();
    if (deadline == Timers::never) return ~u64{0};
    const u64 now = clock.now_ns();
    if (deadline <= now) return 1;
    const u64 harts = cpus.size();
    const u128 needed = static_cast<u128>(deadline - now) * harts - instructions() % harts;
    return needed > ~u64{0} ? ~u64{0} : static_cast<u64>(needed);
}

// Takes executed instructions off the quantum; the next hart is on when it is used up. One that is alone has no
// quantum.
void Machine::Implementation::account(unsigned hart, u64 executed) {
    if (hart != turn.hart || cpus.size() == 1) return;
    turn.left -= std::min(executed, turn.left);
    if (turn.left == 0) turn = {static_cast<u32>((hart + 1) % cpus.size()), Turn::quantum};
}

Machine::Ran Machine::Implementation::run_in_turn(const Slice& slice) {
    const bool live = !clock.deterministic();
    const u64 started = live ? host.clock.monotonic_ns() : 0;
    const unsigned count = static_cast<unsigned>(cpus.size());
    u64 left = slice.instructions;
    unsigned waiting = 0;  // harts in a row that were found to wait since anything happened
    bool first = true;
    const auto spend = [&](u64 instructions) { left -= std::min(left, instructions); };
    while (state == RunState::running) {
        if (left == 0 || attention.exchange(false, std::memory_order_relaxed)) break;
        if (live && !std::exchange(first, false) && host.clock.monotonic_ns() - started >= slice.host_ns) break;
        u64 cost = 0;
        if (timers.next_deadline_ns() <= clock.now_ns()) {
            timers.run_due();
            cost += overhead_cost;
            waiting = 0;
            if (pending != Pending::nothing) {
                settle();
                continue;
            }
        }
        if (waiting == count) {
            turn = {};  // a round starts anew, wherever this slice began to look
            const u64 deadline = timers.next_deadline_ns();
            if (deadline == Timers::never) return {state, true, ~u64{0}};
            const u64 now = clock.now_ns();
            if (live && deadline > now) return {state, true, deadline - now};
            if (!live) clock.skip_to(deadline);
            spend(skip_cost);
            waiting = 0;
            continue;
        }
        const unsigned hart = turn.hart;
        Cpu& cpu = *cpus[hart];
        Cpu::Exit exit = Cpu::Exit::stopped;
        u64 executed = 0;
        if (runs_now(hart)) {
            u64 instructions_now = std::min(count > 1 ? turn.left : live ? alone_at_once : left, left);
            if (!live) instructions_now = std::min(instructions_now, until_deadline());
            const u64 before = cpu.instructions();
            running_cpu = &cpu;
            exit = cpu.run(instructions_now);
            running_cpu = nullptr;
            executed = cpu.instructions() - before;
        }
        cost += executed;
        if (executed != 0) waiting = 0;
        switch (exit) {
            case Cpu::Exit::budget:
                if (executed == 0) cost += overhead_cost;
                waiting = 0;
                account(hart, executed);
                break;
            case Cpu::Exit::idle:
            case Cpu::Exit::stopped:
                waiting++;
                account(hart, turn.left);
                break;
            case Cpu::Exit::debug:
                account(hart, executed);
                if (pending == Pending::nothing) debug_stop(hart);
                break;
        }
        spend(cost);
        settle();
    }
    return {state};
}

Machine::Ran Machine::Implementation::run_parallel(const Slice& slice) {
    const auto outcome = parallel->run(slice.host_ns, only);
    attention.store(false, std::memory_order_relaxed);
    if (pending == Pending::nothing && outcome.debug_hart) debug_stop(*outcome.debug_hart);
    settle();
    if (state != RunState::running || !outcome.idle) return {state};
    if (outcome.deadline_ns == Timers::never) return {state, true, ~u64{0}};
    const u64 now = clock.now_ns();
    return {state, true, outcome.deadline_ns > now ? outcome.deadline_ns - now : 0};
}

void Machine::Implementation::debug_points_changed() {
    only_watches.watches = points.watches;
    for (Cpu* cpu : cpus) {
        cpu->set_debug_points(points.empty() ? nullptr : &points);
        cpu->debug_changed();
    }
    if (parallel) parallel->try_all();
}

// One instruction without breakpoints.
Cpu::Exit Machine::Implementation::step_once(Cpu& cpu) {
    const u64 before = cpu.instructions();
    cpu.set_debug_points(only_watches.empty() ? nullptr : &only_watches);
    cpu.debug_changed();
    running_cpu = &cpu;
    Cpu::Exit exit = cpu.run(1, Cpu::Step::single);
    // Attention that was asked for between slices ends a run before its first instruction.
    if (exit == Cpu::Exit::budget && cpu.instructions() == before) exit = cpu.run(1, Cpu::Step::single);
    running_cpu = nullptr;
    cpu.set_debug_points(points.empty() ? nullptr : &points);
    cpu.debug_changed();
    account(cpu.index(), cpu.instructions() - before);
    return exit;
}

// A watchpoint is reported before its access; debuggers expect to be told when the instruction is done.
Cpu::DebugEvent Machine::Implementation::finish_watch(Cpu& cpu) {
    const Cpu::DebugEvent event = cpu.debug_event();
    const auto watches = std::exchange(only_watches.watches, {});
    step_once(cpu);
    only_watches.watches = watches;
    return event;
}

void Machine::Implementation::debug_stop(unsigned hart) {
    Cpu& cpu = *cpus[hart];
    Cpu::DebugEvent event = cpu.debug_event();
    if (event.kind == Cpu::DebugEvent::Kind::watch) event = finish_watch(cpu);
    if (pending != Pending::nothing) return settle();
    if (event.kind == Cpu::DebugEvent::Kind::breakpoint) stopped_at = Breakpoint{hart, event.address};
    clock.pause();
    state = RunState::paused;
    stop_reason = StopReason::debug;
    only.reset();
    tell([&](MachineListener& listener) { listener.debug_stop(hart, event); });
    tell([](MachineListener& listener) { listener.stopped(StopReason::debug); });
}

void Machine::Implementation::run_past_breakpoint() {
    const Breakpoint at = *std::exchange(stopped_at, std::nullopt);
    Cpu& cpu = *cpus[at.hart];
    if (!runs_now(at.hart) || cpu.pc() != at.address || !points.breakpoints.contains(at.address)) return;
    if (step_once(cpu) == Cpu::Exit::debug && cpu.debug_event().kind == Cpu::DebugEvent::Kind::watch)
        debug_stop(at.hart);
    settle();
}

void Machine::Implementation::step(unsigned hart, Others others) {
    if (state == RunState::powered_off || hart >= cpus.size()) return;
    const bool was_running = state == RunState::running;
    Cpu& cpu = *cpus[hart];
    stopped_at.reset();
    clock.resume();
    Cpu::Exit exit = step_once(cpu);
    for (unsigned i = 0; exit == Cpu::Exit::idle && i < timers_in_step && timers.next_deadline_ns() != Timers::never;
         i++) {
        if (clock.deterministic()) clock.skip_to(timers.next_deadline_ns());
        if (timers.next_deadline_ns() > clock.now_ns()) break;
        timers.run_due();
        exit = step_once(cpu);
    }
    Cpu::DebugEvent event{Cpu::DebugEvent::Kind::step, cpu.pc(), DebugPoints::Access::write};
    if (exit == Cpu::Exit::debug && cpu.debug_event().kind == Cpu::DebugEvent::Kind::watch) event = finish_watch(cpu);
    for (Cpu* other : cpus) {
        if (others == Others::stand_still || other == &cpu || pending != Pending::nothing) continue;
        const u64 before = other->instructions();
        running_cpu = other;
        // A breakpoint it meets is not lost: it meets it again when it is run again.
        other->run(clock.deterministic() ? std::min(instructions_beside_step, until_deadline())
                                         : instructions_beside_step);
        running_cpu = nullptr;
        account(other->index(), other->instructions() - before);
        if (timers.next_deadline_ns() <= clock.now_ns()) timers.run_due();
    }
    if (timers.next_deadline_ns() <= clock.now_ns()) timers.run_due();
    if (parallel) parallel->try_all();
    settle();
    if (state == RunState::powered_off) return;
    clock.pause();
    state = RunState::paused;
    stop_reason = StopReason::debug;
    only.reset();
    tell([&](MachineListener& listener) { listener.debug_stop(hart, event); });
    if (was_running) tell([](MachineListener& listener) { listener.stopped(StopReason::debug); });
}

}  // namespace viv
