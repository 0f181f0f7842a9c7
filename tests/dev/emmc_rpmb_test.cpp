// The RPMB partition by whole commands, against HMACs that OpenSSL computes: keys, counters, reads and writes of each
// length, what is refused, and a host that ends at any moment.
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "tests/dev/emmc_bench.h"

namespace viv::test {
namespace {

constexpr usize f_mac = 196, f_data = 228, f_nonce = 484, f_counter = 500, f_address = 504, f_count = 506,
                f_result = 508, f_type = 510;
constexpr usize rpmb_at = EmmcRig::disk_size - 20480 - emmc::size_unit;

struct RpmbTest : ::testing::Test, EmmcRig {
    const Bytes key = pattern(32, 77), other_key = pattern(32, 78);

    RpmbTest() { enter(); }
    void enter() {
        bring_up();
        EXPECT_EQ(switch_byte(179, 3), 0x900u);
    }

    static Bytes mac_of(const Bytes& with, const Bytes& frames) {
        Bytes covered, mac(32);
        for (usize at = 0; at < frames.size(); at += 512)
            covered.insert(covered.end(), &frames[at + f_data], &frames[at] + 512);
        unsigned size = 32;
        HMAC(EVP_sha256(), with.data(), 32, covered.data(), covered.size(), mac.data(), &size);
        return mac;
    }
    static void sign(Bytes& frames, const Bytes& with) {
        const Bytes mac = mac_of(with, frames);
        std::copy(mac.begin(), mac.end(), &frames[frames.size() - 512 + f_mac]);
    }
    static Bytes request(u16 type) {
        Bytes frame(512);
        store_be<u16>(&frame[f_type], type);
        return frame;
    }
    Bytes write_request(u32 counter, u16 address, const Bytes& blocks, const Bytes& with) const {
        Bytes frames;
        for (usize at = 0; at < blocks.size(); at += 256) {
            Bytes frame = request(3);
            std::copy_n(&blocks[at], 256, &frame[f_data]);
            store_be<u32>(&frame[f_counter], counter);
            store_be<u16>(&frame[f_address], address);
            store_be<u16>(&frame[f_count], static_cast<u16>(blocks.size() / 256));
            frames.insert(frames.end(), frame.begin(), frame.end());
        }
        sign(frames, with);
        return frames;
    }
    void send(const Bytes& frames, bool reliable = false) {
        const u32 blocks = static_cast<u32>(frames.size() / 512);
        EXPECT_EQ(write_blocks(0, frames, auto_23, blocks | (reliable ? 1u << 31 : 0)),
                  command_complete | transfer_complete);
    }
    Bytes receive(u32 count) {
        Bytes frames(count * 512);
        EXPECT_EQ(read_blocks(0, frames, auto_23, count), command_complete | transfer_complete);
        return frames;
    }
    // The frame that a result read gives.
    Bytes result_of(const Bytes& frames, bool reliable = true) {
        send(frames, reliable);
        send(request(5));
        return receive(1);
    }
    u32 result(const Bytes& frames, bool reliable = true) {
        return load_be<u16>(&result_of(frames, reliable)[f_result]);
    }
    u32 program(const Bytes& with) {
        Bytes frame = request(1);
        std::copy(with.begin(), with.end(), &frame[f_mac]);
        const Bytes answer = result_of(frame);
        EXPECT_EQ(load_be<u16>(&answer[f_type]), 0x100u);
        return load_be<u16>(&answer[f_result]);
    }
    Bytes read_request(u16 address) const {
        Bytes frame = request(4);
        const Bytes nonce = pattern(16, 200);
        std::copy(nonce.begin(), nonce.end(), &frame[f_nonce]);
        store_be<u16>(&frame[f_address], address);
        return frame;
    }
    // What an authenticated read gives, whose MAC and fields are checked.
    Bytes read(u16 address, u32 count) {
        const Bytes asked = read_request(address);
        send(asked);
        const Bytes frames = receive(count);
        EXPECT_EQ(mac_of(key, frames),
                  Bytes(&frames[frames.size() - 512 + f_mac], &frames[frames.size() - 512 + f_data]));
        Bytes blocks;
        for (usize at = 0; at < frames.size(); at += 512) {
            EXPECT_EQ(load_be<u64>(&frames[at + f_address]), u64{address} << 48 | u64{count} << 32 | 0x400);
            EXPECT_TRUE(std::equal(&asked[f_nonce], &asked[f_counter], &frames[at + f_nonce]));
            blocks.insert(blocks.end(), &frames[at + f_data], &frames[at + f_nonce]);
        }
        return blocks;
    }
    u32 counter() {
        Bytes asked = request(2);
        asked[f_nonce + 3] = 9;
        send(asked);
        const Bytes frame = receive(1);
        EXPECT_EQ(load_be<u16>(&frame[f_type]), 0x200u);
        EXPECT_EQ(load_be<u16>(&frame[f_result]) & 0x7f, 0u);
        EXPECT_EQ(frame[f_nonce + 3], 9);
        EXPECT_EQ(mac_of(key, frame), Bytes(&frame[f_mac], &frame[f_data]));
        return load_be<u32>(&frame[f_counter]);
    }
};

TEST_F(RpmbTest, NeedsAKeyThatIsGivenOnce) {
    send(request(2));
    EXPECT_EQ(load_be<u32>(&receive(1)[f_result]), 0x0007'0200u);
    EXPECT_EQ(result(write_request(0, 0, pattern(256), key)), 7u);
    send(read_request(0));
    EXPECT_EQ(load_be<u32>(&receive(1)[f_result]), 0x0007'0400u);
    Bytes frame = request(1);
    EXPECT_EQ(result(frame, false), 1u) << "not reliable";
    EXPECT_EQ(program(key), 0u);
    EXPECT_EQ(program(other_key), 5u);
    EXPECT_EQ(counter(), 0u);
}

TEST_F(RpmbTest, AuthenticatedBlocksAreWrittenAndCounted) {
    ASSERT_EQ(program(key), 0u);
    const Bytes one = pattern(256, 1), two = pattern(512, 2), many = pattern(8192, 3);
    const Bytes answer = result_of(write_request(0, 9, one, key));
    EXPECT_EQ(load_be<u64>(&answer[f_address]), 0x0009'0000'0000'0300u);
    EXPECT_EQ(load_be<u32>(&answer[f_counter]), 1u);
    EXPECT_EQ(mac_of(key, answer), Bytes(&answer[f_mac], &answer[f_data]));
    EXPECT_EQ(result(write_request(1, 11, two, key)), 0u);
    EXPECT_EQ(result(write_request(2, 41, many, key)), 0u);
    EXPECT_EQ(counter(), 3u);
    EXPECT_EQ(read(9, 1), one);
    EXPECT_EQ(read(11, 2), two);
    EXPECT_EQ(read(41, 32), many);
    Bytes around = read(8, 70);
    EXPECT_EQ(Bytes(around.begin(), around.begin() + 256), Bytes(256));
    EXPECT_EQ(Bytes(around.begin() + 256, around.begin() + 512), one);
    EXPECT_EQ(Bytes(around.begin() + 33 * 256, around.begin() + 65 * 256), many);
    EXPECT_EQ(read(511, 1), Bytes(256)) << "the last";
}

TEST_F(RpmbTest, WhatIsReplayedForgedOrOutsideIsRefused) {
    ASSERT_EQ(program(key), 0u);
    const Bytes first = write_request(0, 3, pattern(512), key);
    EXPECT_EQ(result(first), 0u);
    EXPECT_EQ(result(first), 3u) << "replayed";
    EXPECT_EQ(result(write_request(2, 3, pattern(256), key)), 3u) << "of the future";
    EXPECT_EQ(result(write_request(1, 3, pattern(256), other_key)), 2u);
    for (const usize at : {f_mac, f_data, f_nonce, f_counter, usize{511 - 200}}) {
        Bytes changed = write_request(1, 3, pattern(512, 8), key);
        changed[512 + at] ^= 1;
        EXPECT_EQ(result(changed), 2u) << at;
    }
    EXPECT_EQ(result(write_request(1, 512, pattern(256), key)), 4u);
    EXPECT_EQ(result(write_request(1, 511, pattern(512), key)), 4u);
    EXPECT_EQ(result(write_request(1, 0, pattern(768), key)), 1u) << "three blocks";
    EXPECT_EQ(result(write_request(1, 0, pattern(33 * 256), key)), 1u);
    EXPECT_EQ(result(write_request(1, 0, pattern(256), key), false), 1u) << "not reliable";
    Bytes wrong_count = write_request(1, 0, pattern(256), key);
    store_be<u16>(&wrong_count[f_count], 2);
    sign(wrong_count, key);
    EXPECT_EQ(result(wrong_count), 1u);
    EXPECT_EQ(result(request(0x77)), 1u);
    EXPECT_EQ(counter(), 1u);
    EXPECT_EQ(read(3, 2), pattern(512));
    send(read_request(510));
    EXPECT_EQ(load_be<u32>(&receive(3)[f_result]), 0x0004'0400u);
    EXPECT_EQ(load_be<u16>(&receive(1)[f_result]), 1u) << "an answer without a request";
    send(request(2));
    EXPECT_EQ(load_be<u16>(&receive(2)[f_result]), 1u) << "a counter has one frame";
}

TEST_F(RpmbTest, OtherCommandsDoNotReachIt) {
    for (const u32 index : {17u, 24u, 35u, 16u}) EXPECT_EQ(command(index, 0, r1), command_timeout | error) << index;
    Bytes frame(512);
    EXPECT_EQ(read_blocks(0, frame, 0), command_timeout | error) << "without a count";
    EXPECT_EQ(card_status() & 0x40'0000, 0x40'0000u);
    EXPECT_EQ(read_blocks(0, frame, auto_23, 2049), command_complete | data_timeout | error);
    EXPECT_EQ(command(12, 0, r1b), command_complete | transfer_complete);
}

TEST_F(RpmbTest, KeyCounterAndBlocksOutliveTheMachine) {
    ASSERT_EQ(program(key), 0u);
    EXPECT_EQ(result(write_request(0, 1, pattern(256), key)), 0u);
    for (u32 i = 1; i < 10; i++)
        EXPECT_EQ(result(write_request(i, static_cast<u16>(i * 3), pattern(256, static_cast<u8>(i)), key)), 0u);
    plug();
    enter();
    EXPECT_EQ(counter(), 10u);
    EXPECT_EQ(program(other_key), 5u);
    EXPECT_EQ(read(1, 1), pattern(256));
    EXPECT_EQ(read(27, 1), pattern(256, 9));
    EXPECT_EQ(result(write_request(9, 1, pattern(256), key)), 3u);
}

// A point that is gone back to brings the disk back, too: the card asks it, not its memory.
TEST_F(RpmbTest, TheCounterIsTheDisks) {
    ASSERT_EQ(program(key), 0u);
    const auto saved = save(*card);
    const Bytes then = disk->bytes;
    EXPECT_EQ(result(write_request(0, 1, pattern(256), key)), 0u);
    ASSERT_TRUE(load(*card, saved).ok());
    EXPECT_EQ(counter(), 1u);
    disk->bytes = then;
    EXPECT_EQ(counter(), 0u);
}

TEST_F(RpmbTest, AnExpiredCounterWritesNothing) {
    ASSERT_EQ(program(key), 0u);
    EXPECT_EQ(result(write_request(0, 1, pattern(256), key)), 0u);
    EXPECT_EQ(result(write_request(1, 1, pattern(256), key)), 0u);
    // The record with the counter at its last but one, as many writes would leave it.
    for (const usize slot : {disk_size - 3 * 4096, disk_size - 2 * 4096}) {
        store_le<u32>(&disk->bytes[slot + 20], 0xffff'fffe);
        const auto digest = emmc::sha256(std::span(disk->bytes).subspan(slot, 96));
        std::copy(digest.begin(), digest.end(), &disk->bytes[slot + 96]);
    }
    EXPECT_EQ(counter(), 0xffff'fffeu);
    EXPECT_EQ(result(write_request(0xffff'fffe, 1, pattern(256, 4), key)), 0x80u) << "the last one";
    EXPECT_EQ(counter(), 0xffff'ffffu);
    EXPECT_EQ(result(write_request(0xffff'ffff, 1, pattern(256, 5), key)), 0x85u);
    send(read_request(1));
    const Bytes frame = receive(1);
    EXPECT_EQ(load_be<u16>(&frame[f_result]), 0x80u);
    EXPECT_TRUE(std::equal(&frame[f_data], &frame[f_nonce], pattern(256, 4).begin()));
}

TEST_F(RpmbTest, AFailingDiskIsAFailure) {
    ASSERT_EQ(program(key), 0u);
    disk->fails = true;
    EXPECT_EQ(result(write_request(0, 1, pattern(256), key)), 1u);
    disk->fails = false;
    EXPECT_EQ(counter(), 0u);
}

// Every state that the host may leave: after each step, with what was written since the last flush lost in part or
// torn.
TEST_F(RpmbTest, AnEndOfTheHostAtAnyMomentLeavesTheWriteOrNot) {
    ASSERT_EQ(program(key), 0u);
    const Bytes old = pattern(8192, 1), next = pattern(8192, 2), last = pattern(512, 3);
    EXPECT_EQ(result(write_request(0, 5, old, key)), 0u);
    EXPECT_EQ(result(write_request(1, 100, old, key)), 0u);
    const Bytes before = disk->bytes;
    disk->log.clear();
    EXPECT_EQ(result(write_request(2, 5, next, key)), 0u);
    EXPECT_EQ(result(write_request(3, 8, last, key)), 0u);
    const auto log = disk->log;
    ASSERT_GT(log.size(), 8u);
    enum class End { whole, lost, torn };
    unsigned seen[3] = {};
    for (usize steps = 0; steps <= log.size(); steps++)
        for (const End end : {End::whole, End::lost, End::torn}) {
            disk->bytes = before;
            for (usize i = 0; i < steps; i++) {
                usize size = log[i].bytes.size();
                const bool flushed = std::any_of(log.begin() + i, log.begin() + steps,
                                                 [](const auto& step) { return step.bytes.empty(); });
                if (!flushed && end == End::lost) size = 0;
                if (!flushed && end == End::torn) size = size / 2 + 64;
                std::copy_n(log[i].bytes.begin(), std::min(size, log[i].bytes.size()), &disk->bytes[log[i].offset]);
            }
            plug();
            enter();
            const u32 count = counter();
            ASSERT_TRUE(count >= 2 && count <= 4) << count;
            seen[count - 2]++;
            Bytes expected = count == 2 ? old : next;
            if (count == 4) std::copy(last.begin(), last.end(), expected.begin() + 3 * 256);
            ASSERT_EQ(read(5, 32), expected) << "after " << steps << " steps, counter " << count;
            ASSERT_EQ(read(100, 32), old) << "after " << steps << " steps, counter " << count;
            // And it goes on from there.
            ASSERT_EQ(result(write_request(count, 50, last, key)), 0u);
            ASSERT_EQ(read(50, 2), last);
            ASSERT_EQ(read(5, 32), expected);
        }
    EXPECT_TRUE(seen[0] > 2 && seen[1] > 2 && seen[2] > 0);
}

TEST_F(RpmbTest, NothingInItIsPlainInTheUserArea) {
    ASSERT_EQ(program(key), 0u);
    const Bytes block = pattern(256, 50);
    EXPECT_EQ(result(write_request(0, 1, block, key)), 0u);
    EXPECT_EQ(result(write_request(1, 2, block, key)), 0u);
    EXPECT_TRUE(std::equal(block.begin(), block.end(), &disk->bytes[rpmb_at + 256]));
    EXPECT_EQ(Bytes(disk->bytes.begin(), disk->bytes.begin() + 1'683'456), Bytes(1'683'456));
}

}  // namespace
}  // namespace viv::test
