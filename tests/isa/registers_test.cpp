// What a debugger sees of a hart: the list of registers, their bytes, and what it may write.
#include <algorithm>
#include <set>

#include "tests/isa/bench.h"

namespace viv::riscv::test {
namespace {

const Cpu::Register* find(const Hart& hart, std::string_view name) {
    const auto rows = hart.registers();
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const Cpu::Register& row) { return row.name == name; });
    return found == rows.end() ? nullptr : &*found;
}

TEST(Registers, EveryRowCanBeReadWithItsSize) {
    for (const unsigned xlen : {32u, 64u})
        for (const unsigned vlen : {0u, 128u, 1024u}) {
            HartConfig config;
            config.xlen = xlen;
            config.vlen = vlen;
            Bench bench(config);
            std::set<unsigned> numbers;
            std::set<std::string> names;
            for (const Cpu::Register& row : bench.hart.registers()) {
                EXPECT_TRUE(numbers.insert(row.number).second) << row.name;
                EXPECT_TRUE(names.insert(row.name).second) << row.name;
                // What this hart does not have reads as nothing, which gdb shows as unavailable.
                const auto bytes = bench.hart.read_register(row.number);
                if (!bytes.empty()) {
                    EXPECT_EQ(bytes.size() * 8, row.bits) << row.name;
                }
            }
            EXPECT_EQ(names.contains("v0"), vlen != 0);
            EXPECT_EQ(names.contains("v31"), vlen != 0);
        }
}

TEST(Registers, VectorsAreReadAndWritten) {
    for (const unsigned vlen : {128u, 256u, 1024u}) {
        HartConfig config;
        config.vlen = vlen;
        Bench bench(config);
        for (const unsigned n : {0u, 7u, 31u}) {
            const Cpu::Register* row = find(bench.hart, "v" + std::to_string(n));
            ASSERT_NE(row, nullptr);
            EXPECT_EQ(row->feature, "org.gnu.gdb.riscv.vector");
            EXPECT_EQ(row->type, "riscv_vector");
            EXPECT_EQ(row->bits, vlen);
            std::vector<u8> bytes(vlen / 8);
            for (usize i = 0; i < bytes.size(); i++) bytes[i] = static_cast<u8>(i + n + 1);
            EXPECT_TRUE(bench.hart.write_register(row->number, bytes));
            EXPECT_EQ(bench.hart.read_register(row->number), bytes);
            EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), bench.hart.vector_register(n)));
            bytes.pop_back();
            EXPECT_FALSE(bench.hart.write_register(row->number, bytes));
        }
        EXPECT_EQ(bench.hart.vector_register(1)[0], 0) << "its neighbours keep theirs";
        EXPECT_EQ(bench.hart.vector_register(30)[vlen / 8 - 1], 0);
    }
}

TEST(Registers, WithoutVectorsThereAreNone) {
    HartConfig config;
    config.vlen = 0;
    Bench none(config);
    Bench some;
    const unsigned number = find(some.hart, "v0")->number;
    EXPECT_TRUE(none.hart.read_register(number).empty());
    EXPECT_FALSE(none.hart.write_register(number, std::vector<u8>(16)));
}

// One packet of the debugger's holds what has no gap before it: all that a stop usually wants.
TEST(Registers, IntegersFloatsAndVectorsAreNumberedWithoutAGap) {
    Bench bench;
    std::set<unsigned> numbers;
    for (const Cpu::Register& row : bench.hart.registers()) numbers.insert(row.number);
    unsigned count = 0;
    while (numbers.contains(count)) count++;
    EXPECT_EQ(count, 32u + 1 + 32 + 32);
    EXPECT_EQ(find(bench.hart, "v31")->number, count - 1);
}

}  // namespace
}  // namespace viv::riscv::test
