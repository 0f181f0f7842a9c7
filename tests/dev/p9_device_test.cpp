// virtio-9p through both transports, as the Linux client's transport uses it: header and payload in separate buffers,
// scattered pages, zero-copy reads, broken requests, and a machine that is saved in the middle of a session.
#include "engine/dev/virtio/p9_device.h"

#include <gtest/gtest.h>

#include "engine/dev/virtio/create.h"
#include "tests/dev/p9_client.h"
#include "tests/dev/p9_memory_folder.h"
#include "tests/dev/virtio_bench.h"

namespace viv::virtio {
namespace {

using p9::Request;
using test::Buffer;
using test::Direction;
using test::MemoryFolder;
using test::Ring;
using test::Table;
using test::Via;

struct Share {
    explicit Share(Via via, MemoryFolder* shared = nullptr)
        : rig(via, [&](const Wiring& wiring) {
              auto own = std::make_unique<MemoryFolder>();
              folder = shared != nullptr ? shared : own.get();
              std::unique_ptr<host::Folder> given = std::move(own);
              if (shared != nullptr) given = std::make_unique<Borrowed>(*shared);
              return std::make_unique<Transport9p>(wiring, std::move(given), "home");
          }) {}

    // A folder that two machines share.
    struct Borrowed final : host::Folder {
        explicit Borrowed(MemoryFolder& of) : real(of) {}
        NodePointer root() override { return real.root(); }
        host::Outcome<NodePointer> lookup(host::FolderNode& d, std::string_view n) override {
            return real.lookup(d, n);
        }
        host::Outcome<host::FileAttributes> attributes(host::FolderNode& n) override { return real.attributes(n); }
        u32 change(host::FolderNode& n, const host::AttributeChange& c) override { return real.change(n, c); }
        host::Outcome<FilePointer> open(host::FolderNode& n, u32 f) override { return real.open(n, f); }
        host::Outcome<NodePointer> create(host::FolderNode& d, std::string_view n, u32 f, u32 m,
                                          FilePointer& o) override {
            return real.create(d, n, f, m, o);
        }
        host::Outcome<NodePointer> make_directory(host::FolderNode& d, std::string_view n, u32 m) override {
            return real.make_directory(d, n, m);
        }
        host::Outcome<NodePointer> make_symlink(host::FolderNode& d, std::string_view n, std::string_view t) override {
            return real.make_symlink(d, n, t);
        }
        host::Outcome<NodePointer> make_node(host::FolderNode& d, std::string_view n, u32 m, u64 s) override {
            return real.make_node(d, n, m, s);
        }
        u32 link(host::FolderNode& d, std::string_view n, host::FolderNode& t) override { return real.link(d, n, t); }
        host::Outcome<std::string> read_link(host::FolderNode& n) override { return real.read_link(n); }
        host::Outcome<std::vector<host::FolderEntry>> list(host::FolderNode& d) override { return real.list(d); }
        u32 remove(host::FolderNode& d, std::string_view n, bool w) override { return real.remove(d, n, w); }
        u32 rename(host::FolderNode& a, std::string_view o, host::FolderNode& b, std::string_view n) override {
            return real.rename(a, o, b, n);
        }
        host::Outcome<host::FolderStatistics> statistics(host::FolderNode& n) override { return real.statistics(n); }
        MemoryFolder& real;
    };

    void start() {
        ASSERT_TRUE(rig.negotiate(test::ring_features | feature(0)));
        ring = std::make_unique<Ring>(rig, 0, 128);
        rig.go();
    }
    u64 place(std::span<const u8> bytes) {
        const u64 at = rig.allocate(bytes.size() + 1);
        std::memcpy(rig.memory.host(at, bytes.size()), bytes.data(), bytes.size());
        return at;
    }
    // One request, one answer of at most `room` bytes.
    std::vector<u8> send(std::span<const u8> request, u32 room = 8192, Table table = Table::direct) {
        const u64 mark = rig.mark();
        const u64 in = rig.allocate(room + 1);
        std::vector<Buffer> buffers = {{place(request), static_cast<u32>(request.size()), Direction::to_device}};
        if (room != 0) buffers.push_back({in, room, Direction::from_device});
        const u16 head = ring->add(buffers, table);
        ring->kick();
        const auto used = ring->take();
        EXPECT_TRUE(used.has_value());
        if (!used) return {};
        EXPECT_EQ(used->head, head);
        EXPECT_LE(used->length, room);
        std::vector<u8> answer(used->length);
        EXPECT_TRUE(answer.empty() || rig.dma.read(in, answer));
        rig.release_to(mark);
        return answer;
    }
    template <class... Fields>
    std::vector<u8> call(Request request, const Fields&... fields) {
        auto answer = send(test::message(request, fields...));
        EXPECT_GE(answer.size(), 7u);
        return answer;
    }
    static u32 error(const std::vector<u8>& answer) {
        if (answer.size() < 7) return ~u32{0};
        return answer[4] == 7 ? load_le<u32>(answer.data() + 7) : 0;
    }
    void open_session() {
        ASSERT_EQ(error(call(Request::version, p9::maximum_message, "9P2000.L")), 0u);
        ASSERT_EQ(error(call(Request::attach, u32{0}, p9::no_fid, "root", "", u32{0})), 0u);
    }

    MemoryFolder* folder = nullptr;
    test::Rig rig;
    std::unique_ptr<Ring> ring;
};

class P9DeviceTest : public testing::TestWithParam<Via> {};
INSTANTIATE_TEST_SUITE_P(Transports, P9DeviceTest, testing::Values(Via::mmio, Via::pci), test::via_name);

TEST_P(P9DeviceTest, ShowsItsMountTag) {
    Share share(GetParam());
    EXPECT_EQ(share.rig.function->id(), DeviceId::transport_9p);
    EXPECT_TRUE(share.rig.port->offered() & 1);
    EXPECT_EQ(share.rig.port->queue_maximum(0), 128);
    EXPECT_EQ(share.rig.port->queue_maximum(1), 0);
    EXPECT_EQ(share.rig.port->config(0, 2), 4u);
    std::string tag;
    for (u32 i = 0; i < 4; i++) tag += static_cast<char>(share.rig.port->config(2 + i, 1));
    EXPECT_EQ(tag, "home");
    share.rig.port->set_config(2, 1, 'X');
    EXPECT_EQ(share.rig.port->config(2, 1), u64{'h'});
}

TEST_P(P9DeviceTest, AnswersThroughChainsOfEveryShape) {
    Share share(GetParam());
    share.start();
    share.open_session();
    share.folder->put("file", std::string(20'000, 'f'));
    ASSERT_EQ(Share::error(share.call(Request::walk, u32{0}, u32{1}, u16{1}, "file")), 0u);
    ASSERT_EQ(Share::error(share.call(Request::lopen, u32{1}, u32{2})), 0u);
    ASSERT_EQ(Share::error(share.send(test::message(Request::getattr, u32{1}, u64{0x7ff}), 200, Table::indirect)), 0u);

    // As the client reads without copying: the answer's header in one buffer, the data in pages of the reader.
    auto& rig = share.rig;
    const auto request = test::message(Request::read, u32{1}, u64{0}, u32{12'000});
    const u64 header = rig.allocate(11);
    std::vector<Buffer> buffers = {{share.place(request), static_cast<u32>(request.size()), Direction::to_device},
                                   {header, 11, Direction::from_device}};
    std::vector<u64> pages;
    for (int i = 0; i < 3; i++) {
        pages.push_back(rig.allocate(8192, 4096));
        buffers.push_back({pages.back(), 4096, Direction::from_device});
    }
    share.ring->add(buffers);
    share.ring->kick();
    const auto used = share.ring->take();
    ASSERT_TRUE(used.has_value());
    EXPECT_EQ(used->length, 12'011u);
    EXPECT_EQ(rig.get<u32>(header), 12'011u);
    EXPECT_EQ(rig.get<u32>(header + 7), 12'000u);
    EXPECT_EQ(rig.get_text(pages[0], 4096) + rig.get_text(pages[1], 4096) + rig.get_text(pages[2], 3808),
              std::string(12'000, 'f'));
    EXPECT_EQ(rig.get<u8>(pages[2] + 3808), 0);

    // A write from a header and scattered pieces, some of them empty.
    auto write = test::message(Request::write, u32{1}, u64{5}, u32{9});
    store_le(write.data(), static_cast<u32>(write.size() + 9));
    const u64 text = rig.allocate(16);
    rig.put_text(text, "scattered");
    const u64 answer = rig.allocate(64);
    share.ring->add(
        {{share.place(write), 3, Direction::to_device},
         {share.place(std::span(write).subspan(3)), static_cast<u32>(write.size() - 3), Direction::to_device},
         {text, 0, Direction::to_device},
         {text, 4, Direction::to_device},
         {text + 4, 5, Direction::to_device},
         {answer, 5, Direction::from_device},
         {answer + 5, 59, Direction::from_device}});
    share.ring->kick();
    ASSERT_EQ(share.ring->take()->length, 11u);
    EXPECT_EQ(rig.get<u8>(answer + 4), 119);
    EXPECT_EQ(rig.get<u32>(answer + 7), 9u);
    EXPECT_EQ(share.folder->at("file")->contents.substr(0, 16), "fffffscatteredff");
    EXPECT_TRUE(rig.port->interrupt());
}

TEST_P(P9DeviceTest, MovesTheLargestMessages) {
    Share share(GetParam());
    share.start();
    share.open_session();
    ASSERT_EQ(Share::error(share.call(Request::lcreate, u32{0}, "big", u32{2}, u32{0644}, u32{0})), 0u);
    auto request = test::message(Request::write, u32{0}, u64{0}, u32{p9::maximum_message - 23});
    ASSERT_EQ(request.size(), 23u);
    for (u32 i = 23; i < p9::maximum_message; i++) request.push_back(static_cast<u8>(i * 7 >> 3));
    store_le(request.data(), p9::maximum_message);
    const auto written = share.send(request);
    ASSERT_EQ(Share::error(written), 0u);
    EXPECT_EQ(load_le<u32>(written.data() + 7), p9::maximum_message - 23);
    const auto read = share.send(test::message(Request::read, u32{0}, u64{0}, ~u32{0}), 1 << 20);
    ASSERT_EQ(read.size(), p9::maximum_message - 12);  // what was written, and the header of a shorter kind
    EXPECT_TRUE(std::equal(read.begin() + 11, read.end(), request.begin() + 23));
    request.push_back(0);
    store_le(request.data(), p9::maximum_message + 1);
    EXPECT_NE(Share::error(share.send(request)), 0u);
}

TEST_P(P9DeviceTest, AnswersWhatIsNoMessage) {
    Share share(GetParam());
    share.start();
    share.open_session();
    const std::vector<u8> tiny = {1, 2, 3}, empty(7);
    EXPECT_EQ(Share::error(share.send(tiny)), 71u);
    EXPECT_EQ(Share::error(share.send(empty)), 71u);
    auto lying = test::message(Request::clunk, u32{0});
    store_le(lying.data(), ~u32{0});
    EXPECT_EQ(Share::error(share.send(lying)), 71u);
    EXPECT_EQ(share.send(test::message(Request::clunk, u32{0}), 10).size(), 0u);
    EXPECT_EQ(share.send(test::message(Request::clunk, u32{0}), 0).size(), 0u);
    EXPECT_FALSE(share.rig.needs_reset());
    EXPECT_EQ(Share::error(share.call(Request::clunk, u32{0})), 0u);

    // No request at all, only room.
    const u64 at = share.rig.allocate(64);
    share.ring->add({{at, 64, Direction::from_device}});
    share.ring->kick();
    EXPECT_EQ(share.ring->take()->length, 11u);
    EXPECT_EQ(share.rig.get<u8>(at + 4), 7);
    for (int i = 0; i < 1000; i++) EXPECT_EQ(Share::error(share.send(tiny)), 71u);
    EXPECT_LE(share.rig.sink.lines.size(), Log::guest_line_limit + 1u);
}

TEST_P(P9DeviceTest, AnswersAFullRingAndGivesWayNowAndThen) {
    Share share(GetParam());
    share.start();
    share.open_session();
    const auto request = test::message(Request::getattr, u32{0}, u64{0x7ff});
    const u64 in = share.place(request);
    for (int i = 0; i < 64; i++)
        share.ring->add({{in, static_cast<u32>(request.size()), Direction::to_device},
                         {share.rig.allocate(160), 160, Direction::from_device}});
    share.ring->kick();
    int answers = 0;
    while (share.ring->take()) answers++;
    EXPECT_EQ(answers, 64);

    // More work than one notification does at once: the rest comes by the timers.
    share.folder->put("big", std::string(600'000, 'b'));
    ASSERT_EQ(Share::error(share.call(Request::walk, u32{0}, u32{1}, u16{1}, "big")), 0u);
    ASSERT_EQ(Share::error(share.call(Request::lopen, u32{1}, u32{0})), 0u);
    const auto read = test::message(Request::read, u32{1}, u64{0}, ~u32{0});
    const u64 from = share.place(read), to = share.rig.allocate(p9::maximum_message);
    for (int i = 0; i < 60; i++)
        share.ring->add({{from, static_cast<u32>(read.size()), Direction::to_device},
                         {to, p9::maximum_message, Direction::from_device}});
    share.ring->kick();
    answers = 0;
    while (share.ring->take()) answers++;
    EXPECT_GT(answers, 0);
    EXPECT_LT(answers, 60);
    share.rig.advance(1'000'000);
    while (share.ring->take()) answers++;
    EXPECT_EQ(answers, 60);
}

TEST_P(P9DeviceTest, AResetEndsTheSession) {
    Share share(GetParam());
    share.start();
    share.open_session();
    share.start();
    EXPECT_EQ(Share::error(share.call(Request::clunk, u32{0})), 71u);
    share.open_session();
}

TEST_P(P9DeviceTest, ASavedMachineGoesOn) {
    Share share(GetParam());
    share.start();
    share.open_session();
    share.folder->put("file", "contents");
    ASSERT_EQ(Share::error(share.call(Request::walk, u32{0}, u32{1}, u16{1}, "file")), 0u);
    ASSERT_EQ(Share::error(share.call(Request::lopen, u32{1}, u32{0})), 0u);
    const auto saved = share.rig.save_all();

    Share next(GetParam(), share.folder);
    next.rig.load_all(saved);
    EXPECT_EQ(next.rig.save_all().device, saved.device);
    next.ring = std::make_unique<Ring>(next.rig, *share.ring);
    const auto answer = next.call(Request::read, u32{1}, u64{0}, u32{100});
    ASSERT_EQ(Share::error(answer), 0u);
    EXPECT_EQ(std::string(answer.begin() + 11, answer.end()), "contents");
    share.folder->erase("file");
    Share late(GetParam(), share.folder);
    late.rig.load_all(saved);
    late.ring = std::make_unique<Ring>(late.rig, *share.ring);
    EXPECT_EQ(Share::error(late.call(Request::read, u32{1}, u64{0}, u32{100})), 116u);
    EXPECT_EQ(Share::error(late.call(Request::getattr, u32{0}, u64{0x7ff})), 0u);
}

TEST(P9Device, IsMadeFromASpec) {
    test::Bench bench;
    test::HeapMemory heap;
    GuestMemory memory(heap);
    Dma dma(memory);
    const Wiring wiring{dma, bench.timers, bench.inlet, bench.sink};
    const auto make = [&](std::map<std::string, std::string> values, bool with_folder) {
        DeviceSpec spec;
        spec.name = "virtio-9p-device";
        spec.properties = std::move(values);
        if (with_folder) spec.folder = std::make_unique<MemoryFolder>();
        const auto properties = Properties::check(spec, "mount_tag=TEXT");
        EXPECT_TRUE(properties.ok());
        const auto made = make_9p(spec, *properties, wiring);
        EXPECT_EQ(spec.folder != nullptr, with_folder && !made.ok());  // nothing is taken on error
        return made.ok() ? std::string() : made.error().message;
    };
    EXPECT_EQ(make({{"mount_tag", "home"}}, true), "");
    EXPECT_NE(make({}, true).find("mount_tag"), std::string::npos);
    EXPECT_NE(make({{"mount_tag", ""}}, true).find("mount_tag"), std::string::npos);
    EXPECT_NE(make({{"mount_tag", std::string(256, 't')}}, true).find("255"), std::string::npos);
    EXPECT_NE(make({{"mount_tag", "home"}}, false).find("--share"), std::string::npos);
}

}  // namespace
}  // namespace viv::virtio
