// The packed virtqueue on its own, driven as a driver does: laps and wrap counters, batches that appear at once, chains
// that are returned out of order, every malformation by name, notifications and interrupts by place, saving with chains
// in flight, and random rings that must neither crash nor give a view outside RAM.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "engine/dev/virtio/queue.h"
#include "tests/dev/device_bench.h"

namespace viv::virtio {
namespace {

constexpr u64 base = 0x8000'0000;
constexpr u64 ram = 0x2'0000;
constexpr u16 size = 6;  // no power of two: a packed ring need not have one
constexpr u64 ring_at = base, driver_at = base + 0x1000, device_at = base + 0x2000, data = base + 0x4000;
constexpr u64 packed_features = feature(ring_indirect_desc) | feature(ring_event_idx) | feature(ring_packed);
constexpr u16 next_flag = 1, write_flag = 2, indirect_flag = 4, available_flag = 0x80, used_flag = 0x8000;
constexpr u16 suppress_all = 1, suppress_until_place = 2;

struct Part {
    u64 address;
    u32 length;
    u16 flags = 0;
};

struct PackedRingTest : ::testing::Test {
    test::HeapMemory heap;
    GuestMemory memory{heap};
    Dma dma{memory};
    Queue queue{dma, 16};
    Chain chain;
    // The driver's side.
    u16 slot = 0, used_slot = 0;
    bool wrap = true, used_wrap = true;

    void SetUp() override {
        ASSERT_TRUE(memory.add(base, ram, GuestMemory::Kind::ram, "ram").ok());
        ASSERT_TRUE(memory.add(0x1000, 0x1000, GuestMemory::Kind::rom, "rom").ok());
        start(packed_features);
    }
    void start(u64 features) {
        queue.reset();
        std::memset(memory.host(base, ram), 0, ram);
        ASSERT_TRUE(queue.set_size(size, features));
        ASSERT_TRUE(queue.set_descriptor_table(ring_at));
        ASSERT_TRUE(queue.set_driver_area(driver_at));
        ASSERT_TRUE(queue.set_device_area(device_at));
        queue.enable(features);
        slot = used_slot = 0;
        wrap = used_wrap = true;
    }
    template <class T>
    void put(u64 at, T value) {
        store_le<T>(memory.host(at, sizeof(T)), value);
    }
    template <class T>
    T get(u64 at) {
        return load_le<T>(memory.host(at, sizeof(T)));
    }
    void descriptor(u64 table, u16 index, const Part& part, u16 id, u16 flags) {
        put<u64>(table + 16u * index, part.address);
        put<u32>(table + 16u * index + 8, part.length);
        put<u16>(table + 16u * index + 12, id);
        put<u16>(table + 16u * index + 14, flags);
    }
    // Makes a chain available.
    void offer(u16 id, const std::vector<Part>& parts) {
        for (usize i = 0; i < parts.size(); i++) {
            u16 flags = static_cast<u16>(parts[i].flags | (wrap ? available_flag : used_flag));
            if (i + 1 < parts.size()) flags |= next_flag;
            descriptor(ring_at, slot, parts[i], id, flags);
            if (++slot == size) slot = 0, wrap = !wrap;
        }
    }
    struct Used {
        u16 id;
        u32 length;
        bool operator==(const Used&) const = default;
    };
    // Takes a used descriptor, of a chain of so many.
    std::optional<Used> take(u16 slots = 1) {
        const u16 flags = get<u16>(ring_at + 16u * used_slot + 14);
        const bool available = (flags & available_flag) != 0, used = (flags & used_flag) != 0;
        if (available != used || used != used_wrap) return std::nullopt;
        const Used result{get<u16>(ring_at + 16u * used_slot + 12), get<u32>(ring_at + 16u * used_slot + 8)};
        EXPECT_EQ((flags & write_flag) != 0, result.length != 0);
        used_slot = static_cast<u16>(used_slot + slots);
        if (used_slot >= size) used_slot = static_cast<u16>(used_slot - size), used_wrap = !used_wrap;
        return result;
    }
    void finish(const Chain& one, u32 written) {
        ASSERT_TRUE(queue.fill(one, written));
        queue.publish();
    }
    void expect_malformed(const char* why) {
        EXPECT_EQ(queue.pop(chain), Pop::malformed);
        EXPECT_STREQ(queue.problem(), why);
        EXPECT_TRUE(queue.broken());
        EXPECT_EQ(queue.pop(chain), Pop::malformed) << "a broken queue stays broken";
    }
};

TEST_F(PackedRingTest, ChainsComeInOrderOverManyLaps) {
    for (unsigned i = 0; i < 1000; i++) {
        const u16 id = static_cast<u16>(40'000 + i);
        const bool two = i % 3 == 0;
        offer(id, two ? std::vector<Part>{{data + i, 4}, {data + 0x1000, 8, write_flag}}
                      : std::vector<Part>{{data + i, 4}});
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        EXPECT_EQ(chain.head(), id);
        ASSERT_EQ(chain.readable().size(), 1u);
        EXPECT_EQ(chain.readable()[0].address, data + i);
        EXPECT_EQ(chain.writable_size(), two ? 8u : 0u);
        EXPECT_EQ(take(), std::nullopt);
        finish(chain, two ? 5 : 0);
        EXPECT_EQ(take(two ? 2 : 1), (Used{id, two ? 5u : 0u}));
        EXPECT_EQ(queue.pop(chain), Pop::empty);
    }
}

TEST_F(PackedRingTest, ABatchAppearsAtOnce) {
    for (u16 id = 0; id < 3; id++) offer(id, {{data, 4, write_flag}});
    Chain chains[3];
    for (Chain& one : chains) ASSERT_EQ(queue.pop(one), Pop::chain);
    for (Chain& one : chains) ASSERT_TRUE(queue.fill(one, 4));
    EXPECT_EQ(take(), std::nullopt) << "the first entry is shown last";
    queue.publish();
    for (u16 id = 0; id < 3; id++) EXPECT_EQ(take(), (Used{id, 4}));
}

// Used entries overwrite the descriptors of a chain that is still in flight; it comes again all the same.
TEST_F(PackedRingTest, ChainsReturnedOutOfOrderAndSavedInFlight) {
    offer(7, {{data, 4}, {data + 0x100, 16}, {data + 0x200, 8, write_flag}});
    offer(8, {{data + 0x300, 4, write_flag}});
    Chain slow, quick;
    ASSERT_EQ(queue.pop(slow), Pop::chain);
    ASSERT_EQ(queue.pop(quick), Pop::chain);
    finish(quick, 4);
    EXPECT_EQ(take(), (Used{8, 4}));
    offer(9, {{data + 0x400, 4}});

    std::vector<u8> saved;
    Archive saver = Archive::saver(saved);
    queue.state(saver);
    Queue other(dma, 16);
    Archive loader = Archive::loader(saved);
    other.state(loader);
    ASSERT_TRUE(loader.finish().ok());
    other.restored();
    EXPECT_FALSE(other.fill(slow, 0)) << "chains from before the restore are void";
    ASSERT_EQ(other.pop(chain), Pop::chain);
    EXPECT_EQ(chain.head(), 7);
    ASSERT_EQ(chain.readable().size(), 2u);
    EXPECT_EQ(chain.readable()[1].address, data + 0x100);
    EXPECT_EQ(chain.writable_size(), 8u);
    Chain third;
    ASSERT_EQ(other.pop(third), Pop::chain);
    EXPECT_EQ(third.head(), 9);
    ASSERT_TRUE(other.fill(third, 0));
    ASSERT_TRUE(other.fill(chain, 8));
    other.publish();
    EXPECT_EQ(take(), (Used{9, 0}));
    EXPECT_EQ(take(3), (Used{7, 8}));
    EXPECT_EQ(other.pop(chain), Pop::empty);
}

TEST_F(PackedRingTest, UnpoppedAndRewoundChainsComeAgainInOrder) {
    for (u16 id = 0; id < 3; id++) offer(id, {{data, 1}, {data, 1}});
    Chain chains[3];
    for (Chain& one : chains) ASSERT_EQ(queue.pop(one), Pop::chain);
    queue.unpop(chains[2]);
    queue.unpop(chains[1]);
    EXPECT_EQ(queue.in_flight(), 1u);
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    EXPECT_EQ(chain.head(), 1);
    queue.rewind();
    for (const u16 id : std::initializer_list<u16>{0, 1, 2}) {
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        EXPECT_EQ(chain.head(), id);
        if (id != 1) continue;
        queue.unpop(chain);  // a rewound one
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        EXPECT_EQ(chain.head(), 1);
    }
    EXPECT_EQ(queue.pop(chain), Pop::empty);
}

TEST_F(PackedRingTest, AnIndirectTableIsAChainWhole) {
    const u64 table = data + 0x800;
    descriptor(table, 0, {data, 4}, 99, 0);
    descriptor(table, 1, {data + 0x10, 4}, 98, next_flag);  // means nothing here
    descriptor(table, 2, {data + 0x20, 4}, 97, write_flag | available_flag);
    offer(5, {{table, 48, indirect_flag}});
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    EXPECT_EQ(chain.head(), 5);
    EXPECT_EQ(chain.readable_size(), 8u);
    EXPECT_EQ(chain.writable_size(), 4u);
    finish(chain, 4);
    EXPECT_EQ(take(), (Used{5, 4}));
}

TEST_F(PackedRingTest, RefusesWhatIsMalformed) {
    const auto offered = [&](const std::vector<Part>& parts) {
        start(packed_features);
        offer(1, parts);
    };
    offered({{data, 4, write_flag}, {data, 4}});
    expect_malformed("a readable buffer follows a writable one");
    for (const u64 outside : {u64{0}, base - 2, base + ram - 3, ~u64{0}, u64{0x1000}}) {
        offered({{outside, 4}});
        expect_malformed("a buffer is outside RAM or crosses the end of a region");
    }
    offered({{data, 16, indirect_flag}, {data, 4}});
    expect_malformed("an indirect descriptor with a next one");
    offered({{data, 24, indirect_flag}});
    expect_malformed("an indirect table's length is no multiple of 16");
    offered({{data, 0, indirect_flag}});
    expect_malformed("an indirect table's length is no multiple of 16");
    offered({{base + ram - 16, 32, indirect_flag}});
    expect_malformed("an indirect table is outside RAM");
    offered({{base, 0x8000, indirect_flag}});
    expect_malformed("a chain has too many descriptors");
    offered({{data, 16, indirect_flag}});
    descriptor(data, 0, {data, 16}, 0, indirect_flag);
    expect_malformed("an indirect descriptor inside an indirect table");
    start(feature(ring_packed));
    offer(1, {{data, 16, indirect_flag}});
    expect_malformed("an indirect descriptor without the feature");
    start(packed_features);
    for (u16 i = 0; i < size; i++) descriptor(ring_at, i, {data, 1}, 0, next_flag | available_flag);
    expect_malformed("more descriptors are in flight than the queue has");
    start(packed_features);
    offer(1, {{data, 1}});
    offer(1, {{data, 1}});
    ASSERT_EQ(queue.pop(chain), Pop::chain);
    expect_malformed("a buffer id is in flight already");
}

TEST_F(PackedRingTest, BadAreasBreakTheFirstPop) {
    for (const auto& [ring, driver, device] : {std::array<u64, 3>{ring_at + 8, driver_at, device_at},
                                               {ring_at, driver_at + 2, device_at},
                                               {ring_at, driver_at, device_at + 2},
                                               {base + ram - 16, driver_at, device_at},
                                               {ring_at, 0x1000, device_at},
                                               {ring_at, driver_at, ~u64{3}}}) {
        queue.reset();
        ASSERT_TRUE(queue.set_size(size, packed_features));
        queue.set_descriptor_table(ring);
        queue.set_driver_area(driver);
        queue.set_device_area(device);
        queue.enable(packed_features);
        expect_malformed("ring areas are misaligned or outside RAM");
    }
    EXPECT_FALSE(Queue(dma, 16).set_size(size, 0)) << "a split ring's size is a power of two";
    EXPECT_FALSE(Queue(dma, 16).set_size(0, packed_features));
    EXPECT_FALSE(Queue(dma, 16).set_size(17, packed_features));
}

TEST_F(PackedRingTest, AnEmptyRingAsksForANotificationAtItsPlace) {
    EXPECT_EQ(queue.pop(chain), Pop::empty);
    EXPECT_EQ(get<u16>(device_at), 0x8000);
    EXPECT_EQ(get<u16>(device_at + 2), suppress_until_place);
    for (u16 id = 0; id < size + 2; id++) {
        offer(id, {{data, 4}});
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        finish(chain, 0);
    }
    EXPECT_EQ(queue.pop(chain), Pop::empty);
    EXPECT_EQ(get<u16>(device_at), 2) << "the second lap has the wrap counter 0";
    offer(0, {{data, 4}});
    queue.ask_for_notification();
    EXPECT_EQ(get<u16>(device_at + 2), 0) << "an entry is left: the next one is told, whatever its place";
    start(feature(ring_packed));
    put<u16>(device_at + 2, suppress_all);
    EXPECT_EQ(queue.pop(chain), Pop::empty);
    EXPECT_EQ(get<u16>(device_at + 2), 0);
}

TEST_F(PackedRingTest, InterruptsComeWhenTheDriverWantsThem) {
    const auto used_one = [&] {
        offer(1, {{data, 4}});
        ASSERT_EQ(queue.pop(chain), Pop::chain);
        finish(chain, 0);
        take();
    };
    EXPECT_FALSE(queue.take_interrupt());
    used_one();
    EXPECT_TRUE(queue.take_interrupt());
    EXPECT_FALSE(queue.take_interrupt());
    put<u16>(driver_at + 2, suppress_all);
    used_one();
    EXPECT_FALSE(queue.take_interrupt());
    // At every place of a lap and a half, asked for two entries later.
    put<u16>(driver_at + 2, suppress_until_place);
    for (unsigned i = 0; i < size + size / 2; i++) {
        u16 place = static_cast<u16>(used_slot + 1);
        bool place_wrap = used_wrap;
        if (place == size) place = 0, place_wrap = !place_wrap;
        put<u16>(driver_at, static_cast<u16>(place | (place_wrap ? 0x8000 : 0)));
        used_one();
        EXPECT_FALSE(queue.take_interrupt()) << i;
        used_one();
        EXPECT_TRUE(queue.take_interrupt()) << i;
    }
    // More than a lap at once: places say nothing any more.
    put<u16>(driver_at, 0);
    for (unsigned i = 0; i < 2 * size; i++) used_one();
    EXPECT_TRUE(queue.take_interrupt());
    EXPECT_FALSE(queue.take_interrupt());
    put<u16>(driver_at, 0x7fff);
    used_one();
    EXPECT_TRUE(queue.take_interrupt()) << "a place outside the ring";
}

TEST_F(PackedRingTest, HostileArchivesAreRefused) {
    const auto refused = [&](auto&& spoil) {
        struct Fields {
            u16 size = 6, next_available = 3, next_used = 0, signalled = 0;
            std::vector<u16> in_flight{1, 2}, counts{1, 2}, flags{0, 1, 0};
            std::vector<u32> lengths{4, 4, 4};
            std::vector<u64> addresses{data, data, data};
        } f;
        spoil(f);
        std::vector<u8> saved;
        Archive saver = Archive::saver(saved);
        bool yes = true;
        u64 table = ring_at, driver = driver_at, device = device_at;
        saver(1, "size", f.size);
        saver(2, "descriptors", table);
        saver(3, "available", driver);
        saver(4, "used", device);
        saver(5, "ready", yes);
        saver(9, "next_available", f.next_available);
        saver(10, "next_used", f.next_used);
        saver(11, "signalled_used", f.signalled);
        saver.numbers(12, "in_flight", f.in_flight, 2000);
        saver(13, "packed", yes);
        saver.numbers(14, "kept_counts", f.counts, 2000);
        saver.numbers(15, "kept_addresses", f.addresses, 2000);
        saver.numbers(16, "kept_lengths", f.lengths, 2000);
        saver.numbers(17, "kept_flags", f.flags, 2000);
        Queue other(dma, 16);
        Archive loader = Archive::loader(saved);
        other.state(loader);
        const bool ok = loader.finish().ok();
        other.restored();
        for (int i = 0; i < 20 && other.pop(chain) == Pop::chain; i++) {
            other.fill(chain, 0);
            other.publish();
            other.take_interrupt();
        }
        return !ok;
    };
    EXPECT_FALSE(refused([](auto&) {}));
    EXPECT_TRUE(refused([](auto& f) { f.size = 0; }));
    EXPECT_TRUE(refused([](auto& f) { f.size = 2; }));
    EXPECT_TRUE(refused([](auto& f) { f.size = 17; }));
    EXPECT_TRUE(refused([](auto& f) { f.next_available = 4; }));
    EXPECT_TRUE(refused([](auto& f) { f.next_available = 12; }));
    EXPECT_TRUE(refused([](auto& f) { f.next_used = 12; }));
    EXPECT_TRUE(refused([](auto& f) { f.signalled = 12; }));
    EXPECT_TRUE(refused([](auto& f) { f.in_flight.pop_back(); }));
    EXPECT_TRUE(refused([](auto& f) { f.counts = {0, 3}; }));
    EXPECT_TRUE(refused([](auto& f) { f.counts = {3, 3}; }));
    EXPECT_TRUE(refused([](auto& f) { f.addresses.pop_back(); }));
    EXPECT_TRUE(refused([](auto& f) { f.lengths.clear(); }));
    EXPECT_TRUE(refused([](auto& f) { f.flags.push_back(0); }));
    EXPECT_TRUE(refused([](auto& f) { f.counts.assign(1500, 1); }));
    EXPECT_FALSE(refused([](auto& f) {
        f.flags = {4, 0xffff, 0xffff};
    })) << "a malformed chain, found when it is popped";
}

TEST_F(PackedRingTest, RandomRingsStayInsideRam) {
    std::mt19937_64 random(11);
    const auto one_of = [&](std::initializer_list<u64> values) { return values.begin()[random() % values.size()]; };
    u64 chains = 0, broken = 0;
    const u8* const first = memory.host(base, ram);
    std::deque<Chain> held;
    for (unsigned iteration = 0; iteration < 200'000; iteration++) {
        if (iteration % 16 == 0 || queue.broken()) {
            broken += queue.broken();
            held.clear();
            const u64 features =
                packed_features & ~one_of({0, 0, feature(ring_indirect_desc), feature(ring_event_idx)});
            queue.reset();
            queue.set_size(static_cast<u16>(1 + random() % 16), features);
            queue.set_descriptor_table(random() % 64 == 0 ? random() : ring_at);
            queue.set_driver_area(random() % 64 == 0 ? random() : driver_at);
            queue.set_device_area(random() % 64 == 0 ? random() : device_at);
            queue.enable(features);
        }
        for (unsigned i = 0; i < 12; i++) {
            const u64 table = one_of({ring_at, ring_at, data});
            const Part part{one_of({data, data, data + 64, base, base + ram - 64, base + random() % ram,
                                    random() % 8 == 0 ? random() : data}),
                            static_cast<u32>(one_of({4, 16, 32, 48, 64, 0, random() % 8 == 0 ? random() : 8}))};
            descriptor(table, static_cast<u16>(random() % 16), part, static_cast<u16>(random() % 8),
                       static_cast<u16>(one_of({0, 0, 1, 2, 2, 3, 4, random() % 8 == 0 ? random() : 0}) |
                                        one_of({available_flag, used_flag, 0})));
        }
        put<u32>(driver_at, static_cast<u32>(random()));
        for (unsigned i = 0; i < 4 && queue.pop(chain) == Pop::chain; i++) {
            chains++;
            ASSERT_LE(chain.readable().size() + chain.writable().size(), Queue::longest_chain);
            for (const auto pieces : {chain.readable(), chain.writable()})
                for (const Piece& piece : pieces) {
                    ASSERT_FALSE(piece.bytes.empty());
                    ASSERT_GE(piece.bytes.data(), first);
                    ASSERT_LE(piece.bytes.data() + piece.bytes.size(), first + ram);
                }
            held.push_back(chain);
        }
        while (!held.empty() && random() % 4 != 0) {
            const usize at = random() % held.size();
            ASSERT_TRUE(queue.fill(held[at], static_cast<u32>(held[at].writable_size())) || queue.broken());
            held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
            if (random() % 2 == 0) queue.publish();
        }
        queue.publish();
        queue.take_interrupt();
        queue.ask_for_notification();
        if (random() % 32 == 0) {
            held.clear();
            queue.rewind();
        }
        ASSERT_LE(queue.in_flight(), queue.size());
    }
    EXPECT_GT(chains, 15'000u) << "the generator must make good rings, too";
    EXPECT_GT(broken, 15'000u) << "and bad ones";
}

}  // namespace
}  // namespace viv::virtio
