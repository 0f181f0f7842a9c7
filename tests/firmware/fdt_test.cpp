// Device trees: what the builder writes is what the specification says and what the reader reads; damaged blobs end
// in errors.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/firmware/fdt.h"
#include "engine/lang/bytes.h"

namespace viv {
namespace {

std::vector<u8> sample() {
    FdtBuilder fdt;
    fdt.reserve(0x8000'0000, 0x2'0000);
    const u32 plic = fdt.new_phandle();
    fdt.begin_node("");
    fdt.property_u32("#address-cells", 2);
    fdt.property_u32("#size-cells", 2);
    fdt.property_string("model", "test,board");
    fdt.begin_node("chosen");
    fdt.property_string("bootargs", "console=ttyS0");
    fdt.property_u64("linux,initrd-start", 0x8800'0000);
    fdt.end_node();
    fdt.begin_node("soc");
    fdt.property_empty("ranges");
    fdt.property_strings("compatible", {"simple-bus", "test,soc"});
    fdt.begin_node("serial@10000000");
    fdt.property_string("compatible", "ns16550a");
    fdt.property_u64s("reg", {0x1000'0000, 0x100});
    fdt.property_cells("interrupts-extended", {plic, 10});
    fdt.end_node();
    fdt.begin_node("plic@c000000");
    fdt.property_phandle(plic);
    fdt.property_strings("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
    fdt.property("odd", std::vector<u8>{1, 2, 3});
    fdt.end_node();
    fdt.end_node();
    fdt.end_node();
    return fdt.finish(3);
}

u32 be32(const std::vector<u8>& blob, usize at) { return load_be<u32>(blob.data() + at); }

TEST(FdtBuilder, WritesAVersion17Blob) {
    const auto blob = sample();
    EXPECT_EQ(be32(blob, 0), 0xd00d'feedu);
    EXPECT_EQ(be32(blob, 4), blob.size());
    EXPECT_EQ(blob.size() % 8, 0u);
    EXPECT_EQ(be32(blob, 20), 17u);
    EXPECT_EQ(be32(blob, 24), 16u);
    EXPECT_EQ(be32(blob, 28), 3u);
    EXPECT_EQ(be32(blob, 16) % 8, 0u) << "memory reservations are aligned to 8 bytes";
    EXPECT_EQ(be32(blob, 8) % 4, 0u);
    EXPECT_EQ(be32(blob, be32(blob, 8)), 1u) << "the structure begins with a node";
    EXPECT_EQ(be32(blob, be32(blob, 8) + be32(blob, 36) - 4), 9u) << "and ends with FDT_END";
}

TEST(FdtBuilder, TheSmallestTreeByteForByte) {
    FdtBuilder fdt;
    fdt.begin_node("");
    fdt.property_u32("a", 0x0102'0304);
    fdt.end_node();
    const std::vector<u8> expected{
        0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 0x60, 0,   0, 0, 0x38, 0, 0, 0, 0x58, 0, 0, 0, 0x28, 0, 0, 0, 17,
        0,    0,    0,    16,   0, 0, 0, 0,    0,   0, 0, 2,    0, 0, 0, 0x20,  // header
        0,    0,    0,    0,    0, 0, 0, 0,    0,   0, 0, 0,    0, 0, 0, 0,     // no reservations
        0,    0,    0,    1,    0, 0, 0, 0,    0,   0, 0, 3,    0, 0, 0, 4,    0, 0, 0, 0,    1, 2, 3, 4,  // root, a
        0,    0,    0,    2,    0, 0, 0, 9,    'a', 0, 0, 0,    0, 0, 0, 0,
    };
    EXPECT_EQ(fdt.finish(), expected);
}

TEST(Fdt, ReadsBackWhatWasBuilt) {
    const auto blob = sample();
    const auto parsed = Fdt::parse(blob, "sample");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    const Fdt& tree = parsed.value();
    EXPECT_EQ(tree.node_count(), 5u);
    EXPECT_EQ(tree.boot_cpu(), 3u);
    ASSERT_EQ(tree.reservations().size(), 1u);
    EXPECT_EQ(tree.reservations()[0].address, 0x8000'0000u);
    EXPECT_EQ(tree.reservations()[0].size, 0x2'0000u);
    EXPECT_EQ(tree.value_string(0, "model"), "test,board");
    EXPECT_EQ(tree.value_u32(0, "#size-cells"), 2u);

    const auto serial = tree.find("/soc/serial@10000000");
    ASSERT_TRUE(serial.has_value());
    EXPECT_EQ(tree.find("/soc/serial"), serial) << "the unit address may be left out";
    EXPECT_EQ(tree.find("soc/serial"), std::nullopt);
    EXPECT_EQ(tree.find("/soc/serial@1"), std::nullopt);
    EXPECT_EQ(tree.find("/"), Fdt::Node{0});
    EXPECT_EQ(tree.path(*serial), "/soc/serial@10000000");
    EXPECT_EQ(tree.name(*serial), "serial@10000000");
    EXPECT_EQ(tree.value_cells(*serial, "reg"), (std::vector<u32>{0, 0x1000'0000, 0, 0x100}));
    const auto plic = tree.find_phandle((*tree.value_cells(*serial, "interrupts-extended"))[0]);
    ASSERT_TRUE(plic.has_value());
    EXPECT_EQ(tree.path(*plic), "/soc/plic@c000000");
    EXPECT_EQ(tree.find_compatible("riscv,plic0"), plic);
    EXPECT_EQ(tree.find_compatible("riscv,plic"), std::nullopt);
    EXPECT_EQ(tree.value(*plic, "odd")->size(), 3u);
    EXPECT_EQ(tree.value_cells(*plic, "odd"), std::nullopt);
    EXPECT_EQ(tree.value_u32(*plic, "odd"), std::nullopt);
    EXPECT_EQ(tree.value_string(*plic, "odd"), std::nullopt);
    EXPECT_EQ(tree.value_string(*plic, "compatible"), std::nullopt) << "two strings are not one";

    const auto chosen = tree.find("/chosen");
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(tree.value_u64(*chosen, "linux,initrd-start"), u64{0x8800'0000});
    EXPECT_EQ(tree.value_u64(0, "#size-cells"), 2u);
    EXPECT_EQ(tree.children(0).size(), 2u);
    EXPECT_EQ(tree.children(*tree.find("/soc")).size(), 2u);
    EXPECT_TRUE(tree.value(*tree.find("/soc"), "ranges")->empty());
}

TEST(Fdt, RefusesWhatIsNoTree) {
    const auto refused = [](std::span<const u8> blob, std::string_view problem) {
        const auto result = Fdt::parse(blob, "file 'x'");
        if (result.ok()) return false;
        EXPECT_NE(result.error().message.find("file 'x'"), std::string::npos);
        EXPECT_NE(result.error().message.find(problem), std::string::npos) << result.error().message;
        return true;
    };
    EXPECT_TRUE(refused({}, "is not a flattened device tree"));
    EXPECT_TRUE(refused(std::vector<u8>(100), "is not a flattened device tree"));
    const auto good = sample();
    EXPECT_TRUE(refused(std::span(good).first(good.size() - 1), "cut short"));
    const auto with = [&](usize at, u32 value) {
        auto blob = good;
        store_be(blob.data() + at, value);
        return blob;
    };
    EXPECT_TRUE(refused(with(20, 3), "version"));
    EXPECT_TRUE(refused(with(8, 0xffff'fff0), "outside"));
    EXPECT_TRUE(refused(with(12, 0x7fff'ffff), "outside"));
    EXPECT_TRUE(refused(with(36, 0xffff'ffff), "outside"));
    EXPECT_TRUE(refused(with(16, static_cast<u32>(good.size() - 4)), "reservations"));
    EXPECT_TRUE(refused(with(36, 8), "ends inside"));
    EXPECT_TRUE(refused(with(be32(good, 8), 7), "token"));
    EXPECT_TRUE(refused(with(be32(good, 8), 2), "not begun"));

    FdtBuilder deep;
    deep.begin_node("");
    for (unsigned i = 0; i < Fdt::maximum_depth; i++) deep.begin_node("n");
    for (unsigned i = 0; i <= Fdt::maximum_depth; i++) deep.end_node();
    EXPECT_TRUE(refused(deep.finish(), "deeper"));
}

TEST(Fdt, DamagedBlobsNeverCrash) {
    const auto good = sample();
    std::mt19937 random(9);
    for (unsigned round = 0; round < 30'000; round++) {
        auto blob = good;
        if (random() % 4 == 0) blob.resize(random() % blob.size());
        for (unsigned i = 0; i < 1 + random() % 3 && !blob.empty(); i++)
            blob[random() % blob.size()] = static_cast<u8>(random() % 3 == 0 ? 0xff : random() % 16);
        const auto parsed = Fdt::parse(blob, "damaged");
        if (!parsed.ok()) continue;
        const Fdt& tree = parsed.value();
        for (Fdt::Node node = 0; node < tree.node_count(); node++) {
            EXPECT_FALSE(tree.path(node).empty());
            for (const auto& property : tree.properties(node)) {
                (void)tree.value_strings(node, property.name);
                (void)tree.value_cells(node, property.name);
                (void)tree.value_u64(node, property.name);
            }
        }
        (void)tree.find("/soc/serial");
        (void)tree.find_phandle(1);
    }
}

}  // namespace
}  // namespace viv
