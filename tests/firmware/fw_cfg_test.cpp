// fw_cfg as firmware and Linux's qemu_fw_cfg driver use it: signature, directory, data port, DMA, and a guest that
// asks for nonsense.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "engine/firmware/fw_cfg.h"
#include "engine/lang/bytes.h"
#include "tests/dev/device_bench.h"

namespace viv {
namespace {

constexpr u64 data_at = 0, selector_at = 8, dma_at = 16;
constexpr u64 ram = 0x8000'0000, ram_size = 0x1'0000;

struct FwCfgTest : ::testing::Test, test::Bench {
    test::HeapMemory heap;
    GuestMemory memory{heap};
    FwCfg fw_cfg{{Dma(memory), log("fw_cfg")}};

    void SetUp() override {
        ASSERT_TRUE(memory.add(ram, ram_size, GuestMemory::Kind::ram, "ram").ok());
        ASSERT_TRUE(fw_cfg.add_file("etc/hello", {'h', 'e', 'l', 'l', 'o'}).ok());
        ASSERT_TRUE(fw_cfg.add_file("opt/big", std::vector<u8>(5000, 0x5a)).ok());
        fw_cfg.reset();
    }
    void select(u16 key) { fw_cfg.write(selector_at, 2, byte_swap(key)); }
    u8 next() { return static_cast<u8>(fw_cfg.read(data_at, 1)); }
    u32 next_be32() { return byte_swap(static_cast<u32>(fw_cfg.read(data_at, 4))); }
    std::map<std::string, std::pair<u32, u16>> directory() {
        std::map<std::string, std::pair<u32, u16>> files;
        select(FwCfg::file_dir);
        for (u32 left = next_be32(); left != 0; left--) {
            const u32 size = next_be32();
            const auto key = byte_swap(static_cast<u16>(fw_cfg.read(data_at, 2)));
            fw_cfg.read(data_at, 2);
            std::string name;
            for (unsigned i = 0; i < 56; i++)
                if (const u8 c = next(); c != 0) name += static_cast<char>(c);
            files[name] = {size, key};
        }
        return files;
    }
    // Runs a DMA request written at the start of RAM; returns the status word.
    u32 dma(u32 control, u32 length, u64 address, u64 request = ram) {
        u8 bytes[16];
        store_be(bytes, control);
        store_be(bytes + 4, length);
        store_be(bytes + 8, address);
        EXPECT_TRUE(memory.write(request, bytes));
        fw_cfg.write(dma_at, 4, byte_swap(static_cast<u32>(request >> 32)));
        fw_cfg.write(dma_at + 4, 4, byte_swap(static_cast<u32>(request)));
        EXPECT_TRUE(memory.read(request, std::span(bytes).first(4)));
        return load_be<u32>(bytes);
    }
    std::string at(u64 address, usize length) {
        std::vector<u8> bytes(length);
        EXPECT_TRUE(memory.read(address, bytes));
        return {bytes.begin(), bytes.end()};
    }
};

TEST_F(FwCfgTest, SignatureAndFeatures) {
    EXPECT_EQ(fw_cfg.read(data_at, 4), load_le<u32>("QEMU")) << "the signature is selected at power-on";
    EXPECT_EQ(fw_cfg.read(data_at, 4), 0u) << "zeros behind the end";
    select(FwCfg::id);
    EXPECT_EQ(fw_cfg.read(data_at, 4), 3u);
    EXPECT_EQ(fw_cfg.read(dma_at, 8), load_le<u64>("QEMU CFG"));
    EXPECT_EQ(fw_cfg.read(dma_at + 4, 4), load_le<u32>(" CFG"));
}

TEST_F(FwCfgTest, FilesByName) {
    const auto files = directory();
    ASSERT_EQ(files.size(), 2u);
    const auto [size, key] = files.at("etc/hello");
    EXPECT_EQ(size, 5u);
    EXPECT_GE(key, 0x20);
    EXPECT_EQ(files.at("opt/big").first, 5000u);
    select(key);
    EXPECT_EQ(next(), 'h');
    EXPECT_EQ(fw_cfg.read(data_at, 8), load_le<u64>("ello\0\0\0"));
    select(key | 0x4000);
    EXPECT_EQ(next(), 'h') << "write mode changes nothing";
    select(0x1234);
    EXPECT_EQ(fw_cfg.read(data_at, 8), 0u);
}

TEST_F(FwCfgTest, AddingRefusesBadNames) {
    EXPECT_FALSE(fw_cfg.add_file("etc/hello", {}).ok());
    EXPECT_FALSE(fw_cfg.add_file("", {}).ok());
    EXPECT_FALSE(fw_cfg.add_file(std::string(56, 'x'), {}).ok());
    EXPECT_TRUE(fw_cfg.add_file(std::string(55, 'x'), {}).ok());
    EXPECT_EQ(directory().count(std::string(55, 'x')), 1u);
}

TEST_F(FwCfgTest, ItemsHaveTheirWidths) {
    fw_cfg.set_u16(FwCfg::nb_cpus, 4);
    fw_cfg.set_u64(FwCfg::ram_size, ram_size);
    fw_cfg.set_text(FwCfg::cmdline_data, "quiet");
    select(FwCfg::nb_cpus);
    EXPECT_EQ(fw_cfg.read(data_at, 4), 4u);
    select(FwCfg::ram_size);
    EXPECT_EQ(fw_cfg.read(data_at, 8), ram_size);
    EXPECT_EQ(dma(u32{FwCfg::cmdline_data} << 16 | 0x08 | 0x02, 6, ram + 0x100), 0u);
    EXPECT_EQ(at(ram + 0x100, 6), std::string("quiet\0", 6));
}

TEST_F(FwCfgTest, DmaSelectsReadsAndSkips) {
    const u16 key = directory().at("etc/hello").second;
    EXPECT_EQ(dma(u32{key} << 16 | 0x08 | 0x02, 3, ram + 0x100), 0u);
    EXPECT_EQ(at(ram + 0x100, 3), "hel");
    EXPECT_EQ(dma(0x02, 4, ram + 0x200), 0u);
    EXPECT_EQ(at(ram + 0x200, 4), std::string("lo\0\0", 4)) << "goes on where it was, zeros behind the end";
    EXPECT_EQ(dma(u32{key} << 16 | 0x08 | 0x04, 4, 0), 0u);
    EXPECT_EQ(next(), 'o');
    EXPECT_EQ(dma(u32{key} << 16 | 0x08, 0, 0), 0u);
    EXPECT_EQ(next(), 'h');
    EXPECT_EQ(dma(u32{key} << 16 | 0x08 | 0x10, 1, ram), 1u) << "files cannot be written";
    EXPECT_EQ(next(), 'h');
}

TEST_F(FwCfgTest, DmaStaysInsideRam) {
    const u16 key = directory().at("opt/big").second;
    const u32 read = u32{key} << 16 | 0x08 | 0x02;
    EXPECT_EQ(dma(read, 5000, ram + ram_size - 4999), 1u);
    EXPECT_EQ(dma(read, 0xffff'ffff, ram + 0x100), 1u);
    EXPECT_EQ(dma(read, 16, ~u64{0} - 7), 1u);
    EXPECT_EQ(at(ram + 0x100, 1), std::string(1, '\0'));
    EXPECT_EQ(dma(read, 0, 0), 0u) << "nothing to nowhere is fine";
    EXPECT_EQ(dma(read, 5000, ram + ram_size - 5000), 0u);
    EXPECT_EQ(at(ram + ram_size - 1, 1), "\x5a");
    // A request that is itself outside RAM gets no answer and does no harm.
    fw_cfg.write(dma_at, 8, byte_swap(u64{0x1000}));
    fw_cfg.write(dma_at, 8, byte_swap(ram + ram_size - 8));
    // One that is overwritten by what it reads still ends with a status word.
    EXPECT_EQ(dma(read, 64, ram), 0u);
}

TEST_F(FwCfgTest, GoesOnAfterSaving) {
    select(directory().at("etc/hello").second);
    next();
    next();
    fw_cfg.write(dma_at, 4, byte_swap(u32{0}));
    const auto saved = test::save(fw_cfg);
    FwCfg other({Dma(memory), log()});
    ASSERT_TRUE(other.add_file("etc/hello", {'h', 'e', 'l', 'l', 'o'}).ok());
    ASSERT_TRUE(test::load(other, saved).ok());
    EXPECT_EQ(test::save(other), saved);
    EXPECT_EQ(other.read(data_at, 2), load_le<u16>("ll"));
    fw_cfg.reset();
    EXPECT_EQ(next(), 'Q');
}

TEST_F(FwCfgTest, SurvivesRandomAccesses) {
    std::mt19937_64 random(4);
    test::random_accesses(fw_cfg, FwCfg::mmio_size + 16, 100'000, [&](auto&) {
        dma(static_cast<u32>(random()), static_cast<u32>(random() >> (random() % 64)), ram + random() % (2 * ram_size));
        select(static_cast<u16>(random() % 48));
    });
}

}  // namespace
}  // namespace viv
