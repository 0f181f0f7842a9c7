// Machines that older versions have saved: the files in tests/golden/saved are opened by every version from theirs on,
// and go on as they would have. Each is the same small machine: a program that has set a UART, the interrupt controller
// and a floating-point register, and counts into 64 pages of memory; the younger ones have a temporary disk. A file is
// never written anew. Whatever writes
// them otherwise gets a new one: VIV_GOLDEN=write makes the test write the one of today's if it is missing.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "engine/block/overlay.h"
#include "engine/control/saved_config.h"
#include "engine/host/bytes_file.h"
#include "engine/lang/bytes.h"
#include "tests/control/fake_machine.h"

namespace viv::test {
namespace {

constexpr u32 program[] = {
    0x8040'02b7,  // lui t0, 0x80400
    0x0202'9293,  // slli t0, t0, 32
    0x0202'd293,  // srli t0, t0, 32: the pages
    0x0000'0313,  // li t1, 0: the counter
    0x1000'0e37,  // lui t3, 0x10000: the UART
    0x05a0'0e93,  // li t4, 0x5a
    0x01de'03a3,  // sb t4, 7(t3): its scratch register
    0x0c00'0e37,  // lui t3, 0xc000: the PLIC
    0x0030'0e93,  // li t4, 3
    0x03de'2423,  // sw t4, 40(t3): the priority of source 10
    0x0000'6f37,  // lui t5, 6
    0x100f'2073,  // csrs sstatus, t5: FS
    0xd20e'8553,  // fcvt.d.w fa0, t4
    0x0013'0313,  // loop: addi t1, t1, 1
    0x03f3'7393,  // andi t2, t1, 63
    0x00c3'9393,  // slli t2, t2, 12
    0x0053'83b3,  // add t2, t2, t0
    0x0063'b423,  // sd t1, 8(t2)
    0xfedf'f06f,  // j loop
};
constexpr u64 before_loop = 13, in_loop = 6;  // instructions
constexpr u64 pages = 0x8040'0000, page_count = 64;
constexpr u64 uart_scratch = 0x1000'0007, plic_priority = 0x0c00'0028;
constexpr u64 saved_after = before_loop + 10'000 * in_loop + 4;  // between the counting and the store

// Over a disk of zeroes.
constexpr u64 disk_size = 200 << 10;
constexpr u64 written[] = {512, 70'000 / 512 * 512, disk_size - 512};  // a sector each, of its place's number

struct Bench {
    std::vector<u8> image = std::vector<u8>(disk_size);
    HeapMemory memory;
    StepClock clock;
    FixedEntropy entropy;
    NullLogSink log;
    std::unique_ptr<Machine> machine;

    enum class Disk : u8 { none, temporary };
    void create(MachineConfig config, Disk disk) {
        if (disk == Disk::temporary) {
            DeviceSpec spec;
            spec.name = "virtio-blk-device";
            auto below = block::open_raw(std::make_unique<host::BytesFile>(image), "zeroes", block::Access::read_only);
            spec.disk = block::make_temporary_overlay(std::move(below).value());
            config.board.devices.push_back(std::move(spec));
        }
        auto made = Machine::create(std::move(config), MachineHost{memory, clock, entropy, log});
        ASSERT_TRUE(made.ok()) << made.error().message;
        machine = std::move(made).value();
    }
    void run_to(u64 total) {
        while (machine->instructions() < total) machine->run({total - machine->instructions(), 0});
    }
    u64 value(std::string_view name) {
        Cpu& cpu = *machine->board().cpus()[0];
        for (const Cpu::Register& each : cpu.registers())
            if (each.name == name) return load_le<u64>(cpu.read_register(each.number).data());
        ADD_FAILURE() << "no register " << name;
        return 0;
    }
    u64 device(u64 address, unsigned size) {
        u64 read = 0;
        EXPECT_TRUE(machine->board().bus().read(address, size, read));
        return read;
    }
    block::Disk* disk() { return machine->plugged().empty() ? nullptr : machine->plugged()[0].disk; }
    void carry_out(block::Operation operation, u64 offset, std::vector<u8>& bytes) {
        block::Status status = block::Status::unsupported;
        disk()->submit({operation, offset, bytes.size(), {bytes}, [&](block::Status done) { status = done; }});
        EXPECT_EQ(status, block::Status::ok);
    }
    void write_disk() {
        for (usize i = 0; i < std::size(written); i++) {
            std::vector<u8> bytes(512, static_cast<u8>(i + 1));
            carry_out(block::Operation::write, written[i], bytes);
        }
    }
    void check_disk() {
        std::vector<u8> content(disk_size), expected(disk_size);
        carry_out(block::Operation::read, 0, content);
        for (usize i = 0; i < std::size(written); i++)
            std::fill_n(expected.data() + written[i], 512, static_cast<u8>(i + 1));
        EXPECT_EQ(content, expected);
    }
    // Everything that the program has done by then.
    void check() {
        if (disk() != nullptr) check_disk();
        const u64 total = machine->instructions();
        ASSERT_GT(total, before_loop);
        const u64 rounds = (total - before_loop) / in_loop, in_round = (total - before_loop) % in_loop;
        const u64 counted = rounds + (in_round > 0 ? 1 : 0), stored = rounds + (in_round > 4 ? 1 : 0);
        EXPECT_EQ(value("t1"), counted);
        EXPECT_EQ(value("t0"), pages);
        EXPECT_EQ(value("fa0"), 0x4008'0000'0000'0000U) << "3.0";
        EXPECT_EQ(device(uart_scratch, 1), 0x5aU);
        EXPECT_EQ(device(plic_priority, 4), 3U);
        for (u64 page = 0; page < page_count; page++) {
            const u64 last = stored - (stored - page) % page_count;
            EXPECT_EQ(load_le<u64>(machine->board().memory().host(pages + page * page_size + 8, 8)), last) << page;
        }
    }
};

// By the format, and by what else has changed since. The last one is as today's are.
constexpr std::string_view names[] = {"riscv-virt-2", "riscv-virt-2-chunks-of-32", "riscv-virt-2-temporary-disk"};

std::string file_of(std::string_view name) {
    return fmt::format("{}/tests/golden/saved/{}.viv", VIV_SOURCE_FOLDER, name);
}

void write_file() {
    Bench bench;
    MachineConfig config;
    config.board.memory = 16 << 20;
    config.board.append = "golden";
    Blob kernel{"program", {}};
    for (const u32 word : program) {
        kernel.bytes.resize(kernel.bytes.size() + 4);
        store_le(kernel.bytes.data() + kernel.bytes.size() - 4, word);
    }
    config.board.kernel = std::move(kernel);
    config.determinism = Determinism::deterministic;
    config.launch = "launch";
    bench.create(std::move(config), Bench::Disk::temporary);
    bench.write_disk();
    bench.run_to(saved_after);
    bench.check();
    VectorSink sink;
    ASSERT_TRUE(bench.machine->save(sink).ok());
    std::ofstream out(file_of(std::end(names)[-1]), std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(sink.bytes.data()), static_cast<std::streamsize>(sink.bytes.size()));
    ASSERT_TRUE(out.flush().good());
}

class GoldenSaved : public testing::TestWithParam<std::string_view> {};

std::vector<u8> read_file(std::string_view name) {
    std::ifstream in(file_of(name), std::ios::binary);
    EXPECT_TRUE(in.good());
    std::ostringstream content;
    content << in.rdbuf();
    const std::string text = content.str();
    return {text.begin(), text.end()};
}

std::shared_ptr<state::Source> source_of(const std::vector<u8>& bytes) {
    return state::Source::of(std::make_unique<host::BytesFile>(bytes));
}

// A machine to restore it into.
void prepare(Bench& bench, const std::vector<u8>& bytes) {
    auto head = Machine::read_head(source_of(bytes));
    ASSERT_TRUE(head.ok()) << head.error().message;
    EXPECT_EQ(head->machine, "riscv-virt");
    EXPECT_EQ(head->launch, "launch");
    EXPECT_EQ(head->append, "golden");
    EXPECT_TRUE(head->deterministic);
    const auto disk = head->devices.empty() ? Bench::Disk::none : Bench::Disk::temporary;
    bench.create(config_of(std::move(*head)), disk);
}

TEST_P(GoldenSaved, OpensAndGoesOn) {
    const char* wish = std::getenv("VIV_GOLDEN");
    if (GetParam() == std::end(names)[-1] && wish != nullptr && std::string_view(wish) == "write" &&
        !std::ifstream(file_of(GetParam())).good()) {
        write_file();
        GTEST_SKIP() << GetParam() << " has been written";
    }
    const auto bytes = read_file(GetParam());
    for (const bool lazily : {false, true}) {
        Bench bench;
        prepare(bench, bytes);
        const auto done = lazily ? bench.machine->open(source_of(bytes)) : bench.machine->restore(source_of(bytes));
        ASSERT_TRUE(done.ok()) << done.error().message;
        EXPECT_EQ(bench.machine->instructions(), saved_after);
        bench.check();
        bench.machine->resume();
        bench.run_to(saved_after + 1'000'003);
        bench.check();
        // The kernel that a reset loads is in the file, too.
        ASSERT_TRUE(bench.machine->reset().ok());
        bench.run_to(bench.machine->instructions() + before_loop + 3 * in_loop);
        EXPECT_EQ(bench.value("t1"), 3U);
    }
}

// The machine stays as it is.
TEST_P(GoldenSaved, EveryFlippedBitAndEveryCutIsRefused) {
    const auto bytes = read_file(GetParam());
    Bench bench;
    prepare(bench, bytes);
    ASSERT_TRUE(bench.machine->restore(source_of(bytes)).ok());
    bench.machine->resume();
    bench.run_to(saved_after + 100);
    const Hash128 before = bench.machine->hash();
    auto damaged = bytes;
    for (usize bit = 0; bit < bytes.size() * 8; bit++) {
        damaged[bit / 8] ^= static_cast<u8>(1U << bit % 8);
        ASSERT_FALSE(bench.machine->restore(source_of(damaged)).ok()) << "bit " << bit;
        damaged[bit / 8] = bytes[bit / 8];
    }
    for (usize size = 0; size < bytes.size(); size++) {
        damaged.assign(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        ASSERT_FALSE(bench.machine->restore(source_of(damaged)).ok()) << size << " bytes";
    }
    EXPECT_EQ(bench.machine->hash(), before);
    EXPECT_EQ(bench.machine->state(), RunState::running);
}

INSTANTIATE_TEST_SUITE_P(Versions, GoldenSaved, testing::ValuesIn(names));

}  // namespace
}  // namespace viv::test
