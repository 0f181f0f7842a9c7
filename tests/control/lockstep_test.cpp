// Two machines in lockstep: what is alike, what is found where it is not, and from where it shows again.
#include "engine/control/lockstep/lockstep.h"

#include <gtest/gtest.h>

#include "tests/control/programs.h"

namespace viv::test {
namespace {

using lockstep::Difference;
using lockstep::Lockstep;
using lockstep::Settings;
using lockstep::Side;
using lockstep::Twins;
using At = lockstep::Twins::At;

constexpr u64 mailbox = 0x1'4000;

// What is typed lands in RAM, eight letters a word.
class Mailbox final : public ByteDevice {
public:
    explicit Mailbox(Machine& machine) : machine_(machine) {}
    usize put(std::span<const u8> bytes) override {
        u8 word[8] = {};
        const usize count = std::min<usize>(bytes.size(), sizeof word);
        std::copy_n(bytes.begin(), count, word);
        if (spoils) word[0] ^= 1;
        machine_.board().memory().write(mailbox, word);
        return count;
    }
    bool spoils = false;

private:
    Machine& machine_;
};

class FakeMaker final : public lockstep::Maker {
public:
    FakeMaker(std::vector<Instruction> program, Bench::Options options)
        : program_(std::move(program)), options_(std::move(options)) {}

    unsigned ports() const override { return 1; }
    Result<std::unique_ptr<Machine>> make(Side side, std::span<lockstep::Port> ports) override {
        EXPECT_EQ(ports.size(), 1u);
        benches_.push_back(std::make_unique<Bench>(program_, options_));
        Bench& bench = *benches_.back();
        if (bench.machine == nullptr) return Error{bench.error};
        made++;
        if (side == Side::second && made <= defective) bench.cpu(defective_cpu).defect = defect;
        return std::move(bench.machine);
    }
    ByteDevice* device(Machine& machine, unsigned) override {
        mailboxes_.push_back(std::make_unique<Mailbox>(machine));
        mailboxes_.back()->spoils = mail_is_spoiled && mailboxes_.size() % 2 == 0;
        return mailboxes_.back().get();
    }

    std::optional<FakeCpu::Defect> defect;
    unsigned defective_cpu = 0;
    unsigned defective = ~0u;  // of all machines made, so many may have it
    bool mail_is_spoiled = false;
    unsigned made = 0;

private:
    std::vector<Instruction> program_;
    Bench::Options options_;
    std::vector<std::unique_ptr<Bench>> benches_;
    std::vector<std::unique_ptr<Mailbox>> mailboxes_;
};

constexpr Settings settings{.every = 1'000, .memory_every = 16, .maximum = 200'000};

// Up to the first step that is not alike, or the end.
bool stays_alike(Lockstep& run) {
    EXPECT_TRUE(run.power_on().ok());
    while (true) {
        auto step = run.step();
        EXPECT_TRUE(step.ok());
        if (!step->alike) return false;
        if (step->at != At::stop) return true;
    }
}

Difference search(Lockstep& run) {
    unsigned steps = 0;
    auto found = run.search([&](u64 alike, u64 differs) {
        EXPECT_LT(alike, differs);
        steps++;
    });
    EXPECT_TRUE(found.ok()) << found.error().message;
    EXPECT_EQ(steps > 0, found->repeated);
    return std::move(*found);
}

bool has_field(const lockstep::Differing& differing, std::string_view name) {
    return std::any_of(differing.fields.begin(), differing.fields.end(),
                       [&](const auto& field) { return field.name == name && field.first != field.second; });
}

TEST(Lockstep, MachinesThatDoTheSameStayAlike) {
    for (const unsigned cpus : {1u, 3u}) {
        FakeMaker maker(busy_program(), {.cpus = cpus});
        Lockstep run(maker, settings);
        EXPECT_TRUE(stays_alike(run));
        EXPECT_EQ(run.machine().instructions(), settings.maximum);
        EXPECT_EQ(run.comparisons(), 200u);
        EXPECT_EQ(run.memory_comparisons(), 13u);
        EXPECT_EQ(maker.made, 2u);
    }
}

TEST(Lockstep, FindsTheInstructionThatDiffers) {
    for (const u64 at : {u64{1}, u64{999}, u64{1'000}, u64{1'001}, u64{123'457}, u64{200'000}}) {
        FakeMaker maker(busy_program(), {});
        maker.defect = FakeCpu::Defect{.at = at};
        Lockstep run(maker, settings);
        ASSERT_FALSE(stays_alike(run));
        const auto found = search(run);
        EXPECT_TRUE(found.repeated);
        EXPECT_EQ(found.last_alike, at - 1);
        EXPECT_EQ(found.first_differing, at);
        EXPECT_TRUE(has_field(found.fine, "cpu0.x[20]"));
        EXPECT_EQ(found.fine.fields.size(), 1u);
        EXPECT_EQ(found.fine.words_in_all, 0u);
        ASSERT_EQ(found.executed.size(), std::min<u64>(at, 48));
        EXPECT_EQ(found.executed.back().instruction, at);
    }
}

TEST(Lockstep, TellsWhichCpuItWas) {
    FakeMaker maker(busy_program(), {.cpus = 3});
    maker.defect = FakeCpu::Defect{.at = 30'000};
    maker.defective_cpu = 1;
    Lockstep run(maker, settings);
    ASSERT_FALSE(stays_alike(run));
    const auto found = search(run);
    EXPECT_EQ(found.first_differing, found.last_alike + 1);
    EXPECT_TRUE(has_field(found.fine, "cpu1.x[20]"));
    EXPECT_EQ(found.executed.back().cpu, 1u);
    EXPECT_TRUE(found.executed.back().text.starts_with("op")) << found.executed.back().text;
}

TEST(Lockstep, ABlockThatIsOnlyWrongAsAWholeIsFoundByItsEnd) {
    for (const unsigned block : {2u, 7u, 64u}) {
        FakeMaker maker(busy_program(), {});
        maker.defect = FakeCpu::Defect{.at = 77'777, .block = block};
        Lockstep run(maker, settings);
        ASSERT_FALSE(stays_alike(run));
        const auto found = search(run);
        EXPECT_EQ(found.first_differing, 77'777u);
        EXPECT_EQ(found.last_alike, 77'776u);
        EXPECT_TRUE(has_field(found.fine, "cpu0.x[20]"));
    }
}

TEST(Lockstep, WhatShowsWhenWarmIsSearchedForFromPowerOn) {
    FakeMaker maker(busy_program(), {});
    maker.defect = FakeCpu::Defect{.at = 150'500, .block = 5, .warmth = 150'000};
    Lockstep run(maker, settings);
    ASSERT_FALSE(stays_alike(run));
    const auto found = search(run);
    EXPECT_TRUE(found.repeated);
    EXPECT_FALSE(found.checkpoint.has_value());
    EXPECT_EQ(found.first_differing, 150'500u);
}

TEST(Lockstep, WhatShowsAnywhereIsSearchedForFromACheckpoint) {
    FakeMaker maker(busy_program(), {});
    maker.defect = FakeCpu::Defect{.at = 150'500, .block = 5, .warmth = 100};
    Lockstep run(maker, settings);
    ASSERT_FALSE(stays_alike(run));
    EXPECT_EQ(search(run).checkpoint.has_value(), true);
    EXPECT_EQ(maker.made, 2u);
}

TEST(Lockstep, WithoutCheckpointsEverythingIsDoneAgain) {
    FakeMaker maker(busy_program(), {});
    maker.defect = FakeCpu::Defect{.at = 50'500};
    auto without = settings;
    without.checkpoints = Settings::Checkpoints::none;
    Lockstep run(maker, without);
    ASSERT_FALSE(stays_alike(run));
    const auto found = search(run);
    EXPECT_FALSE(found.checkpoint.has_value());
    EXPECT_EQ(found.first_differing, 50'500u);
    EXPECT_GT(maker.made, 2u);
}

TEST(Lockstep, MemoryThatNoRegisterShowsIsFoundToo) {
    FakeMaker maker(busy_program(), {});
    maker.defect = FakeCpu::Defect{.at = 70'001, .memory = 0x1'5008};
    Lockstep run(maker, settings);
    ASSERT_FALSE(stays_alike(run));
    const auto found = search(run);
    EXPECT_EQ(found.alike_at, 64'000u);
    EXPECT_EQ(found.differs_at, 80'000u);
    EXPECT_EQ(found.first_differing, 70'001u);
    EXPECT_TRUE(found.fine.fields.empty());
    ASSERT_EQ(found.fine.words.size(), 1u);
    EXPECT_EQ(found.fine.words[0].address, 0x1'5008u);
    EXPECT_EQ(found.fine.words[0].first ^ found.fine.words[0].second, 4u);
}

TEST(Lockstep, WhatDoesNotShowAgainIsToldSo) {
    FakeMaker maker(busy_program(), {});
    maker.defect = FakeCpu::Defect{.at = 3'500};
    maker.defective = 2;  // not the machines of the repetition
    Lockstep run(maker, settings);
    ASSERT_FALSE(stays_alike(run));
    const auto found = search(run);
    EXPECT_FALSE(found.repeated);
    EXPECT_EQ(found.alike_at, 0u);
    EXPECT_EQ(found.differs_at, 4'000u);
    EXPECT_TRUE(has_field(found.coarse, "cpu0.x[20]"));
    EXPECT_TRUE(found.executed.empty());
}

TEST(Lockstep, InputIsTypedAgain) {
    // Counts, and adds up what is in the mailbox.
    const std::vector<Instruction> program{
        set(1, 1), set(2, mailbox), {Op::load, 3, 2, 0, 0}, {Op::add, 4, 4, 3, 0}, jump(-2),
    };
    const std::vector<u8> letters{'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'};
    for (const bool spoiled : {false, true}) {
        FakeMaker maker(program, {});
        maker.mail_is_spoiled = spoiled;
        Lockstep run(maker, settings);
        ASSERT_TRUE(run.power_on().ok());
        bool alike = true;
        while (alike) {
            auto step = run.step();
            ASSERT_TRUE(step.ok());
            alike = step->alike;
            if (step->at != At::stop) break;
            if (run.machine().instructions() == 20'000) run.type(0, letters);
        }
        EXPECT_EQ(alike, !spoiled);
        if (!spoiled) continue;
        const auto found = search(run);
        EXPECT_TRUE(found.repeated);
        EXPECT_EQ(found.last_alike, 20'000u - 1);  // there the mail is put into memory
        EXPECT_EQ(found.first_differing, 20'000u);
        ASSERT_EQ(found.fine.words.size(), 1u);
        EXPECT_EQ(found.fine.words[0].address, mailbox);
    }
}

TEST(Lockstep, MachinesThatEndDifferentlyDiffer) {
    // Powers off if x20 is still 0.
    const std::vector<Instruction> program{
        set(1, 1), {Op::add, 9, 20, 0, 1}, {Op::store, 9, 0, 0, static_cast<i32>(power_address)}, jump(-2)};
    FakeMaker maker(program, {});
    Lockstep run(maker, settings);
    EXPECT_TRUE(stays_alike(run));
    EXPECT_EQ(run.machine().state(), RunState::powered_off);
    maker.defect = FakeCpu::Defect{.at = 1};
    Lockstep other(maker, settings);
    EXPECT_FALSE(stays_alike(other));
    EXPECT_TRUE(has_field(search(other).coarse, "machine"));
}

TEST(Lockstep, BothWaitingForEverIsAStop) {
    FakeMaker maker({{Op::wait, 0, 0, 0, 0}, set(7, 7)}, {});
    Lockstep run(maker, settings);
    ASSERT_TRUE(run.power_on().ok());
    auto step = run.step();
    ASSERT_TRUE(step.ok());
    EXPECT_EQ(step->at, At::idle);
    EXPECT_TRUE(step->alike);
    auto same = run.same_memory();
    EXPECT_TRUE(same.ok() && *same);
}

TEST(LockstepPort, KeepsWhatTheDeviceDoesNotTake) {
    struct Slow final : ByteDevice {
        usize put(std::span<const u8> bytes) override {
            const usize count = std::min<usize>(bytes.size(), 2);
            taken.insert(taken.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
            return count;
        }
        std::vector<u8> taken;
    };
    Slow device;
    lockstep::Port port;
    port.attach(&device);
    const std::vector<u8> letters{1, 2, 3, 4, 5};
    port.type(letters);
    EXPECT_EQ(device.taken, (std::vector<u8>{1, 2}));
    const auto before = port.state();
    EXPECT_EQ(before.input, (std::vector<u8>{3, 4, 5}));
    EXPECT_FALSE(before.wanted);
    port.type({});  // nothing more until the device asks
    EXPECT_EQ(device.taken.size(), 2u);
    port.input_wanted();
    port.input_wanted();
    EXPECT_EQ(device.taken, letters);
    EXPECT_TRUE(port.state().wanted);
    port.set_state(before);
    EXPECT_EQ(port.state(), before);
    EXPECT_EQ(port.put(letters), 5u);
    EXPECT_EQ(port.output().size(), 5u);
}

}  // namespace
}  // namespace viv::test
