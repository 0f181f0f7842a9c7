// Data between guest memory and an eMMC: by ADMA2, SDMA and the port, lists that make no sense, a disk that is late,
// resets and saving in the middle, and drivers that write anything.
#include "tests/dev/emmc_bench.h"

namespace viv::test {
namespace {

struct EmmcTransferTest : ::testing::Test, EmmcRig {
    Bytes on_disk(usize offset, usize size) const {
        return Bytes(disk->bytes.begin() + static_cast<std::ptrdiff_t>(offset),
                     disk->bytes.begin() + static_cast<std::ptrdiff_t>(offset + size));
    }
    Bytes ext_csd() {
        put_list({512});
        set_blocks(1);
        EXPECT_EQ(command(8, 0, data, dma | to_host), command_complete | transfer_complete);
        Bytes bytes(512);
        EXPECT_TRUE(dma_port.read(buffer, bytes));
        return bytes;
    }
};

TEST_F(EmmcTransferTest, BlocksGoByAdma2) {
    bring_up();
    const Bytes bytes = pattern(200 * 512);
    ASSERT_TRUE(dma_port.write(buffer, bytes));
    put_list({100, 3, 0, 102400 - 103 - 65536});
    set_blocks(200);
    EXPECT_EQ(command(25, 0x1'0000, data, dma | counted | multiple | auto_12), command_complete | transfer_complete);
    EXPECT_EQ(get(0x1c) & 0x1e00, 6u << 9) << "CMD12's answer: receiving";
    EXPECT_EQ(get(0x06, 2), 0u);
    EXPECT_EQ(on_disk(0x1'0000, bytes.size()), bytes);
    EXPECT_EQ(card_status(), 0x900u);
    Bytes back(bytes.size());
    EXPECT_EQ(read_blocks(0x1'0000, back, auto_23, 200), command_complete | transfer_complete);
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(card_status(), 0x900u) << "a counted transfer ends by itself";
    // 32-bit descriptors.
    put(0x28, 0x10, 1);
    ASSERT_TRUE(dma_port.store<u64>(list, u64{buffer + 0x8'0000} << 32 | 512u << 16 | 0x23));
    put(0x58, list);
    set_blocks(1);
    EXPECT_EQ(command(17, 0x1'0200, data, dma | to_host), command_complete | transfer_complete);
    Bytes one(512);
    ASSERT_TRUE(dma_port.read(buffer + 0x8'0000, one));
    EXPECT_EQ(one, Bytes(bytes.begin() + 512, bytes.begin() + 1024));
}

TEST_F(EmmcTransferTest, ListsWithoutEndOrSenseEndTheTransfer) {
    bring_up();
    const auto run = [&](u32 index, u32 mode) {
        put(0x28, 0x18, 1);
        put(0x58, list & 0xffff'ffff);
        put(0x5c, list >> 32);
        set_blocks(4);
        put(0x08, 0);
        put(0x0c, mode | (index << 8 | data) << 16);
        bench.advance(1'000'000'000);
        const u32 status = take_status();
        EXPECT_EQ(command(12, 0, r1b), command_complete | transfer_complete);
        return status;
    };
    const auto descriptor = [&](u64 at, u32 attributes, u64 address) {
        ASSERT_TRUE(dma_port.store<u32>(at, attributes) && dma_port.store<u64>(at + 4, address));
    };
    const u32 reading = dma | counted | multiple | to_host;
    descriptor(list, 0x31, list);  // a link to itself
    EXPECT_EQ(run(18, reading), command_complete | adma_error | error);
    EXPECT_EQ(get(0x54), 1u);
    descriptor(list, 0x20, buffer);  // not valid
    EXPECT_EQ(run(18, reading), command_complete | adma_error | error);
    descriptor(list, 0x23 | 512 << 16, buffer);  // ends too early
    EXPECT_EQ(run(25, dma | counted | multiple), command_complete | adma_error | error);
    EXPECT_EQ(get(0x54), 4u);
    descriptor(list, 0x23, ~u64{0} - 100);  // outside of memory
    EXPECT_EQ(run(18, reading), command_complete | adma_error | error);
    EXPECT_EQ(get(0x54), 3u);
    descriptor(list, 0x23 | 1024 << 16, buffer);  // without a count the list is the length
    EXPECT_EQ(run(18, dma | multiple | to_host), command_complete | transfer_complete);
    // A list of single bytes takes turns with the machine and arrives.
    for (u32 i = 0; i < 2048; i++) descriptor(list + i * 12, (i == 2047 ? 0x23u : 0x21u) | 1 << 16, buffer + i);
    EXPECT_EQ(run(18, reading), command_complete | transfer_complete);
}

TEST_F(EmmcTransferTest, SdmaStopsAtItsBoundary) {
    bring_up();
    const Bytes bytes = pattern(24 * 512);
    ASSERT_TRUE(dma_port.write(buffer + 0x800, bytes));
    put(0x28, 0, 1);
    put(0x00, buffer + 0x800);
    set_blocks(24, 0);
    EXPECT_EQ(command(25, 0, data, dma | counted | multiple | auto_12), command_complete | dma_interrupt);
    EXPECT_EQ(get(0x24) & 0x106, 0x106u) << "writing";
    EXPECT_EQ(get(0x00), buffer + 0x1000);
    put(0x00, buffer + 0x1000);
    EXPECT_EQ(take_status(), dma_interrupt);
    put(0x00, buffer + 0x2000);
    EXPECT_EQ(take_status(), dma_interrupt);
    put(0x00, buffer + 0x3000);
    EXPECT_EQ(take_status(), transfer_complete);
    EXPECT_EQ(on_disk(0, bytes.size()), bytes);
    put(0x00, buffer);
    set_blocks(8, 0);
    EXPECT_EQ(command(18, 0, data, dma | counted | multiple | to_host | auto_12), command_complete | transfer_complete)
        << "the last byte is before the boundary: no stop";
    put(0x00, 0x1000);
    set_blocks(8, 0);
    EXPECT_EQ(command(18, 0, data, dma | counted | multiple | to_host), command_complete | data_timeout | error)
        << "no memory is there";
}

TEST_F(EmmcTransferTest, BlocksGoByTheDataPort) {
    bring_up();
    const Bytes bytes = pattern(1024, 9);
    set_blocks(2);
    EXPECT_EQ(command(25, 4096, data, counted | multiple | auto_12), command_complete | write_ready);
    for (u32 block = 0; block < 2; block++) {
        EXPECT_EQ(get(0x24) & 0x400, 0x400u);
        for (u32 i = 0; i < 512; i += 4) put(0x20, load_le<u32>(&bytes[block * 512 + i]));
        EXPECT_EQ(take_status(), block == 0 ? write_ready : transfer_complete);
    }
    EXPECT_EQ(on_disk(4096, 1024), bytes);
    set_blocks(2);
    EXPECT_EQ(command(18, 4096, data, counted | multiple | to_host | auto_12), command_complete | read_ready)
        << "a block is there";
    for (u32 i = 0; i < 512; i++) ASSERT_EQ(get(0x20, 1), bytes[i]);
    EXPECT_EQ(take_status(), read_ready);
    for (u32 i = 512; i < 1024; i += 2) ASSERT_EQ(get(0x20, 2), load_le<u16>(&bytes[i]));
    EXPECT_EQ(take_status(), transfer_complete);
}

TEST_F(EmmcTransferTest, ResetsEndWhatIsUnderWay) {
    bring_up();
    disk->late = true;
    ASSERT_TRUE(dma_port.write(buffer, Bytes(1024, 1)));
    put_list({1024});
    set_blocks(2);
    EXPECT_EQ(command(18, 0, data, dma | counted | multiple | to_host), command_complete);
    put(0x2f, 4, 1);
    EXPECT_EQ(disk->abandoned, 1u);
    EXPECT_EQ(get(0x2f, 1), 0u);
    EXPECT_EQ(get(0x24), 0x01ff'0000u);
    disk->late = false;
    EXPECT_EQ(card_status(), 0x900u);
    EXPECT_EQ(switch_byte(185, 1), 0x900u);
    put(0x2f, 1, 1);
    EXPECT_EQ(get(0x34), 0u);
    bring_up();
    EXPECT_EQ(ext_csd()[185], 0) << "without power it has forgotten";
}

TEST_F(EmmcTransferTest, ALateDiskIsWaitedForAndAskedAgainAfterRestoring) {
    bring_up();
    const Bytes bytes = pattern(1024);
    disk->late = true;
    EXPECT_EQ(write_blocks(0, bytes), command_complete);
    EXPECT_EQ(disk->waiting.size(), 1u);
    const auto saved = save(*card);
    disk->complete();
    disk->complete();  // the flush
    EXPECT_EQ(take_status(), transfer_complete);
    EXPECT_EQ(on_disk(0, 1024), bytes);
    std::fill_n(disk->bytes.begin(), 1024, u8{0});
    plug();
    disk->late = true;
    ASSERT_TRUE(load(*card, saved).ok());
    EXPECT_EQ(save(*card).size(), saved.size());
    bench.advance(1'000'000);
    disk->complete();
    disk->complete();
    EXPECT_EQ(take_status(), transfer_complete);
    EXPECT_EQ(on_disk(0, 1024), bytes);
    EXPECT_EQ(switch_byte(33, 1), 0x900u);
    put(0x08, 3u << 24 | 32 << 16 | 1 << 8);
    put(0x0c, (6u << 8 | r1b) << 16);
    EXPECT_EQ(take_status(), command_complete) << "busy";
    EXPECT_EQ(card_status() & 0x1f00, 7u << 9);
    disk->complete();
    EXPECT_EQ(take_status(), transfer_complete);
}

TEST_F(EmmcTransferTest, SavedInTheMiddleItGoesOn) {
    bring_up();
    const Bytes bytes = pattern(1024, 5);
    write_blocks(512, bytes);
    set_blocks(2);
    command(18, 512, data, counted | multiple | to_host | auto_12);
    for (u32 i = 0; i < 100; i++) ASSERT_EQ(get(0x20, 1), bytes[i]);
    const auto saved = save(*card);
    plug();
    ASSERT_TRUE(load(*card, saved).ok());
    EXPECT_EQ(save(*card), saved);
    for (u32 i = 100; i < 1024; i++) ASSERT_EQ(get(0x20, 1), bytes[i]);
    EXPECT_EQ(take_status() & transfer_complete, u32{transfer_complete});
    for (usize cut = 0; cut < saved.size(); cut += 7) {
        auto broken = saved;
        broken[cut] ^= 0xff;
        if (!load(*card, broken).ok()) continue;
        bench.advance(1'000'000);
        get(0x20);
        Bytes one(512);
        read_blocks(0, one);
    }
}

TEST_F(EmmcTransferTest, TakesAnything) {
    bring_up();
    random_accesses(*card->bar(0).window, 256, 60'000, [&](auto& random) {
        for (u32 i = 0; i < 8; i++) {
            ASSERT_TRUE(dma_port.store<u32>(list + i * 12, static_cast<u32>(random()) | 1));
            ASSERT_TRUE(dma_port.store<u64>(list + i * 12 + 4, random() % 4 == 0 ? list : buffer + random() % 4096));
        }
        put(0x58, list & 0xffff'ffff);
        put(0x5c, list >> 32);
        put(0x29, 0x0f, 1);
        put(0x2c, 0x0105, 2);
        if (random() % 8 == 0) bring_up_quietly();
        const u32 index = std::array<u32, 8>{17, 18, 24, 25, 6, 8, 23, 38}[random() % 8];
        const u32 number = static_cast<u32>(random());
        command(index, index == 6 ? 0x03b3'0000u | number % 4 << 8 : number % 4096 * 512, index == 6 ? r1b : data,
                static_cast<u32>(random() % 64));
        bench.advance(20'000);
        if (random() % 16 == 0) {
            const auto saved = save(*card);
            ASSERT_TRUE(load(*card, saved).ok());
        }
    });
}

}  // namespace
}  // namespace viv::test
