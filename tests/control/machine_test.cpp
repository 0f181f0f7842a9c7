// The life of a machine with harts in turn: slices that never change the course, timers to the instruction, idling,
// power and reset at instruction boundaries, pausing, debugging.
#include "engine/control/machine.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/control/programs.h"

namespace viv::test {
namespace {

// Runs to exactly `total` instructions with slices from `next`.
template <class Next>
void run_to(Machine& machine, u64 total, Next next) {
    while (machine.instructions() < total) {
        const u64 left = total - machine.instructions();
        machine.run({std::min<u64>(left, next()), 0});
        ASSERT_EQ(machine.state(), RunState::running);
    }
}

class Slicing : public testing::TestWithParam<unsigned> {};

TEST_P(Slicing, NeverChangesTheCourse) {
    constexpr u64 total = 200'000;
    Bench::Options options;
    options.cpus = GetParam();
    Bench whole(busy_program(), options);
    run_to(*whole.machine, total, [] { return total; });
    const Hash128 expected = whole.machine->hash();
    EXPECT_GT(whole.board().timer().fired, 20U);

    for (const u64 most : {u64{1}, u64{7}, u64{1'000}, u64{30'000}}) {
        Bench cut(busy_program(), options);
        std::mt19937_64 random(most);
        run_to(*cut.machine, total, [&] { return 1 + random() % most; });
        EXPECT_EQ(cut.machine->hash(), expected) << "slices up to " << most;
    }
}

INSTANTIATE_TEST_SUITE_P(Harts, Slicing, testing::Values(1U, 2U, 3U, 8U));

TEST(Machine, AttentionNeverChangesTheCourse) {
    Bench::Options options;
    options.cpus = 3;
    Bench whole(busy_program(), options), disturbed(busy_program(), options);
    run_to(*whole.machine, 100'000, [] { return u64{100'000}; });
    std::mt19937_64 random(5);
    run_to(*disturbed.machine, 100'000, [&] {
        if (random() % 2 == 0) disturbed.machine->request_attention();
        return 1 + random() % 5'000;
    });
    EXPECT_EQ(disturbed.machine->hash(), whole.machine->hash());
}

TEST(Machine, AttentionEndsTheNextRunOnce) {
    Bench bench(counting_program());
    bench.machine->request_attention();
    bench.machine->run({1'000, 0});
    const u64 before = bench.machine->instructions();
    EXPECT_LT(before, 1'000U);
    bench.machine->run({1'000, 0});
    EXPECT_GE(bench.machine->instructions() - before, 900U);
}

TEST(Machine, SeedDecidesTheCourse) {
    Bench::Options options;
    Bench one(busy_program(), options), same(busy_program(), options), longer(busy_program(778), options);
    for (Bench* bench : {&one, &same, &longer}) run_to(*bench->machine, 10'000, [] { return u64{10'000}; });
    EXPECT_EQ(one.machine->hash(), same.machine->hash());
    EXPECT_NE(one.machine->hash(), longer.machine->hash());
}

TEST(Machine, DeterministicTimerComesAtItsInstruction) {
    // 4 instructions set it up, the store is the 5th: armed at time 5 for 5 + 1,000.
    const auto program = with_handler({set(1, 1),
                                       set(5, timer_address),
                                       set(6, 1'000),
                                       {Op::enable, 0, 0, 0, 1},
                                       {Op::store, 6, 5, 0, 0},
                                       {Op::add, 2, 2, 0, 1},
                                       jump(-1)},
                                      {{Op::time, 15, 0, 0, 0}, {Op::wait, 0, 0, 0, 0}});
    Bench bench(program);
    bench.run_out();
    // `time` is itself an instruction that counts: the interrupt is taken at 1,005, so it reads 1,006.
    EXPECT_EQ(bench.cpu(0).x(15), 1'006U);
}

TEST(Machine, DeterministicTimeIsSharedByTheHarts) {
    // Hart 1 spins while hart 0 waits for its timer: 2 harts, so 1,000 ns are 2,000 instructions.
    const auto program = with_handler({set(1, 1),
                                       {Op::branch, 10, 0, 0, 6 * 8},
                                       set(5, timer_address),
                                       set(6, 1'000),
                                       {Op::enable, 0, 0, 0, 1},
                                       {Op::store, 6, 5, 0, 0},
                                       {Op::wait, 0, 0, 0, 0},
                                       {Op::add, 2, 2, 0, 1},
                                       jump(-1)},
                                      {{Op::time, 15, 0, 0, 0}, {Op::wait, 0, 0, 0, 0}});
    Bench::Options options;
    options.cpus = 2;
    Bench bench(program, options);
    // Armed by the 6th instruction of hart 0, at time 6 / 2.
    bench.machine->run({2 * 1'003, 0});
    EXPECT_EQ(bench.machine->instructions(), 2 * 1'003U);
    EXPECT_EQ(bench.board().timer().fired, 0U);
    bench.machine->run({1, 0});
    EXPECT_EQ(bench.board().timer().fired, 1U);
    EXPECT_EQ(bench.cpu(0).x(15), 0U);
    // Hart 0 has its turn when the quantum of hart 1 is over, 20,000 instructions after its own first 7.
    bench.machine->run({40'000, 0});
    EXPECT_EQ(bench.cpu(0).x(15), (7 + 20'000 + 1) / 2U);
}

TEST(Machine, DeterministicIdleTimePassesAtOnce) {
    const auto program = with_handler({set(1, 1),
                                       set(5, timer_address),
                                       set(6, 2'000'000'000),
                                       {Op::enable, 0, 0, 0, 1},
                                       {Op::store, 6, 5, 0, 0},
                                       {Op::wait, 0, 0, 0, 0}},
                                      {{Op::time, 15, 0, 0, 0}, {Op::wait, 0, 0, 0, 0}});
    Bench bench(program);
    const auto ran = bench.run_out({}, 3);
    EXPECT_TRUE(ran.idle);
    EXPECT_EQ(ran.idle_ns, ~u64{0});
    // 5 instructions, then 2 s from there; `wait` is skipped over, `time` counts itself.
    EXPECT_EQ(bench.cpu(0).x(15), 2'000'000'005U + 1);
}

TEST(Machine, LiveIdleNamesTheNextDeadline) {
    const auto program = with_handler({set(1, 1),
                                       set(5, timer_address),
                                       set(6, 50'000'000),
                                       {Op::enable, 0, 0, 0, 1},
                                       {Op::store, 6, 5, 0, 0},
                                       {Op::wait, 0, 0, 0, 0}},
                                      {{Op::add, 2, 2, 0, 1}, {Op::wait, 0, 0, 0, 0}});
    Bench::Options options;
    options.determinism = Determinism::live;
    Bench bench(program, options);
    auto ran = bench.machine->run({});
    EXPECT_TRUE(ran.idle);
    EXPECT_GT(ran.idle_ns, 49'000'000U);
    EXPECT_LE(ran.idle_ns, 50'000'000U);
    bench.step_clock.now += ran.idle_ns;
    ran = bench.machine->run({});
    EXPECT_EQ(bench.cpu(0).x(2), 1U);
    EXPECT_TRUE(ran.idle);
    EXPECT_EQ(ran.idle_ns, ~u64{0});
}

TEST(Machine, LiveSliceEndsByTime) {
    Bench::Options options;
    options.determinism = Determinism::live;
    Bench bench(counting_program(), options);
    bench.step_clock.step = 10'000;
    const auto ran = bench.machine->run({~u64{0}, 1'000'000});
    EXPECT_EQ(ran.state, RunState::running);
    EXPECT_FALSE(ran.idle);
    EXPECT_GT(bench.machine->instructions(), 0U);
}

TEST(Machine, SliceExecutesAtMostItsInstructions) {
    Bench::Options options;
    options.cpus = 3;
    Bench bench(busy_program(), options);
    u64 before = 0;
    for (const u64 count : {1, 2, 3, 100, 20'000, 20'001, 55'555}) {
        bench.machine->run({static_cast<u64>(count), 0});
        EXPECT_LE(bench.machine->instructions() - before, static_cast<u64>(count));
        before = bench.machine->instructions();
    }
}

TEST(Machine, TimerThatIsAlwaysPastEndsTheSlice) {
    // A device that keeps asking for a moment already past must not hold run().
    Bench bench({set(1, 1), {Op::wait, 0, 0, 0, 0}});
    Timer* self = nullptr;
    Timer timer(bench.machine->timers(), [&] { self->arm(0); });
    self = &timer;
    timer.arm(0);
    const auto ran = bench.machine->run({100'000, 0});
    EXPECT_EQ(ran.state, RunState::running);
    EXPECT_FALSE(ran.idle);
}

TEST(Machine, PowerOffTakesEffectAfterItsInstruction) {
    Bench bench({set(1, 1), set(5, power_address), set(6, 0x2a01), {Op::store, 6, 5, 0, 0}, set(7, 99), jump(-1)});
    Recorder recorder;
    bench.machine->add_listener(recorder);
    const auto ran = bench.machine->run({});
    EXPECT_EQ(ran.state, RunState::powered_off);
    EXPECT_TRUE(ran.idle);
    EXPECT_EQ(bench.machine->exit_code(), 0x2a);
    EXPECT_EQ(bench.machine->stop_reason(), StopReason::guest_power_off);
    EXPECT_EQ(bench.machine->instructions(), 4U);
    EXPECT_EQ(bench.cpu(0).x(7), 0U);
    EXPECT_EQ(recorder.lines, std::vector<std::string>{"off 42"});
    bench.machine->resume();
    EXPECT_EQ(bench.machine->state(), RunState::powered_off);
    bench.machine->remove_listener(recorder);
}

TEST(Machine, GuestResetLoadsTheKernelAgainAndTimeGoesOn) {
    // The first time round a word of RAM, which reset does not clear, is 0: then the program overwrites itself and
    // resets.
    Bench bench({set(1, 1),
                 set(5, power_address),
                 set(8, 0x1'8000),
                 {Op::load, 7, 8, 0, 0},
                 {Op::branch, 7, 0, 0, 5 * 8},
                 {Op::store, 1, 8, 0, 0},
                 {Op::store, 0, 8, 0, -0x8000},
                 set(6, 2),
                 {Op::store, 6, 5, 0, 0},
                 {Op::time, 15, 0, 0, 0},
                 set(6, 1),
                 {Op::store, 6, 5, 0, 0}});
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.run_out();
    EXPECT_EQ(bench.board().resets, 2U);
    EXPECT_EQ(recorder.lines, (std::vector<std::string>{"reset by guest", "off 0"}));
    EXPECT_EQ(bench.board().ram(ram_base), load_le<u64>(assemble({set(1, 1)}).data()));
    // 9 instructions before the reset, 6 up to and with `time`.
    EXPECT_EQ(bench.cpu(0).x(15), 15U);
    EXPECT_EQ(bench.machine->instructions(), 17U);
    bench.machine->remove_listener(recorder);
}

TEST(Machine, AResetMayBeTheEnd) {
    const std::vector<Instruction> program{set(5, power_address), set(6, 2), {Op::store, 6, 5, 0, 0}, jump(0)};
    Bench::Options options;
    options.on_reset = OnReset::power_off;
    Bench bench(program, options);
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.run_out();
    EXPECT_EQ(bench.machine->state(), RunState::powered_off);
    EXPECT_EQ(bench.machine->stop_reason(), StopReason::guest_reset);
    EXPECT_EQ(bench.machine->exit_code(), 0);
    EXPECT_EQ(bench.board().resets, 1U);
    EXPECT_EQ(bench.machine->instructions(), 3U);
    ASSERT_TRUE(bench.machine->reset().ok());
    EXPECT_EQ(bench.machine->state(), RunState::powered_off);
    EXPECT_EQ(bench.machine->stop_reason(), StopReason::guest_reset) << "the first end is the one that counts";
    EXPECT_EQ(recorder.lines, std::vector<std::string>{"off 0"});
    bench.machine->remove_listener(recorder);

    Bench other(counting_program(), options);
    ASSERT_TRUE(other.machine->reset().ok());
    EXPECT_EQ(other.machine->state(), RunState::powered_off);
    EXPECT_EQ(other.machine->stop_reason(), StopReason::host_reset);
}

TEST(Machine, FailedGuestResetEndsTheMachine) {
    Bench bench({set(5, power_address), set(6, 2), {Op::store, 6, 5, 0, 0}});
    bench.board().fail_next_reset = true;
    bench.run_out();
    EXPECT_EQ(bench.machine->state(), RunState::powered_off);
    EXPECT_EQ(bench.machine->exit_code(), 1);
}

TEST(Machine, HostResetFromPoweredOffStartsAgain) {
    Bench bench(counting_program());
    bench.machine->run({1'000, 0});
    bench.machine->quit();
    EXPECT_EQ(bench.machine->stop_reason(), StopReason::quit);
    ASSERT_TRUE(bench.machine->reset().ok());
    EXPECT_EQ(bench.machine->state(), RunState::running);
    EXPECT_EQ(bench.cpu(0).x(2), 0U);
    bench.machine->run({1'000, 0});
    EXPECT_EQ(bench.machine->instructions(), 2'000U);
}

TEST(Machine, PauseStopsGuestTime) {
    Bench::Options options;
    options.determinism = Determinism::live;
    Bench bench(counting_program(), options);
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.machine->run({50'000, 0});
    bench.machine->pause();
    const u64 then = bench.machine->timers().now_ns();
    bench.step_clock.now += 1'000'000'000;
    EXPECT_EQ(bench.machine->timers().now_ns(), then);
    const auto ran = bench.machine->run({});
    EXPECT_EQ(ran.state, RunState::paused);
    bench.machine->pause();
    bench.machine->resume();
    bench.machine->resume();
    EXPECT_LT(bench.machine->timers().now_ns(), then + 1'000'000);
    EXPECT_EQ(recorder.lines, (std::vector<std::string>{"stopped 1", "resumed"}));
    bench.machine->remove_listener(recorder);
}

TEST(Machine, PowerButton) {
    Bench bench(counting_program());
    Recorder recorder;
    bench.machine->add_listener(recorder);
    EXPECT_TRUE(bench.machine->press_power_button());
    bench.board().has_button = false;
    EXPECT_FALSE(bench.machine->press_power_button());
    EXPECT_EQ(recorder.lines, std::vector<std::string>{"button"});
    bench.machine->remove_listener(recorder);
}

TEST(Machine, ImpossibleConfigurationsAreRefused) {
    Bench::Options options;
    options.harts = Harts::parallel;
    Bench bench(counting_program(), options);
    EXPECT_EQ(bench.machine, nullptr);
    EXPECT_NE(bench.error.find("deterministic"), std::string::npos);
}

TEST(Machine, BreakpointStopsBeforeItsInstructionAndResumeGoesPast) {
    Bench bench(counting_program());
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.machine->debug_points().breakpoints.insert(ram_base + 8);
    bench.machine->debug_points_changed();
    for (u64 round = 0; round < 3; round++) {
        bench.run_out();
        EXPECT_EQ(bench.machine->state(), RunState::paused);
        EXPECT_EQ(bench.machine->stop_reason(), StopReason::debug);
        EXPECT_EQ(bench.cpu(0).pc(), ram_base + 8);
        EXPECT_EQ(bench.cpu(0).x(2), round);
        bench.machine->resume();
    }
    EXPECT_EQ(recorder.lines[0], "debug cpu0 0 0x10008");
    EXPECT_EQ(recorder.lines[1], "stopped 2");
    EXPECT_EQ(recorder.lines[2], "resumed");
    bench.machine->debug_points().breakpoints.clear();
    bench.machine->debug_points_changed();
    bench.machine->run({3'000, 0});
    EXPECT_EQ(bench.machine->state(), RunState::running);
    bench.machine->remove_listener(recorder);
}

TEST(Machine, BreakpointWhereASliceOrAWaitEndsIsHit) {
    Bench bench({set(1, 1), {Op::add, 2, 2, 0, 1}, {Op::wait, 0, 0, 0, 0}, {Op::add, 3, 3, 0, 1}, jump(-3)});
    bench.machine->debug_points().breakpoints = {ram_base + 8, ram_base + 3 * 8};
    bench.machine->debug_points_changed();
    bench.machine->run({1, 0});
    ASSERT_EQ(bench.machine->state(), RunState::running);
    bench.machine->run({1, 0});
    EXPECT_EQ(bench.machine->state(), RunState::paused);
    EXPECT_EQ(bench.cpu(0).pc(), ram_base + 8);
    bench.machine->resume();
    EXPECT_TRUE(bench.machine->run({}).idle);
    ASSERT_EQ(bench.machine->state(), RunState::running);
    bench.cpu(0).raise();
    bench.machine->run({});
    EXPECT_EQ(bench.machine->state(), RunState::paused);
    EXPECT_EQ(bench.cpu(0).pc(), ram_base + 3 * 8);
    EXPECT_EQ(bench.cpu(0).x(3), 0U);
}

TEST(Machine, WatchpointStopsAfterItsAccess) {
    Bench bench({set(1, 1), set(5, 0x1'8000), {Op::add, 2, 2, 0, 1}, {Op::store, 2, 5, 0, 16}, jump(-2)});
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.machine->debug_points().watches.push_back({0x1'8014, 1, DebugPoints::Access::write});
    bench.machine->debug_points_changed();
    for (u64 round = 1; round <= 3; round++) {
        bench.run_out();
        EXPECT_EQ(bench.board().ram(0x1'8010), round);
        EXPECT_EQ(bench.cpu(0).pc(), ram_base + 4 * 8);
        bench.machine->resume();
    }
    EXPECT_EQ(recorder.lines[0], "debug cpu0 1 0x18014");
    bench.machine->remove_listener(recorder);
}

TEST(Machine, PowerOffByAWatchedInstructionWins) {
    Bench bench({set(5, power_address), set(6, 0x301), {Op::store, 6, 5, 0, 0}});
    bench.machine->debug_points().watches.push_back({power_address, 8, DebugPoints::Access::write});
    bench.machine->debug_points_changed();
    bench.run_out();
    EXPECT_EQ(bench.machine->state(), RunState::powered_off);
    EXPECT_EQ(bench.machine->exit_code(), 3);
}

TEST(Machine, StepMovesOneHartByOne) {
    Bench::Options options;
    options.cpus = 2;
    Bench bench(counting_program(), options);
    Recorder recorder;
    bench.machine->pause();
    bench.machine->add_listener(recorder);
    bench.machine->debug_points().breakpoints.insert(ram_base);
    bench.machine->debug_points_changed();
    bench.machine->step(1);
    EXPECT_EQ(bench.cpu(1).pc(), ram_base + 8);
    EXPECT_EQ(bench.cpu(0).instructions(), 0U);
    EXPECT_EQ(bench.machine->state(), RunState::paused);
    EXPECT_EQ(recorder.lines, std::vector<std::string>{"debug cpu1 2 0x10008"});
    bench.machine->debug_points().breakpoints.clear();
    bench.machine->debug_points_changed();
    bench.machine->step(1, Machine::Others::go_on);
    EXPECT_EQ(bench.cpu(1).instructions(), 2U);
    EXPECT_GT(bench.cpu(0).instructions(), 100U);
    bench.machine->remove_listener(recorder);
}

TEST(Machine, StepAfterAttentionStillMoves) {
    Bench bench(counting_program());
    bench.machine->pause();
    bench.machine->request_attention();
    bench.machine->step(0);
    EXPECT_EQ(bench.cpu(0).instructions(), 1U);
}

TEST(Machine, StepOfAWaitingHartLetsItsTimerCome) {
    const auto program = with_handler({set(1, 1),
                                       set(5, timer_address),
                                       set(6, 5'000),
                                       {Op::enable, 0, 0, 0, 1},
                                       {Op::store, 6, 5, 0, 0},
                                       {Op::wait, 0, 0, 0, 0}},
                                      {{Op::add, 2, 2, 0, 1}, {Op::wait, 0, 0, 0, 0}});
    Bench bench(program);
    bench.machine->run({6, 0});
    EXPECT_EQ(bench.machine->instructions(), 6U);
    bench.machine->pause();
    bench.machine->step(0);
    EXPECT_EQ(bench.cpu(0).pc(), FakeCpu::vector_address);
    bench.machine->step(0);
    bench.machine->step(0);
    const u64 pc = bench.cpu(0).pc();
    bench.machine->step(0);  // waits for ever now
    EXPECT_EQ(bench.cpu(0).pc(), pc);
}

TEST(Machine, SteppingIsRunning) {
    Bench stepped(busy_program()), run(busy_program());
    stepped.machine->pause();
    for (unsigned i = 0; i < 5'000; i++) stepped.machine->step(0);
    run_to(*run.machine, stepped.machine->instructions(), [] { return u64{1'000}; });
    EXPECT_EQ(stepped.board().timer().fired, run.board().timer().fired);
    EXPECT_EQ(stepped.cpu(0).x(16), run.cpu(0).x(16));
}

TEST(Machine, ResumeOneKeepsTheOthersStill) {
    Bench::Options options;
    options.cpus = 3;
    Bench bench(counting_program(), options);
    bench.machine->pause();
    bench.machine->resume_one(1);
    bench.machine->run({100'000, 0});
    EXPECT_EQ(bench.cpu(0).instructions(), 0U);
    EXPECT_EQ(bench.cpu(1).instructions(), 100'000U);
    bench.machine->pause();
    bench.machine->resume();
    bench.machine->run({100'000, 0});
    EXPECT_GT(bench.cpu(0).instructions(), 0U);
    EXPECT_GT(bench.cpu(2).instructions(), 0U);
}

TEST(Machine, StoppedHartsCountAsIdle) {
    Bench::Options options;
    options.cpus = 2;
    Bench bench({set(1, 1), {Op::wait, 0, 0, 0, 0}}, options);
    bench.cpu(1).stopped = true;
    const auto ran = bench.machine->run({});
    EXPECT_TRUE(ran.idle);
    EXPECT_EQ(bench.cpu(1).instructions(), 0U);
    bench.cpu(0).raise();
    EXPECT_TRUE(bench.machine->run({}).idle);
}

TEST(Machine, ListenerMayPauseAndLeaveWhileCalled) {
    struct Leaver final : MachineListener {
        explicit Leaver(Machine& m) : machine(m) {}
        void was_reset(ResetBy) override {
            machine.pause();
            machine.remove_listener(*this);
        }
        Machine& machine;
    };
    Bench bench({set(5, power_address), set(6, 2), {Op::store, 6, 5, 0, 0}});
    Leaver leaver(*bench.machine);
    bench.machine->add_listener(leaver);
    bench.run_out();
    EXPECT_EQ(bench.machine->state(), RunState::paused);
    EXPECT_EQ(bench.board().resets, 2U);
}

}  // namespace
}  // namespace viv::test
