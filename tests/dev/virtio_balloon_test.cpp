// virtio-balloon through both transports: pages taken read as zero and report their writes, pages that do not exist are
// ignored, statistics on request, free page reports, targets, saving with the statistics buffer held.
#include <gtest/gtest.h>

#include <random>

#include "engine/dev/virtio/balloon.h"
#include "tests/dev/virtio_bench.h"

namespace viv::test {
namespace {

using virtio::Balloon;

constexpr u64 pages_at = ram_base + 0x80'0000;

struct VirtioBalloonTest : ::testing::TestWithParam<Via> {
    std::unique_ptr<Rig> rig = make_rig();
    std::map<u16, std::unique_ptr<Ring>> rings;

    static std::unique_ptr<Rig> make_rig() {
        return std::make_unique<Rig>(GetParam(), [](const virtio::Wiring& wiring) {
            return std::make_unique<Balloon>(wiring, Balloon::Options{});
        });
    }
    Balloon& device() { return static_cast<Balloon&>(*rig->function); }
    void SetUp() override {
        ASSERT_TRUE(rig->negotiate(rig->port->offered()));
        for (u16 queue = 0; queue < 4; queue++) rings[queue] = std::make_unique<Ring>(*rig, queue, 16);
        rig->go();
        std::memset(rig->memory.host(pages_at, 16 * page_size), 0x5a, 16 * page_size);
    }
    void send_pages(u16 queue, const std::vector<u32>& numbers) {
        const u64 at = rig->allocate(4 * numbers.size() + 4);
        for (usize i = 0; i < numbers.size(); i++) rig->put<u32>(at + 4 * i, numbers[i]);
        rings[queue]->add({{at, static_cast<u32>(4 * numbers.size()), Direction::to_device}});
        rings[queue]->kick();
        EXPECT_TRUE(rings[queue]->take());
    }
    static u32 number(unsigned page) { return static_cast<u32>(pages_at >> 12) + page; }
    bool zero(unsigned page) {
        return rig->get_text(pages_at + page * page_size, page_size) == std::string(page_size, '\0');
    }
    bool untouched(unsigned page) {
        return rig->get_text(pages_at + page * page_size, page_size) == std::string(page_size, 0x5a);
    }
    void send_statistics(std::initializer_list<std::pair<u16, u64>> records) {
        const u64 at = rig->allocate(10 * records.size());
        u64 to = at;
        for (const auto& [tag, value] : records) {
            rig->put<u16>(to, tag);
            rig->put<u64>(to + 2, value);
            to += 10;
        }
        rings[2]->add({{at, static_cast<u32>(to - at), Direction::to_device}});
        rings[2]->kick();
    }
};

INSTANTIATE_TEST_SUITE_P(Transports, VirtioBalloonTest, ::testing::Values(Via::mmio, Via::pci), via_name);

TEST_P(VirtioBalloonTest, InflatedPagesReadAsZero) {
    std::vector<std::pair<u64, u64>> written;
    rig->memory.set_page_listener([&](u64 address, u64 size) { written.push_back({address, size}); });
    *rig->memory.page_flags(pages_at + 3 * page_size) = page_has_code;
    send_pages(0, {number(0), number(1), number(3), number(2), number(7)});
    for (const unsigned page : {0u, 1u, 2u, 3u, 7u}) EXPECT_TRUE(zero(page)) << page;
    for (const unsigned page : {4u, 5u, 6u, 8u}) EXPECT_TRUE(untouched(page)) << page;
    EXPECT_EQ(written, (std::vector<std::pair<u64, u64>>{{pages_at + 3 * page_size, page_size}}));
    send_pages(1, {number(4)});
    EXPECT_TRUE(untouched(4)) << "deflating changes nothing";
}

TEST_P(VirtioBalloonTest, PagesThatAreNotRamAreIgnored) {
    const u32 last = static_cast<u32>((ram_base + ram_size - page_size) >> 12);
    rig->memory.host(ram_base + ram_size - 1, 1)[0] = 0x5a;
    send_pages(0, {0, 1, ~u32{0}, last, last + 1, last + 2, number(9)});
    EXPECT_EQ(rig->get<u8>(ram_base + ram_size - 1), 0);
    EXPECT_TRUE(zero(9));
    EXPECT_FALSE(rig->sink.lines.empty());
    EXPECT_FALSE(rig->needs_reset());
}

TEST_P(VirtioBalloonTest, TheHostSetsATargetAndTheGuestAnswers) {
    rig->port->take_interrupts();
    device().set_target(1000);
    EXPECT_EQ(rig->port->take_interrupts(), 2u);
    EXPECT_EQ(rig->port->config(0, 4), 1000u);
    rig->port->set_config(4, 4, 700);
    EXPECT_EQ(rig->port->config(4, 4), 700u);
    EXPECT_EQ(device().actual(), 700u);
    rig->port->set_config(0, 4, 5);
    EXPECT_EQ(device().target(), 1000u) << "only the host sets the target";
    rig->port->set_status(0);
    EXPECT_EQ(device().actual(), 0u);
    EXPECT_EQ(rig->port->config(0, 4), 1000u);
}

TEST_P(VirtioBalloonTest, StatisticsComeWhenAskedFor) {
    EXPECT_FALSE(device().request_statistics()) << "the guest has offered none";
    send_statistics({{0, 11}, {4, 44}, {99, 1}});
    EXPECT_EQ(device().statistic(0), 11u);
    EXPECT_EQ(device().statistic(4), 44u);
    EXPECT_EQ(device().statistic(5), std::nullopt);
    EXPECT_EQ(device().statistic(99), std::nullopt);
    EXPECT_FALSE(rings[2]->take()) << "the buffer waits";
    EXPECT_TRUE(device().request_statistics());
    EXPECT_TRUE(rings[2]->take());
    EXPECT_TRUE(rig->port->interrupt());
    EXPECT_FALSE(device().request_statistics());
    send_statistics({{4, 45}});
    EXPECT_EQ(device().statistic(4), 45u);
    EXPECT_EQ(device().statistic(0), 11u);
}

TEST_P(VirtioBalloonTest, ReportedPagesAreDiscardedWhole) {
    const u64 start = pages_at + page_size - 16;
    rings[3]->add({{start, static_cast<u32>(2 * page_size), Direction::from_device},
                   {pages_at + 6 * page_size, static_cast<u32>(2 * page_size), Direction::from_device}});
    rings[3]->kick();
    EXPECT_TRUE(rings[3]->take());
    EXPECT_TRUE(untouched(0));
    EXPECT_TRUE(zero(1)) << "the only whole page of the first buffer";
    EXPECT_TRUE(untouched(2));
    EXPECT_TRUE(zero(6));
    EXPECT_TRUE(zero(7));
    EXPECT_TRUE(untouched(8));
}

TEST_P(VirtioBalloonTest, ASavedMachineStillHoldsTheStatisticsBuffer) {
    send_statistics({{4, 44}});
    device().set_target(5);
    const auto saved = rig->save_all();
    auto other = make_rig();
    other->load_all(saved);
    EXPECT_EQ(other->save_all().device, saved.device);
    auto& balloon = static_cast<Balloon&>(*other->function);
    EXPECT_EQ(balloon.statistic(4), 44u);
    EXPECT_EQ(other->port->config(0, 4), 5u);
    EXPECT_FALSE(balloon.request_statistics());
    other->advance(1);
    EXPECT_EQ(other->save_all().device, saved.device) << "the buffer is held again";
    EXPECT_TRUE(balloon.request_statistics());
    EXPECT_TRUE(Ring(*other, *rings[2]).take());
    rig->port->set_status(0);
    EXPECT_FALSE(device().request_statistics());
}

TEST_P(VirtioBalloonTest, RandomPageNumbersNeverEscape) {
    std::mt19937_64 random(37);
    const u64 mark = rig->mark();
    for (int i = 0; i < 5'000; i++) {
        rig->release_to(mark);
        std::vector<u32> numbers;
        for (u64 n = random() % 20; n > 0; n--)
            numbers.push_back(random() % 2 ? static_cast<u32>(random())
                                           : number(static_cast<unsigned>(random() % 0x900)));
        if (!numbers.empty()) send_pages(static_cast<u16>(random() % 2), numbers);
    }
    EXPECT_FALSE(rig->needs_reset());
}

}  // namespace
}  // namespace viv::test
