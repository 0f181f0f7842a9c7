// virtio-scsi through both transports: addressing, data and residuals, sense, several queues, task management while
// commands are under way, resets and saves with commands in flight.
#include "engine/dev/virtio/scsi.h"
#include "tests/dev/scsi_bench.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

enum Response : u8 { ok, overrun, aborted, bad_target, reset, failure = 9, succeeded = 10, rejected = 11, no_lun = 12 };

struct VirtioScsiTest : ::testing::TestWithParam<Via> {
    std::shared_ptr<ScsiDisk> disk = std::make_shared<ScsiDisk>(64 * 512),
                              second = std::make_shared<ScsiDisk>(32 * 512);
    std::unique_ptr<Rig> rig;
    std::vector<std::unique_ptr<Ring>> rings;  // control, events, requests

    std::unique_ptr<Rig> make_rig() {
        return std::make_unique<Rig>(GetParam(), [&](const virtio::Wiring& wiring) {
            auto made = std::make_unique<virtio::Scsi>(wiring, virtio::Scsi::Options{2, 64});
            const auto attach = [&](const char* name, auto from, std::map<std::string, std::string> properties) {
                DeviceSpec spec;
                spec.name = name;
                spec.disk = std::make_unique<ScsiBackEnd>(from);
                spec.properties = std::move(properties);
                EXPECT_TRUE(scsi::attach(*made->scsi_bus(), spec).ok());
            };
            attach("scsi-hd", disk, {{"scsi-id", "2"}});
            attach("scsi-hd", second, {{"scsi-id", "2"}, {"lun", "300"}});
            return made;
        });
    }
    void SetUp() override {
        for (usize i = 0; i < disk->bytes.size(); i++) disk->bytes[i] = static_cast<u8>(i / 512 + i);
        rig = make_rig();
        start();
        for (const u32 lun : {0u, 300u}) EXPECT_EQ(status(send({0, 0, 0, 0, 0, 0}, 0, 0, lun)), 2) << "power-on";
    }
    void start() {
        ASSERT_TRUE(rig->negotiate(rig->port->offered()));
        rings.clear();
        for (u16 i = 0; i < 4; i++) rings.push_back(std::make_unique<Ring>(*rig, i, 64));
        rig->go();
    }

    struct Sent {
        u64 response, data;
    };
    static constexpr u32 header = 19 + 32, response_size = 12 + 96;
    u64 put_lun(u64 at, u32 lun, u8 target = 2) {
        rig->put<u8>(at, 1);
        rig->put<u8>(at + 1, target);
        rig->put<u8>(at + 2, static_cast<u8>(0x40 | lun >> 8));
        rig->put<u8>(at + 3, static_cast<u8>(lun));
        return at;
    }
    Sent send(const Bytes& cdb, u32 in, u32 out = 0, u32 lun = 0, u64 id = 7, u16 queue = 2, u8 target = 2) {
        const u64 request = rig->allocate(header);
        const Sent sent{rig->allocate(response_size), rig->allocate(std::max(in, out) + 1)};
        put_lun(request, lun, target);
        rig->put<u64>(request + 8, id);
        for (usize i = 0; i < cdb.size(); i++) rig->put<u8>(request + 19 + i, cdb[i]);
        rig->put<u8>(sent.response + 11, 0xee);
        std::vector<Buffer> buffers{{request, header, Direction::to_device}};
        if (out != 0) buffers.push_back({sent.data, out, Direction::to_device});
        buffers.push_back({sent.response, response_size, Direction::from_device});
        if (in != 0) buffers.push_back({sent.data, in, Direction::from_device});
        rings[queue]->add(buffers);
        rings[queue]->kick();
        return sent;
    }
    u32 residual(const Sent& sent) { return rig->get<u32>(sent.response + 4); }
    u8 status(const Sent& sent) { return rig->get<u8>(sent.response + 10); }
    u8 response(const Sent& sent) { return rig->get<u8>(sent.response + 11); }
    // Where the response to a task management function will be.
    u64 manage(u32 function, u32 lun = 0, u64 id = 0, u8 target = 2) {
        const u64 request = rig->allocate(24), answer = rig->allocate(1);
        rig->put<u32>(request + 4, function);
        put_lun(request + 8, lun, target);
        rig->put<u64>(request + 16, id);
        rig->put<u8>(answer, 0xee);
        rings[0]->add({{request, 24, Direction::to_device}, {answer, 1, Direction::from_device}});
        rings[0]->kick();
        return answer;
    }
    Bytes read_10(u8 block, u8 count) { return {0x28, 0, 0, 0, 0, block, 0, 0, count, 0}; }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioScsiTest, ::testing::Values(Via::mmio, Via::pci), via_name);

TEST_P(VirtioScsiTest, ConfigurationTellsTheTruth) {
    EXPECT_EQ(rig->port->config(0, 4), 2u);
    EXPECT_EQ(rig->port->config(4, 4), 62u) << "seg_max";
    EXPECT_EQ(rig->port->config(20, 4), 96u);
    EXPECT_EQ(rig->port->config(24, 4), 32u);
    EXPECT_EQ(rig->port->config(30, 2), 255u);
    EXPECT_EQ(rig->port->config(32, 4), 16383u);
    rig->port->set_config(20, 4, 18);
    rig->port->set_config(24, 4, 0);
    rig->port->set_config(0, 4, 9);
    EXPECT_EQ(rig->port->config(20, 4), 18u);
    EXPECT_EQ(rig->port->config(24, 4), 32u);
    EXPECT_EQ(rig->port->config(0, 4), 2u);
    rig->port->set_status(0);
    EXPECT_EQ(rig->port->config(20, 4), 96u);
}

TEST_P(VirtioScsiTest, DataAndResiduals) {
    const Sent read = send(read_10(3, 2), 1024);
    EXPECT_EQ(response(read), ok);
    EXPECT_EQ(residual(read), 0u);
    EXPECT_EQ(std::memcmp(rig->memory.host(read.data, 1024), &disk->bytes[3 * 512], 1024), 0);
    rings[2]->take(), rings[2]->take();  // of the start
    EXPECT_EQ(rings[2]->take()->length, response_size + 1024);
    const Sent more_room = send(read_10(3, 1), 2048, 0, 0, 7, 3);
    EXPECT_EQ(residual(more_room), 2048u - 512);
    EXPECT_EQ(rings[3]->take()->length, response_size + 512);
    EXPECT_EQ(response(send(read_10(3, 2), 512)), overrun);
    const Sent write = send({0x2a, 0, 0, 0, 0, 5, 0, 0, 1, 0}, 0, 1024, 300);
    EXPECT_EQ(response(write), ok);
    EXPECT_EQ(residual(write), 512u);
    EXPECT_EQ(second->operations, (std::vector{block::Operation::write}));
    EXPECT_EQ(response(send(read_10(0, 1), 512, 512)), failure) << "both ways";
}

TEST_P(VirtioScsiTest, AddressesAndSense) {
    EXPECT_EQ(response(send({0, 0, 0, 0, 0, 0}, 0, 0, 0, 7, 2, 1)), bad_target);
    const Sent none = send({0, 0, 0, 0, 0, 0}, 0, 0, 5);
    EXPECT_EQ(response(none), ok);
    EXPECT_EQ(status(none), 2);
    EXPECT_EQ(rig->get<u32>(none.response), 18u) << "sense_len";
    EXPECT_EQ(rig->get<u8>(none.response + 12 + 12), 0x25);
    const Sent beyond = send(read_10(64, 1), 512);
    EXPECT_EQ(rig->get<u8>(beyond.response + 12 + 2), 5);
    EXPECT_EQ(residual(beyond), 512u);
}

TEST_P(VirtioScsiTest, ShortRequestsBreakTheDevice) {
    const u64 request = rig->allocate(header);
    rings[2]->add({{request, header - 1, Direction::to_device}, {request, response_size, Direction::from_device}});
    rings[2]->kick();
    EXPECT_TRUE(rig->needs_reset());
    start();
    rings[0]->add({{request, 3, Direction::to_device}, {request, 1, Direction::from_device}});
    rings[0]->kick();
    EXPECT_TRUE(rig->needs_reset());
}

TEST_P(VirtioScsiTest, TasksAreManaged) {
    disk->late = second->late = true;
    const Sent one = send(read_10(0, 1), 512, 0, 0, 11), two = send(read_10(1, 1), 512, 0, 0, 12, 3),
               other = send(read_10(0, 1), 512, 0, 300, 11);
    EXPECT_EQ(rig->get<u8>(manage(6, 0, 12)), succeeded) << "query task";
    EXPECT_EQ(rig->get<u8>(manage(6, 0, 13)), ok);
    EXPECT_EQ(rig->get<u8>(manage(7)), succeeded) << "query task set";
    const u64 abort = manage(0, 0, 11);
    EXPECT_EQ(rig->get<u8>(abort), 0xee) << "the task is not over";
    disk->complete();
    EXPECT_EQ(response(one), aborted);
    EXPECT_EQ(rig->get<u8>(abort), ok);
    EXPECT_EQ(response(two), ok);
    const Sent third = send(read_10(1, 1), 512);
    const u64 unit_reset = manage(5);
    EXPECT_EQ(rig->get<u8>(unit_reset), 0xee);
    disk->complete();
    EXPECT_EQ(response(third), reset);
    EXPECT_EQ(rig->get<u8>(unit_reset), ok);
    disk->late = false;
    EXPECT_EQ(status(send(read_10(1, 1), 512)), 2) << "the attention";
    const u64 nexus = manage(4);
    second->complete();
    EXPECT_EQ(response(other), reset);
    EXPECT_EQ(rig->get<u8>(nexus), ok);
    EXPECT_EQ(rig->get<u8>(manage(2)), rejected) << "clear ACA";
    EXPECT_EQ(rig->get<u8>(manage(99)), rejected);
    EXPECT_EQ(rig->get<u8>(manage(0, 9, 1)), no_lun);
    EXPECT_EQ(rig->get<u8>(manage(0, 0, 1, 9)), bad_target);
    EXPECT_EQ(rig->get<u8>(manage(1)), ok) << "nothing is left to abort";
}

TEST_P(VirtioScsiTest, NotificationsAreNone) {
    const u64 request = rig->allocate(16), answer = rig->allocate(8);
    rig->put<u32>(request, 2);
    put_lun(request + 4, 0);
    rig->put<u32>(request + 12, 0xffff);
    rig->put<u64>(answer, ~u64{0});
    rings[0]->add({{request, 16, Direction::to_device}, {answer, 5, Direction::from_device}});
    rings[0]->kick();
    EXPECT_EQ(rig->get<u32>(answer), 0u);
    EXPECT_EQ(rig->get<u8>(answer + 4), ok);
    rings[1]->add({{answer, 8, Direction::from_device}});
    rings[1]->kick();
    EXPECT_FALSE(rings[1]->take()) << "its buffer waits";
}

TEST_P(VirtioScsiTest, ACompletionAfterAResetTouchesNothing) {
    disk->late = true;
    const Sent sent = send(read_10(0, 1), 512);
    rig->port->set_status(0);
    EXPECT_GE(disk->abandoned, 1u);
    disk->complete();
    EXPECT_EQ(response(sent), 0xee);
    EXPECT_EQ(rig->get<u64>(sent.data), 0u);
    disk->late = false;
    start();
    EXPECT_EQ(status(send(read_10(0, 1), 512)), 2) << "power-on";
    EXPECT_EQ(status(send(read_10(0, 1), 512)), 0);
}

TEST_P(VirtioScsiTest, SavedInTheMiddleOfAnAbort) {
    disk->late = true;
    const Sent one = send(read_10(0, 1), 512, 0, 0, 11), two = send(read_10(1, 1), 512, 0, 0, 12);
    const u64 abort = manage(0, 0, 11);
    const auto saved = rig->save_all();
    disk->waiting.clear();
    auto next = make_rig();
    next->load_all(saved);
    rig = std::move(next);
    rig->advance(1'000'000);
    EXPECT_EQ(response(one), 0xee) << "under way again";
    EXPECT_EQ(rig->get<u8>(abort), 0xee);
    disk->complete();
    EXPECT_EQ(response(one), aborted);
    EXPECT_EQ(rig->get<u8>(abort), ok);
    EXPECT_EQ(response(two), ok);
    EXPECT_EQ(std::memcmp(rig->memory.host(two.data, 512), &disk->bytes[512], 512), 0);
}

}  // namespace
}  // namespace viv::test
