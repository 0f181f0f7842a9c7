// The split virtqueue on its own: chains direct and indirect, every malformation by name, notification suppression,
// saving with chains in flight, and 200,000 random rings that must neither crash nor give a view outside RAM.
#include <gtest/gtest.h>

#include <random>

#include "engine/dev/virtio/queue.h"
#include "tests/dev/device_bench.h"

namespace viv::virtio {
namespace {

constexpr u64 base = 0x8000'0000;
constexpr u64 ram = 0x2'0000;
constexpr u16 size = 8;
constexpr u64 table_at = base, available_at = base + 0x1000, used_at = base + 0x2000, data = base + 0x4000;
constexpr u64 both = feature(ring_indirect_desc) | feature(ring_event_idx);
constexpr u16 next_flag = 1, write_flag = 2, indirect_flag = 4;

struct VirtioQueueTest : ::testing::Test {
    test::HeapMemory heap;
    GuestMemory memory{heap};
    Dma dma{memory};
    Queue queue{dma, 16};
    Chain chain;

    void SetUp() override {
        ASSERT_TRUE(memory.add(base, ram, GuestMemory::Kind::ram, "ram").ok());
        ASSERT_TRUE(memory.add(0x1000, 0x1000, GuestMemory::Kind::rom, "rom").ok());
        start(both);
    }
    void start(u64 features) {
        queue.reset();
        std::memset(memory.host(base, ram), 0, ram);
        ASSERT_TRUE(queue.set_size(size, 0));
        ASSERT_TRUE(queue.set_descriptor_table(table_at));
        ASSERT_TRUE(queue.set_driver_area(available_at));
        ASSERT_TRUE(queue.set_device_area(used_at));
        queue.enable(features);
    }
    template <class T>
    void put(u64 at, T value) {
        store_le<T>(memory.host(at, sizeof(T)), value);
    }
    template <class T>
    T get(u64 at) {
        return load_le<T>(memory.host(at, sizeof(T)));
    }
    void descriptor(u64 table, u16 index, u64 address, u32 length, u16 flags, u16 next) {
        put<u64>(table + 16u * index, address);
        put<u32>(table + 16u * index + 8, length);
        put<u16>(table + 16u * index + 12, flags);
        put<u16>(table + 16u * index + 14, next);
    }
    void offer(u16 head) {
        const u16 at = get<u16>(available_at + 2);
        put<u16>(available_at + 4 + 2u * (at % size), head);
        put<u16>(available_at + 2, static_cast<u16>(at + 1));
    }
    void expect_malformed(const char* why) {
        EXPECT_EQ(queue.pop(chain), Pop::malformed);
        EXPECT_STREQ(queue.problem(), why);
        EXPECT_TRUE(queue.broken());
        EXPECT_EQ(queue.pop(chain), Pop::malformed) << "a broken queue stays broken";
    }
};

TEST_F(VirtioQueueTest, GivesAChainInOrderAndWithoutEmptyBuffers) {
    descriptor(table_at, 3, data, 4, next_flag, 1);
    descriptor(table_at, 1, data + 0x100, 0, next_flag, 5);
    descriptor(table_at, 5, data + 0x200, 8, next_flag, 2);
    descriptor(table_at, 2, data + 0x300, 16, next_flag | write_flag, 0);
    descriptor(table_at, 0, data + 0x400, 2, write_flag, 7);
    offer(3);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    EXPECT_EQ(chain.head(), 3);
    ASSERT_EQ(chain.readable().size(), 2u);
    EXPECT_EQ(chain.readable()[0].address, data);
    EXPECT_EQ(chain.readable()[1].address, data + 0x200);
    EXPECT_EQ(chain.readable_size(), 12u);
    ASSERT_EQ(chain.writable().size(), 2u);
    EXPECT_EQ(chain.writable()[1].bytes.data(), memory.host(data + 0x400, 2));
    EXPECT_EQ(chain.writable_size(), 18u);
    EXPECT_EQ(queue.pop(chain), Pop::empty);
    EXPECT_EQ(queue.in_flight(), 1u);
}

TEST_F(VirtioQueueTest, ReadsAndWritesAcrossPieces) {
    descriptor(table_at, 0, data, 3, next_flag, 1);
    descriptor(table_at, 1, data + 0x100, 5, next_flag, 2);
    descriptor(table_at, 2, data + 0x200, 1, next_flag | write_flag, 3);
    descriptor(table_at, 3, data + 0x300, 8, write_flag, 0);
    for (u8 i = 0; i < 3; i++) put<u8>(data + i, i);
    for (u8 i = 0; i < 5; i++) put<u8>(data + 0x100 + i, static_cast<u8>(3 + i));
    offer(0);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    ChainReader reader(chain);
    EXPECT_EQ(reader.load<u32>(), 0x0302'0100u);
    EXPECT_EQ(reader.remaining(), 4u);
    EXPECT_EQ(reader.load<u64>(), std::nullopt);
    EXPECT_EQ(reader.remaining(), 4u) << "nothing is consumed by a refused load";
    EXPECT_EQ(reader.front().size(), 4u);
    EXPECT_EQ(reader.skip(9), 4u);
    EXPECT_TRUE(reader.front().empty());
    ChainWriter writer(chain);
    EXPECT_TRUE(writer.store<u32>(0x4433'2211));
    EXPECT_FALSE(writer.store<u64>(0));
    EXPECT_EQ(writer.written(), 4u);
    const u8 more[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    EXPECT_EQ(writer.write(more), 5u);
    EXPECT_EQ(writer.written(), 9u);
    EXPECT_EQ(get<u8>(data + 0x200), 0x11);
    EXPECT_EQ(get<u32>(data + 0x300), 0x0144'3322u);
}

TEST_F(VirtioQueueTest, IndirectTablesMayFollowDirectDescriptors) {
    const u64 inner = data + 0x800;
    descriptor(table_at, 0, data, 4, next_flag, 1);
    descriptor(table_at, 1, inner, 48, indirect_flag | write_flag, 0);  // its own write flag means nothing
    descriptor(inner, 0, data + 0x10, 4, next_flag, 2);
    descriptor(inner, 2, data + 0x20, 4, next_flag | write_flag, 1);
    descriptor(inner, 1, data + 0x30, 4, write_flag, 0);
    offer(0);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    EXPECT_EQ(chain.readable_size(), 8u);
    EXPECT_EQ(chain.writable_size(), 8u);
}

TEST_F(VirtioQueueTest, RefusesWhatIsMalformed) {
    const auto chain_of = [&](auto... rows) {
        start(both);
        u16 at = 0;
        (descriptor(table_at, at++, rows.address, rows.length, rows.flags, rows.next), ...);
        offer(0);
    };
    struct Row {
        u64 address;
        u32 length;
        u16 flags, next;
    };
    chain_of(Row{data, 4, next_flag, 0});
    expect_malformed("a chain loops");
    chain_of(Row{data, 4, next_flag, 1}, Row{data, 4, next_flag, 0});
    expect_malformed("a chain loops");
    chain_of(Row{data, 4, next_flag, size});
    expect_malformed("a next index is outside its table");
    chain_of(Row{data, 4, next_flag | write_flag, 1}, Row{data, 4, 0, 0});
    expect_malformed("a readable buffer follows a writable one");
    for (const u64 outside : {u64{0}, base - 2, base + ram - 3, ~u64{0}, ~u64{3}, u64{0x1000}}) {
        chain_of(Row{outside, 4, 0, 0});
        expect_malformed("a buffer is outside RAM or crosses the end of a region");
    }
    chain_of(Row{base, 0xffff'ffff, 0, 0});
    expect_malformed("a buffer is outside RAM or crosses the end of a region");
    chain_of(Row{data, 16, next_flag | indirect_flag, 1});
    expect_malformed("an indirect descriptor with a next one");
    chain_of(Row{data, 24, indirect_flag, 0});
    expect_malformed("an indirect table's length is no multiple of 16");
    chain_of(Row{data, 0, indirect_flag, 0});
    expect_malformed("an indirect table's length is no multiple of 16");
    chain_of(Row{base + ram - 16, 32, indirect_flag, 0});
    expect_malformed("an indirect table is outside RAM");
    chain_of(Row{data, 16, indirect_flag, 0});
    descriptor(data, 0, data + 0x100, 16, indirect_flag, 0);
    expect_malformed("an indirect descriptor inside an indirect table");
    chain_of(Row{data, 32, indirect_flag, 0});
    descriptor(data, 0, data, 4, next_flag, 2);
    expect_malformed("a next index is outside its table");
    chain_of(Row{data, 32, indirect_flag, 0});
    descriptor(data, 0, data, 4, next_flag, 1);
    descriptor(data, 1, data, 4, next_flag, 0);
    expect_malformed("a chain loops");
    chain_of(Row{table_at, 0x8000, indirect_flag, 0});  // 2048 entries, more than a chain may have
    for (u16 i = 0; i < 2047; i++) descriptor(data, i, data, 1, next_flag, static_cast<u16>(i + 1));
    descriptor(table_at, 0, data, 0x8000, indirect_flag, 0);
    expect_malformed("a chain has too many descriptors");
    start(feature(ring_event_idx));
    descriptor(table_at, 0, data, 16, indirect_flag, 0);
    offer(0);
    expect_malformed("an indirect descriptor without the feature");
    start(both);
    offer(size);
    expect_malformed("a head index is outside the descriptor table");
    start(both);
    put<u16>(available_at + 2, size + 1);
    expect_malformed("available index runs ahead by more than the queue's size");
}

TEST_F(VirtioQueueTest, RefusesMoreThanFourGiBInOneChain) {
    ASSERT_TRUE(memory.add(0x1'0000'0000, u64{8} << 20, GuestMemory::Kind::ram, "more").ok());
    const u64 inner = base + 0x8000;
    for (u16 i = 0; i < 600; i++) descriptor(inner, i, 0x1'0000'0000, 8 << 20, next_flag, static_cast<u16>(i + 1));
    descriptor(table_at, 0, inner, 600 * 16, indirect_flag, 0);
    offer(0);
    expect_malformed("a chain's buffers exceed 4 GiB");
}

TEST_F(VirtioQueueTest, BoundsTheChainsInFlight) {
    descriptor(table_at, 0, data, 4, 0, 0);
    for (unsigned i = 0; i < size; i++) {
        offer(0);
        ASSERT_EQ(queue.pop(chain), Pop::chain);
    }
    offer(0);
    expect_malformed("more chains are in flight than the queue has entries");
}

TEST_F(VirtioQueueTest, BadAreasBreakTheFirstPop) {
    for (const auto& [table, available, used] : {std::array<u64, 3>{table_at + 8, available_at, used_at},
                                                 {table_at, available_at + 1, used_at},
                                                 {table_at, available_at, used_at + 2},
                                                 {base + ram - 64, available_at, used_at},
                                                 {table_at, 0x1000, used_at},
                                                 {table_at, available_at, 0x1000},
                                                 {~u64{0xf}, available_at, used_at}}) {
        queue.reset();
        queue.set_size(size, 0);
        queue.set_descriptor_table(table);
        queue.set_driver_area(available);
        queue.set_device_area(used);
        queue.enable(both);
        EXPECT_FALSE(queue.take_interrupt());
        expect_malformed("ring areas are misaligned or outside RAM");
        EXPECT_FALSE(queue.fill(chain, 0));
    }
}

TEST_F(VirtioQueueTest, ConfigurationIsCheckedAndLockedWhileReady) {
    EXPECT_FALSE(queue.set_size(4, 0));
    EXPECT_FALSE(queue.set_descriptor_table(0));
    EXPECT_FALSE(queue.set_driver_area(0));
    EXPECT_FALSE(queue.set_device_area(0));
    queue.disable();
    EXPECT_EQ(queue.size(), size) << "disabling keeps what the driver configured";
    for (const u16 bad : std::initializer_list<u16>{0, 3, 12, 32, 0xffff}) EXPECT_FALSE(queue.set_size(bad, 0)) << bad;
    EXPECT_TRUE(queue.set_size(1, 0));
    queue.reset();
    EXPECT_EQ(queue.size(), 16);
    EXPECT_EQ(queue.pop(chain), Pop::empty);
}

TEST_F(VirtioQueueTest, UsedEntriesAppearTogetherAtPublish) {
    descriptor(table_at, 0, data, 4, write_flag, 0);
    descriptor(table_at, 1, data + 8, 4, write_flag, 0);
    offer(0);
    offer(1);
    Chain second;
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    ASSERT_EQ(queue.pop(second), Pop::chain);
    EXPECT_TRUE(queue.fill(second, 4));
    EXPECT_TRUE(queue.fill(chain, 2));
    EXPECT_FALSE(queue.fill(chain, 2)) << "it is not in flight any more";
    EXPECT_EQ(get<u16>(used_at + 2), 0);
    queue.publish();
    EXPECT_EQ(get<u16>(used_at + 2), 2);
    EXPECT_EQ(get<u32>(used_at + 4), 1u);
    EXPECT_EQ(get<u32>(used_at + 8), 4u);
    EXPECT_EQ(get<u32>(used_at + 12), 0u);
    EXPECT_EQ(get<u32>(used_at + 16), 2u);
    EXPECT_EQ(queue.in_flight(), 0u);
}

TEST_F(VirtioQueueTest, ReportsWhatItWroteToFlaggedPages) {
    std::vector<std::pair<u64, u64>> writes;
    memory.set_page_listener([&](u64 address, u64 length) { writes.push_back({address, length}); });
    for (const u64 at : {data, data + 0x1000, data + 0x2000}) *memory.page_flags(at) = page_has_code;
    descriptor(table_at, 0, data + 0xff8, 16, next_flag | write_flag, 1);
    descriptor(table_at, 1, data + 0x2000, 16, write_flag, 0);
    offer(0);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    ASSERT_TRUE(queue.fill(chain, 20));
    const std::vector<std::pair<u64, u64>> expected{{data + 0xff8, 8}, {data + 0x1000, 8}, {data + 0x2000, 4}};
    EXPECT_EQ(writes, expected);
}

TEST_F(VirtioQueueTest, EventIndexAsksForTheNotificationThatIsNeeded) {
    descriptor(table_at, 0, data, 4, write_flag, 0);
    const u64 available_event = used_at + 4 + 8 * size, used_event = available_at + 4 + 2 * size;
    offer(0);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    EXPECT_EQ(get<u16>(available_event), 0) << "not asked for while there is work";
    EXPECT_EQ(queue.pop(chain), Pop::empty);
    EXPECT_EQ(get<u16>(available_event), 1);
    offer(0);
    queue.ask_for_notification();
    EXPECT_EQ(get<u16>(available_event), 2) << "for the entry after the one that is left";
    put<u16>(used_event, 1);  // the driver wants to hear of the second used entry, not of the first
    for (const bool wanted : {false, true, false}) {
        if (queue.in_flight() == 0) {
            offer(0);
            ASSERT_EQ(queue.pop(chain), Pop::chain);
        }
        ASSERT_TRUE(queue.fill(chain, 0));
        queue.publish();
        EXPECT_EQ(queue.take_interrupt(), wanted);
        EXPECT_FALSE(queue.take_interrupt());
    }
}

TEST_F(VirtioQueueTest, FlagsSuppressInterruptsWithoutEventIndex) {
    start(feature(ring_indirect_desc));
    descriptor(table_at, 0, data, 4, write_flag, 0);
    for (const u16 flags : std::initializer_list<u16>{0, 1}) {
        put<u16>(available_at, flags);
        offer(0);
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        ASSERT_TRUE(queue.fill(chain, 0));
        queue.publish();
        EXPECT_EQ(queue.take_interrupt(), flags == 0);
    }
}

TEST_F(VirtioQueueTest, IndicesWrapAroundSixteenBits) {
    descriptor(table_at, 5, data, 4, write_flag, 0);
    put<u16>(available_at + 4 + 2 * size, 0);
    for (unsigned i = 0; i < 70'000; i++) {
        offer(5);
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        ASSERT_TRUE(queue.fill(chain, 1));
        queue.publish();
    }
    EXPECT_EQ(get<u16>(used_at + 2), static_cast<u16>(70'000));
}

TEST_F(VirtioQueueTest, UnpoppedChainsComeAgainInOrder) {
    for (u16 i = 0; i < 3; i++) {
        descriptor(table_at, i, data + 16 * i, 4, write_flag, 0);
        offer(i);
    }
    Chain chains[3];
    for (Chain& one : chains) ASSERT_EQ(queue.pop(one), Pop::chain);
    queue.unpop(chains[2]);
    queue.unpop(chains[1]);
    EXPECT_EQ(queue.in_flight(), 1u);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    EXPECT_EQ(chain.head(), 1);
    queue.rewind();
    for (const u16 head : std::initializer_list<u16>{0, 1, 2}) {
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        EXPECT_EQ(chain.head(), head);
        if (head != 1) continue;
        queue.unpop(chain);  // a rewound one
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        EXPECT_EQ(chain.head(), 1);
    }
    EXPECT_EQ(queue.pop(chain), Pop::empty);
}

TEST_F(VirtioQueueTest, SavedChainsInFlightComeAgain) {
    for (u16 i = 0; i < 3; i++) {
        descriptor(table_at, i, data + 16 * i, 4, write_flag, 0);
        offer(i);
    }
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    std::vector<u8> saved;
    Archive saver = Archive::saver(saved);
    queue.state(saver);

    Queue other(dma, 16);
    Archive loader = Archive::loader(saved);
    other.state(loader);
    ASSERT_TRUE(loader.finish().ok());
    other.restored();
    EXPECT_FALSE(other.fill(chain, 0)) << "chains from before the restore are void";
    for (const u16 head : std::initializer_list<u16>{0, 1, 2}) {
        ASSERT_EQ(other.pop(chain), Pop::chain);
        EXPECT_EQ(chain.head(), head);
        EXPECT_TRUE(other.fill(chain, 0));
        other.publish();
    }
    EXPECT_EQ(get<u16>(used_at + 2), 3);
}

TEST_F(VirtioQueueTest, HostileArchivesAreRefused) {
    const auto refused = [&](auto&& spoil) {
        std::vector<u8> saved;
        Archive saver = Archive::saver(saved);
        u16 stored_size = 8;
        std::vector<u16> heads{1, 2};
        spoil(stored_size, heads);
        bool ready = true;
        u64 table = table_at, available = available_at, used = used_at;
        saver(1, "size", stored_size);
        saver(2, "descriptors", table);
        saver(3, "available", available);
        saver(4, "used", used);
        saver(5, "ready", ready);
        saver.numbers(12, "in_flight", heads, 2000);
        Queue other(dma, 16);
        Archive loader = Archive::loader(saved);
        other.state(loader);
        const bool ok = loader.finish().ok();
        other.restored();
        for (int i = 0; i < 20 && other.pop(chain) == Pop::chain; i++) {}
        return !ok;
    };
    EXPECT_FALSE(refused([](u16&, std::vector<u16>&) {}));
    EXPECT_TRUE(refused([](u16& s, std::vector<u16>&) { s = 0; }));
    EXPECT_TRUE(refused([](u16& s, std::vector<u16>&) { s = 6; }));
    EXPECT_TRUE(refused([](u16& s, std::vector<u16>&) { s = 32; }));
    EXPECT_TRUE(refused([](u16&, std::vector<u16>& h) { h[1] = 8; }));
    EXPECT_TRUE(refused([](u16&, std::vector<u16>& h) { h.assign(9, 0); }));
    EXPECT_TRUE(refused([](u16&, std::vector<u16>& h) { h.assign(1500, 0); }));
}

TEST_F(VirtioQueueTest, RandomRingsStayInsideRam) {
    std::mt19937_64 random(7);
    const auto one_of = [&](std::initializer_list<u64> values) { return values.begin()[random() % values.size()]; };
    u64 chains = 0, broken = 0;
    const u8* const first = memory.host(base, ram);
    for (unsigned iteration = 0; iteration < 200'000; iteration++) {
        if (iteration % 16 == 0 || queue.broken()) {
            broken += queue.broken();
            queue.reset();
            queue.set_size(static_cast<u16>(one_of({1, 2, 4, 8, 16})), 0);
            queue.set_descriptor_table(random() % 64 == 0 ? random() : table_at);
            queue.set_driver_area(random() % 64 == 0 ? random() : available_at);
            queue.set_device_area(random() % 64 == 0 ? random() : used_at);
            queue.enable(one_of({both, both, feature(ring_indirect_desc), feature(ring_event_idx)}));
            put<u16>(available_at + 2, 0);
        }
        for (unsigned i = 0; i < 4; i++) {
            const u64 table = one_of({table_at, table_at, data});
            const u64 address = one_of({data, data, data + 64, base, base + ram - 64, base + random() % ram,
                                        random() % 8 == 0 ? random() : data});
            const u32 length = static_cast<u32>(one_of({4, 16, 32, 48, 64, 0, random() % 8 == 0 ? random() : 8}));
            descriptor(table, static_cast<u16>(random() % 17), address, length,
                       static_cast<u16>(one_of({0, 0, 1, 2, 2, 3, 4, random() % 8 == 0 ? random() : 0})),
                       static_cast<u16>(random() % 32 == 0 ? random() : random() % 17));
        }
        put<u16>(available_at + 4 + 2 * (random() % 16),
                 static_cast<u16>(random() % 64 == 0 ? random() : random() % queue.size()));
        if (random() % 2 == 0) put<u16>(available_at + 2, static_cast<u16>(get<u16>(available_at + 2) + random() % 3));
        if (random() % 256 == 0) put<u16>(available_at + 2, static_cast<u16>(random()));
        for (unsigned i = 0; i < 4 && queue.pop(chain) == Pop::chain; i++) {
            chains++;
            u64 readable = 0, writable = 0;
            ASSERT_LE(chain.readable().size() + chain.writable().size(), Queue::longest_chain);
            for (const Piece& piece : chain.readable()) readable += piece.bytes.size();
            for (const Piece& piece : chain.writable()) writable += piece.bytes.size();
            for (const auto pieces : {chain.readable(), chain.writable()})
                for (const Piece& piece : pieces) {
                    ASSERT_FALSE(piece.bytes.empty());
                    ASSERT_GE(piece.bytes.data(), first);
                    ASSERT_LE(piece.bytes.data() + piece.bytes.size(), first + ram);
                }
            ASSERT_EQ(readable, chain.readable_size());
            ASSERT_EQ(writable, chain.writable_size());
            if (random() % 16 == 0) continue;
            ASSERT_TRUE(queue.fill(chain, static_cast<u32>(chain.writable_size())));
            queue.publish();
            queue.take_interrupt();
        }
        ASSERT_LE(queue.in_flight(), queue.size());
    }
    EXPECT_GT(chains, 20'000u) << "the generator must make good rings, too";
    EXPECT_GT(broken, 20'000u) << "and bad ones";
}

}  // namespace
}  // namespace viv::virtio
