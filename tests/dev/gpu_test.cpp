// virtio-gpu as Linux's driver uses it: resources, backing, scanouts, flushes, pointers, monitors; every refusal and
// bound; saved pictures.
#include "engine/dev/virtio/gpu.h"

#include <gtest/gtest.h>

#include <random>

#include "engine/dev/display/edid.h"
#include "engine/dev/virtio/create.h"
#include "tests/dev/virtio_bench.h"

namespace viv::virtio {
namespace {

using display::Rectangle;
using gpu::Format;
using test::Buffer;
using test::Direction;
using test::Ring;
using test::Via;

constexpr u32 ok = 0x1100, unspec = 0x1200, no_memory = 0x1201, bad_scanout = 0x1202, bad_resource = 0x1203,
              bad_parameter = 0x1205;
constexpr Format all_formats[] = {Format::b8g8r8a8, Format::b8g8r8x8, Format::a8r8g8b8, Format::x8r8g8b8,
                                  Format::r8g8b8a8, Format::x8b8g8r8, Format::a8b8g8r8, Format::r8g8b8x8};

struct Adapter {
    explicit Adapter(Via via, Gpu::Options options = {.outputs = 2, .width = 80, .height = 64})
        : rig(via, [&](const Wiring& wiring) { return std::make_unique<Gpu>(wiring, options); }) {
        device = static_cast<Gpu*>(rig.function);
    }
    void start(u64 features = test::ring_features | feature(1)) {
        ASSERT_TRUE(rig.negotiate(features));
        control = std::make_unique<Ring>(rig, 0, 64);
        cursor = std::make_unique<Ring>(rig, 1, 16);
        rig.go();
    }
    // The bytes of a command: header and 32-bit fields.
    static std::vector<u8> command(u32 type, std::initializer_list<u32> fields, u32 flags = 0, u64 fence = 0) {
        std::vector<u8> bytes(24 + fields.size() * 4);
        store_le(bytes.data(), type);
        store_le(bytes.data() + 4, flags);
        store_le(bytes.data() + 8, fence);
        usize at = 24;
        for (const u32 field : fields) store_le(bytes.data() + at, field), at += 4;
        return bytes;
    }
    std::vector<u8> send(std::span<const u8> bytes, u32 room = 2048, u16 queue = 0) {
        const u64 mark = rig.mark();
        const u64 in = rig.allocate(bytes.size() + 1), out = rig.allocate(room + 1);
        std::memcpy(rig.memory.host(in, bytes.size()), bytes.data(), bytes.size());
        std::vector<Buffer> buffers = {{in, static_cast<u32>(bytes.size()), Direction::to_device}};
        if (room != 0) buffers.push_back({out, room, Direction::from_device});
        Ring& ring = queue == 0 ? *control : *cursor;
        ring.add(buffers);
        ring.kick();
        const auto used = ring.take();
        EXPECT_TRUE(used.has_value());
        std::vector<u8> response(used ? used->length : 0);
        EXPECT_TRUE(response.empty() || rig.dma.read(out, response));
        rig.release_to(mark);
        return response;
    }
    u32 call(u32 type, std::initializer_list<u32> fields) {
        const auto response = send(command(type, fields));
        EXPECT_EQ(response.size(), 24u);
        return response.size() < 24 ? 0 : load_le<u32>(response.data());
    }
    u32 create(u32 id, Format format, u32 width, u32 height) {
        return call(0x101, {id, static_cast<u32>(format), width, height});
    }
    u32 unref(u32 id) { return call(0x102, {id, 0}); }
    u32 scanout(u32 output, u32 id, Rectangle area) {
        return call(0x103, {area.x, area.y, area.width, area.height, output, id});
    }
    u32 flush(u32 id, Rectangle area) { return call(0x104, {area.x, area.y, area.width, area.height, id, 0}); }
    u32 transfer(u32 id, Rectangle area, u64 offset) {
        return call(0x105, {area.x, area.y, area.width, area.height, static_cast<u32>(offset),
                            static_cast<u32>(offset >> 32), id, 0});
    }
    u32 attach(u32 id, const std::vector<std::pair<u64, u32>>& entries, i32 claimed = -1) {
        auto bytes = command(0x106, {id, claimed < 0 ? static_cast<u32>(entries.size()) : static_cast<u32>(claimed)});
        for (const auto& [address, length] : entries) {
            u8 raw[16] = {};
            store_le(raw, address);
            store_le(raw + 8, length);
            bytes.insert(bytes.end(), raw, raw + 16);
        }
        const auto response = send(bytes);
        return response.size() < 24 ? 0 : load_le<u32>(response.data());
    }
    u32 detach(u32 id) { return call(0x107, {id, 0}); }
    u32 point(u32 type, u32 output, i32 x, i32 y, u32 id, u32 hot_x, u32 hot_y) {
        const auto response =
            send(command(type, {output, static_cast<u32>(x), static_cast<u32>(y), 0, id, hot_x, hot_y, 0}), 24, 1);
        return response.size() < 24 ? 0 : load_le<u32>(response.data());
    }
    // A resource with backing in one piece; returns the backing's address.
    u64 picture(u32 id, Format format, u32 width, u32 height) {
        EXPECT_EQ(create(id, format, width, height), ok);
        const u64 at = rig.allocate(u64{width} * height * 4, 4096);
        EXPECT_EQ(attach(id, {{at, width * height * 4}}), ok);
        return at;
    }
    u32 pixel(u32 x, u32 y, unsigned output = 0) {
        return load_le<u32>(device->surface(output).row(y).data() + usize{x} * 4);
    }

    test::Rig rig;
    Gpu* device;
    std::unique_ptr<Ring> control, cursor;
};

class GpuTest : public testing::TestWithParam<Via> {};
INSTANTIATE_TEST_SUITE_P(Transports, GpuTest, testing::Values(Via::mmio, Via::pci), test::via_name);

TEST_P(GpuTest, TellsAboutItsMonitors) {
    Adapter gpu(GetParam());
    EXPECT_EQ(gpu.rig.port->config(8, 4), 2u);
    EXPECT_EQ(gpu.rig.port->config(12, 4), 0u);
    EXPECT_TRUE(gpu.rig.port->offered() & 2);
    gpu.start();
    auto response = gpu.send(Adapter::command(0x100, {}));
    ASSERT_EQ(response.size(), 24u + 16 * 24);
    EXPECT_EQ(load_le<u32>(response.data()), 0x1101u);
    const auto field = [&](unsigned output, unsigned index) {
        return load_le<u32>(response.data() + 24 + output * 24 + index * 4);
    };
    EXPECT_EQ(field(0, 2), 80u);
    EXPECT_EQ(field(0, 3), 64u);
    EXPECT_EQ(field(0, 4), 1u);
    for (unsigned i = 1; i < 16; i++) EXPECT_EQ(field(i, 4) + field(i, 2) + field(i, 3), 0u) << i;

    // The host's window grows, another monitor comes: an event, an interrupt, new answers.
    gpu.rig.port->take_interrupts();
    const u32 generation = gpu.rig.port->generation();
    gpu.device->prefer_size(0, 800, 600);
    gpu.device->prefer_size(1, 100'000, 1);
    EXPECT_NE(gpu.rig.port->generation(), generation);
    EXPECT_NE(gpu.rig.port->take_interrupts() & 2, 0u);
    EXPECT_EQ(gpu.rig.port->config(0, 4), 1u);
    gpu.rig.port->set_config(4, 4, 1);
    EXPECT_EQ(gpu.rig.port->config(0, 4), 0u);
    gpu.device->prefer_size(0, 800, 600);  // no change, no event
    EXPECT_EQ(gpu.rig.port->config(0, 4), 0u);
    response = gpu.send(Adapter::command(0x100, {}));
    EXPECT_EQ(field(0, 2), 800u);
    EXPECT_EQ(field(1, 0), 800u);  // to the right of the first
    EXPECT_EQ(field(1, 2), display::largest_mode);
    EXPECT_EQ(field(1, 3), display::smallest_mode);
    gpu.device->prefer_size(0, 0, 0);
    response = gpu.send(Adapter::command(0x100, {}));
    EXPECT_EQ(field(0, 4), 0u);
    EXPECT_EQ(gpu.rig.function->display(), gpu.device);
}

TEST_P(GpuTest, GivesEdids) {
    Adapter gpu(GetParam());
    gpu.start();
    auto response = gpu.send(Adapter::command(0x10a, {0, 0}));
    ASSERT_EQ(response.size(), 24u + 8 + 1024);
    EXPECT_EQ(load_le<u32>(response.data()), 0x1104u);
    EXPECT_EQ(load_le<u32>(response.data() + 24), 128u);
    const auto edid = display::make_edid(80, 64, 0);
    EXPECT_TRUE(std::equal(edid.begin(), edid.end(), response.begin() + 32));
    response = gpu.send(Adapter::command(0x10a, {1, 0}));
    EXPECT_EQ(load_le<u32>(response.data() + 24), 0u);  // no monitor, no EDID
    EXPECT_EQ(gpu.call(0x10a, {2, 0}), bad_scanout);
    EXPECT_EQ(gpu.call(0x10a, {}), unspec);
    gpu.start(test::ring_features);  // not negotiated
    EXPECT_EQ(gpu.call(0x10a, {0, 0}), unspec);
}

TEST_P(GpuTest, ShowsWhatIsFlushed) {
    Adapter gpu(GetParam());
    gpu.start();
    const u64 memory = gpu.picture(1, Format::b8g8r8x8, 64, 48);
    EXPECT_EQ(gpu.device->surface(0).width(), 0u);
    ASSERT_EQ(gpu.scanout(0, 1, {0, 0, 64, 48}), ok);
    const auto& surface = gpu.device->surface(0);
    EXPECT_EQ(surface.width(), 64u);
    EXPECT_EQ(surface.height(), 48u);
    EXPECT_EQ(gpu.pixel(0, 0), 0xff00'0000u);
    for (u32 i = 0; i < 64 * 48; i++) gpu.rig.put<u32>(memory + i * 4, 0x1000 + i);
    ASSERT_EQ(gpu.transfer(1, {0, 0, 64, 48}, 0), ok);
    EXPECT_EQ(gpu.pixel(5, 5), 0xff00'0000u);  // not yet
    u64 generation = surface.generation();
    ASSERT_EQ(gpu.flush(1, {0, 0, 64, 48}), ok);
    EXPECT_EQ(gpu.pixel(5, 5), 0xff00'1000u + 5 * 64 + 5);
    EXPECT_EQ(surface.changed_since(generation), (Rectangle{0, 0, 64, 48}));

    // A part: only its pixels are transferred, from the offset that the driver computes, and only they change.
    for (u32 i = 0; i < 64 * 48; i++) gpu.rig.put<u32>(memory + i * 4, 0x2000 + i);
    generation = surface.generation();
    ASSERT_EQ(gpu.transfer(1, {10, 20, 4, 3}, (20 * 64 + 10) * 4), ok);
    ASSERT_EQ(gpu.flush(1, {10, 20, 4, 3}), ok);
    EXPECT_EQ(surface.changed_since(generation), (Rectangle{10, 20, 4, 3}));
    EXPECT_EQ(gpu.pixel(10, 20), 0xff00'2000u + 20 * 64 + 10);
    EXPECT_EQ(gpu.pixel(13, 22), 0xff00'2000u + 22 * 64 + 13);
    EXPECT_EQ(gpu.pixel(14, 22), 0xff00'1000u + 22 * 64 + 14);
    EXPECT_EQ(gpu.pixel(10, 19), 0xff00'1000u + 19 * 64 + 10);
    generation = surface.generation();
    ASSERT_EQ(gpu.flush(1, {0, 0, 0, 0}), ok);
    EXPECT_EQ(surface.generation(), generation);

    // Another part of the resource on the other output; a flush reaches what each shows.
    ASSERT_EQ(gpu.scanout(1, 1, {32, 24, 32, 24}), ok);
    EXPECT_EQ(gpu.pixel(0, 0, 1), gpu.pixel(32, 24));
    const u64 first = surface.generation(), second = gpu.device->surface(1).generation();
    ASSERT_EQ(gpu.flush(1, {30, 20, 10, 10}), ok);
    EXPECT_EQ(surface.changed_since(first), (Rectangle{30, 20, 10, 10}));
    EXPECT_EQ(gpu.device->surface(1).changed_since(second), (Rectangle{0, 0, 8, 6}));

    // Off by command, and off because the resource is gone.
    ASSERT_EQ(gpu.scanout(1, 0, {}), ok);
    EXPECT_EQ(gpu.device->surface(1).width(), 0u);
    ASSERT_EQ(gpu.unref(1), ok);
    EXPECT_EQ(surface.width(), 0u);
    EXPECT_EQ(gpu.device->host_memory_used(), 0u);
    EXPECT_TRUE(gpu.rig.sink.lines.empty());
}

TEST_P(GpuTest, KnowsEveryFormat) {
    Adapter gpu(GetParam());
    gpu.start();
    for (const Format format : all_formats) {
        const u64 memory = gpu.picture(1, format, 64, 64);
        const u8 bytes[4] = {0x10, 0x20, 0x30, 0x40};
        ASSERT_TRUE(gpu.rig.memory.write(memory, bytes));
        ASSERT_EQ(gpu.transfer(1, {0, 0, 64, 64}, 0), ok);
        ASSERT_EQ(gpu.scanout(0, 1, {0, 0, 64, 64}), ok);
        ASSERT_EQ(gpu.point(0x300, 0, 0, 0, 1, 0, 0), ok);
        u32 shown = 0, alpha = 0xff;
        switch (format) {
            case Format::b8g8r8a8: shown = 0x302010, alpha = 0x40; break;
            case Format::b8g8r8x8: shown = 0x302010; break;
            case Format::a8r8g8b8: shown = 0x203040, alpha = 0x10; break;
            case Format::x8r8g8b8: shown = 0x203040; break;
            case Format::r8g8b8a8: shown = 0x102030, alpha = 0x40; break;
            case Format::r8g8b8x8: shown = 0x102030; break;
            case Format::a8b8g8r8: shown = 0x403020, alpha = 0x10; break;
            case Format::x8b8g8r8: shown = 0x403020; break;
        }
        EXPECT_EQ(gpu.pixel(0, 0), 0xff00'0000 | shown) << static_cast<u32>(format);
        EXPECT_EQ(load_le<u32>(gpu.device->surface(0).cursor().pixels.data()), alpha << 24 | shown)
            << static_cast<u32>(format);
        ASSERT_EQ(gpu.unref(1), ok);
    }
    for (const u32 format : {0u, 5u, 66u, 135u, ~0u}) EXPECT_EQ(gpu.create(1, Format{format}, 8, 8), bad_parameter);
}

TEST_P(GpuTest, GathersScatteredBacking) {
    Adapter gpu(GetParam());
    gpu.start();
    ASSERT_EQ(gpu.create(7, Format::b8g8r8x8, 32, 32), ok);
    // 4096 bytes in pieces whose ends fall inside pixels, in no order of address, one of them empty.
    const u64 memory = gpu.rig.allocate(8192, 4096);
    std::vector<std::pair<u64, u32>> entries = {
        {memory + 5000, 1001}, {memory + 1, 0}, {memory, 2}, {memory + 100, 1093}, {memory + 6100, 2000}};
    u32 position = 0;
    for (const auto& [address, length] : entries)
        for (u32 i = 0; i < length; i++, position++)
            gpu.rig.put<u8>(address + i, static_cast<u8>(position * 7 + position / 256));
    ASSERT_EQ(position, 4096u);
    ASSERT_EQ(gpu.attach(7, entries), ok);
    ASSERT_EQ(gpu.transfer(7, {0, 0, 32, 32}, 0), ok);
    ASSERT_EQ(gpu.scanout(0, 7, {0, 0, 32, 32}), ok);
    const auto byte = [](u32 at) { return static_cast<u8>(at * 7 + at / 256); };
    for (u32 at = 0; at < 4096; at++)
        if (at % 4 != 3) {
            ASSERT_EQ(gpu.device->surface(0).pixels()[at], byte(at)) << at;
        }
    ASSERT_EQ(gpu.transfer(7, {1, 2, 3, 29}, 4 * 32), ok);  // from elsewhere than its own place
    ASSERT_EQ(gpu.flush(7, {0, 0, 32, 32}), ok);
    EXPECT_EQ(gpu.device->surface(0).row(2)[4], byte(4 * 32));
    EXPECT_EQ(gpu.device->surface(0).row(30)[4], byte(4 * 32 + 28 * 128));
    // The last byte counts.
    EXPECT_EQ(gpu.transfer(7, {0, 0, 32, 32}, 1), bad_parameter);
    EXPECT_EQ(gpu.transfer(7, {0, 31, 1, 1}, 4092), ok);
    EXPECT_EQ(gpu.transfer(7, {0, 31, 1, 1}, 4093), bad_parameter);
    EXPECT_EQ(gpu.transfer(7, {0, 31, 1, 1}, ~u64{0} - 3), bad_parameter);
    EXPECT_EQ(gpu.detach(7), ok);
    EXPECT_EQ(gpu.detach(7), unspec);
    EXPECT_EQ(gpu.transfer(7, {0, 0, 1, 1}, 0), bad_resource);
}

TEST_P(GpuTest, RefusesWhatCannotBe) {
    Adapter gpu(GetParam());
    gpu.start();
    const Format format = Format::b8g8r8x8;
    const u64 memory = gpu.picture(1, format, 16, 16);
    EXPECT_EQ(gpu.create(1, format, 16, 16), bad_resource);
    EXPECT_EQ(gpu.create(0, format, 16, 16), bad_resource);
    EXPECT_EQ(gpu.create(2, format, 0, 16), bad_parameter);
    EXPECT_EQ(gpu.create(2, format, 16, 0), bad_parameter);
    EXPECT_EQ(gpu.create(2, format, ~0u, ~0u), bad_parameter);
    EXPECT_EQ(gpu.create(2, format, 16385, 1), bad_parameter);
    EXPECT_EQ(gpu.create(2, format, 16384, 16384), no_memory);
    EXPECT_EQ(gpu.unref(2), bad_resource);
    EXPECT_EQ(gpu.attach(2, {}), bad_resource);
    EXPECT_EQ(gpu.attach(1, {{memory, 4}}), unspec);  // has backing already
    EXPECT_EQ(gpu.detach(2), bad_resource);
    EXPECT_EQ(gpu.create(2, format, 16, 16), ok);
    EXPECT_EQ(gpu.attach(2, {{memory, 4}}, 2), unspec);
    EXPECT_EQ(gpu.attach(2, {{memory, 4}}, 0x7fff'ffff), unspec);
    EXPECT_EQ(gpu.attach(2, {{0, 4096}}), unspec);
    EXPECT_EQ(gpu.attach(2, {{0x1000, 4}}), unspec);  // ROM
    EXPECT_EQ(gpu.attach(2, {{test::ram_base + test::ram_size - 4, 8}}), unspec);
    EXPECT_EQ(gpu.attach(2, {{~u64{0} - 2, 8}}), unspec);
    EXPECT_EQ(gpu.transfer(2, {0, 0, 1, 1}, 0), bad_resource);
    EXPECT_EQ(gpu.attach(2, {}), ok);
    EXPECT_EQ(gpu.transfer(2, {0, 0, 1, 1}, 0), bad_parameter);

    const Rectangle wrong[] = {{0, 0, 17, 1},  {0, 0, 1, 17},  {16, 0, 1, 1},    {0, 16, 1, 1},
                               {~0u, 0, 2, 1}, {0, ~0u, 1, 2}, {1, 1, ~0u, ~0u}, {8, 8, 9, 8}};
    for (const Rectangle& area : wrong) {
        EXPECT_EQ(gpu.transfer(1, area, 0), bad_parameter);
        EXPECT_EQ(gpu.flush(1, area), bad_parameter);
        EXPECT_EQ(gpu.scanout(0, 1, area), bad_parameter);
    }
    EXPECT_EQ(gpu.transfer(1, {0, 0, 0, 1}, 0), bad_parameter);
    EXPECT_EQ(gpu.scanout(0, 1, {0, 0, 0, 1}), bad_parameter);
    EXPECT_EQ(gpu.scanout(2, 1, {0, 0, 16, 16}), bad_scanout);
    EXPECT_EQ(gpu.scanout(~0u, 0, {}), bad_scanout);
    EXPECT_EQ(gpu.scanout(0, 9, {0, 0, 16, 16}), bad_resource);
    EXPECT_EQ(gpu.flush(9, {0, 0, 1, 1}), bad_resource);
    for (const u32 type : {0u, 0x0ffu, 0x108u, 0x109u, 0x10bu, 0x10cu, 0x200u, 0x207u, 0x300u, 0x301u, ~0u})
        EXPECT_EQ(gpu.call(type, {1, 1, 1, 1, 1, 1, 1, 1}), unspec) << type;
    // Cut short, everywhere.
    for (u32 type = 0x101; type <= 0x107; type++)
        for (usize size = 0; size < 32; size++) {
            auto cut = Adapter::command(type, {3, 1});
            cut.resize(std::min<usize>(size, 28));
            EXPECT_EQ(load_le<u32>(gpu.send(cut).data()),
                      size >= 28 && (type == 0x102 || type == 0x107) ? bad_resource : unspec);
        }
    EXPECT_FALSE(gpu.rig.needs_reset());
}

TEST_P(GpuTest, StaysWithinItsMemory) {
    Adapter gpu(GetParam(), {.outputs = 16, .width = 80, .height = 64, .maximum_host_memory = 1 << 20});
    gpu.start();
    const Format format = Format::b8g8r8x8;
    EXPECT_EQ(gpu.create(1, format, 512, 512), no_memory);  // its pixels alone are 1 MiB
    EXPECT_EQ(gpu.create(1, format, 256, 512), ok);
    EXPECT_EQ(gpu.create(2, format, 256, 512), no_memory);
    // A picture costs as well.
    EXPECT_EQ(gpu.scanout(0, 1, {0, 0, 256, 256}), ok);
    EXPECT_EQ(gpu.scanout(1, 1, {0, 0, 256, 256}), no_memory);
    EXPECT_EQ(gpu.scanout(0, 1, {0, 0, 256, 512}), no_memory);
    EXPECT_EQ(gpu.device->surface(0).height(), 256u);
    EXPECT_EQ(gpu.scanout(0, 0, {}), ok);
    EXPECT_EQ(gpu.scanout(1, 1, {0, 0, 256, 256}), ok);
    EXPECT_EQ(gpu.unref(1), ok);
    EXPECT_EQ(gpu.device->host_memory_used(), 0u);
    u32 id = 1;
    while (gpu.create(id, format, 1, 1) == ok) id++;
    EXPECT_NEAR(id, (1 << 20) / (gpu::resource_overhead + 4), 2);
    EXPECT_LE(gpu.device->host_memory_used(), u64{1} << 20);
    EXPECT_EQ(gpu.unref(1), ok);
    std::vector<std::pair<u64, u32>> entries(100, {test::ram_base, 4});
    EXPECT_EQ(gpu.attach(2, entries), no_memory);
    gpu.start();  // a reset gives everything back
    EXPECT_EQ(gpu.device->host_memory_used(), 0u);
    EXPECT_EQ(gpu.create(1, format, 256, 512), ok);
}

TEST_P(GpuTest, MovesPointers) {
    Adapter gpu(GetParam());
    gpu.start();
    const u64 memory = gpu.picture(5, Format::b8g8r8a8, 64, 64);
    gpu.rig.put<u32>(memory + (3 * 64 + 2) * 4, 0x8040'2010);
    ASSERT_EQ(gpu.transfer(5, {0, 0, 64, 64}, 0), ok);
    const auto& cursor = gpu.device->surface(1).cursor();
    EXPECT_FALSE(cursor.visible);
    const u64 generation = cursor.generation;
    EXPECT_EQ(gpu.point(0x300, 1, 10, -20, 5, 2, 3), ok);
    EXPECT_TRUE(cursor.visible);
    EXPECT_GT(cursor.generation, generation);
    EXPECT_EQ(cursor.x, 10);
    EXPECT_EQ(cursor.y, -20);
    EXPECT_EQ(cursor.hot_x, 2u);
    EXPECT_EQ(cursor.width, 64u);
    EXPECT_EQ(load_le<u32>(cursor.pixels.data() + (3 * 64 + 2) * 4), 0x8040'2010u);
    EXPECT_FALSE(gpu.device->surface(0).cursor().visible);
    EXPECT_EQ(gpu.point(0x301, 1, 11, 12, 0, 0, 0), ok);  // a move keeps the image
    EXPECT_TRUE(cursor.visible);
    EXPECT_EQ(cursor.x, 11);
    EXPECT_EQ(cursor.hot_x, 2u);
    // Linux sends these without room for a response.
    const auto silent = gpu.send(Adapter::command(0x301, {1, 40, 41, 0, 0, 0, 0, 0}), 0, 1);
    EXPECT_TRUE(silent.empty());
    EXPECT_EQ(cursor.x, 40);
    EXPECT_EQ(gpu.point(0x300, 1, 0, 0, 6, 0, 0), bad_resource);
    EXPECT_EQ(gpu.point(0x300, 2, 0, 0, 5, 0, 0), bad_scanout);
    EXPECT_EQ(gpu.point(0x300, 1, 0, 0, 5, ~0u, 64), ok);
    EXPECT_EQ(cursor.hot_x, 63u);
    EXPECT_EQ(gpu.point(0x100, 1, 0, 0, 5, 0, 0), unspec);
    EXPECT_EQ(gpu.create(6, Format::b8g8r8a8, 32, 32), ok);
    EXPECT_EQ(gpu.point(0x300, 1, 0, 0, 6, 0, 0), bad_parameter);
    EXPECT_EQ(gpu.unref(5), ok);
    EXPECT_TRUE(cursor.visible);  // the image is a copy
    EXPECT_EQ(gpu.point(0x300, 1, 0, 0, 0, 0, 0), ok);
    EXPECT_FALSE(cursor.visible);
}

TEST_P(GpuTest, AnswersFencesAndShortRooms) {
    Adapter gpu(GetParam());
    gpu.start();
    auto bytes = Adapter::command(0x101, {1, 1, 8, 8}, 1, 0x1234'5678'9abc'def0);
    store_le<u32>(bytes.data() + 16, 77);
    auto response = gpu.send(bytes);
    EXPECT_EQ(load_le<u32>(response.data()), ok);
    EXPECT_EQ(load_le<u32>(response.data() + 4), 1u);
    EXPECT_EQ(load_le<u64>(response.data() + 8), 0x1234'5678'9abc'def0u);
    EXPECT_EQ(load_le<u32>(response.data() + 16), 77u);
    bytes = Adapter::command(0x102, {1, 0}, 6, 99);
    response = gpu.send(bytes);
    EXPECT_EQ(load_le<u32>(response.data() + 4), 0u);
    EXPECT_EQ(load_le<u64>(response.data() + 8), 0u);
    response = gpu.send(Adapter::command(0x100, {}), 100);
    ASSERT_EQ(response.size(), 24u);
    EXPECT_EQ(load_le<u32>(response.data()), unspec);
    EXPECT_EQ(gpu.send(Adapter::command(0x101, {1, 1, 8, 8}), 23).size(), 0u);
    EXPECT_EQ(gpu.send(Adapter::command(0x101, {2, 1, 8, 8}), 0).size(), 0u);
    EXPECT_EQ(gpu.unref(2), ok);  // done nevertheless
}

TEST_P(GpuTest, ASavedMachineShowsTheSame) {
    Adapter gpu(GetParam());
    gpu.start();
    const u64 memory = gpu.picture(3, Format::r8g8b8a8, 64, 64);
    for (u32 i = 0; i < 64 * 64; i++) gpu.rig.put<u32>(memory + i * 4, i * 0x0101'0307);
    ASSERT_EQ(gpu.transfer(3, {0, 0, 64, 64}, 0), ok);
    ASSERT_EQ(gpu.scanout(1, 3, {8, 8, 40, 30}), ok);
    ASSERT_EQ(gpu.point(0x300, 1, -3, 4, 3, 5, 6), ok);
    gpu.device->prefer_size(1, 320, 200);
    ASSERT_EQ(gpu.create(4, Format::x8b8g8r8, 3, 5), ok);
    const auto saved = gpu.rig.save_all();

    Adapter next(GetParam());
    next.rig.load_all(saved);
    EXPECT_EQ(next.rig.save_all().device, saved.device);
    next.control = std::make_unique<Ring>(next.rig, *gpu.control);
    next.cursor = std::make_unique<Ring>(next.rig, *gpu.cursor);
    const auto &before = gpu.device->surface(1), &after = next.device->surface(1);
    EXPECT_EQ(after.width(), 40u);
    EXPECT_TRUE(
        std::equal(before.pixels().begin(), before.pixels().end(), after.pixels().begin(), after.pixels().end()));
    EXPECT_EQ(after.cursor().pixels, before.cursor().pixels);
    EXPECT_EQ(after.cursor().x, -3);
    EXPECT_EQ(after.cursor().hot_y, 6u);
    EXPECT_EQ(next.device->surface(0).width(), 0u);
    EXPECT_EQ(next.device->host_memory_used(), gpu.device->host_memory_used());
    EXPECT_EQ(next.rig.port->config(0, 4), 1u);
    next.rig.put<u32>(memory, 0x00aa'bbcc);
    EXPECT_EQ(next.transfer(3, {8, 8, 1, 1}, 0), ok);
    EXPECT_EQ(next.flush(3, {0, 0, 64, 64}), ok);
    EXPECT_EQ(next.pixel(0, 0, 1), 0xffcc'bbaau);
    EXPECT_EQ(next.unref(4), ok);

    // Refused where it does not fit the configuration, and harmless where it was tampered with.
    Adapter small(GetParam(), {.outputs = 1, .width = 80, .height = 64});
    EXPECT_FALSE(test::load(small.rig.transport(), saved.device).ok());
    std::mt19937 random(5);
    for (int i = 0; i < 300; i++) {
        auto evil = saved.device;
        for (int flips = 0; flips < 4; flips++)
            evil[random() % std::min<usize>(evil.size(), i % 2 == 0 ? 1000 : evil.size())] = static_cast<u8>(random());
        if (i % 5 == 0) evil.resize(random() % evil.size());
        if (test::load(next.rig.transport(), evil).ok()) {
            EXPECT_LE(next.device->host_memory_used(), Gpu::default_host_memory);
            const auto& shown = next.device->surface(1);
            EXPECT_EQ(shown.pixels().size(), usize{shown.width()} * shown.height() * 4);
        }
    }
}

TEST_P(GpuTest, RandomCommandsAreAnswered) {
    Adapter gpu(GetParam(), {.outputs = 3, .width = 80, .height = 64, .maximum_host_memory = 1 << 20});
    gpu.start();
    std::mt19937 random(11);
    const u64 backing = gpu.rig.allocate(1 << 20, 4096);
    usize succeeded = 0;
    for (int i = 0; i < 50'000; i++) {
        const u32 type = random() % 8 == 0 ? static_cast<u32>(random()) : 0x100 + static_cast<u32>(random() % 11);
        std::vector<u8> bytes = Adapter::command(random() % 16 == 0 ? 0x300 + random() % 2 : type, {});
        const auto put = [&](u32 value) {
            u8 raw[4];
            store_le(raw, value);
            bytes.insert(bytes.end(), raw, raw + 4);
        };
        const auto small = [&](u32 below) {
            put(random() % 32 == 0 ? static_cast<u32>(random()) : static_cast<u32>(random() % below));
        };
        const u16 queue = bytes[1] == 3 ? 1 : 0;
        if (type == 0x101)
            small(12), put(1 + static_cast<u32>(random() % 4)), small(100), small(100);
        else if (type == 0x102 || type == 0x107)
            small(12), small(2);
        else if (type == 0x103)
            small(8), small(8), small(80), small(80), small(4), small(12);
        else if (type == 0x104)
            small(50), small(50), small(50), small(50), small(12), small(2);
        else if (type == 0x105)
            small(50), small(50), small(50), small(50), small(5000), put(0), small(12), put(0);
        else if (type == 0x106) {
            small(12);
            const u32 count = static_cast<u32>(random() % 6);
            put(random() % 16 == 0 ? static_cast<u32>(random()) : count);
            for (u32 entry = 0; entry < count; entry++) {
                put(static_cast<u32>(backing + random() % (1 << 20)));
                put(random() % 32 == 0 ? 1 : 0);
                small(20'000);
                put(0);
            }
        } else {
            for (u32 field = static_cast<u32>(random() % 10); field != 0; field--) small(64);
        }
        if (random() % 16 == 0) bytes.resize(random() % (bytes.size() + 1));
        const auto response = gpu.send(bytes, random() % 16 == 0 ? static_cast<u32>(random() % 64) : 1500, queue);
        if (response.size() >= 24) succeeded += load_le<u32>(response.data()) < 0x1200;
        ASSERT_LE(gpu.device->host_memory_used(), u64{1} << 20);
        if (i % 5000 == 0) {
            const auto saved = test::save(gpu.rig.transport());
            ASSERT_TRUE(test::load(gpu.rig.transport(), saved).ok());
            ASSERT_EQ(test::save(gpu.rig.transport()), saved);
        }
    }
    EXPECT_GT(succeeded, 5'000u);
    EXPECT_FALSE(gpu.rig.needs_reset());
}

TEST(Gpu, IsMadeFromASpec) {
    test::Bench bench;
    test::HeapMemory heap;
    GuestMemory memory(heap);
    Dma dma(memory);
    const Wiring wiring{dma, bench.timers, bench.inlet, bench.sink};
    const auto make = [&](std::map<std::string, std::string> values) -> std::string {
        DeviceSpec spec;
        spec.name = "virtio-gpu-device";
        spec.properties = std::move(values);
        const auto properties =
            Properties::check(spec, "max_outputs=N, xres=PIXELS, yres=PIXELS, max_hostmem=SIZE, edid=on|off");
        EXPECT_TRUE(properties.ok());
        auto made = make_gpu(spec, *properties, wiring);
        if (!made.ok()) return made.error().message;
        return fmt::format("{} {:#x}", made.value()->read_config(8, 4), made.value()->offered() & 3);
    };
    EXPECT_EQ(make({}), "1 0x2");
    EXPECT_EQ(make({{"max_outputs", "4"}, {"edid", "off"}, {"max_hostmem", "512M"}}), "4 0x0");
    EXPECT_EQ(make({{"max_hostmem", "1048576"}, {"xres", "1920"}, {"yres", "1080"}}), "1 0x2");
    for (const char* bad : {"", "M", "12Q", "1023K", "3G", "99999999999G", "-1"})
        EXPECT_NE(make({{"max_hostmem", bad}}).find("max_hostmem"), std::string::npos) << bad;
    EXPECT_NE(make({{"max_outputs", "17"}}).find("max_outputs"), std::string::npos);
    EXPECT_NE(make({{"xres", "5000"}}).find("xres"), std::string::npos);
    EXPECT_NE(make({{"edid", "maybe"}}).find("edid"), std::string::npos);
}

TEST(Display, SurfacesRememberWhatChanged) {
    display::Surface surface;
    EXPECT_EQ(surface.changed_since(0), Rectangle{});
    surface.resize(100, 50);
    const u64 start = surface.generation();
    EXPECT_EQ(surface.pixels().size(), 100u * 50 * 4);
    EXPECT_EQ(surface.changed_since(0), (Rectangle{0, 0, 100, 50}));
    EXPECT_TRUE(surface.changed_since(start).empty());
    surface.changed({10, 10, 5, 5});
    surface.changed({20, 5, 10, 1});
    EXPECT_EQ(surface.changed_since(start), (Rectangle{10, 5, 20, 10}));
    EXPECT_EQ(surface.changed_since(start + 1), (Rectangle{20, 5, 10, 1}));
    surface.changed({95, 45, ~0u - 95, ~0u - 45});
    EXPECT_EQ(surface.changed_since(start + 2), (Rectangle{95, 45, 5, 5}));
    surface.changed({100, 0, 10, 10});
    EXPECT_EQ(surface.generation(), start + 3);
    for (int i = 0; i < 100; i++) surface.changed({0, 0, 1, 1});
    EXPECT_EQ(surface.changed_since(start), (Rectangle{0, 0, 100, 50}));  // too long ago
    EXPECT_EQ(surface.changed_since(surface.generation() - 3), (Rectangle{0, 0, 1, 1}));
    const u64 before = surface.generation();
    surface.resize(100, 50);
    EXPECT_EQ(surface.generation(), before);
    surface.changed({1, 1, 1, 1});
    surface.resize(60, 60);
    surface.changed({2, 2, 1, 1});
    EXPECT_EQ(surface.changed_since(before), (Rectangle{0, 0, 60, 60}));
    surface.resize(0, 0);
    EXPECT_TRUE(surface.pixels().empty());
}

TEST(Display, EdidsAreWholeForEverySize) {
    for (u32 width : {0u, 16u, 63u, 640u, 800u, 1024u, 1280u, 1366u, 1920u, 2560u, 3840u, 4095u, 100'000u})
        for (u32 height : {0u, 16u, 48u, 480u, 600u, 768u, 800u, 1080u, 1600u, 2160u, 4095u, 100'000u}) {
            const auto edid = display::make_edid(width, height, 3);
            u8 sum = 0;
            for (const u8 byte : edid) sum = static_cast<u8>(sum + byte);
            ASSERT_EQ(sum, 0);
            const u8* mode = &edid[54];
            const u32 shown_width = mode[2] | (mode[4] & 0xf0u) << 4, shown_height = mode[5] | (mode[7] & 0xf0u) << 4;
            EXPECT_EQ(shown_width, std::clamp(width, display::smallest_mode, display::largest_mode));
            EXPECT_EQ(shown_height, std::clamp(height, display::smallest_mode, display::largest_mode));
            const u32 blank_width = mode[3] | (mode[4] & 0xfu) << 8, blank_height = mode[6] | (mode[7] & 0xfu) << 8;
            const u64 clock = u64{load_le<u16>(mode)} * 10'000;
            const u64 pixels = u64{shown_width + blank_width} * (shown_height + blank_height);
            EXPECT_LE(clock / pixels, 60u);
            EXPECT_GE(clock, 10'000'000u);  // what readers take for a mode
            if (clock < 655'000'000 && pixels > 200'000) {
                EXPECT_GE(clock * 100 / pixels, 5900u) << width << "x" << height;
            }
        }
    const auto edid = display::make_edid(1920, 1080, 0);
    EXPECT_EQ(load_le<u16>(&edid[54]),
              13'850);  // VESA's own figure for 1920x1080 at 60 Hz, reduced blanking: 138.50 MHz
    EXPECT_EQ(edid[60], 31);
    EXPECT_EQ(load_be<u16>(&edid[8]), 0x5936);
    EXPECT_NE(display::make_edid(1920, 1080, 1), edid);
}

}  // namespace
}  // namespace viv::virtio
