// SCSI disks and drives by their commands: what they say of themselves, data, boundaries, caches, provisioning, sense,
// tasks that are aborted, media that go and come, saving.
#include "tests/dev/scsi_bench.h"

namespace viv::test {
namespace {

using scsi::Answer;
namespace sense = scsi::sense;
using block::Operation;

Bytes cdb10(u8 operation, u32 block, u16 count, u8 flags = 0) {
    Bytes cdb{operation, flags, 0, 0, 0, 0, 0, 0, 0, 0};
    store_be<u32>(&cdb[2], block);
    store_be<u16>(&cdb[7], count);
    return cdb;
}
Bytes cdb16(u8 operation, u64 block, u32 count, u8 flags = 0) {
    Bytes cdb(16);
    cdb[0] = operation;
    cdb[1] = flags;
    store_be<u64>(&cdb[2], block);
    store_be<u32>(&cdb[10], count);
    return cdb;
}
Bytes vpd(u8 page) { return {scsi::inquiry, 1, page, 0, 255, 0}; }
std::string text(const Bytes& bytes, usize at, usize size) {
    return std::string(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                       bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
}

struct ScsiDiskTest : ::testing::Test, ScsiRig {
    static constexpr usize blocks = 4096;
    std::shared_ptr<ScsiDisk> disk = std::make_shared<ScsiDisk>(blocks * 512);
    void SetUp() override {
        for (usize i = 0; i < disk->bytes.size(); i++) disk->bytes[i] = static_cast<u8>(i / 512 * 7 + i);
        ASSERT_TRUE(attach("scsi-hd", disk, {{"serial", "S123"}, {"wwn", "0x5000c50012345678"}}).ok());
        EXPECT_EQ(refusal({scsi::test_unit_ready, 0, 0, 0, 0, 0}), sense::power_on);
    }
    Bytes block_at(usize number, usize count = 1) {
        return Bytes(disk->bytes.begin() + static_cast<std::ptrdiff_t>(number * 512),
                     disk->bytes.begin() + static_cast<std::ptrdiff_t>((number + count) * 512));
    }
};

TEST_F(ScsiDiskTest, SaysWhatItIs) {
    const Bytes standard = data({scsi::inquiry, 0, 0, 0, 96, 0}, 96);
    ASSERT_EQ(standard.size(), 36u);
    EXPECT_EQ(standard[0], 0);
    EXPECT_EQ(standard[4], 31);
    EXPECT_EQ(text(standard, 8, 28), "VIVARIUMHARDDISK        1.0 ");
    EXPECT_EQ(answer->moved, 36u);
    EXPECT_EQ(data(vpd(0x00), 255), (Bytes{0, 0, 0, 6, 0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2}));
    EXPECT_EQ(data(vpd(0x80), 255), (Bytes{0, 0x80, 0, 4, 'S', '1', '2', '3'}));
    const Bytes names = data(vpd(0x83), 255);
    EXPECT_EQ(text(names, 8, 12), "VIVARIUMS123");
    EXPECT_EQ(load_be<u64>(&names[names.size() - 8]), 0x5000'c500'1234'5678u);
    const Bytes limits = data(vpd(0xb0), 255);
    ASSERT_EQ(limits.size(), 64u);
    EXPECT_EQ(load_be<u32>(&limits[20]), scsi::Disk::most_unmapped);
    EXPECT_EQ(data(vpd(0xb2), 255)[5], 0xe0);
    EXPECT_EQ(refusal(vpd(0xb6), 255), sense::bad_field);
    EXPECT_EQ(refusal({scsi::inquiry, 0, 0x83, 0, 96, 0}, 96), sense::bad_field) << "a page without EVPD";
    EXPECT_EQ(data({scsi::inquiry, 0, 0, 0, 5, 0}, 96).size(), 5u) << "the allocation length is the limit";
}

TEST_F(ScsiDiskTest, CapacityInBothForms) {
    const Bytes ten = data({scsi::read_capacity_10, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8);
    EXPECT_EQ(load_be<u32>(&ten[0]), blocks - 1);
    EXPECT_EQ(load_be<u32>(&ten[4]), 512u);
    const Bytes sixteen = data(cdb16(scsi::service_action_in_16, 0, 32, 0x10), 32);
    EXPECT_EQ(load_be<u64>(&sixteen[0]), blocks - 1);
    EXPECT_EQ(sixteen[14], 0x80) << "provisioned, without a promise of zeros";
    EXPECT_EQ(refusal(cdb16(scsi::service_action_in_16, 0, 32, 0x12), 32), sense::bad_field) << "GET LBA STATUS";
}

TEST_F(ScsiDiskTest, ReadsAndWritesInEveryForm) {
    EXPECT_EQ(data({scsi::read_6, 0, 1, 2, 2, 0}, 1024), block_at(0x102, 2));
    EXPECT_EQ(data({scsi::read_6, 0, 0, 0, 0, 0}, 256 * 512), block_at(0, 256)) << "no length is 256 blocks";
    EXPECT_EQ(data(cdb10(scsi::read_10, 5, 3), 3 * 512), block_at(5, 3));
    EXPECT_EQ(data({scsi::read_12, 0, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0}, 1024), block_at(9, 2));
    EXPECT_EQ(data(cdb16(scsi::read_16, blocks - 1, 1), 512), block_at(blocks - 1));
    EXPECT_TRUE(data(cdb10(scsi::read_10, 5, 0)).empty()) << "nothing is no error";
    Bytes pattern(1024);
    for (usize i = 0; i < pattern.size(); i++) pattern[i] = static_cast<u8>(i * 3);
    for (const Bytes& cdb : {Bytes{scsi::write_6, 0, 0, 20, 2, 0}, cdb10(scsi::write_10, 20, 2),
                             Bytes{scsi::write_12, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0}, cdb16(scsi::write_16, 20, 2)}) {
        std::fill_n(disk->bytes.begin() + 20 * 512, 1024, u8{0});
        data(cdb, 0, &pattern);
        EXPECT_EQ(answer->moved, 1024u);
        EXPECT_EQ(block_at(20, 2), pattern);
    }
}

TEST_F(ScsiDiskTest, BoundariesAreKept) {
    const Bytes before = disk->bytes;
    Bytes out(1024);
    EXPECT_EQ(refusal(cdb10(scsi::read_10, blocks - 1, 2), 1024), sense::out_of_range);
    EXPECT_EQ(refusal(cdb10(scsi::read_10, blocks, 1), 1024), sense::out_of_range);
    EXPECT_EQ(refusal(cdb16(scsi::read_16, ~u64{0}, 1), 1024), sense::out_of_range);
    EXPECT_EQ(refusal(cdb16(scsi::write_16, ~u64{0} - 1, 2), 0, &out), sense::out_of_range);
    EXPECT_EQ(refusal(cdb16(scsi::write_same_16, blocks - 1, 2), 0, &out), sense::out_of_range);
    EXPECT_EQ(refusal(cdb10(scsi::synchronize_cache_10, blocks, 1)), sense::out_of_range);
    EXPECT_EQ(refusal(cdb10(scsi::read_10, 0, 1, 0x20), 512), sense::bad_field) << "protection information";
    EXPECT_EQ(refusal({scsi::read_10, 0, 0, 0, 0, 0, 0, 0, 1, 4}, 512), sense::bad_field) << "NACA";
    send(cdb10(scsi::read_10, 0, 3), 1024);
    EXPECT_EQ(answer->delivery, Answer::Delivery::overrun);
    EXPECT_EQ(in, Bytes(1024, 0xee));
    send(cdb10(scsi::write_10, 0, 3), 0, &out);
    EXPECT_EQ(answer->delivery, Answer::Delivery::overrun);
    EXPECT_EQ(disk->bytes, before);
    for (const unsigned unknown : {0x04u, 0x16u, 0x17u, 0x5eu, 0x5fu, 0x7fu, 0xa3u, 0xffu})
        EXPECT_EQ(refusal({static_cast<u8>(unknown), 0, 0, 0, 0, 0, 0, 0, 0, 0}), sense::unknown_command) << unknown;
}

TEST_F(ScsiDiskTest, ACacheThatCanBeTurnedOff) {
    Bytes out(512, 1);
    data(cdb10(scsi::write_10, 0, 1), 0, &out);
    data(cdb10(scsi::write_10, 0, 1, 8), 0, &out);  // FUA
    EXPECT_EQ(disk->operations, (std::vector{Operation::write, Operation::write, Operation::flush}));
    disk->operations.clear();
    const Bytes page = data({scsi::mode_sense_6, 0, 8, 0, 255, 0}, 255);
    ASSERT_EQ(page.size(), 4u + 8 + 20);
    EXPECT_EQ(page[0], page.size() - 1);
    EXPECT_EQ(page[2], 0x10) << "DPO and FUA";
    EXPECT_EQ(page[14], 4) << "WCE";
    EXPECT_EQ(data({scsi::mode_sense_6, 8, 0x48, 0, 255, 0}, 255)[6], 4) << "which can be changed";
    Bytes list(24);
    list[4] = 8, list[5] = 18;
    data({scsi::mode_select_6, 0x10, 0, 0, 24, 0}, 0, &list);
    data(cdb10(scsi::write_10, 0, 1), 0, &out);
    EXPECT_EQ(disk->operations, (std::vector{Operation::flush, Operation::write, Operation::flush}));
    EXPECT_EQ(data({scsi::mode_sense_10, 8, 8, 0, 0, 0, 0, 0, 255, 0}, 255)[10], 0);
    EXPECT_EQ(data({scsi::mode_sense_6, 8, 0x88, 0, 255, 0}, 255)[6], 4) << "the default stays";
    list[6] = 1;  // RCD
    EXPECT_EQ(refusal({scsi::mode_select_6, 0x10, 0, 0, 24, 0}, 0, &list), sense::bad_parameter);
    EXPECT_EQ(refusal({scsi::mode_select_6, 0x10, 0, 0, 23, 0}, 0, &list), sense::list_length);
    EXPECT_EQ(refusal({scsi::mode_select_6, 0x11, 0, 0, 24, 0}, 0, &list), sense::bad_field);
    EXPECT_EQ(refusal({scsi::mode_sense_6, 0, 0xc8, 0, 255, 0}, 255), sense::saving_unsupported);
    EXPECT_EQ(refusal({scsi::mode_sense_6, 0, 0x1c, 0, 255, 0}, 255), sense::bad_field);
    EXPECT_EQ(data({scsi::mode_sense_6, 0, 0x3f, 0, 255, 0}, 255).size(), 4u + 8 + 12 + 20 + 12);
    // A reset of the unit turns it on again.
    bus.find({})->reset(sense::unit_reset);
    EXPECT_EQ(refusal({scsi::test_unit_ready, 0, 0, 0, 0, 0}), sense::unit_reset);
    EXPECT_EQ(data({scsi::mode_sense_6, 8, 8, 0, 255, 0}, 255)[6], 4);
}

TEST_F(ScsiDiskTest, GivesSpaceBack) {
    Bytes list(8 + 3 * 16);
    store_be<u16>(&list[0], 8 + 3 * 16 - 2);
    store_be<u16>(&list[2], 3 * 16);
    store_be<u64>(&list[8], 10), store_be<u32>(&list[16], 5);
    store_be<u64>(&list[24], 100), store_be<u32>(&list[32], 0);
    store_be<u64>(&list[40], blocks - 1), store_be<u32>(&list[48], 1);
    const Bytes unmap = cdb10(scsi::unmap, 0, static_cast<u16>(list.size()));
    data(unmap, 0, &list);
    EXPECT_EQ(disk->operations, (std::vector{Operation::discard, Operation::discard}));
    EXPECT_EQ(block_at(10, 5), Bytes(5 * 512));
    EXPECT_EQ(block_at(blocks - 1), Bytes(512));
    const Bytes before = disk->bytes;
    store_be<u32>(&list[48], 2);
    EXPECT_EQ(refusal(unmap, 0, &list), sense::out_of_range);
    store_be<u16>(&list[2], 4 * 16);
    EXPECT_EQ(refusal(unmap, 0, &list), sense::bad_parameter) << "more than there is";
    EXPECT_EQ(disk->bytes, before) << "the first ranges too";
    Bytes zeros(512), ones(512, 1);
    data(cdb16(scsi::write_same_16, 40, 3, 8), 0, &zeros);
    EXPECT_EQ(disk->operations.back(), Operation::write_zeroes);
    EXPECT_EQ(block_at(40, 3), Bytes(3 * 512));
    data(cdb16(scsi::write_same_16, 50, 3, 1));
    EXPECT_EQ(block_at(50, 3), Bytes(3 * 512)) << "without data";
    data(cdb10(scsi::write_same_10, 60, 2100), 0, &ones);
    EXPECT_EQ(block_at(60, 2100), Bytes(2100 * 512, 1)) << "more than one buffer";
    EXPECT_EQ(refusal(cdb16(scsi::write_same_16, 0, 0), 0, &zeros), sense::bad_field);
    EXPECT_EQ(refusal(cdb16(scsi::write_same_16, 0, 1, 0x10), 0, &zeros), sense::bad_field) << "anchored";
}

TEST_F(ScsiDiskTest, VerifiesWithAndWithoutData) {
    Bytes same = block_at(0, 3000);
    data(cdb10(scsi::verify_10, 0, 3000));
    EXPECT_EQ(disk->operations.size(), 2u) << "read in pieces";
    data(cdb10(scsi::verify_10, 0, 3000, 2), 0, &same);
    same[2500 * 512 + 3] ^= 1;
    EXPECT_EQ(refusal(cdb10(scsi::verify_10, 0, 3000, 2), 0, &same), sense::miscompare);
    EXPECT_EQ(refusal(cdb10(scsi::verify_10, 0, 1, 4), 0, &same), sense::bad_field);
    send(cdb16(scsi::verify_16, 0, 2, 2), 0, nullptr);
    EXPECT_EQ(answer->delivery, Answer::Delivery::overrun);
}

TEST_F(ScsiDiskTest, FailuresOfTheDiskAndOfTheGuest) {
    Bytes out(512);
    disk->fails = true;
    EXPECT_EQ(refusal(cdb10(scsi::read_10, 0, 1), 512), sense::read_error);
    EXPECT_EQ(answer->moved, 0u);
    EXPECT_EQ(refusal(cdb10(scsi::write_10, 0, 1), 0, &out), sense::write_error);
    EXPECT_EQ(refusal(cdb10(scsi::synchronize_cache_10, 0, 0)), sense::write_error);
    disk->fails = false;
    disk->read_only = true;
    EXPECT_EQ(refusal(cdb10(scsi::write_10, 0, 1), 0, &out), sense::write_protected);
    EXPECT_EQ(refusal(cdb10(scsi::write_same_10, 0, 1), 0, &out), sense::write_protected);
    EXPECT_EQ(refusal(cdb10(scsi::unmap, 0, 0)), sense::write_protected);
    EXPECT_EQ(data({scsi::mode_sense_6, 8, 8, 0, 255, 0}, 255)[2], 0x90);
    EXPECT_EQ(data(vpd(0xb2), 255)[5], 0);
}

TEST_F(ScsiDiskTest, ATaskEndsOnceItsStepHas) {
    disk->late = true;
    Bytes out(512, 1);
    const u64 task = send(cdb10(scsi::write_10, 0, 1, 8), 0, &out);
    ASSERT_NE(task, 0u);
    bus.find({})->abort(task);
    EXPECT_FALSE(answer) << "the disk may still read its data";
    disk->complete();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->delivery, Answer::Delivery::aborted);
    EXPECT_TRUE(disk->waiting.empty()) << "there was no flush";
    send(cdb10(scsi::read_10, 0, 1), 512);
    bus.abandon();
    EXPECT_EQ(disk->abandoned, 1u);
    disk->complete();
    EXPECT_FALSE(answer);
    EXPECT_EQ(in, Bytes(512, 0xee));
}

TEST_F(ScsiDiskTest, TargetsAnswerForWhatIsNotThere) {
    ASSERT_TRUE(attach("scsi-hd", disk, {{"scsi-id", "0"}, {"lun", "300"}}).ok());
    ASSERT_TRUE(attach("scsi-cd", nullptr).ok());
    EXPECT_TRUE(bus.has_target(1)) << "the next one that is free";
    EXPECT_FALSE(bus.has_target(2));
    const Bytes luns = data({scsi::report_luns, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0}, 64);
    EXPECT_EQ(luns, (Bytes{0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x41, 0x2c, 0, 0, 0, 0, 0, 0}));
    EXPECT_EQ(refusal({scsi::report_luns, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0}, 64), sense::bad_field);
    EXPECT_EQ(data({scsi::inquiry, 0, 0, 0, 36, 0}, 36, nullptr, {0, 7})[0], 0x7f);
    EXPECT_EQ(refusal({scsi::test_unit_ready, 0, 0, 0, 0, 0}, 0, nullptr, {0, 7}), sense::no_such_unit);
    EXPECT_EQ(attach("scsi-hd", disk, {{"scsi-id", "0"}, {"lun", "300"}}).error().message,
              "scsi-hd: scsi-id=0,lun=300 is taken; give it another lun or scsi-id");
    EXPECT_EQ(attach("scsi-hd", nullptr).error().message,
              "scsi-hd: no disk is connected to it; use --device scsi-hd,file=FILE");
    EXPECT_EQ(attach("scsi-hd", disk, {{"vendor", "123456789"}}).error().message,
              "scsi-hd: property 'vendor' is longer than 8 characters");
}

TEST_F(ScsiDiskTest, StateIsKeptAndChecked) {
    Bytes list(24);
    list[4] = 8, list[5] = 18;
    data({scsi::mode_select_6, 0x10, 0, 0, 24, 0}, 0, &list);
    bus.find({})->reset(sense::bus_reset);
    data({scsi::inquiry, 0, 0, 0, 36, 0}, 36);  // which leaves the attention
    Bytes saved;
    Archive saver = Archive::saver(saved);
    bus.state(saver);
    ScsiRig other;
    ASSERT_TRUE(other.attach("scsi-hd", disk).ok());
    Archive loader = Archive::loader(saved);
    other.bus.state(loader);
    ASSERT_TRUE(loader.finish().ok());
    const Bytes told = other.data({scsi::request_sense, 0, 0, 0, 252, 0}, 252);
    ASSERT_EQ(told.size(), 18u);
    EXPECT_EQ((Bytes{told[0], told[2], told[12], told[13]}), (Bytes{0x70, 6, 0x29, 2}));
    EXPECT_EQ(other.data({scsi::request_sense, 0, 0, 0, 252, 0}, 252)[2], 0) << "told once";
    ScsiRig elsewhere;
    ASSERT_TRUE(elsewhere.attach("scsi-hd", disk, {{"scsi-id", "3"}}).ok());
    Archive refused = Archive::loader(saved);
    elsewhere.bus.state(refused);
    EXPECT_FALSE(refused.finish().ok());
}

struct ScsiCdTest : ::testing::Test, ScsiRig {
    std::shared_ptr<ScsiDisk> disk = std::make_shared<ScsiDisk>(100 * 2048 + 512);
    void SetUp() override {
        for (usize i = 0; i < disk->bytes.size(); i++) disk->bytes[i] = static_cast<u8>(i / 2048 + i);
        disk->read_only = true;
        ASSERT_TRUE(attach("scsi-cd", disk).ok());
        EXPECT_EQ(refusal(ready), sense::power_on);
    }
    const Bytes ready{scsi::test_unit_ready, 0, 0, 0, 0, 0};
    const Bytes eject{scsi::start_stop_unit, 0, 0, 0, 2, 0}, load{scsi::start_stop_unit, 0, 0, 0, 3, 0};
    const Bytes event{scsi::get_event_status_notification, 1, 0, 0, 0x10, 0, 0, 0, 8, 0};
};

TEST_F(ScsiCdTest, ReadsWholeBlocksOfTheMedium) {
    const Bytes standard = data({scsi::inquiry, 0, 0, 0, 36, 0}, 36);
    EXPECT_EQ((Bytes{standard[0], standard[1]}), (Bytes{5, 0x80}));
    const Bytes capacity = data({scsi::read_capacity_10, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 8);
    EXPECT_EQ(load_be<u32>(&capacity[0]), 99u);
    EXPECT_EQ(load_be<u32>(&capacity[4]), 2048u);
    EXPECT_EQ(data(cdb10(scsi::read_10, 99, 1), 2048), Bytes(disk->bytes.begin() + 99 * 2048, disk->bytes.end() - 512));
    EXPECT_EQ(refusal(cdb10(scsi::read_10, 99, 2), 4096), sense::out_of_range);
    Bytes out(2048);
    EXPECT_EQ(refusal(cdb10(scsi::write_10, 0, 1), 0, &out), sense::unknown_command);
}

TEST_F(ScsiCdTest, TracksAndProfiles) {
    const Bytes toc = data({scsi::read_toc, 0, 0, 0, 0, 0, 0, 0, 255, 0}, 255);
    EXPECT_EQ(toc, (Bytes{0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 0, 100}));
    const Bytes times = data({scsi::read_toc, 2, 0, 0, 0, 0, 0xaa, 0, 255, 0}, 255);
    EXPECT_EQ(times, (Bytes{0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 3, 25})) << "two seconds and 100 frames";
    EXPECT_EQ(refusal({scsi::read_toc, 0, 0, 0, 0, 0, 2, 0, 255, 0}, 255), sense::bad_field);
    const Bytes configuration = data({scsi::get_configuration, 0, 0, 0, 0, 0, 0, 0, 255, 0}, 255);
    EXPECT_EQ(load_be<u32>(&configuration[0]), configuration.size() - 4);
    EXPECT_EQ(load_be<u16>(&configuration[6]), 8) << "CD-ROM";
    const Bytes one = data({scsi::get_configuration, 2, 0, 3, 0, 0, 0, 0, 255, 0}, 255);
    EXPECT_EQ(one.size(), 8u + 8);
    const Bytes information = data({scsi::read_disc_information, 0, 0, 0, 0, 0, 0, 0, 255, 0}, 255);
    EXPECT_EQ(information.size(), 34u);
    EXPECT_EQ(data({scsi::mode_sense_10, 0, 0x2a, 0, 0, 0, 0, 0, 255, 0}, 255)[8], 0x2a);
}

TEST_F(ScsiCdTest, TheMediumGoesAndComes) {
    data({scsi::prevent_allow_medium_removal, 0, 0, 0, 1, 0});
    EXPECT_EQ(refusal(eject), sense::removal_prevented);
    data({scsi::prevent_allow_medium_removal, 0, 0, 0, 0, 0});
    EXPECT_EQ(data(event, 8), (Bytes{0, 6, 4, 0x10, 0, 2, 0, 0}));
    data(eject);
    EXPECT_EQ(refusal(ready), sense::tray_open);
    EXPECT_EQ(refusal(cdb10(scsi::read_10, 0, 1), 2048), sense::tray_open);
    EXPECT_EQ(data(event, 8), (Bytes{0, 6, 4, 0x10, 3, 1, 0, 0}));
    data(load);
    EXPECT_EQ(refusal(ready), sense::medium_changed);
    data(ready);
    EXPECT_EQ(data(event, 8), (Bytes{0, 6, 4, 0x10, 2, 2, 0, 0}));
    EXPECT_EQ(data(event, 8)[4], 0) << "told once";
    EXPECT_EQ(refusal({scsi::get_event_status_notification, 0, 0, 0, 0x10, 0, 0, 0, 8, 0}, 8), sense::bad_field);
}

TEST_F(ScsiCdTest, AnEmptyDrive) {
    ASSERT_TRUE(attach("scsi-cd", nullptr).ok());
    EXPECT_EQ(refusal(ready, 0, nullptr, {1, 0}), sense::power_on);
    EXPECT_EQ(refusal(ready, 0, nullptr, {1, 0}), sense::no_medium);
    EXPECT_EQ(refusal(cdb10(scsi::read_10, 0, 1), 2048, nullptr, {1, 0}), sense::no_medium);
    data(eject, 0, nullptr, {1, 0});
    EXPECT_EQ(refusal(ready, 0, nullptr, {1, 0}), sense::tray_open);
}

}  // namespace
}  // namespace viv::test
