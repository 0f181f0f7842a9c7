// A driver of an NVMe controller for tests: queues in guest memory, commands by their words.
#pragma once

#include "engine/dev/storage/nvme.h"
#include "tests/dev/scsi_bench.h"

namespace viv::test {

class NvmeRig {
public:
    static constexpr u64 ram_base = 0x8000'0000, ram_size = 4 << 20, data = ram_base + 0x10'0000;
    static constexpr u16 entries = 8;
    enum Status : u16 {
        success = 0,
        bad_opcode = 1,
        bad_field = 2,
        transfer_error = 4,
        aborted = 7,
        bad_namespace = 0x0b,
        bad_offset = 0x13,
        out_of_range = 0x80,
        bad_completion_queue = 0x100,
        bad_queue = 0x101,
        bad_size = 0x102,
        event_limit = 0x105,
        bad_log = 0x109,
        bad_deletion = 0x10c,
        not_saveable = 0x10d,
        read_only = 0x182,
        write_fault = 0x280,
        read_error = 0x281,
        unequal = 0x285,
    };

    explicit NvmeRig(std::shared_ptr<ScsiDisk> disk_in = std::make_shared<ScsiDisk>(4096 * 512)) : disk(disk_in) {
        EXPECT_TRUE(memory.add(ram_base, ram_size, GuestMemory::Kind::ram, "ram").ok());
        card = std::make_unique<Nvme>(CardWiring{port, bench.timers, bench.sink}, std::make_unique<ScsiBackEnd>(disk),
                                      "S1");
        card->write_config(0x04, 2, 6);
    }
    u32 get(u32 offset) { return static_cast<u32>(card->bar(0).window->read(offset, 4)); }
    void put(u32 offset, u64 value, unsigned size = 4) { card->bar(0).window->write(offset, size, value); }
    template <class T>
    T load(u64 address) {
        return port.load<T>(address).value();
    }
    template <class T>
    void store(u64 address, T value) {
        ASSERT_TRUE(port.store<T>(address, value));
    }
    u64 submissions(u16 queue) const { return ram_base + 0x1'0000u * (queue + 1u); }
    u64 completions(u16 queue) const { return submissions(queue) + 0x8000; }

    void enable() {
        put(0x24, (entries - 1) << 16 | (entries - 1));
        put(0x28, submissions(0), 8);
        put(0x30, completions(0), 8);
        put(0x14, 0x0046'0001);
        EXPECT_EQ(get(0x1c), 1u);
        for (auto& queue : queues) queue = {};
    }
    void add_queue(u16 id) {
        EXPECT_EQ(admin(5, 0, completions(id), 0, (entries - 1) << 16 | id, 3), success);
        EXPECT_EQ(admin(1, 0, submissions(id), 0, (entries - 1) << 16 | id, id << 16 | 1u), success);
        queues[id] = {};
    }

    struct Words {
        u32 first = 0, space = 0;
        u64 prp1 = 0, prp2 = 0;
        u32 w10 = 0, w11 = 0, w12 = 0, w13 = 0;
    };
    u16 submit(u16 queue, Words words) {
        Queue& q = queues[queue];
        const u64 at = submissions(queue) + q.tail * 64u;
        const u16 id = ++last_id;
        store<u32>(at, words.first | u32{id} << 16);
        store<u32>(at + 4, words.space);
        store<u64>(at + 24, words.prp1);
        store<u64>(at + 32, words.prp2);
        store<u32>(at + 40, words.w10);
        store<u32>(at + 44, words.w11);
        store<u32>(at + 48, words.w12);
        store<u32>(at + 52, words.w13);
        q.tail = static_cast<u16>((q.tail + 1) % entries);
        put(0x1000 + queue * 8u, q.tail);
        return id;
    }
    struct Done {
        u32 result;
        u16 head, queue, id, status;
    };
    // The next completion, whose place is given back.
    std::optional<Done> take(u16 queue) {
        Queue& q = queues[queue];
        const u64 at = completions(queue) + q.head * 16u;
        const u16 status = load<u16>(at + 14);
        if ((status & 1) != q.phase) return std::nullopt;
        const Done done{load<u32>(at), load<u16>(at + 8), load<u16>(at + 10), load<u16>(at + 12),
                        static_cast<u16>(status >> 1 & 0x7ff)};
        q.head = static_cast<u16>((q.head + 1) % entries);
        if (q.head == 0) q.phase ^= 1;
        put(0x1004 + queue * 8u, q.head);
        return done;
    }
    // Status of a command that is over at once; `result` has its first word.
    u16 execute(u16 queue, Words words) {
        const u16 id = submit(queue, words);
        const auto done = take(queue);
        EXPECT_TRUE(done && done->id == id && done->queue == queue);
        if (!done) return 0xffff;
        result = done->result;
        return done->status;
    }
    u16 admin(u8 opcode, u32 space, u64 prp1, u64 prp2, u32 w10, u32 w11 = 0) {
        return execute(0, {opcode, space, prp1, prp2, w10, w11});
    }
    u16 io(u8 opcode, u64 block, u32 count, u64 prp1, u64 prp2 = 0, u32 flags = 0) {
        return execute(
            1, {opcode, 1, prp1, prp2, static_cast<u32>(block), static_cast<u32>(block >> 32), (count - 1) | flags});
    }
    Bytes memory_at(u64 address, usize size) {
        Bytes bytes(size);
        EXPECT_TRUE(port.read(address, bytes));
        return bytes;
    }

    Bench bench;
    HeapMemory heap;
    GuestMemory memory{heap};
    Dma port{memory};
    std::shared_ptr<ScsiDisk> disk;
    std::unique_ptr<Nvme> card;
    u32 result = 0;
    struct Queue {
        u16 tail = 0, head = 0, phase = 1;
    };
    std::array<Queue, 4> queues;
    u16 last_id = 0;
};

}  // namespace viv::test
