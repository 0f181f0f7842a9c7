// Regions compiled beside the vCPU: the guest goes on meanwhile, and what came too late is not used.
#include "engine/jit/compile_queue.h"

#include <gtest/gtest.h>

#include <atomic>

#include "native/host_posix.h"
#include "tests/jit/toy_guest.h"

namespace viv::jit {
namespace {

using namespace test;

// Opened once.
class Gate {
public:
    void open() {
        open_ = true;
        open_.notify_all();
    }
    void pass() const { open_.wait(false); }

private:
    std::atomic<bool> open_ = false;
};

// Says when a region is begun, and compiles it when the gate is open.
class Gated final : public Walker {
public:
    Gated(Gate& begun, const Gate& may_end) : begun_(begun), may_end_(may_end) {}
    bool compile(const Region& region, u32 first_exit, Compiled& out) const override {
        if (region.heat == Region::not_counted) {
            begun_.open();
            may_end_.pass();
        }
        return Walker::compile(region, first_exit, out);
    }

private:
    Gate& begun_;
    const Gate& may_end_;
};

class Waiting final : public CompileQueue::Job {
public:
    Waiting(Gate& begun, const Gate& may_end) : begun_(begun), may_end_(may_end) {}
    void work() override {
        begun_.open();
        may_end_.pass();
        done = true;
    }
    bool done = false;

private:
    Gate& begun_;
    const Gate& may_end_;
};

class CompileQueueTest : public testing::Test {
protected:
    // Runs the loop until its region is being compiled.
    void begin() {
        bench.run(1 + 400);
        begun.pass();
        EXPECT_EQ(bench.report().waiting, 1u);
        EXPECT_EQ(bench.report().tiers[1].made, 0u);
    }
    // Until nothing is waited for any more.
    void end() {
        may_end.open();
        while (bench.report().waiting != 0) bench.run(8);
    }

    Gate begun, may_end;
    native::PosixThreads threads;
    CompileQueue queue{threads};
    // 0: to 4 | 4: one, to 8 | 8: one, to 4
    Bench bench{{0x84, 0, 0, 0, 0, 0x88, 0, 0, 0, 0x84},
                {.highest = Tier::full, .quick_after = 0, .full_after = 10, .queue = &queue},
                page_size,
                std::make_unique<Gated>(begun, may_end)};
};

TEST_F(CompileQueueTest, TheGuestGoesOnUntilTheRegionIsThere) {
    begin();
    for (int i = 0; i < 100; i++) bench.run(40);
    auto report = bench.report();
    EXPECT_GT(Bench::count(report, "hot"), 10u) << "it is asked again whether the region is there";
    EXPECT_EQ(report.waiting, 1u) << "and none is asked for twice";
    EXPECT_EQ(report.tiers[0].held, 3u);
    end();
    bench.run(40);
    report = bench.report();
    EXPECT_EQ(report.tiers[1].held, 1u);
    EXPECT_EQ(report.tiers[0].held, 1u);
    EXPECT_EQ(report.outdated, 0u);
}

TEST_F(CompileQueueTest, ARegionWhoseCodeHasChangedIsNotUsed) {
    begin();
    EXPECT_TRUE(bench.tiers.code_written(physical + 9, 1)) << "nothing else may be left, but the region waits";
    may_end.open();
    while (bench.report().outdated == 0) bench.run(8);
    // It is asked for again.
    while (bench.report().tiers[1].held == 0) bench.run(100);
    EXPECT_EQ(bench.report().outdated, 1u);
}

TEST_F(CompileQueueTest, OtherWritesToThePageDoNoHarm) {
    begin();
    EXPECT_TRUE(bench.tiers.code_written(physical + 0x800, 8));
    end();
    EXPECT_EQ(bench.report().outdated, 0u);
    EXPECT_EQ(bench.report().tiers[1].held, 1u);
}

TEST_F(CompileQueueTest, WhatIsForgottenDoesNotComeBack) {
    begin();
    bench.toy.forget_code();
    may_end.open();
    // Jobs are done in order: when this one has begun, the other has ended.
    Gate next;
    queue.post(std::make_shared<Waiting>(next, may_end));
    next.pass();
    bench.run(1);
    EXPECT_EQ(bench.report().waiting, 0u);
    EXPECT_EQ(bench.report().tiers[1].made, 0u);
    while (bench.report().tiers[1].held == 0) bench.run(100);
}

TEST_F(CompileQueueTest, AJobIsTakenBackOrWaitedFor) {
    const auto first = std::make_shared<Waiting>(begun, may_end), second = std::make_shared<Waiting>(begun, may_end);
    queue.post(first);
    queue.post(second);
    begun.pass();
    EXPECT_FALSE(queue.take_back(*first));
    EXPECT_TRUE(queue.take_back(*second));
    EXPECT_FALSE(first->finished());
    may_end.open();
    queue.withdraw(*first);
    EXPECT_TRUE(first->finished());
    EXPECT_TRUE(first->done);
    EXPECT_FALSE(second->done);
}

}  // namespace
}  // namespace viv::jit
