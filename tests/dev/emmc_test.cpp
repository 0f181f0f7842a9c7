// The SD host controller and its eMMC at the registers: identification, errors, erasing, partitions, modes. Data:
// emmc_transfer_test.cpp; the RPMB partition: emmc_rpmb_test.cpp.
#include "tests/dev/emmc_bench.h"

namespace viv::test {
namespace {

struct EmmcTest : ::testing::Test, EmmcRig {
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

std::string refusal(std::map<std::string, std::string> properties, std::shared_ptr<RamDisk::Shared> shared) {
    EmmcRig rig;
    DeviceSpec spec;
    spec.name = "emmc";
    spec.properties = std::move(properties);
    if (shared) spec.disk = std::make_unique<RamDisk>(shared);
    const auto made = find_card("emmc")(spec, CardWiring{rig.dma_port, rig.bench.timers, rig.bench.sink});
    return made.ok() ? "" : made.error().message;
}

TEST_F(EmmcTest, IsMadeByName) {
    const auto fresh = [] { return std::make_shared<RamDisk::Shared>(16 << 20); };
    EXPECT_EQ(refusal({}, fresh()), "");
    EXPECT_EQ(refusal({{"boot-size-mult", "0"}, {"rpmb-size-mult", "128"}, {"serial", "9"}},
                      std::make_shared<RamDisk::Shared>(32 << 20)),
              "");
    EXPECT_EQ(refusal({}, nullptr), "emmc: no disk is connected to it; use file=FILE");
    EXPECT_EQ(refusal({{"rpmb-size-mult", "129"}}, fresh()),
              "emmc: property 'rpmb-size-mult' is '129', but wants a number from 1 to 128");
    EXPECT_EQ(refusal({}, std::make_shared<RamDisk::Shared>(4 << 20)),
              "emmc.img: is too small for an eMMC: 6164 KiB of it are for boot and RPMB partitions");
}

TEST_F(EmmcTest, TakesNoDiskWhoseEndIsInUse) {
    auto used = std::make_shared<RamDisk::Shared>(16 << 20);
    used->bytes[(16 << 20) - (5 << 20)] = 1;
    const Bytes before = used->bytes;
    EXPECT_EQ(refusal({}, used),
              "emmc.img: its last 6164 KiB are not zero, and an eMMC keeps its boot and RPMB partitions there; make "
              "room with `viv-img resize FILE +6164K`");
    EXPECT_EQ(used->bytes, before);
    used->bytes.resize(used->bytes.size() + (6164 << 10));
    EXPECT_EQ(refusal({}, used), "");
    EXPECT_EQ(refusal({{"boot-size-mult", "8"}, {"rpmb-size-mult", "32"}}, used), "");
    EXPECT_EQ(refusal({{"boot-size-mult", "4"}}, used),
              "emmc.img: is an eMMC with boot-size-mult=8,rpmb-size-mult=32 already");
    used->bytes[used->bytes.size() - 4096 + 17] ^= 1;
    EXPECT_EQ(refusal({}, used), "emmc.img: is an eMMC's image whose end is damaged");
    auto locked = std::make_shared<RamDisk::Shared>(16 << 20);
    locked->read_only = true;
    EXPECT_EQ(refusal({}, locked), "emmc.img: is no eMMC's image yet, and cannot become one as it is read-only");
}

TEST_F(EmmcTest, IsTheControllerThatItSays) {
    EXPECT_EQ(card->read_config(0, 4), 0x0007'1b36u);
    EXPECT_EQ(card->read_config(0x08, 4), 0x0805'0100u);
    EXPECT_EQ(card->read_config(0x40, 1), 0u) << "one slot, BAR 0";
    card->write_config(0x10, 4, ~u32{0});
    EXPECT_EQ(card->read_config(0x10, 4), 0xffff'ff00u);
    EXPECT_EQ(get(0xfe, 2), 2u);
    EXPECT_EQ(get(0x40), 0x516c'34b2u);
    EXPECT_EQ(get(0x24), 0x01ff'0000u) << "a card, and nothing under way";
}

TEST_F(EmmcTest, ACardWithoutPowerOrClockDoesNotAnswer) {
    put(0x34, 0x03ff'00ff);
    EXPECT_EQ(command(0, 0, none), command_timeout | error);
    power_on();
    EXPECT_EQ(command(0, 0, none), command_complete);
    put(0x2c, 0x0101, 2);
    EXPECT_EQ(command(1, 0, r3), command_timeout | error);
}

TEST_F(EmmcTest, IsIdentifiedAsDriversDo) {
    power_on();
    EXPECT_EQ(command(0, 0, none), command_complete);
    EXPECT_EQ(command(8, 0x1aa, r1), command_timeout | error) << "no SD card";
    EXPECT_EQ(command(5, 0, r3), command_timeout | error) << "no SDIO card";
    EXPECT_EQ(command(55, 0, r1), command_timeout | error);
    EXPECT_EQ(command(1, 0, r3), command_complete);
    EXPECT_EQ(response(), 0x80ff'8080u) << "up to 2 GiB bytes are counted";
    EXPECT_EQ(command(2, 0, r2), command_timeout | error) << "it was only asked for its voltages";
    EXPECT_EQ(command(1, 0x4030'0000, r3), command_complete);
    EXPECT_EQ(command(2, 0, r2), command_complete);
    EXPECT_EQ(get(0x1c), 0xfe'01'00u);
    EXPECT_EQ(get(0x18), 0x56'49'56'4du) << "VIVMMC";
    EXPECT_EQ(get(0x14), 0x4d'43'10'00u);
    EXPECT_EQ(get(0x10), 0x00'00'07'1cu) << "serial 7";
    EXPECT_EQ(command(3, 0x5'0000, r1), command_complete);
    EXPECT_EQ(command(9, 0x1'0000, r2), command_timeout | error) << "another card's address";
    EXPECT_EQ(command(9, 0x5'0000, r2), command_complete);
    // C_SIZE, C_SIZE_MULT and READ_BL_LEN: the user area.
    const u64 words = u64{get(0x14)} << 32 | get(0x10);
    const u64 size = (bits(words, 62 - 8, 10) | bits(get(0x18), 0, 2) << 10), multiplier = bits(words, 47 - 8, 3);
    EXPECT_EQ(bits(get(0x18), 80 - 8 - 64, 4), 9u);
    EXPECT_EQ((size + 1) << (multiplier + 2 + 9), 1'683'456u);
    EXPECT_EQ(command(7, 0x5'0000, r1), command_complete);
    const Bytes bytes = ext_csd();
    EXPECT_EQ(load_le<u32>(&bytes[212]) * 512, 1'683'456u);
    EXPECT_EQ(bytes[192], 8);
    EXPECT_EQ(bytes[226] * 0x100 + bytes[168], 0x101);
}

TEST_F(EmmcTest, InterruptsFollowStatusAndEnables) {
    power_on();
    put(0x38, 0);
    put(0x0c, 0);
    EXPECT_FALSE(card->asserts_interrupt());
    put(0x38, 1, 2);
    EXPECT_TRUE(card->asserts_interrupt());
    EXPECT_EQ(get(0xfc, 2), 1u);
    put(0x30, 1, 2);
    EXPECT_FALSE(card->asserts_interrupt());
    put(0x52, 0x20, 2);
    EXPECT_EQ(get(0x30), data_crc | error) << "forced";
    EXPECT_FALSE(card->asserts_interrupt());
    put(0x3a, 0x20, 2);
    EXPECT_TRUE(card->asserts_interrupt());
    put(0x36, 0, 2);
    EXPECT_FALSE(card->asserts_interrupt());
    EXPECT_EQ(get(0x30), 0u);
}

TEST_F(EmmcTest, WhatIsOutsideOrUnalignedIsNotMoved) {
    bring_up();
    Bytes two(1024);
    EXPECT_EQ(read_blocks(1'683'456, two), command_complete | data_timeout | error);
    EXPECT_EQ(response(), 0x8000'0900u);
    EXPECT_EQ(read_blocks(1'683'456 - 512, two), command_complete | data_timeout | error) << "the second is outside";
    EXPECT_EQ(command(12, 0, r1b), command_complete | transfer_complete);
    EXPECT_EQ(response() & 0x8000'0000, 0x8000'0000u);
    EXPECT_EQ(write_blocks(100, two), command_complete | data_timeout | error);
    EXPECT_EQ(response(), 0x4000'0900u);
    put(0x04, 256 | 2 << 16);
    EXPECT_EQ(command(18, 0, data, dma | counted | multiple | to_host), command_complete | data_crc | error);
    EXPECT_EQ(command(12, 0, r1b), command_complete | transfer_complete);
    disk->fails = true;
    EXPECT_EQ(read_blocks(0, two), command_complete | data_timeout | error);
    EXPECT_EQ(command(12, 0, r1b), command_complete | transfer_complete);
    EXPECT_EQ(response() & 0x8'0000, 0x8'0000u);
    EXPECT_EQ(write_blocks(0, two), command_complete | data_crc | error);
    EXPECT_EQ(command(30, 0, r1), command_timeout | error);
    EXPECT_EQ(command(12, 0, r1b), command_complete | transfer_complete);
    EXPECT_EQ(response() & 0x40'0000, 0x40'0000u) << "CMD30 was illegal";
}

TEST_F(EmmcTest, WritesLastWithoutTheCacheAndWhenItIsFlushed) {
    bring_up();
    const unsigned before = disk->flushes;
    write_blocks(0, pattern(512));
    EXPECT_EQ(disk->flushes, before + 1);
    EXPECT_EQ(switch_byte(33, 1), 0x900u);
    write_blocks(0, pattern(512));
    EXPECT_EQ(disk->flushes, before + 1);
    write_blocks(0, pattern(512), auto_23, 1u << 31 | 1);
    EXPECT_EQ(disk->flushes, before + 2) << "a reliable write";
    EXPECT_EQ(switch_byte(32, 1), 0x900u);
    EXPECT_EQ(disk->flushes, before + 3);
    EXPECT_EQ(switch_byte(33, 0), 0x900u);
    EXPECT_EQ(disk->flushes, before + 4);
}

TEST_F(EmmcTest, ErasesGroupsAndTrimsBlocks) {
    bring_up();
    write_blocks(0, Bytes(0x1'0000, 0xee));
    write_blocks(0x8'0000, Bytes(0x1'0000, 0xee));
    const auto erase = [&](u32 from, u32 to, u32 how) {
        EXPECT_EQ(command(35, from, r1), command_complete);
        EXPECT_EQ(command(36, to, r1), command_complete);
        EXPECT_EQ(command(38, how, r1b), command_complete | transfer_complete);
        return card_status();
    };
    EXPECT_EQ(erase(512, 1024, 1), 0x900u);
    EXPECT_EQ(on_disk(0, 2048), [] {
        Bytes expected(2048, 0xee);
        std::fill(expected.begin() + 512, expected.begin() + 1536, u8{0});
        return expected;
    }());
    EXPECT_EQ(erase(0x8'2000, 0x8'2000, 0), 0x900u);
    EXPECT_EQ(on_disk(0x8'0000, 0x1'0000), Bytes(0x1'0000, 0));
    EXPECT_EQ(on_disk(0xf000, 0x1000), Bytes(0x1000, 0xee)) << "the group before";
    EXPECT_EQ(erase(1024, 512, 1), 0x900u);
    EXPECT_EQ(command(38, 0, r1b), command_complete | transfer_complete);
    EXPECT_EQ(response() & 0x1000'0000, 0x1000'0000u) << "out of sequence";
}

TEST_F(EmmcTest, BootPartitionsAreTheirOwnAndCanBeLocked) {
    bring_up();
    EXPECT_EQ(switch_byte(179, 1), 0x900u);
    const Bytes bytes = pattern(1024, 3);
    EXPECT_EQ(write_blocks(0, bytes), command_complete | transfer_complete);
    EXPECT_EQ(switch_byte(179, 2), 0x900u);
    Bytes back(1024);
    read_blocks(0, back);
    EXPECT_EQ(back, Bytes(1024));
    EXPECT_EQ(read_blocks(128 << 10, back), command_complete | data_timeout | error) << "its size";
    EXPECT_EQ(switch_byte(173, 1), 0x900u);
    EXPECT_EQ(write_blocks(0, bytes), command_complete | data_timeout | error);
    EXPECT_EQ(response(), 0x0400'0900u);
    EXPECT_EQ(switch_byte(173, 0), 0x980u) << "until a reset";
    EXPECT_EQ(switch_byte(179, 0x48), 0x900u);
    EXPECT_EQ(on_disk(0, 1024), Bytes(1024)) << "the user area";
    plug();
    bring_up();
    EXPECT_EQ(ext_csd()[179], 0x48) << "which partition to boot from lasts";
    EXPECT_EQ(switch_byte(179, 0x49), 0x900u);
    read_blocks(0, back);
    EXPECT_EQ(back, bytes);
    EXPECT_EQ(write_blocks(0, bytes), command_complete | transfer_complete);
}

TEST_F(EmmcTest, ModesBecomeOnlyWhatTheCardCan) {
    bring_up();
    EXPECT_EQ(switch_byte(185, 1), 0x900u);
    EXPECT_EQ(switch_byte(183, 2), 0x900u);
    EXPECT_EQ(switch_byte(185, 2), 0x980u) << "no HS200";
    EXPECT_EQ(switch_byte(183, 6), 0x980u) << "no double rate";
    EXPECT_EQ(switch_byte(155, 1), 0x980u) << "nothing to divide";
    EXPECT_EQ(switch_byte(212, 1), 0x980u) << "a property";
    EXPECT_EQ(switch_byte(175, 1, 1), 0x900u);
    EXPECT_EQ(ext_csd()[175], 1);
    EXPECT_EQ(switch_byte(175, 1, 2), 0x900u);
    EXPECT_EQ(ext_csd()[175], 0);
}

TEST_F(EmmcTest, AReadOnlyDiskIsACardWithoutWrites) {
    disk->read_only = true;
    plug();
    power_on();
    command(0, 0, none);
    command(1, 0x4030'0000, r3);
    command(2, 0, r2);
    command(3, 0x1'0000, r1);
    EXPECT_EQ(command(9, 0x1'0000, r2), command_complete);
    EXPECT_EQ(bits(get(0x18), 84 - 8 - 64, 12) & 0x30, 0u) << "neither writes nor erases";
    command(7, 0x1'0000, r1);
    EXPECT_EQ(write_blocks(0, pattern(512)), command_complete | data_timeout | error);
    EXPECT_EQ(response(), 0x0400'0900u);
}

}  // namespace
}  // namespace viv::test
