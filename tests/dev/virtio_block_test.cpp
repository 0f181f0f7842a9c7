// virtio-blk through both transports: every request type, framings, failures, several requests in flight completed out
// of order, flushes without a negotiated cache, resets and saves with requests in flight, several queues, and random
// requests.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "engine/dev/virtio/block.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

using block::Operation;
using block::Status;
using virtio::Block;

constexpr u64 sector = 512;

// A disk in memory that completes at once, or when told to.
class TestDisk final : public block::Disk {
public:
    enum class Completion : u8 { at_once, when_told };
    struct Shared {
        std::vector<u8> bytes = std::vector<u8>(64 * sector);
        bool read_only = false;
        Completion completion = Completion::at_once;
        std::deque<block::Request> waiting;
        std::vector<Operation> operations;
        Status status = Status::ok;
        unsigned abandoned = 0;

        void complete(usize index) {
            auto request = std::move(waiting[index]);
            waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(index));
            finish(request);
        }
        void finish(block::Request& request) {
            u64 at = request.offset;
            if (status == Status::ok)
                for (const auto& segment : request.segments) {
                    if (request.operation == Operation::read)
                        std::memcpy(segment.data(), &bytes[at], segment.size());
                    else
                        std::memcpy(&bytes[at], segment.data(), segment.size());
                    at += segment.size();
                }
            if (request.operation == Operation::write_zeroes || request.operation == Operation::discard)
                std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(request.offset), request.length, u8{0});
            request.done(status);
        }
    };
    explicit TestDisk(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    u64 size() const override { return shared_->bytes.size(); }
    bool read_only() const override { return shared_->read_only; }
    void submit(block::Request request) override {
        shared_->operations.push_back(request.operation);
        ASSERT_EQ(request.offset % sector, 0u);
        ASSERT_EQ(request.length % sector, 0u);
        ASSERT_TRUE(range_fits(request.offset, request.length, size()));
        u64 total = 0;
        for (const auto& segment : request.segments) total += segment.size();
        ASSERT_EQ(total, request.segments.empty() ? 0 : request.length);
        if (shared_->completion == Completion::at_once)
            shared_->finish(request);
        else
            shared_->waiting.push_back(std::move(request));
    }
    void abandon() override {
        shared_->abandoned++;
        for (auto& request : shared_->waiting) request.segments.clear();
    }

private:
    std::shared_ptr<Shared> shared_;
};

struct VirtioBlockTest : ::testing::TestWithParam<Via> {
    std::shared_ptr<TestDisk::Shared> disk = std::make_shared<TestDisk::Shared>();
    std::unique_ptr<Rig> rig;
    std::unique_ptr<Ring> ring;

    std::unique_ptr<Rig> make_rig(const Block::Options& options) {
        return std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
            return std::make_unique<Block>(wiring, std::make_unique<TestDisk>(disk), options);
        });
    }
    void start(Block::Options options = {}, u64 dropped = 0) {
        for (usize i = 0; i < disk->bytes.size(); i++) disk->bytes[i] = static_cast<u8>(i / sector + i);
        rig = make_rig(options);
        ASSERT_TRUE(rig->negotiate(rig->port->offered() & ~dropped));
        ring = std::make_unique<Ring>(*rig, 0, 64);
        rig->go();
    }

    struct Sent {
        u64 header, data, status;
        u32 length;
    };
    u8 status_of(const Sent& sent) { return rig->get<u8>(sent.status); }
    Sent send(Ring& to, u32 type, u64 at, u32 length, Direction direction, Table table = Table::direct) {
        Sent sent{rig->allocate(16), rig->allocate(length + 1), rig->allocate(1), length};
        rig->put<u32>(sent.header, type);
        rig->put<u64>(sent.header + 8, at);
        rig->put<u8>(sent.status, 0xee);
        std::vector<Buffer> buffers{{sent.header, 16, Direction::to_device}};
        if (length != 0) buffers.push_back({sent.data, length, direction});
        buffers.push_back({sent.status, 1, Direction::from_device});
        to.add(buffers, table);
        return sent;
    }
    Sent read(u64 at, u32 length, Table table = Table::direct) {
        const Sent sent = send(*ring, 0, at, length, Direction::from_device, table);
        ring->kick();
        return sent;
    }
    Sent write(u64 at, std::string_view text) {
        const Sent sent = send(*ring, 1, at, static_cast<u32>(text.size()), Direction::to_device);
        rig->put_text(sent.data, text);
        ring->kick();
        return sent;
    }
    Sent clear(u32 type, u64 at, u32 sectors, u32 flags) {
        const Sent sent = send(*ring, type, 0, 16, Direction::to_device);
        rig->put<u64>(sent.data, at);
        rig->put<u32>(sent.data + 8, sectors);
        rig->put<u32>(sent.data + 12, flags);
        ring->kick();
        return sent;
    }
    std::string disk_text(u64 at, usize size) {
        return std::string(reinterpret_cast<const char*>(disk->bytes.data()) + at * sector, size);
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioBlockTest, ::testing::Values(Via::mmio, Via::pci), via_name);

TEST_P(VirtioBlockTest, ConfigurationTellsTheTruth) {
    start({.serial = "", .read_only = false, .queues = 4, .queue_size = 128});
    EXPECT_EQ(rig->port->config(0, 4), 64u);
    EXPECT_EQ(rig->port->config(4, 4), 0u);
    EXPECT_EQ(rig->port->config(12, 4), 126u) << "seg_max";
    EXPECT_EQ(rig->port->config(20, 4), 512u);
    EXPECT_EQ(rig->port->config(34, 2), 4u) << "num_queues";
    EXPECT_EQ(rig->port->queue_maximum(3), 128);
    EXPECT_EQ(rig->port->queue_maximum(4), 0);
    EXPECT_TRUE(bit(rig->port->offered(), 12));
}

TEST_P(VirtioBlockTest, ReadsAndWrites) {
    start();
    const Sent got = read(3, 1024);
    EXPECT_EQ(status_of(got), 0);
    EXPECT_EQ(ring->take()->length, 1025u);
    EXPECT_EQ(rig->get_text(got.data, 1024), disk_text(3, 1024));
    const Sent inner = read(63, 512, Table::indirect);
    EXPECT_EQ(status_of(inner), 0);
    EXPECT_EQ(rig->get_text(inner.data, 512), disk_text(63, 512));
    const std::string text(1536, 'x');
    const Sent put = write(10, text);
    EXPECT_EQ(status_of(put), 0);
    EXPECT_EQ(disk_text(10, 1536), text);
    EXPECT_NE(disk_text(13, 1), "x");
}

TEST_P(VirtioBlockTest, AnyFramingIsUnderstood) {
    start();
    // The header in two pieces with the data's start in the second; the data's end and the status byte together.
    const u64 a = rig->allocate(4), b = rig->allocate(12 + 500), c = rig->allocate(12), status = rig->allocate(1);
    rig->put<u32>(a, 1);
    rig->put<u64>(b + 4, 5);
    rig->put_text(b + 12, std::string(500, 'p'));
    rig->put_text(c, std::string(12, 'q'));
    ring->add({{a, 4, Direction::to_device},
               {b, 512, Direction::to_device},
               {c, 12, Direction::to_device},
               {status, 1, Direction::from_device}});
    ring->kick();
    EXPECT_EQ(disk_text(5, 512), std::string(500, 'p') + std::string(12, 'q'));
    const u64 header = rig->allocate(16), all = rig->allocate(513);
    rig->put<u64>(header + 8, 5);
    rig->put<u8>(all + 512, 0xee);
    ring->add({{header, 16, Direction::to_device}, {all, 513, Direction::from_device}});
    ring->kick();
    EXPECT_EQ(rig->get_text(all, 512), disk_text(5, 512));
    EXPECT_EQ(rig->get<u8>(all + 512), 0);
}

TEST_P(VirtioBlockTest, FlushesAndSerialNumber) {
    start({.serial = "disk-of-tests", .read_only = false, .queues = 1, .queue_size = 64});
    const Sent flush = send(*ring, 4, 0, 0, Direction::to_device);
    ring->kick();
    EXPECT_EQ(status_of(flush), 0);
    EXPECT_EQ(disk->operations, std::vector<Operation>{Operation::flush});
    for (const u32 room : {20u, 40u, 4u}) {
        const Sent id = send(*ring, 8, 0, room, Direction::from_device);
        ring->kick();
        EXPECT_EQ(status_of(id), 0);
        EXPECT_EQ(rig->get_text(id.data, std::min(room, 14u)), std::string("disk-of-tests\0", 14).substr(0, room));
    }
}

TEST_P(VirtioBlockTest, WithoutANegotiatedCacheEachWriteIsFlushed) {
    start({}, feature(9) | feature(11));
    disk->completion = TestDisk::Completion::when_told;
    const Sent put = write(1, std::string(512, 'w'));
    disk->complete(0);
    EXPECT_EQ(status_of(put), 0xee) << "not before the flush";
    disk->complete(0);
    EXPECT_EQ(status_of(put), 0);
    EXPECT_EQ(disk->operations, (std::vector<Operation>{Operation::write, Operation::flush}));
    read(0, 512);
    EXPECT_EQ(disk->operations.back(), Operation::read);
}

TEST_P(VirtioBlockTest, TheDriverMaySwitchTheCacheOff) {
    start();
    EXPECT_EQ(rig->port->config(32, 1), 1u);
    rig->port->set_config(32, 1, 0);
    EXPECT_EQ(rig->port->config(32, 1), 0u);
    write(1, std::string(512, 'w'));
    EXPECT_EQ(disk->operations, (std::vector<Operation>{Operation::write, Operation::flush}));
    const auto saved = rig->save_all();
    auto other = make_rig({});
    other->load_all(saved);
    EXPECT_EQ(other->port->config(32, 1), 0u);
    rig->port->set_status(0);
    EXPECT_EQ(rig->port->config(32, 1), 1u);
}

TEST_P(VirtioBlockTest, DiscardsAndWritesZeroes) {
    start();
    EXPECT_EQ(status_of(clear(11, 8, 8, 0)), 0);
    EXPECT_EQ(disk_text(8, 8 * sector), std::string(8 * sector, '\0'));
    EXPECT_EQ(status_of(clear(13, 0, 1, 1)), 0);
    EXPECT_EQ(status_of(clear(13, 1, 1, 0)), 0);
    EXPECT_EQ(status_of(clear(13, 1, 0, 0)), 0) << "nothing to do";
    EXPECT_EQ(disk->operations,
              (std::vector<Operation>{Operation::discard, Operation::write_zeroes, Operation::write_zeroes}));
    EXPECT_EQ(status_of(clear(11, 8, 8, 1)), 2) << "unmap is not for discard";
    EXPECT_EQ(status_of(clear(13, 8, 8, 2)), 2);
    EXPECT_EQ(status_of(clear(11, 60, 5, 0)), 1);
    EXPECT_EQ(status_of(clear(11, ~u64{0}, 1, 0)), 1);
    EXPECT_EQ(status_of(clear(13, 0, ~u32{0}, 0)), 1);
    const Sent two = send(*ring, 11, 0, 32, Direction::to_device);
    ring->kick();
    EXPECT_EQ(status_of(two), 1) << "one segment a request";
    EXPECT_EQ(disk->operations.size(), 3u);
}

TEST_P(VirtioBlockTest, ImpossibleRequestsFailWithoutEffect) {
    start();
    EXPECT_EQ(status_of(read(64, 512)), 1);
    EXPECT_EQ(status_of(read(63, 1024)), 1);
    EXPECT_EQ(status_of(read(~u64{0}, 512)), 1);
    EXPECT_EQ(status_of(read(u64{1} << 55, 512)), 1) << "sector * 512 wraps";
    EXPECT_EQ(status_of(read(0, 100)), 1);
    EXPECT_EQ(status_of(read(0, 0)), 1);
    EXPECT_EQ(status_of(write(64, std::string(512, 'x'))), 1);
    const Sent unknown = send(*ring, 99, 0, 512, Direction::from_device);
    ring->kick();
    EXPECT_EQ(status_of(unknown), 2);
    EXPECT_TRUE(disk->operations.empty());
    disk->status = Status::io_error;
    EXPECT_EQ(status_of(read(0, 512)), 1);
    disk->status = Status::unsupported;
    EXPECT_EQ(status_of(clear(11, 0, 8, 0)), 2);
    EXPECT_FALSE(rig->needs_reset());
}

TEST_P(VirtioBlockTest, RequestsWithoutHeaderOrStatusBreakTheDevice) {
    start();
    const u64 at = rig->allocate(64);
    ring->add({{at, 15, Direction::to_device}, {at + 32, 1, Direction::from_device}});
    ring->kick();
    EXPECT_TRUE(rig->needs_reset());
    start();
    ring->add({{at, 16, Direction::to_device}});
    ring->kick();
    EXPECT_TRUE(rig->needs_reset());
    EXPECT_EQ(rig->sink.lines.back(),
              "virtio-blk: the device needs a reset: a request without a whole header or without room for its status");
}

TEST_P(VirtioBlockTest, ReadOnlyDisksRefuseChanges) {
    disk->read_only = true;
    start();
    EXPECT_TRUE(bit(rig->port->offered(), 5));
    EXPECT_FALSE(bit(rig->port->offered(), 13)) << "no discard";
    EXPECT_EQ(status_of(read(0, 512)), 0);
    EXPECT_EQ(status_of(write(0, std::string(512, 'x'))), 1);
    EXPECT_EQ(status_of(clear(11, 0, 8, 0)), 1);
    EXPECT_EQ(status_of(clear(13, 0, 8, 0)), 1);
    EXPECT_EQ(disk->operations, std::vector<Operation>{Operation::read});
    disk->read_only = false;
    disk->operations.clear();
    start({.serial = "", .read_only = true, .queues = 1, .queue_size = 64});
    EXPECT_EQ(status_of(write(0, std::string(512, 'x'))), 1) << "read-only by option";
}

TEST_P(VirtioBlockTest, SeveralRequestsCompleteInAnyOrder) {
    start();
    disk->completion = TestDisk::Completion::when_told;
    std::vector<Sent> sent;
    for (u64 i = 0; i < 8; i++) sent.push_back(read(i, 512));
    ASSERT_EQ(disk->waiting.size(), 8u);
    EXPECT_FALSE(ring->take());
    disk->complete(5);
    EXPECT_EQ(status_of(sent[5]), 0);
    EXPECT_EQ(status_of(sent[0]), 0xee);
    EXPECT_TRUE(rig->port->interrupt()) << "a completion outside a notification interrupts";
    disk->complete(0);
    for (int i = 0; i < 6; i++) disk->complete(disk->waiting.size() - 1);
    for (u64 i = 0; i < 8; i++) {
        EXPECT_EQ(status_of(sent[i]), 0);
        EXPECT_EQ(rig->get_text(sent[i].data, 512), disk_text(i, 512));
        EXPECT_TRUE(ring->take());
    }
}

TEST_P(VirtioBlockTest, CompletionsAfterAResetTouchNothing) {
    start();
    disk->completion = TestDisk::Completion::when_told;
    const Sent old = read(0, 512);
    const Sent flush = send(*ring, 4, 0, 0, Direction::to_device);
    ring->kick();
    const unsigned abandoned = disk->abandoned;
    rig->port->set_status(0);
    EXPECT_EQ(disk->abandoned, abandoned + 1);
    auto stale = std::move(disk->waiting);
    disk->waiting.clear();
    ASSERT_TRUE(rig->negotiate(ring_features));
    Ring fresh(*rig, 0, 64);
    rig->go();
    const Sent next = send(fresh, 0, 7, 512, Direction::from_device);
    fresh.kick();
    const auto ram = rig->save_all().ram;
    for (auto& request : stale) request.done(Status::ok);
    EXPECT_EQ(rig->save_all().ram, ram);
    EXPECT_EQ(status_of(old), 0xee);
    EXPECT_EQ(status_of(flush), 0xee);
    EXPECT_FALSE(rig->port->interrupt());
    disk->complete(0);
    EXPECT_EQ(status_of(next), 0);
    EXPECT_EQ(fresh.take()->length, 513u);
}

TEST_P(VirtioBlockTest, ASavedRequestIsDoneAgain) {
    start();
    disk->completion = TestDisk::Completion::when_told;
    const Sent first = read(2, 512);
    const Sent second = write(9, std::string(512, 'z'));
    const auto saved = rig->save_all();

    auto other = make_rig({});
    other->load_all(saved);
    EXPECT_EQ(other->save_all().device, saved.device);
    disk->waiting.clear();
    disk->completion = TestDisk::Completion::at_once;
    Ring again(*other, *ring);
    other->advance(1);
    EXPECT_EQ(other->get<u8>(first.status), 0);
    EXPECT_EQ(other->get<u8>(second.status), 0);
    EXPECT_EQ(other->get_text(first.data, 512), disk_text(2, 512));
    EXPECT_EQ(disk_text(9, 512), std::string(512, 'z'));
    EXPECT_TRUE(again.take());
    EXPECT_TRUE(again.take());
    EXPECT_FALSE(again.take());
    EXPECT_EQ(status_of(first), 0xee) << "the machine that was saved goes its own way";
}

TEST_P(VirtioBlockTest, QueuesAreServedIndependently) {
    rig = make_rig({.serial = "", .read_only = false, .queues = 3, .queue_size = 16});
    ASSERT_TRUE(rig->negotiate(rig->port->offered()));
    Ring rings[3] = {{*rig, 0, 16}, {*rig, 1, 16}, {*rig, 2, 16}};
    rig->go();
    disk->completion = TestDisk::Completion::when_told;
    std::vector<Sent> sent;
    for (Ring& one : rings) {
        sent.push_back(send(one, 0, sent.size(), 512, Direction::from_device));
        one.kick();
    }
    disk->complete(2);
    EXPECT_TRUE(rings[2].take());
    EXPECT_FALSE(rings[0].take());
    disk->complete(0);
    disk->complete(0);
    EXPECT_TRUE(rings[0].take());
    EXPECT_TRUE(rings[1].take());
}

TEST_P(VirtioBlockTest, ManyRequestsInOneNotificationAreSpreadOverTime) {
    disk->bytes.resize(u64{8} << 20);
    start();
    const u64 header = rig->allocate(16), data = rig->allocate(8 << 20), status = rig->allocate(1);
    rig->put<u64>(header + 8, 0);
    for (int i = 0; i < 20; i++)
        ring->add({{header, 16, Direction::to_device},
                   {data, 8 << 20, Direction::from_device},
                   {status, 1, Direction::from_device}});
    ring->kick();
    EXPECT_EQ(ring->used_index(), 8) << "64 MiB at once";
    rig->advance(3000);
    EXPECT_EQ(ring->used_index(), 20);
}

TEST_P(VirtioBlockTest, RandomRequestsNeverEscape) {
    start();
    std::mt19937_64 random(23);
    const u64 mark = rig->mark();
    for (int i = 0; i < 20'000; i++) {
        if (rig->needs_reset() || i % 24 == 0) {
            rig->release_to(mark);
            disk->completion = random() % 2 ? TestDisk::Completion::at_once : TestDisk::Completion::when_told;
            ASSERT_TRUE(rig->negotiate(rig->port->offered()));
            ring = std::make_unique<Ring>(*rig, 0, 64);
            rig->go();
        }
        const u32 types[] = {0, 1, 4, 8, 11, 13, static_cast<u32>(random())};
        const u64 at = random() % 8 == 0 ? random() : random() % 70;
        const u32 length = random() % 8 == 0 ? static_cast<u32>(random() % 3000) : static_cast<u32>(random() % 4) * 512;
        if (ring->in_flight() < 20) {
            send(*ring, types[random() % 7], at, length,
                 random() % 8 == 0 ? Direction::to_device : Direction::from_device,
                 random() % 2 ? Table::direct : Table::indirect);
            ring->kick();
        }
        if (random() % 64 == 0) {
            ring->offer(static_cast<u16>(random() % 64));
            ring->notify();
        }
        while (!disk->waiting.empty() && random() % 3 != 0) disk->complete(random() % disk->waiting.size());
    }
    EXPECT_GT(disk->operations.size(), 2'000u) << "good requests are among them";
}

}  // namespace
}  // namespace viv::test
