// Temporary disks in saved machines: as they were at the saved moment, whatever is written meanwhile.
#include <gtest/gtest.h>

#include <random>

#include "engine/block/overlay.h"
#include "engine/control/saved_table.h"
#include "engine/host/bytes_file.h"
#include "tests/control/fake_machine.h"

namespace viv::test {
namespace {

using block::Operation;
using block::Status;

constexpr u64 disk_size = (u64{3} << 20) + 512;  // not whole clusters, nor whole pages

struct Bench {
    HeapMemory memory;
    StepClock clock;
    FixedEntropy entropy;
    NullLogSink log;
    std::vector<u8> image;
    std::unique_ptr<Machine> machine;

    enum class Overlay : u8 { yes, no };
    explicit Bench(Overlay overlay = Overlay::yes, u64 size = disk_size) : image(size) {
        MachineConfig config;
        config.board.memory = 16 << 20;
        config.board.kernel = Blob{"program", {0x6f, 0, 0, 0}};  // jumps to itself
        config.determinism = Determinism::deterministic;
        std::mt19937 random(7);
        for (u8& byte : image) byte = static_cast<u8>(random());
        auto disk = block::open_raw(std::make_unique<host::BytesFile>(image), "disk.img", block::Access::read_only);
        DeviceSpec spec;
        spec.name = "virtio-blk-device";
        spec.disk = std::move(disk).value();
        if (overlay == Overlay::yes) spec.disk = block::make_temporary_overlay(std::move(spec.disk));
        config.board.devices.push_back(std::move(spec));
        auto made = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log});
        EXPECT_TRUE(made.ok()) << made.error().message;
        machine = std::move(made).value();
    }
    block::Disk& disk() { return *machine->plugged()[0].disk; }
    void carry_out(Operation operation, u64 offset, u64 length, std::vector<std::span<u8>> segments = {}) {
        Status status = Status::unsupported;
        disk().submit({operation, offset, length, std::move(segments), [&](Status done) { status = done; }});
        ASSERT_EQ(status, Status::ok);
    }
    void fill(u64 offset, u64 length, u8 value) {
        std::vector<u8> bytes(length, value);
        carry_out(Operation::write, offset, length, {bytes});
    }
    std::vector<u8> content() {
        std::vector<u8> bytes(disk().size());
        carry_out(Operation::read, 0, bytes.size(), {bytes});
        return bytes;
    }
    // Whole clusters and parts, zeroes and the end of the disk.
    void use() {
        std::mt19937 random(3);
        std::vector<u8> bytes(200'000 / 512 * 512);
        for (u8& byte : bytes) byte = static_cast<u8>(random());
        carry_out(Operation::write, 512, bytes.size(), {bytes});
        fill(1 << 20, 512, 0x11);
        fill((1 << 20) + 65536 - 512, 1024, 0x22);
        carry_out(Operation::write_zeroes, 2 << 20, 131'072 + 512);
        fill(disk_size - 512, 512, 0x33);
    }
    std::vector<u8> saved() {
        VectorSink sink;
        EXPECT_TRUE(machine->save(sink).ok());
        return sink.bytes;
    }
    Result<void> restore(std::span<const u8> bytes) {
        return machine->restore(state::Source::of(std::make_unique<host::BytesFile>(bytes)));
    }
};

// A sink that outlives the saving.
class To final : public ByteSink {
public:
    explicit To(VectorSink& sink) : sink_(sink) {}
    Result<void> write(std::span<const u8> in) override { return sink_.write(in); }
    Result<void> finish() override { return sink_.finish(); }

private:
    VectorSink& sink_;
};

TEST(SavedOverlay, IsWhatItWas) {
    Bench first;
    first.use();
    const auto was = first.content();
    const auto file = first.saved();
    Bench second;
    second.fill(40'960, 512, 0x77);  // it need not be fresh
    ASSERT_TRUE(second.restore(file).ok());
    EXPECT_EQ(second.content(), was);
    EXPECT_EQ(second.saved(), file);
    // And it is only what was saved: what is below shines through.
    EXPECT_LT(file.size(), 260'000u);
}

TEST(SavedOverlay, IsOfTheSavedMomentThoughItIsWrittenAfterIt) {
    Bench bench;
    bench.use();
    const auto was = bench.content();
    VectorSink sink;
    bool ended = false, moment_was = false;
    ASSERT_TRUE(bench.machine
                    ->begin_save(
                        std::make_unique<To>(sink), [&](const Result<void>& done) { ended = done.ok(); },
                        [&]() -> Result<void> {
                            moment_was = true;
                            return {};
                        })
                    .ok());
    while (!moment_was) bench.machine->run({1000, 0});
    ASSERT_FALSE(ended);
    u64 at = 0;
    while (!ended) {
        bench.fill(at, 512, 0x99);
        at = (at + 512) % disk_size;
        bench.machine->run({1000, 0});
    }
    EXPECT_NE(bench.content(), was);
    Bench other;
    ASSERT_TRUE(other.restore(sink.bytes).ok());
    EXPECT_EQ(other.content(), was);
}

TEST(SavedOverlay, IsEmptyIfTheDiskHadNone) {
    Bench first(Bench::Overlay::no), second;
    second.fill(0, 512, 0x44);
    ASSERT_TRUE(second.restore(first.saved()).ok());
    EXPECT_EQ(second.content(), first.content());
}

TEST(SavedOverlay, OtherDisksAreRefused) {
    Bench first;
    first.use();
    const auto file = first.saved();
    Bench image(Bench::Overlay::no), larger(Bench::Overlay::yes, disk_size + 512);
    larger.fill(0, 512, 0x44);
    const auto was = larger.content();
    auto refused = image.restore(file);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message,
              "the saved machine's virtio-blk-device.0 has a temporary disk (snapshot=on), this one's has none: create "
              "it as it was saved");
    refused = larger.restore(file);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, "disk.img: has 3146752 bytes, and had 3146240 when the machine was saved");
    EXPECT_EQ(larger.content(), was);
}

TEST(SavedOverlay, WhatCannotBeIsFound) {
    const auto is_good = [](std::vector<u32> whole, std::vector<u32> partial, u64 size = 4 << 16) {
        SavedOverlay saved;
        saved.disk_size = size;
        saved.bytes.size = 4 << 16;
        saved.whole = std::move(whole);
        saved.partial = std::move(partial);
        return saved.check().ok();
    };
    EXPECT_TRUE(is_good({}, {}));
    EXPECT_TRUE(is_good({0, 2, 3, 1}, {2, 1, 0, 0, 0}));
    EXPECT_FALSE(is_good({0, 5}, {}));
    EXPECT_FALSE(is_good({1, ~u32{0}}, {}));
    EXPECT_FALSE(is_good({1, 1, 0, 1}, {}));
    EXPECT_FALSE(is_good({1, 2, 2, 1}, {}));
    EXPECT_FALSE(is_good({1, 0}, {}));
    EXPECT_FALSE(is_good({}, {4, 1, 0, 0, 0}));
    EXPECT_FALSE(is_good({}, {2, 1, 0, 0, 0, 2, 1, 0, 0, 0}));
    EXPECT_FALSE(is_good({}, {}, 5 << 16));
}

}  // namespace
}  // namespace viv::test
