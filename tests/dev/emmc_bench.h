// A driver's side of an SD host controller with an eMMC: registers, a card brought up as drivers do, data by the port,
// SDMA and ADMA2, and a disk in memory that remembers in which order it was written and flushed.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "engine/dev/storage/sdhci.h"
#include "tests/dev/device_bench.h"

namespace viv::test {

using Bytes = std::vector<u8>;

// Completes at once, or when told to.
class RamDisk final : public block::Disk {
public:
    struct Shared {
        explicit Shared(usize size) : bytes(size) {}
        struct Step {
            u64 offset = 0;
            Bytes bytes;  // empty: a flush
        };
        Bytes bytes;
        std::vector<Step> log;
        unsigned flushes = 0, abandoned = 0;
        bool read_only = false, fails = false, late = false;
        std::vector<block::Request> waiting;
        void complete() {
            auto all = std::move(waiting);
            waiting.clear();
            for (auto& request : all) carry_out(request);
        }
        void carry_out(block::Request& request) {
            if (fails) return request.done(block::Status::io_error);
            ASSERT_TRUE(range_fits(request.offset, request.length, bytes.size()));
            ASSERT_EQ(request.offset % 512 + request.length % 512, 0u);
            auto at = bytes.begin() + static_cast<std::ptrdiff_t>(request.offset);
            switch (request.operation) {
                case block::Operation::read:
                    for (auto& segment : request.segments)
                        std::copy_n(at, segment.size(), segment.begin()), at += std::ssize(segment);
                    break;
                case block::Operation::write:
                    for (auto& segment : request.segments) {
                        log.push_back({static_cast<u64>(at - bytes.begin()), Bytes(segment.begin(), segment.end())});
                        at = std::copy(segment.begin(), segment.end(), at);
                    }
                    break;
                case block::Operation::flush:
                    flushes++;
                    log.push_back({});
                    break;
                default: std::fill_n(at, request.length, u8{0});
            }
            request.done(block::Status::ok);
        }
    };
    explicit RamDisk(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    u64 size() const override { return shared_->bytes.size(); }
    bool read_only() const override { return shared_->read_only; }
    std::string_view file_name() const override { return "emmc.img"; }
    void submit(block::Request request) override {
        if (shared_->late) return shared_->waiting.push_back(std::move(request));
        shared_->carry_out(request);
    }
    void abandon() override {
        shared_->abandoned++;
        shared_->waiting.clear();
    }

private:
    std::shared_ptr<Shared> shared_;
};

class EmmcRig {
public:
    static constexpr u64 ram_base = 0x8000'0000, ram_size = 4 << 20, list = ram_base + 0x1000,
                         buffer = ram_base + 0x10'0000;
    static constexpr usize disk_size = 2 << 20;

    enum Status : u32 {
        command_complete = 1,
        transfer_complete = 2,
        dma_interrupt = 8,
        write_ready = 0x10,
        read_ready = 0x20,
        error = 0x8000,
        command_timeout = 0x1'0000,
        data_timeout = 0x10'0000,
        data_crc = 0x20'0000,
        auto_command_error = 0x100'0000,
        adma_error = 0x200'0000,
    };
    enum Mode : u32 { dma = 1, counted = 2, auto_12 = 4, auto_23 = 8, to_host = 16, multiple = 32 };
    enum Flags : u32 { none = 0, r2 = 0x09, r3 = 0x02, r1 = 0x1a, r1b = 0x1b, data = 0x3a };

    explicit EmmcRig(std::shared_ptr<RamDisk::Shared> disk_in = std::make_shared<RamDisk::Shared>(disk_size))
        : disk(std::move(disk_in)) {
        EXPECT_TRUE(memory.add(ram_base, ram_size, GuestMemory::Kind::ram, "ram").ok());
        plug();
    }
    // A new machine with the disk as it is.
    void plug() {
        disk->late = disk->fails = false;
        card.reset();
        auto volume = emmc::Volume::open(std::make_unique<RamDisk>(disk), 1 * emmc::size_unit, 1 * emmc::size_unit);
        ASSERT_TRUE(volume.ok()) << volume.error().message;
        card = std::make_unique<Sdhci>(CardWiring{dma_port, bench.timers, bench.sink}, std::move(*volume), 7);
        card->write_config(0x04, 2, 7);
    }

    u32 get(u32 offset, unsigned size = 4) { return static_cast<u32>(card->bar(0).window->read(offset, size)); }
    void put(u32 offset, u64 value, unsigned size = 4) { card->bar(0).window->write(offset, size, value); }

    void power_on() {
        put(0x29, 0x0f, 1);
        put(0x2c, 0x0101, 2);
        EXPECT_EQ(get(0x2c, 2) & 2, 2u);
        put(0x2c, 0x0105, 2);
        put(0x34, 0x03ff'00ff);
        put(0x38, 0x03ff'00ff);
    }
    // The status that a command leaves, which is cleared.
    u32 command(u32 index, u32 argument, u32 flags, u32 mode = 0) {
        put(0x08, argument);
        put(0x0c, mode | (index << 8 | flags) << 16);
        return take_status();
    }
    u32 take_status() {
        const u32 status = get(0x30);
        put(0x30, status);
        return status;
    }
    u32 response() { return get(0x10); }
    void bring_up() {
        power_on();
        EXPECT_EQ(command(0, 0, none), command_complete);
        EXPECT_EQ(command(1, 0x4030'0000, r3), command_complete);
        EXPECT_EQ(response(), 0x80ff'8080u);
        EXPECT_EQ(command(2, 0, r2), command_complete);
        EXPECT_EQ(command(3, 0x1'0000, r1), command_complete);
        EXPECT_EQ(command(7, 0x1'0000, r1), command_complete);
        EXPECT_EQ(card_status(), 0x900u) << "transfer state";
    }
    void bring_up_quietly() {
        for (const u32 index : {0u, 1u, 2u, 3u, 7u})
            command(index, index == 1 ? 0x4030'0000u : 0x1'0000u, index == 0 ? 0u : index == 2 ? u32{r2} : u32{r3});
    }
    u32 card_status() {
        EXPECT_EQ(command(13, 0x1'0000, r1), command_complete);
        return response();
    }
    u32 switch_byte(u32 index, u32 value, u32 access = 3) {
        EXPECT_EQ(command(6, access << 24 | index << 16 | value << 8, r1b), command_complete | transfer_complete);
        return card_status();
    }

    // 64-bit ADMA2, a descriptor for each piece.
    void put_list(const std::vector<u32>& pieces, u64 from = buffer) {
        put(0x28, 0x18, 1);
        u64 at = list;
        for (usize i = 0; i < pieces.size(); i++) {
            const u32 last = i + 1 == pieces.size() ? 2 : 0;
            ASSERT_TRUE(dma_port.store<u32>(at, 0x21u | last | pieces[i] << 16) && dma_port.store<u64>(at + 4, from));
            from += pieces[i] == 0 ? 0x1'0000 : pieces[i];
            at += 12;
        }
        put(0x58, list & 0xffff'ffff);
        put(0x5c, list >> 32);
    }
    void put_list_for(usize size) {
        std::vector<u32> pieces(size / 0x1'0000, 0);  // a length of 0 is 64 KiB
        if (size % 0x1'0000 != 0) pieces.push_back(size % 0x1'0000);
        put_list(pieces);
    }
    void set_blocks(u32 blocks, u32 boundary = 7) { put(0x04, 512u | boundary << 12 | blocks << 16); }
    // Whole blocks by ADMA2; the status in the end.
    u32 write_blocks(u32 address, const Bytes& bytes, u32 mode = auto_12, u32 sbc = 0) {
        EXPECT_TRUE(dma_port.write(buffer, bytes));
        put_list_for(bytes.size());
        set_blocks(static_cast<u32>(bytes.size() / 512));
        put(0x00, sbc);
        return command(25, address, data, dma | counted | multiple | mode);
    }
    u32 read_blocks(u32 address, Bytes& bytes, u32 mode = auto_12, u32 sbc = 0) {
        put_list_for(bytes.size());
        set_blocks(static_cast<u32>(bytes.size() / 512));
        put(0x00, sbc);
        const u32 status = command(18, address, data, dma | counted | multiple | to_host | mode);
        EXPECT_TRUE(dma_port.read(buffer, bytes));
        return status;
    }

    static Bytes pattern(usize size, u8 seed = 1) {
        Bytes bytes(size);
        for (usize i = 0; i < size; i++) bytes[i] = static_cast<u8>(seed + i * 7 + i / 509);
        return bytes;
    }

    Bench bench;
    HeapMemory heap;
    GuestMemory memory{heap};
    Dma dma_port{memory};
    std::shared_ptr<RamDisk::Shared> disk;
    std::unique_ptr<Sdhci> card;
};

}  // namespace viv::test
