// Saved machines: they go on exactly as they would have, hash and schema say so, and broken or foreign files are
// refused.
#include <gtest/gtest.h>

#include <random>

#include "tests/control/programs.h"

namespace viv::test {
namespace {

void run_to(Machine& machine, u64 total) {
    while (machine.instructions() < total && machine.state() == RunState::running)
        machine.run({total - machine.instructions(), 0});
}

std::vector<u8> saved(Machine& machine) {
    VectorSink sink;
    const auto result = machine.save(sink);
    EXPECT_TRUE(result.ok());
    EXPECT_TRUE(sink.finished);
    return sink.bytes;
}

Result<void> restored(Machine& machine, std::span<const u8> bytes) {
    auto source = state::Source::of(std::make_unique<host::BytesFile>(bytes));
    return machine.restore(source);
}

Bench::Options harts(unsigned count) {
    Bench::Options options;
    options.cpus = count;
    return options;
}

class Restoring : public testing::TestWithParam<unsigned> {};

TEST_P(Restoring, GoesOnAsIfNothingHadHappened) {
    constexpr u64 total = 150'000;
    Bench whole(busy_program(), harts(GetParam()));
    run_to(*whole.machine, total);
    std::mt19937_64 random(GetParam());
    for (unsigned round = 0; round < 5; round++) {
        const u64 at = random() % total;
        Bench first(busy_program(), harts(GetParam()));
        run_to(*first.machine, at);
        const Hash128 before = first.machine->hash();
        const auto bytes = saved(*first.machine);
        EXPECT_EQ(first.machine->hash(), before);

        Bench second(busy_program(), harts(GetParam()));
        second.machine->run({1 + random() % 50'000, 0});  // it need not be fresh
        const auto result = restored(*second.machine, bytes);
        ASSERT_TRUE(result.ok()) << result.error().message;
        EXPECT_EQ(second.machine->state(), RunState::paused);
        EXPECT_EQ(second.machine->stop_reason(), StopReason::restored);
        EXPECT_EQ(second.machine->hash(), before);
        EXPECT_EQ(second.machine->instructions(), first.machine->instructions());
        EXPECT_EQ(second.machine->timers().now_ns(), first.machine->timers().now_ns());
        EXPECT_EQ(saved(*second.machine), bytes);
        second.machine->resume();
        run_to(*second.machine, total);
        EXPECT_EQ(second.machine->hash(), whole.machine->hash()) << "saved at " << at;
    }
}

INSTANTIATE_TEST_SUITE_P(Harts, Restoring, testing::Values(1U, 3U, 8U));

TEST(Snapshot, KeepsTheTotalAcrossAGuestReset) {
    Bench bench({set(1, 1),
                 set(5, power_address),
                 set(8, 0x1'8000),
                 {Op::swap_add, 7, 8, 0, 1},
                 {Op::branch, 7, 0, 0, 3 * 8},
                 set(6, 2),
                 {Op::store, 6, 5, 0, 0},
                 {Op::add, 2, 2, 0, 1},
                 jump(-1)});
    run_to(*bench.machine, 1'000);
    EXPECT_EQ(bench.board().resets, 2U);
    const auto bytes = saved(*bench.machine);
    Bench other({set(1, 1),
                 set(5, power_address),
                 set(8, 0x1'8000),
                 {Op::swap_add, 7, 8, 0, 1},
                 {Op::branch, 7, 0, 0, 3 * 8},
                 set(6, 2),
                 {Op::store, 6, 5, 0, 0},
                 {Op::add, 2, 2, 0, 1},
                 jump(-1)});
    ASSERT_TRUE(restored(*other.machine, bytes).ok());
    EXPECT_EQ(other.machine->instructions(), 1'000U);
    EXPECT_EQ(other.machine->timers().now_ns(), 1'000U);
}

TEST(Snapshot, MemoryThatTheSavedMachineHadZeroBecomesZero) {
    Bench clean(counting_program());
    const auto bytes = saved(*clean.machine);
    Bench dirty(counting_program());
    const std::vector<u8> noise(0x8000, 0xa5);
    ASSERT_TRUE(dirty.board().memory().write(0x1'4000, noise));
    dirty.board().latch = 99;
    ASSERT_TRUE(restored(*dirty.machine, bytes).ok());
    EXPECT_EQ(dirty.board().ram(0x1'4000), 0U);
    EXPECT_EQ(dirty.board().latch, 0U);
    EXPECT_EQ(dirty.machine->hash(), clean.machine->hash());
    EXPECT_EQ(dirty.cpu(0).restored_count, 1U);
}

TEST(Snapshot, LargeMemoryWithFewPagesIsASmallFile) {
    Bench::Options options;
    options.memory = 96 << 20;
    Bench bench(counting_program(), options);
    std::vector<u8> page(page_size);
    std::mt19937 random(1);
    for (u8& byte : page) byte = static_cast<u8>(random());
    for (const u64 address : {u64{0}, u64{1'048'576} - page_size, u64{5'000} * page_size, (u64{96} << 20) - page_size})
        ASSERT_TRUE(bench.board().memory().write(ram_base + address, page));
    const auto bytes = saved(*bench.machine);
    EXPECT_LT(bytes.size(), 20'000U);
    Bench other(counting_program(), options);
    ASSERT_TRUE(restored(*other.machine, bytes).ok());
    EXPECT_EQ(other.machine->hash(), bench.machine->hash());
}

TEST(Snapshot, HeadTellsWhatToCreate) {
    Bench bench(counting_program(), harts(3));
    const auto bytes = saved(*bench.machine);
    auto source = state::Source::of(std::make_unique<host::BytesFile>(bytes));
    const auto head = Machine::read_head(source);
    ASSERT_TRUE(head.ok());
    EXPECT_EQ(head.value().launch, "--test");
    EXPECT_EQ(head.value().machine, "fake");
    EXPECT_EQ(head.value().cpu, "tiny");
    EXPECT_EQ(head.value().memory, 64U << 10);
    EXPECT_EQ(head.value().cpus, 3U);
    EXPECT_EQ(head.value().append, "console=none");
    EXPECT_TRUE(head.value().deterministic);
    ASSERT_TRUE(head.value().kernel.has_value());
    EXPECT_EQ(head.value().kernel->name, "kernel.bin");
    const auto kernel = BlobContent::of(*head.value().kernel);
    ASSERT_TRUE(kernel.ok());
    EXPECT_EQ(std::vector<u8>(kernel.value().bytes().begin(), kernel.value().bytes().end()),
              assemble(counting_program()));
    EXPECT_FALSE(head.value().initrd.has_value());
}

TEST(Snapshot, OtherMachinesAreRefusedByName) {
    Bench bench(counting_program(), harts(2));
    const auto bytes = saved(*bench.machine);
    const auto refusal = [&](Bench& other) {
        const auto result = restored(*other.machine, bytes);
        return result.ok() ? std::string("accepted") : result.error().message;
    };
    Bench more(counting_program(), harts(3));
    EXPECT_NE(refusal(more).find("CPUs"), std::string::npos);
    auto options = harts(2);
    options.memory = 128 << 10;
    Bench larger(counting_program(), options);
    EXPECT_NE(refusal(larger).find("memory"), std::string::npos);
    options = harts(2);
    options.determinism = Determinism::live;
    Bench live(counting_program(), options);
    EXPECT_NE(refusal(live).find("deterministic"), std::string::npos);
    Bench kernel(busy_program(), harts(2));
    EXPECT_NE(refusal(kernel).find("another kernel"), std::string::npos);
    auto longer_kernel = counting_program();
    longer_kernel.push_back({});
    Bench longer(longer_kernel, harts(2));
    EXPECT_NE(refusal(longer).find("another kernel"), std::string::npos);
}

TEST(Snapshot, LiveClockGoesOnFromTheSavedMoment) {
    Bench::Options options;
    options.determinism = Determinism::live;
    Bench first(counting_program(), options), second(counting_program(), options);
    first.step_clock.now += 5'000'000'000;
    first.machine->pause();
    const auto bytes = saved(*first.machine);
    second.step_clock.now += 77'000'000'000;
    ASSERT_TRUE(restored(*second.machine, bytes).ok());
    EXPECT_EQ(second.machine->timers().now_ns(), first.machine->timers().now_ns());
    // The wall clock is the host's again.
    EXPECT_EQ(second.machine->timers().clock().wall_ns(), second.real_clock.realtime_ns());
}

TEST(Snapshot, CutAndAlteredFilesAreRefused) {
    Bench bench(busy_program(), harts(2));
    run_to(*bench.machine, 20'000);
    auto bytes = saved(*bench.machine);
    std::mt19937_64 random(9);
    for (unsigned round = 0; round < 300; round++) {
        Bench other(busy_program(), harts(2));
        if (round % 2 == 0) {
            EXPECT_FALSE(restored(*other.machine, std::span(bytes).first(random() % bytes.size())).ok());
            continue;
        }
        const u64 at = random() % (bytes.size() * 8);
        bytes[at / 8] = static_cast<u8>(bytes[at / 8] ^ 1 << at % 8);
        EXPECT_FALSE(restored(*other.machine, bytes).ok());
        bytes[at / 8] = static_cast<u8>(bytes[at / 8] ^ 1 << at % 8);
    }
}

// Content that is broken under hashes that are right: nothing but the bounds checks stands in the way.
TEST(Snapshot, ForgedContentNeverDoesHarm) {
    Bench bench(busy_program(), harts(2));
    run_to(*bench.machine, 20'000);
    const auto bytes = saved(*bench.machine);
    auto source = state::Source::of(std::make_unique<host::BytesFile>(bytes));
    auto reader = state::FileReader::open(source);
    ASSERT_TRUE(reader.ok());
    std::vector<std::vector<u8>> chunks;
    for (u32 i = 0; i < reader->chunks(); i++) {
        const auto chunk = reader->read(i);
        ASSERT_TRUE(chunk.ok());
        chunks.emplace_back(chunk.value().begin(), chunk.value().end());
    }
    const std::vector<u8> table(reader->table().begin(), reader->table().end());
    std::mt19937_64 random(10);
    const auto forge = [&](std::vector<u8>& part) {
        switch (random() % 6) {
            case 0: part.resize(random() % (part.size() + 1)); break;
            case 1: part.resize(part.size() + random() % 5'000, u8{1}); break;
            default:
                for (u64 n = 1 + random() % 4; n > 0 && !part.empty(); n--)
                    part[random() % part.size()] = static_cast<u8>(random());
        }
    };
    unsigned refused = 0;
    for (unsigned round = 0; round < 600; round++) {
        auto forged = chunks;
        auto forged_table = table;
        if (round % 3 == 0) forge(forged[random() % forged.size()]);
        if (round % 3 == 1) forge(forged_table);
        // Where the state of the components lies: at the end.
        if (round % 3 == 2)
            for (u64 n = 1 + random() % 3; n > 0; n--) {
                auto& state = forged.back();
                state[state.size() - 1 - random() % page_size] = static_cast<u8>(random());
            }
        VectorSink sink;
        state::FileWriter writer(sink);
        state::ChunkPacker packer;
        ASSERT_TRUE(writer.begin().ok());
        for (const auto& chunk : forged) ASSERT_TRUE(writer.add(packer.pack(chunk)).ok());
        ASSERT_TRUE(writer.finish(forged_table).ok());
        Bench other(busy_program(), harts(2));
        if (!restored(*other.machine, sink.bytes).ok()) {
            refused++;
            continue;
        }
        other.machine->resume();  // a state that nobody can tell from a real one must at least run
        other.machine->run({5'000, 0});
    }
    EXPECT_GT(refused, 200U);
}

// ---- Opened while it runs ------------------------------------------------------------------------------------------

// A file that can be lost, and knows how much of it has been read.
class Storage final : public host::File {
public:
    struct Shared {
        std::vector<u8> bytes;
        u64 read = 0;
        bool lost = false;
    };
    explicit Storage(Shared& shared) : shared_(shared) {}
    u64 size() override { return shared_.bytes.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (shared_.lost) return Error{"the disk is gone"};
        shared_.read += out.size();
        return host::BytesFile(shared_.bytes).read_at(offset, out);
    }
    Result<void> write_at(u64, std::span<const u8>) override { return Error{"read only"}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }

private:
    Shared& shared_;
};

Bench::Options roomy() {
    Bench::Options options;
    options.memory = 16 << 20;
    return options;
}

// Noise in all of memory but the program.
void fill(Bench& bench) {
    std::mt19937_64 random(1);
    std::vector<u8> page(page_size);
    for (u64 at = 0x10'0000; at < 16 << 20; at += page_size) {
        for (u8& byte : page) byte = static_cast<u8>(random());
        ASSERT_TRUE(bench.board().memory().write(ram_base + at, page));
    }
}

TEST(Opened, MemoryComesWhenItIsTouched) {
    Bench first(counting_program(), roomy());
    fill(first);
    Storage::Shared shared;
    shared.bytes = saved(*first.machine);
    Bench second(counting_program(), roomy());
    ASSERT_TRUE(second.machine->open(state::Source::of(std::make_unique<Storage>(shared))).ok());
    EXPECT_EQ(second.machine->state(), RunState::paused);
    EXPECT_EQ(second.machine->stop_reason(), StopReason::restored);
    const u64 opened = shared.read;
    second.machine->resume();
    second.machine->run({1'000, 0});
    EXPECT_LT(shared.read - opened, 500'000U);
    const u64 before = shared.read;
    EXPECT_EQ(second.board().ram(0x20'0000), first.board().ram(0x20'0000));
    EXPECT_GT(shared.read, before);
    run_to(*first.machine, 1'000);
    EXPECT_EQ(second.machine->hash(), first.machine->hash());
    shared.lost = true;  // all is there
    run_to(*first.machine, 50'000);
    run_to(*second.machine, 50'000);
    EXPECT_EQ(second.machine->hash(), first.machine->hash());
}

TEST(Opened, WhatIsWrittenFirstIsNotOverwritten) {
    Bench first(counting_program(), roomy());
    fill(first);
    Storage::Shared shared;
    shared.bytes = saved(*first.machine);
    Bench second(counting_program(), roomy());
    ASSERT_TRUE(second.machine->open(state::Source::of(std::make_unique<Storage>(shared))).ok());
    std::array<u8, 8> bytes{1, 2, 3, 4, 5, 6, 7, 8};
    for (u64 at = 0x10'0ff8; at < 16 << 20; at += 7 * page_size) {
        ASSERT_TRUE(first.board().memory().write(ram_base + at, bytes));
        ASSERT_TRUE(second.board().memory().write(ram_base + at, bytes));
    }
    EXPECT_EQ(second.machine->hash(), first.machine->hash());
}

TEST(Opened, CanBeSavedAgainAndOpenedAnew) {
    Bench first(counting_program(), roomy());
    fill(first);
    Storage::Shared shared;
    shared.bytes = saved(*first.machine);
    Bench second(counting_program(), roomy());
    for (unsigned round = 0; round < 2; round++) {
        ASSERT_TRUE(second.machine->open(state::Source::of(std::make_unique<Storage>(shared))).ok());
        second.board().ram(0x30'0000);
        EXPECT_EQ(saved(*second.machine), shared.bytes);
    }
}

TEST(Opened, IdleMachinesGetAllOfIt) {
    Bench first({{Op::wait, 0, 0, 0, 0}, jump(0)}, roomy());
    fill(first);
    Storage::Shared shared;
    shared.bytes = saved(*first.machine);
    Bench second({{Op::wait, 0, 0, 0, 0}, jump(0)}, roomy());
    ASSERT_TRUE(second.machine->open(state::Source::of(std::make_unique<Storage>(shared))).ok());
    unsigned calls = 0;
    while (second.machine->run({1'000, 0}).idle_ns == 0 && calls < 10'000) calls++;
    EXPECT_GT(calls, 3U) << "in steps";
    shared.lost = true;
    EXPECT_EQ(second.machine->hash(), first.machine->hash());
    EXPECT_EQ(second.machine->state(), RunState::paused);
}

TEST(Opened, AFileThatIsLostEndsTheMachine) {
    Bench first(counting_program(), roomy());
    fill(first);
    Storage::Shared shared;
    shared.bytes = saved(*first.machine);
    Bench second(counting_program(), roomy());
    ASSERT_TRUE(second.machine->open(state::Source::of(std::make_unique<Storage>(shared))).ok());
    second.machine->resume();
    shared.lost = true;
    second.board().ram(0x50'0000);
    second.machine->run({1'000, 0});
    EXPECT_EQ(second.machine->state(), RunState::powered_off);
    EXPECT_EQ(second.machine->stop_reason(), StopReason::host_error);
    EXPECT_EQ(second.machine->exit_code(), 1);
}

// ---- While it runs -------------------------------------------------------------------------------------------------

struct Saved {
    std::unique_ptr<VectorSink> sink = std::make_unique<VectorSink>();
    std::vector<u8> bytes;
    std::optional<Result<void>> result;

    // The sink is gone when the machine tells.
    class Copy final : public ByteSink {
    public:
        explicit Copy(Saved& to) : to_(to) {}
        Result<void> write(std::span<const u8> in) override { return to_.sink->write(in); }
        Result<void> finish() override { return to_.sink->finish(); }

    private:
        Saved& to_;
    };
    Result<void> begin(Machine& machine) {
        return machine.begin_save(std::make_unique<Copy>(*this), [this](const Result<void>& got) { result = got; });
    }
};

TEST(LiveSave, IsTheMachineAtSomeMomentBetweenBeginningAndEnd) {
    for (const u64 at : {u64{0}, u64{1'000}, u64{77'777}}) {
        Bench first(busy_program(), harts(2));
        run_to(*first.machine, at);
        Saved saving;
        ASSERT_TRUE(saving.begin(*first.machine).ok());
        EXPECT_FALSE(saving.begin(*first.machine).ok()) << "one at a time";
        VectorSink at_once;
        EXPECT_FALSE(first.machine->save(at_once).ok());
        while (!saving.result) first.machine->run({500, 0});
        ASSERT_TRUE(saving.result->ok()) << saving.result->error().message;
        EXPECT_TRUE(saving.sink->finished);
        const u64 after = first.machine->instructions();

        Bench second(busy_program(), harts(2));
        ASSERT_TRUE(restored(*second.machine, saving.sink->bytes).ok());
        EXPECT_GE(second.machine->instructions(), at);
        EXPECT_LE(second.machine->instructions(), after);
        second.machine->resume();
        // How long the threads take is not known beforehand.
        const u64 total = after + 50'000;
        Bench whole(busy_program(), harts(2));
        for (Bench* each : {&first, &second, &whole}) run_to(*each->machine, total);
        EXPECT_EQ(second.machine->hash(), whole.machine->hash());
        EXPECT_EQ(first.machine->hash(), whole.machine->hash()) << "saving has changed it";
    }
}

// Larger than a step, and written to between the steps.
TEST(LiveSave, WhatIsWrittenMeanwhileIsInIt) {
    Bench::Options options;
    options.memory = 32 << 20;
    Bench bench(counting_program(), options);
    auto& memory = bench.board().memory();
    std::mt19937_64 random(1);
    const auto scribble = [&] {
        for (unsigned i = 0; i < 300; i++) {
            const u64 value = random(), address = ram_base + 0x10'0000 + random() % (30 << 20) / 8 * 8;
            std::array<u8, 8> bytes;
            store_le(bytes.data(), value);
            ASSERT_TRUE(memory.write(address, bytes));
        }
    };
    for (unsigned round = 0; round < 10; round++) scribble();
    Saved saving;
    ASSERT_TRUE(saving.begin(*bench.machine).ok());
    unsigned steps = 0;
    Hash128 before;
    while (!saving.result) {
        before = bench.machine->hash(Machine::Hashed::everything);
        bench.machine->pause();
        if (steps++ < 3) scribble();
        before = bench.machine->hash();
        bench.machine->run({0, 0});
    }
    ASSERT_TRUE(saving.result->ok());
    EXPECT_GT(steps, 3U);
    Bench other(counting_program(), options);
    ASSERT_TRUE(restored(*other.machine, saving.sink->bytes).ok());
    EXPECT_EQ(other.machine->hash(), before);
    // The next one begins from nothing known.
    EXPECT_EQ(saved(*bench.machine), saved(*other.machine));
}

TEST(LiveSave, AnEndBeforeItsEndLeavesNothing) {
    auto saving = std::make_unique<Saved>();
    {
        Bench bench(counting_program());
        ASSERT_TRUE(saving->begin(*bench.machine).ok());
    }
    EXPECT_FALSE(saving->sink->finished);
    EXPECT_FALSE(saving->result);
}

TEST(LiveSave, FullDiskIsReported) {
    Bench bench(counting_program());
    Saved saving;
    saving.sink->limit = 100;
    ASSERT_TRUE(saving.begin(*bench.machine).ok());
    while (!saving.result) bench.machine->run({100, 0});
    ASSERT_TRUE(saving.result);
    ASSERT_FALSE(saving.result->ok());
    EXPECT_EQ(saving.result->error().message, "disk full");
    EXPECT_TRUE(saved(*bench.machine).size() > 100) << "it can be saved again";
}

TEST(Snapshot, FullDiskIsReported) {
    Bench bench(counting_program());
    VectorSink sink;
    sink.limit = 100;
    const auto result = bench.machine->save(sink);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message, "disk full");
    EXPECT_FALSE(sink.finished);
}

TEST(Snapshot, SchemaNamesEveryFieldOnce) {
    Bench bench(counting_program(), harts(2));
    EXPECT_EQ(
        bench.machine->schema(),
        "file.head 1 section\nfile.head.launch 1 bytes\nfile.head.machine 2 bytes\nfile.head.cpu 3 bytes\n"
        "file.head.memory 4 u64\nfile.head.cpus 5 u32\nfile.head.deterministic 6 u8\nfile.head.seed 7 u64\n"
        "file.head.harts 8 u8\nfile.head.append 9 bytes\nfile.head.kernel 10 u8\nfile.head.name 11 bytes\n"
        "file.head.hash_low 12 u64\nfile.head.hash_high 13 u64\nfile.head.initrd 14 u8\nfile.head.name 15 bytes\n"
        "file.head.hash_low 16 u64\nfile.head.hash_high 17 u64\nfile.head.bios 18 u8\nfile.head.name 19 bytes\n"
        "file.head.hash_low 20 u64\nfile.head.hash_high 21 u64\n"
        "file.head.devices 22 section\nfile.head.devices.count 0 u32\nfile.head.devices.* 1 section\n"
        "file.head.devices.*.id 1 bytes\nfile.head.devices.*.kind 2 bytes\n"
        "file.head.devices.*.properties 3 section\nfile.head.devices.*.properties.count 0 u32\n"
        "file.head.devices.*.properties.* 1 section\nfile.head.devices.*.properties.*.key 1 bytes\n"
        "file.head.devices.*.properties.*.value 2 bytes\n"
        "file.head.devices.*.ports 4 section\nfile.head.devices.*.ports.count 0 u32\n"
        "file.head.devices.*.ports.* 1 section\nfile.head.devices.*.ports.*.text 1 bytes\n"
        "file.head.devices.*.back_end 5 u8\n"
        "file.blobs 2 section\nfile.blobs.count 0 u32\nfile.blobs.* 1 section\nfile.blobs.*.size 1 u64\n"
        "file.blobs.*.runs 2 bytes\nfile.blobs.*.bases 3 bytes\nfile.components 3 section\nfile.components.size 1 u64\n"
        "file.components.runs 2 bytes\nfile.components.bases 3 bytes\nfile.regions 4 section\nfile.regions.count 0 "
        "u32\n"
        "file.regions.* 1 section\nfile.regions.*.size 1 u64\nfile.regions.*.runs 2 bytes\nfile.regions.*.bases 3 "
        "bytes\n"
        "file.chunks 5 bytes\nfile.pages_in_chunk 6 u32\n"
        "file.overlays 7 section\nfile.overlays.count 0 u32\nfile.overlays.* 1 section\n"
        "file.overlays.*.device 1 u32\nfile.overlays.*.disk_size 2 u64\nfile.overlays.*.bytes 3 section\n"
        "file.overlays.*.bytes.size 1 u64\nfile.overlays.*.bytes.runs 2 bytes\nfile.overlays.*.bytes.bases 3 bytes\n"
        "file.overlays.*.whole 4 bytes\nfile.overlays.*.partial 5 bytes\n"
        "turn.instructions 1 u64\nturn.turn 2 section\nturn.turn.hart 1 u32\nturn.turn.left 2 u64\n"
        "clock.now_ns 1 u64\nclock.wall_offset_ns 2 u64\nclock.skipped_ns 3 u64\n"
        "inlet.generator 1 u64[]\n"
        "cpu.x 1 u64[]\ncpu.pc 2 u64\ncpu.saved_pc 3 u64\ncpu.count 4 u64\ncpu.waiting 5 u8\ncpu.enabled 6 u8\n"
        "cpu.line 7 u8\ncpu.wide 8 u8[]\n"
        "fake-power.button 1 u64\n"
        "fake-timer.deadlines 1 bytes\nfake-timer.fired 2 u64\n"
        "board.latch 1 u64\n");
}

TEST(Snapshot, EveryPartOfTheStateCountsInTheHash) {
    Bench bench(busy_program(), harts(2));
    run_to(*bench.machine, 1'000);
    const Hash128 before = bench.machine->hash();
    const auto differs = [&](auto change, auto back) {
        change();
        const bool different = bench.machine->hash() != before;
        back();
        return different && bench.machine->hash() == before;
    };
    EXPECT_TRUE(differs([&] { bench.board().latch = 1; }, [&] { bench.board().latch = 0; }));
    EXPECT_TRUE(differs([&] { bench.board().timer().fired++; }, [&] { bench.board().timer().fired--; }));
    const u64 x = bench.cpu(1).x(31);
    EXPECT_TRUE(differs([&] { bench.cpu(1).set_x(31, ~x); }, [&] { bench.cpu(1).set_x(31, x); }));
    u8* last = bench.board().memory().host(ram_base + (64 << 10) - 1, 1);
    EXPECT_TRUE(differs([&] { *last ^= 1; }, [&] { *last ^= 1; }));
}

}  // namespace
}  // namespace viv::test
