// An NVMe controller by its registers and queues: enabling, what it says of itself, queues that are made and deleted,
// data by PRP entries and lists, boundaries, full completion queues, events, errors, resets, saves with commands under
// way.
#include "tests/dev/nvme_bench.h"

namespace viv::test {
namespace {

using block::Operation;

struct NvmeTest : ::testing::Test, NvmeRig {
    void SetUp() override {
        for (usize i = 0; i < disk->bytes.size(); i++) disk->bytes[i] = static_cast<u8>(i / 512 * 5 + i);
        enable();
        add_queue(1);
    }
    Bytes block_at(usize number, usize count = 1) {
        return Bytes(disk->bytes.begin() + static_cast<std::ptrdiff_t>(number * 512),
                     disk->bytes.begin() + static_cast<std::ptrdiff_t>((number + count) * 512));
    }
};

TEST_F(NvmeTest, RegistersAndTheLifeOfTheController) {
    EXPECT_EQ(get(0x00), 0x0f01'03ffu);
    EXPECT_EQ(get(0x04), 0x20u);
    EXPECT_EQ(get(0x08), 0x0001'0400u);
    put(0x14, 0x0046'4001);  // a normal shutdown
    EXPECT_EQ(get(0x1c), 9u) << "shutdown is complete";
    EXPECT_EQ(disk->operations.back(), Operation::flush);
    put(0x14, 0);
    EXPECT_EQ(get(0x1c), 0u);
    EXPECT_EQ(get(0x28), static_cast<u32>(submissions(0))) << "a controller reset keeps it";
    put(0x14, 0x0046'0081);  // pages of 8 KiB
    EXPECT_EQ(get(0x1c), 2u) << "fatal";
    put(0x14, 0);
    enable();
}

TEST_F(NvmeTest, SaysWhatItIs) {
    ASSERT_EQ(admin(6, 0, data, 0, 1), success);
    EXPECT_EQ(load<u16>(data), 0x1b36);
    EXPECT_EQ(memory_at(data + 4, 3), (Bytes{'S', '1', ' '}));
    EXPECT_EQ(load<u8>(data + 77), 7) << "MDTS";
    EXPECT_EQ(load<u32>(data + 516), 1u);
    ASSERT_EQ(admin(6, 1, data, 0, 0), success);
    EXPECT_EQ(load<u64>(data), 4096u);
    EXPECT_EQ(load<u8>(data + 130), 9);
    ASSERT_EQ(admin(6, 0, data, 0, 2), success);
    EXPECT_EQ(load<u64>(data), 1u);
    ASSERT_EQ(admin(6, 1, data, 0, 3), success);
    EXPECT_EQ(memory_at(data, 4), (Bytes{1, 8, 0, 0}));
    EXPECT_EQ(admin(6, 2, data, 0, 0), bad_namespace);
    EXPECT_EQ(admin(6, 1, data, 0, 0x55), bad_field);
    for (const u8 unknown : {u8{0x80}, u8{0x0d}, u8{0x10}, u8{0x7f}, u8{0xff}})
        EXPECT_EQ(admin(unknown, 0, data, 0, 0), bad_opcode) << "formatting and the like";
}

TEST_F(NvmeTest, QueuesComeAndGo) {
    const u32 size = (entries - 1) << 16;
    EXPECT_EQ(admin(5, 0, completions(1), 0, size | 1, 3), bad_queue) << "it is there";
    EXPECT_EQ(admin(5, 0, completions(2), 0, size | 17, 3), bad_queue);
    EXPECT_EQ(admin(5, 0, completions(2), 0, 1024 << 16 | 2, 3), bad_size);
    EXPECT_EQ(admin(5, 0, completions(2) + 16, 0, size | 2, 3), bad_field);
    EXPECT_EQ(admin(5, 0, completions(2), 0, size | 2, 1 << 16 | 3), 0x108);
    EXPECT_EQ(admin(1, 0, submissions(2), 0, size | 2, 2 << 16 | 1), bad_completion_queue);
    EXPECT_EQ(admin(4, 0, 0, 0, 1), bad_deletion) << "a submission queue uses it";
    EXPECT_EQ(admin(0, 0, 0, 0, 0), bad_queue);
    disk->late = true;
    const u16 read = submit(1, {2, 1, data});
    const u16 deletion = submit(0, {0, 0, 0, 0, 1});
    EXPECT_FALSE(take(0)) << "a command of it is under way";
    disk->complete();
    EXPECT_EQ(take(1)->id, read);
    EXPECT_EQ(take(0)->id, deletion);
    EXPECT_EQ(admin(4, 0, 0, 0, 1), success);
    EXPECT_EQ(admin(9, 0, 0, 0, 7, 3 | 3 << 16), success);
    EXPECT_EQ(result, 15u | 15 << 16);
}

TEST_F(NvmeTest, DataByPagesAndLists) {
    ASSERT_EQ(io(2, 3, 1, data + 0x204), success);
    EXPECT_EQ(memory_at(data + 0x204, 512), block_at(3));
    ASSERT_EQ(io(2, 0, 16, data, data + 0x3000), success) << "two pages";
    EXPECT_EQ(memory_at(data + 0x3000, 4096), block_at(8, 8));
    // A list that goes on in another page after its last place.
    const u64 list = data + 0x2'0000, more = data + 0x2'1000;
    store<u64>(list + 0xff0, data + 0x10'0000);
    store<u64>(list + 0xff8, more);
    for (u64 i = 1; i < 127; i++) store<u64>(more + (i - 1) * 8, data + 0x10'0000 + i * 0x1000);
    ASSERT_EQ(io(2, 0, 1024, data, list + 0xff0), success);
    EXPECT_EQ(memory_at(data, 4096), block_at(0, 8));
    EXPECT_EQ(memory_at(data + 0x10'0000, 127 * 4096), block_at(8, 127 * 8));
    const Bytes pattern(4096 + 512, 9);
    ASSERT_TRUE(port.write(data + 0x5000, pattern));
    ASSERT_EQ(io(1, 40, 9, data + 0x5000 + 0x200, data + 0x6000), success);
    EXPECT_EQ(block_at(40, 7), Bytes(7 * 512, 9));
}

TEST_F(NvmeTest, BoundariesAreKept) {
    const Bytes before = disk->bytes;
    EXPECT_EQ(io(2, 4095, 2, data), out_of_range);
    EXPECT_EQ(io(1, ~u64{0}, 1, data), out_of_range);
    EXPECT_EQ(io(2, 0, 1, data + 2), bad_offset);
    EXPECT_EQ(io(2, 0, 1, 0x1000), transfer_error);
    EXPECT_EQ(io(1, 0, 16, data, 0x1000), transfer_error);
    EXPECT_EQ(io(1, 0, 1025, data, data), bad_field) << "longer than MDTS";
    EXPECT_EQ(execute(1, {2, 2, data}), bad_namespace);
    EXPECT_EQ(execute(1, {0x7f, 1, data}), bad_opcode);
    EXPECT_EQ(execute(1, {2 | 1 << 14, 1, data}), bad_field) << "an SGL";
    EXPECT_EQ(execute(1, {2 | 1 << 8, 1, data}), bad_field) << "fused";
    EXPECT_EQ(disk->bytes, before);
    ASSERT_EQ(admin(2, 0, data, 0, 127 << 16 | 1), success);
    EXPECT_EQ(load<u64>(data), 10u) << "errors so far";
    EXPECT_EQ(load<u16>(data + 12), bad_field << 1);
    disk->fails = true;
    EXPECT_EQ(io(2, 0, 1, data), read_error);
    EXPECT_EQ(io(1, 0, 1, data), write_fault);
    disk->fails = false;
    disk->read_only = true;
    EXPECT_EQ(io(1, 0, 1, data), read_only);
    EXPECT_EQ(io(8, 0, 1, 0), read_only);
}

TEST_F(NvmeTest, WhatGivesSpaceBackAndWhatCompares) {
    store<u32>(data + 4, 4), store<u64>(data + 8, 100);
    store<u32>(data + 20, 1), store<u64>(data + 24, 4095);
    ASSERT_EQ(execute(1, {9, 1, data, 0, 1, 4}), success);
    EXPECT_EQ(disk->operations, (std::vector{Operation::discard, Operation::discard}));
    EXPECT_EQ(block_at(100, 4), Bytes(4 * 512));
    store<u64>(data + 24, 4096);
    disk->operations.clear();
    EXPECT_EQ(execute(1, {9, 1, data, 0, 1, 4}), out_of_range);
    EXPECT_TRUE(disk->operations.empty()) << "the first range neither";
    ASSERT_EQ(io(8, 200, 8, 0), success);
    EXPECT_EQ(block_at(200, 8), Bytes(8 * 512));
    ASSERT_TRUE(port.write(data, block_at(7)));
    EXPECT_EQ(io(5, 7, 1, data), success);
    EXPECT_EQ(io(5, 8, 1, data), unequal);
}

TEST_F(NvmeTest, CachesAndFeatures) {
    io(1, 0, 1, data);
    io(1, 0, 1, data, 0, 1u << 30);  // FUA
    EXPECT_EQ(execute(1, {0, ~u32{0}}), success);
    EXPECT_EQ(disk->operations, (std::vector{Operation::write, Operation::write, Operation::flush, Operation::flush}));
    EXPECT_EQ(admin(9, 0, 0, 0, 6, 0), success);
    disk->operations.clear();
    io(1, 0, 1, data);
    EXPECT_EQ(disk->operations, (std::vector{Operation::write, Operation::flush}));
    EXPECT_EQ(admin(10, 0, 0, 0, 6), success);
    EXPECT_EQ(result, 0u);
    EXPECT_EQ(admin(9, 0, 0, 0, 1u << 31 | 6, 1), not_saveable);
    EXPECT_EQ(admin(9, 0, 0, 0, 0x55, 1), bad_field);
    ASSERT_EQ(admin(2, 0, data, 0, 127 << 16 | 2), success);
    EXPECT_EQ(load<u64>(data + 80), 3u) << "host writes";
    ASSERT_EQ(admin(2, 0, data, 0, 127 << 16 | 3), success);
    EXPECT_EQ(memory_at(data + 8, 3), (Bytes{'1', '.', '0'}));
    EXPECT_EQ(admin(2, 0, data, 0, 0x55), bad_log);
}

TEST_F(NvmeTest, EventsAreToldOnce) {
    const u16 request = submit(0, {0x0c});
    EXPECT_FALSE(take(0));
    put(0x1000 + 2 * 8, 0);  // of no queue
    const auto told = take(0);
    ASSERT_TRUE(told);
    EXPECT_EQ(told->id, request);
    EXPECT_EQ(told->result, 0x0001'0000u);
    submit(0, {0x0c});
    put(0x1000 + 8, entries);
    EXPECT_FALSE(take(0)) << "until the log is read";
    const u16 log = submit(0, {2, 0, data, 0, 127 << 16 | 1});
    const auto first = take(0), second = take(0);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->result + second->result, 0x0001'0100u);
    EXPECT_TRUE(first->id == log || second->id == log);
    const u16 waits = submit(0, {0x0c}), abort = submit(0, {8, 0, 0, 0, u32{waits} << 16});
    const auto ended = take(0), answer = take(0);
    ASSERT_TRUE(ended && answer);
    EXPECT_EQ(ended->id, waits);
    EXPECT_EQ(ended->status, aborted);
    EXPECT_EQ(answer->id, abort);
    EXPECT_EQ(answer->result, 0u);
    EXPECT_EQ(admin(8, 0, 0, 0, 77 << 16), success);
    EXPECT_EQ(result, 1u) << "there is no such command";
    for (unsigned i = 0; i < 4; i++) submit(0, {0x0c});
    EXPECT_EQ(admin(0x0c, 0, 0, 0, 0), event_limit);
}

TEST_F(NvmeTest, AFullCompletionQueueHoldsWhatIsDone) {
    for (unsigned i = 0; i < entries - 1; i++) submit(1, {2, 1, data});
    EXPECT_TRUE(card->asserts_interrupt());
    put(0x0c, 1);
    EXPECT_FALSE(card->asserts_interrupt()) << "masked";
    put(0x10, 1);
    for (unsigned i = 0; i < 3; i++) submit(1, {2, 1, data});
    unsigned done = 0;
    while (take(1)) done++;
    EXPECT_EQ(done, entries + 2u);
    EXPECT_FALSE(card->asserts_interrupt());
}

TEST_F(NvmeTest, AResetForgetsWhatIsUnderWay) {
    disk->late = true;
    submit(1, {2, 1, data});
    put(0x14, 0);
    EXPECT_EQ(disk->abandoned, 1u);
    disk->complete();
    EXPECT_EQ(load<u64>(data), 0u);
    EXPECT_EQ(load<u16>(completions(1) + 14), 0u);
    disk->late = false;
    enable();
    store<u16>(completions(1) + 14, 0);
}

TEST_F(NvmeTest, SavedWithCommandsUnderWay) {
    disk->late = true;
    const u16 read = submit(1, {2, 1, data, 0, 9});
    const u16 deletion = submit(0, {0, 0, 0, 0, 1});
    const Bytes saved = save(*card), ram = memory_at(ram_base, ram_size);
    NvmeRig next(disk);
    disk->waiting.clear();
    ASSERT_TRUE(next.port.write(ram_base, ram));
    ASSERT_TRUE(test::load(*next.card, saved).ok());
    EXPECT_EQ(save(*next.card), saved);
    next.bench.advance(1000);
    next.queues = queues;
    EXPECT_FALSE(next.take(1));
    disk->complete();
    EXPECT_EQ(next.take(1)->id, read);
    EXPECT_EQ(next.memory_at(data, 512), block_at(9));
    EXPECT_EQ(next.take(0)->id, deletion);
}

TEST_F(NvmeTest, OutsideMemoryAndRandomAccesses) {
    put(0x14, 0);
    put(0x28, 0x1000, 8);
    put(0x14, 0x0046'0001);
    put(0x1000, 1);
    EXPECT_EQ(get(0x1c), 3u) << "a fatal status";
    put(0x14, 0);
    random_accesses(*card->bar(0).window, Nvme::memory_size, 20000, [&](auto& random) {
        bench.advance(random() % 5000);
        if (random() % 4 == 0) {
            const Bytes saved = save(*card);
            EXPECT_TRUE(test::load(*card, saved).ok());
        }
    });
}

}  // namespace
}  // namespace viv::test
