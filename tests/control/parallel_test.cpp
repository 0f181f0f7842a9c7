// Harts on parallel threads: nothing is lost, nothing runs between slices, exclusive sections are exclusive. The same
// file is what ThreadSanitizer is run on.
#include <gtest/gtest.h>

#include "tests/control/programs.h"

namespace viv::test {
namespace {

constexpr u64 shared = 0x1'3000;

Bench::Options parallel_options(unsigned cpus) {
    Bench::Options options;
    options.cpus = cpus;
    options.determinism = Determinism::live;
    options.harts = Harts::parallel;
    options.real_clock = true;
    return options;
}

// Adds to `shared` `count` times by `how`, then adds 1 to the next word; the hart for which that makes `harts` powers
// off.
std::vector<Instruction> adding_program(const std::vector<Instruction>& how, i32 count, i32 harts) {
    std::vector<Instruction> program{set(1, 1), set(13, shared), set(14, shared + 8), set(20, count)};
    const i32 body = static_cast<i32>(how.size());
    program.insert(program.end(), how.begin(), how.end());
    program.insert(program.end(), {{Op::add, 20, 20, 0, -1},
                                   {Op::branch, 20, 0, 0, -(body + 1) * 8},
                                   {Op::swap_add, 15, 14, 0, 1},
                                   {Op::add, 15, 15, 0, 1 - harts},
                                   {Op::branch, 15, 0, 0, 4 * 8},
                                   set(5, power_address),
                                   set(6, 0x101),
                                   {Op::store, 6, 5, 0, 0},
                                   {Op::wait, 0, 0, 0, 0}});
    return program;
}

TEST(Parallel, EveryHartRuns) {
    Bench bench(adding_program({{Op::swap_add, 2, 13, 0, 1}}, 20'000, 4), parallel_options(4));
    ASSERT_NE(bench.machine, nullptr) << bench.error;
    const auto ran = bench.run_out();
    EXPECT_EQ(ran.state, RunState::powered_off);
    EXPECT_EQ(bench.machine->exit_code(), 1);
    EXPECT_EQ(bench.board().ram(shared), 80'000U);
}

TEST(Parallel, ExclusiveSectionsExcludeEachOther) {
    // The increment is not atomic, and is lost as soon as two sections overlap.
    Bench bench(adding_program({{Op::exclusive, 0, 13, 0, 0}}, 500, 4), parallel_options(4));
    EXPECT_EQ(bench.run_out().state, RunState::powered_off);
    EXPECT_EQ(bench.board().ram(shared), 2'000U);
}

TEST(Parallel, ExclusiveSectionsExcludeOrdinaryInstructions) {
    // Hart 0 makes sections, the others compute and touch devices; the fake CPUs tell each other when they are within
    // an instruction.
    const std::vector<Instruction> program{set(1, 1),
                                           set(13, shared),
                                           set(20, 2'000),
                                           set(5, timer_address),
                                           set(14, shared + 8),
                                           {Op::branch, 10, 0, 0, 9 * 8},
                                           // hart 0, when both of the others have come to their loop:
                                           {Op::swap_add, 4, 14, 0, 0},
                                           {Op::add, 4, 4, 0, -2},
                                           {Op::branch, 4, 0, 0, -2 * 8},
                                           {Op::exclusive, 0, 13, 0, 0},
                                           {Op::add, 20, 20, 0, -1},
                                           {Op::branch, 20, 0, 0, -2 * 8},
                                           set(5, power_address),
                                           {Op::store, 1, 5, 0, 0},
                                           // the others:
                                           {Op::swap_add, 4, 14, 0, 1},
                                           {Op::add, 2, 2, 0, 1},
                                           {Op::load, 3, 5, 0, 0},
                                           jump(-2)};
    Bench bench(program, parallel_options(3));
    EXPECT_EQ(bench.run_out().state, RunState::powered_off);
    EXPECT_EQ(bench.board().ram(shared), 2'000U);
    EXPECT_EQ(bench.board().witness.violations, 0U);
    EXPECT_EQ(bench.board().witness.executing, 0);
}

TEST(Parallel, NoWakeUpIsLost) {
    // Two harts hand a turn to and fro: raise the other, wait for one's own line. A lost wake-up leaves both waiting.
    constexpr i32 rounds = 2'000;
    const std::vector<Instruction> program{
        set(1, 1),
        set(13, shared),
        set(20, rounds),
        {Op::branch, 10, 0, 0, 7 * 8},
        // hart 0:
        set(5, raise_address + 8),
        {Op::store, 1, 5, 0, 0},
        {Op::wait, 0, 0, 0, 0},
        {Op::add, 20, 20, 0, -1},
        {Op::branch, 20, 0, 0, -3 * 8},
        {Op::branch, 1, 0, 0, 5 * 8},
        // hart 1:
        set(5, raise_address),
        {Op::wait, 0, 0, 0, 0},
        {Op::swap_add, 2, 13, 0, 1},
        {Op::store, 1, 5, 0, 0},
        // hart 0 comes here with x20 == 0 when done
        {Op::branch, 10, 0, 0, -3 * 8},
        set(5, power_address),
        {Op::store, 1, 5, 0, 0},
    };
    Bench bench(program, parallel_options(2));
    const auto ran = bench.run_out();
    EXPECT_EQ(ran.state, RunState::powered_off);
    EXPECT_EQ(bench.board().ram(shared), static_cast<u64>(rounds));
}

TEST(Parallel, NothingRunsBetweenSlices) {
    Bench bench(counting_program(), parallel_options(4));
    for (unsigned slice = 0; slice < 8; slice++) {
        bench.machine->run({0, 200'000});
        const u64 counted = bench.machine->instructions();
        const u64 runs = bench.cpu(0).runs() + bench.cpu(1).runs() + bench.cpu(2).runs() + bench.cpu(3).runs();
        for (unsigned i = 0; i < 100; i++) std::this_thread::yield();
        EXPECT_EQ(bench.machine->instructions(), counted);
        EXPECT_EQ(bench.cpu(0).runs() + bench.cpu(1).runs() + bench.cpu(2).runs() + bench.cpu(3).runs(), runs);
    }
    EXPECT_GT(bench.machine->instructions(), 0U);
}

TEST(Parallel, AttentionFromAnotherThreadEndsALongSlice) {
    Bench bench({set(1, 1), set(13, shared), {Op::swap_add, 2, 13, 0, 1}, jump(-1)}, parallel_options(2));
    auto* word = reinterpret_cast<u64*>(bench.board().memory().host(shared, 8));
    std::thread other([&] {
        while (std::atomic_ref<u64>(*word).load() < 1'000) std::this_thread::yield();
        bench.machine->request_attention();
    });
    const auto ran = bench.machine->run({0, ~u64{0}});
    other.join();
    EXPECT_EQ(ran.state, RunState::running);
    EXPECT_FALSE(ran.idle);
    EXPECT_GE(bench.board().ram(shared), 1'000U);
}

TEST(Parallel, TimersComeWhileHartsRunAndWhileTheyWait) {
    auto options = parallel_options(4);
    options.real_clock = false;  // a look at the clock is a microsecond; the test lets idle time pass
    Bench bench(busy_program(3'000), options);
    while (bench.board().timer().fired < 60) {
        const auto ran = bench.machine->run({0, 500'000});
        ASSERT_EQ(ran.state, RunState::running);
        if (ran.idle) {
            ASSERT_NE(ran.idle_ns, ~u64{0});
            bench.step_clock.now += ran.idle_ns;
        }
    }
    for (unsigned hart = 0; hart < 4; hart++) EXPECT_GT(bench.cpu(hart).x(16), 0U) << hart;
}

TEST(Parallel, IdleMachineReturnsAtOnceAndInputWakesIt) {
    Bench bench({set(1, 1), {Op::wait, 0, 0, 0, 0}, {Op::add, 2, 2, 0, 1}, jump(-2)}, parallel_options(3));
    for (u64 round = 0; round < 50; round++) {
        const auto ran = bench.machine->run({0, ~u64{0}});
        ASSERT_TRUE(ran.idle);
        ASSERT_EQ(ran.idle_ns, ~u64{0});
        EXPECT_EQ(bench.cpu(2).x(2), round);
        // Harts that nothing has happened to are not even looked at.
        EXPECT_EQ(bench.cpu(1).runs(), 1U);
        bench.cpu(2).raise();
    }
}

TEST(Parallel, BreakpointStopsAllHarts) {
    Bench bench(
        {set(1, 1), {Op::branch, 10, 0, 0, 3 * 8}, {Op::add, 2, 2, 0, 1}, jump(-1), {Op::add, 3, 3, 0, 1}, jump(-1)},
        parallel_options(2));
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.machine->debug_points().breakpoints.insert(ram_base + 5 * 8);
    bench.machine->debug_points_changed();
    for (u64 round = 1; round < 4; round++) {
        bench.run_out({0, 1'000'000'000});
        ASSERT_EQ(bench.machine->state(), RunState::paused);
        EXPECT_EQ(bench.cpu(1).x(3), round);
        bench.machine->resume();
    }
    EXPECT_EQ(recorder.lines[0], "debug cpu1 0 0x10028");
    bench.machine->debug_points().breakpoints.clear();
    bench.machine->debug_points_changed();
    bench.machine->pause();
    bench.machine->step(0);
    bench.machine->resume_one(0);
    const u64 before = bench.cpu(1).instructions();
    bench.machine->run({0, 2'000'000});
    EXPECT_EQ(bench.cpu(1).instructions(), before);
    bench.machine->remove_listener(recorder);
}

TEST(Parallel, GuestResetStartsEveryHartAgain) {
    // Both harts wait; then hart 0 resets the first time and powers off the second.
    Bench bench({set(1, 1),
                 {Op::branch, 10, 0, 0, 8 * 8},
                 set(5, power_address),
                 set(8, 0x1'8000),
                 set(6, 0x701),
                 {Op::swap_add, 7, 8, 0, 1},
                 {Op::branch, 7, 0, 0, 2 * 8},
                 set(6, 2),
                 {Op::store, 6, 5, 0, 0},
                 {Op::wait, 0, 0, 0, 0}},
                parallel_options(2));
    Recorder recorder;
    bench.machine->add_listener(recorder);
    bench.run_out();
    EXPECT_EQ(recorder.lines, (std::vector<std::string>{"reset by guest", "off 7"}));
    bench.machine->remove_listener(recorder);
}

TEST(Parallel, SavedMachineGoesOnWithItsHartsInTurn) {
    // However long a slice takes on a busy host: nobody gets past the gate before it is opened.
    constexpr u64 gate = shared + 16;
    const std::vector<Instruction> adding{{Op::swap_add, 2, 13, 0, 1}};
    auto program = adding_program(adding, 50'000, 4);
    const std::vector<Instruction> wait_at_gate{
        set(16, gate),
        {Op::swap_add, 4, 16, 0, 0},
        {Op::branch, 4, 0, 0, 2 * 8},
        {Op::branch, 1, 0, 0, -2 * 8},
    };
    program.insert(program.begin() + 4 + static_cast<std::ptrdiff_t>(adding.size()) + 2, wait_at_gate.begin(),
                   wait_at_gate.end());
    Bench parallel(program, parallel_options(4));
    ASSERT_EQ(parallel.machine->run({0, 100'000}).state, RunState::running);
    VectorSink sink;
    ASSERT_TRUE(parallel.machine->save(sink).ok());
    auto options = parallel_options(4);
    options.harts = Harts::in_turn;
    Bench in_turn(program, options);
    auto source = state::Source::of(std::make_unique<host::BytesFile>(sink.bytes));
    const auto restored = in_turn.machine->restore(source);
    ASSERT_TRUE(restored.ok()) << restored.error().message;
    const u8 open[8] = {1};
    ASSERT_TRUE(in_turn.board().memory().write(gate, open));
    in_turn.machine->resume();
    EXPECT_EQ(in_turn.run_out().state, RunState::powered_off);
    EXPECT_EQ(in_turn.board().ram(shared), 200'000U);
}

}  // namespace
}  // namespace viv::test
