// ELF files: loading, symbols, both classes and byte orders, files for other machines, damaged files.
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "engine/firmware/elf.h"
#include "tests/dev/device_bench.h"
#include "tests/firmware/elf_maker.h"

namespace viv {
namespace {

constexpr u64 ram = 0x8000'0000, ram_size = 0x10'0000;

struct ElfTest : ::testing::Test {
    test::HeapMemory heap;
    GuestMemory memory{heap};
    void SetUp() override {
        ASSERT_TRUE(memory.add(ram, ram_size, GuestMemory::Kind::ram, "ram").ok());
        ASSERT_TRUE(memory.add(0x1000, 0x1000, GuestMemory::Kind::rom, "rom").ok());
    }
    std::vector<u8> bytes(u64 address, usize count) {
        std::vector<u8> out(count);
        EXPECT_TRUE(memory.read(address, out));
        return out;
    }
    static std::string error(std::span<const u8> file, const ElfTarget& target = elf_riscv64) {
        const auto elf = Elf::open("kernel 'x'", file, target);
        return elf.ok() ? "" : elf.error().message;
    }
};

TEST_F(ElfTest, LoadsSegmentsAndZeroesTheRest) {
    test::ElfMaker maker;
    maker.entry = 0xffff'ffff'8000'0004;
    maker.pieces = {{ram + 0x1000, 0xffff'ffff'8000'0000, {1, 2, 3, 4, 5}, 16}, {0x1000, 0x1000, {9, 9}, 0}};
    maker.symbols = {{"start", 0x1234}, {"start2", 0x5678}};
    const auto file = maker.make();
    const auto elf = Elf::open("kernel 'x'", file, elf_riscv64);
    ASSERT_TRUE(elf.ok()) << elf.error().message;
    EXPECT_EQ(elf.value().entry(), ram + 0x1004) << "the entry is a physical address";
    EXPECT_EQ(elf.value().low(), 0x1000u);
    EXPECT_EQ(elf.value().high(), ram + 0x1010);
    ASSERT_EQ(elf.value().segments().size(), 2u);
    ASSERT_TRUE(memory.write(ram + 0x1000, std::vector<u8>(32, 0xee)));
    ASSERT_TRUE(elf.value().load(memory).ok());
    EXPECT_EQ(bytes(ram + 0x1000, 18), (std::vector<u8>{1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xee, 0xee}));
    EXPECT_EQ(bytes(0x1000, 2), (std::vector<u8>{9, 9})) << "ROM too";
    EXPECT_EQ(elf.value().symbol("start"), 0x1234u);
    EXPECT_EQ(elf.value().symbol("start2"), 0x5678u);
    EXPECT_EQ(elf.value().symbol("star"), std::nullopt);
    EXPECT_EQ(elf.value().symbol("start22"), std::nullopt);
}

TEST_F(ElfTest, BothClassesAndByteOrders) {
    for (const ElfTarget target : {elf_riscv32, elf_riscv64, ElfTarget{20, 32, std::endian::big},
                                   ElfTarget{22, 64, std::endian::big}, ElfTarget{21, 64, std::endian::little}}) {
        test::ElfMaker maker;
        maker.target = target;
        maker.entry = ram;
        maker.pieces = {{ram, ram, {7, 8}, 4}};
        maker.symbols = {{"main", 0x42}};
        const auto file = maker.make();
        const auto elf = Elf::open("kernel 'x'", file, target);
        ASSERT_TRUE(elf.ok()) << elf.error().message;
        EXPECT_TRUE(elf.value().load(memory).ok());
        EXPECT_EQ(elf.value().entry(), ram);
        EXPECT_EQ(elf.value().symbol("main"), 0x42u) << elf_target_name(target);
        EXPECT_EQ(bytes(ram, 2), (std::vector<u8>{7, 8}));
    }
}

TEST_F(ElfTest, AnotherMachinesFileIsNamed) {
    const auto made_for = [](u16 machine, unsigned width, std::endian order) {
        test::ElfMaker maker;
        maker.target = {machine, width, order};
        maker.pieces = {{ram, ram, {1}, 1}};
        return maker.make();
    };
    EXPECT_EQ(error(made_for(183, 64, std::endian::little)),
              "kernel 'x' is an ELF for AArch64 (little endian); this machine is RISC-V 64");
    EXPECT_EQ(error(made_for(62, 64, std::endian::little)),
              "kernel 'x' is an ELF for x86-64; this machine is RISC-V 64");
    EXPECT_EQ(error(made_for(243, 32, std::endian::little)),
              "kernel 'x' is an ELF for RISC-V 32; this machine is RISC-V 64");
    EXPECT_EQ(error(made_for(243, 64, std::endian::big)),
              "kernel 'x' is an ELF for RISC-V 64 (big endian); this machine is RISC-V 64");
    EXPECT_EQ(error(made_for(21, 64, std::endian::big)),
              "kernel 'x' is an ELF for PowerPC 64 (big endian); this machine is RISC-V 64");
    EXPECT_EQ(error(made_for(999, 32, std::endian::little)),
              "kernel 'x' is an ELF for 32-bit machine number 999; this machine is RISC-V 64");
    EXPECT_EQ(error(made_for(21, 64, std::endian::big), {21, 64, std::endian::little}),
              "kernel 'x' is an ELF for PowerPC 64 (big endian); this machine is PowerPC 64 (little endian)");
}

TEST_F(ElfTest, RefusesDamagedAndUnsuitableFiles) {
    test::ElfMaker maker;
    maker.pieces = {{ram, ram, std::vector<u8>(100, 1), 200}};
    const auto good = maker.make();
    EXPECT_EQ(error(good), "");
    EXPECT_NE(error({}), "");
    EXPECT_NE(error(std::span(good).first(10)).find("cut short"), std::string::npos);
    EXPECT_NE(error(std::span(good).first(50)).find("cut short"), std::string::npos);
    EXPECT_NE(error(std::span(good).first(70)).find("program headers"), std::string::npos);
    EXPECT_NE(error(std::span(good).first(good.size() - 1)).find("segment 0"), std::string::npos);
    maker.type = 1;
    EXPECT_NE(error(maker.make()).find("no executable"), std::string::npos);
    maker.type = 2;
    maker.pieces.clear();
    EXPECT_NE(error(maker.make()).find("nothing to load"), std::string::npos);
    maker.pieces = {{~u64{0} - 10, 0, {1}, 100}};
    EXPECT_NE(error(maker.make()).find("impossible"), std::string::npos);
    maker.pieces = {{~u64{0} - 10, 0, {1}, 11}};
    EXPECT_NE(error(maker.make()).find("end of the address space"), std::string::npos);
    auto shrunk = good;
    store_le(shrunk.data() + 64 + 40, u64{50});  // p_memsz below p_filesz
    EXPECT_NE(error(shrunk).find("impossible"), std::string::npos);
}

TEST_F(ElfTest, WritesNothingUnlessAllFits) {
    test::ElfMaker maker;
    maker.pieces = {{ram, ram, {1, 2, 3}, 3}, {ram + ram_size - 1, 0, {4}, 2}};
    const auto file = maker.make();
    const auto elf = Elf::open("kernel 'x'", file, elf_riscv64);
    ASSERT_TRUE(elf.ok());
    const auto loaded = elf.value().load(memory);
    ASSERT_FALSE(loaded.ok());
    EXPECT_NE(loaded.error().message.find("0x800fffff"), std::string::npos) << loaded.error().message;
    EXPECT_EQ(bytes(ram, 3), (std::vector<u8>{0, 0, 0}));
}

TEST_F(ElfTest, PositionIndependentFilesMoveTogether) {
    test::ElfMaker maker;
    maker.type = 3;
    maker.entry = 2;
    maker.pieces = {{0, 0, {1, 2, 3}, 3}, {0x2000, 0x2000, {4}, 1}};
    const auto file = maker.make();
    const auto elf = Elf::open("firmware 'x'", file, elf_riscv64);
    ASSERT_TRUE(elf.ok());
    EXPECT_TRUE(elf.value().position_independent());
    EXPECT_FALSE(elf.value().load(memory).ok());
    ASSERT_TRUE(elf.value().load(memory, ram).ok());
    EXPECT_EQ(bytes(ram + 0x2000, 1), (std::vector<u8>{4}));
}

TEST_F(ElfTest, DamagedFilesNeverCrash) {
    test::ElfMaker maker;
    maker.entry = ram;
    maker.pieces = {{ram, ram, std::vector<u8>(40, 1), 50}, {ram + 0x100, 0, {2}, 1}};
    maker.symbols = {{"main", 1}, {"other", 2}};
    const auto good = maker.make();
    std::mt19937 random(6);
    unsigned opened = 0;
    for (unsigned round = 0; round < 20'000; round++) {
        auto file = good;
        if (random() % 8 == 0) file.resize(random() % file.size());
        for (unsigned i = 0; i < 1 + random() % 3 && !file.empty(); i++)
            file[random() % file.size()] = static_cast<u8>(random() % 2 == 0 ? 0xff : random());
        const auto elf = Elf::open("kernel 'x'", file, elf_riscv64);
        if (!elf.ok()) continue;
        opened++;
        (void)elf.value().load(memory);
        (void)elf.value().symbol("other");
        EXPECT_LT(elf.value().low(), elf.value().high());
    }
    EXPECT_GT(opened, 100u);
}

}  // namespace
}  // namespace viv
