// The code that comes of instructions and small loops: IR as built, IR after the passes, promoted slots and host code,
// against the files in tests/golden/code, so that a change of a builder, a pass or a backend shows in review.
// VIV_GOLDEN=write makes the test write those files that differ. Disassembly is for the reader and never compared.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "engine/ir/parse.h"
#include "engine/ir/print.h"
#include "engine/ir/verify.h"
#include "engine/isa/riscv/build.h"
#include "engine/isa/riscv/rv_c.h"
#include "engine/jit/loops.h"
#include "engine/jit/region.h"
#include "tests/golden/code_listing.h"
#include "tests/lockstep/exec_oracle_machine.h"

namespace viv::golden {

// As googletest names it, which looks for this beside the type.
void PrintTo(const CodeGroup& group, std::ostream* out) { *out << group.name; }

namespace {

std::vector<CodeGroup> all_groups() {
    std::vector<CodeGroup> all = instruction_groups();
    for (CodeGroup& group : loop_groups()) all.push_back(std::move(group));
    return all;
}

std::string file_of(const CodeGroup& group) { return std::string("tests/golden/code/") + group.name + ".txt"; }

class GoldenCode : public ::testing::TestWithParam<CodeGroup> {};

TEST_P(GoldenCode, IsThatOfTheFile) {
    const CodeGroup& group = GetParam();
    const std::string name = file_of(group), path = std::string(VIV_SOURCE_FOLDER "/") + name;
    std::ostringstream golden;
    if (std::ifstream in(path, std::ios::binary); in.good()) golden << in.rdbuf();
    const char* wish = std::getenv("VIV_GOLDEN");
    const bool writes = wish != nullptr && std::strcmp(wish, "write") == 0;
    ASSERT_TRUE(writes || !golden.str().empty()) << path << " cannot be read";
    constexpr usize lines_shown = 12;
    const std::vector<Part> wanted = parts_of(golden.str());
    if (difference(wanted, translated(group, Disassembly::without), 0).empty()) return;
    const std::vector<Part> now = translated(group, Disassembly::with);
    if (writes) {
        const std::string text = text_of(now);
        ASSERT_NE(text.find(" | jmp"), text.npos) << "what is written is disassembled by objdump (binutils)";
        std::ofstream out(path, std::ios::binary | std::ios::trunc);
        out << text;
        ASSERT_TRUE(out.flush().good()) << path << " cannot be written";
        GTEST_SKIP() << name << " has been written: look at what changed before committing it";
    }
    FAIL() << "generated code is no longer that of " << name << " (-: in the file, +: now):\n"
           << difference(wanted, now, lines_shown)
           << "If that is what the change was to bring about, write the files anew and commit them:\n"
              "VIV_GOLDEN=write build/dev/bin/test_golden";
}

// What a listing shows of a block is all of it.
TEST_P(GoldenCode, IsOfBlocksThatParseAndVerify) {
    const ir::SlotTable slots = golden_slots();
    const std::vector<ir::Helper> helpers = riscv::block_helpers();
    for (const CodeCase& one : GetParam().cases) {
        const Translation made = translate(GetParam(), one);
        ASSERT_FALSE(made.region.blocks.empty()) << one.name;
        for (const std::vector<ir::Block>& blocks : {made.built, made.region.blocks})
            for (const ir::Block& block : blocks) {
                const std::string text = ir::print(block, slots);
                const auto verified = ir::verify(block, slots);
                EXPECT_TRUE(verified.ok()) << one.name << ": " << verified.error().message << "\n" << text;
                const auto parsed = ir::parse(text, slots, helpers);
                ASSERT_TRUE(parsed.ok()) << one.name << ": " << parsed.error().message << "\n" << text;
                EXPECT_EQ(ir::print(*parsed, slots), text) << one.name;
            }
    }
}

INSTANTIATE_TEST_SUITE_P(Of, GoldenCode, ::testing::ValuesIn(all_groups()),
                         [](const auto& group) { return std::string(group.param.name); });

TEST(GoldenCodeCases, TextsAreWhatTheWordsMean) {
    riscv::test::Machine machine({.xlen = 64, .vlen = 128, .code_pages = 8});
    static_assert(code_base == riscv::test::rom_base);
    u8* const rom = machine.memory().host(code_base, page_size);
    const auto single_spaces = [](std::string_view text) {
        std::string out;
        for (const char c : text)
            if (c != ' ' || out.back() != ' ') out += c;
        return out;
    };
    for (const CodeGroup& group : all_groups())
        for (const CodeCase& one : group.cases) {
            u64 pc = code_base;
            for (const Instruction& instruction : one.code) {
                store_le(rom + (pc - code_base), instruction.word);
                const auto [text, length] = machine.hart().disassemble(pc);
                std::string whole = single_spaces(text);
                if (instruction.length() == 2)
                    whole = riscv::compressed_name(static_cast<u16>(instruction.word), 64) + (" = " + whole);
                EXPECT_EQ(length, instruction.length());
                EXPECT_EQ(instruction.text, whole) << group.name << ", " << one.name;
                pc += length;
            }
        }
}

TEST(GoldenCodeCases, LoopsAreLoops) {
    for (const CodeGroup& group : loop_groups())
        for (const CodeCase& one : group.cases) {
            const Translation made = translate(group, one);
            const std::vector<unsigned> depths = jit::loops_of(made.region).depths;
            EXPECT_GT(*std::max_element(depths.begin(), depths.end()), 0u) << one.name;
        }
}

TEST(GoldenCodeFiles, EachIsOfAGroup) {
    std::set<std::string> known;
    for (const CodeGroup& group : all_groups()) EXPECT_TRUE(known.insert(file_of(group)).second) << group.name;
    for (const auto& file : std::filesystem::directory_iterator(VIV_SOURCE_FOLDER "/tests/golden/code"))
        EXPECT_TRUE(known.contains("tests/golden/code/" + file.path().filename().string())) << file.path();
}

TEST(GoldenCodeFiles, DifferencesAreThoseOfBytesAndText) {
    const std::vector<Part> golden = parts_of(
        "# head\n\n== a\nIR:\n  set x1, %2\n     0: 90 90                              | nop\n"
        "     2: c3                                 | ret\nexit 0: left\n\n== b\n     0: c3\n");
    EXPECT_EQ(golden.size(), 3u);
    EXPECT_EQ(text_of(golden).substr(0, 13), "# head\n\n== a\n");
    EXPECT_EQ(parts_of(text_of(golden)).at(1).lines, golden[1].lines);

    // Another disassembler, or none.
    std::vector<Part> now = golden;
    now[1].lines = {"IR:", "  set x1, %2", "     0: 90                              | xchg   eax,eax", "     1: 90 c3",
                    "exit 0: left"};
    EXPECT_EQ(difference(golden, now, 9), "");
    now[1].lines[3] = "     1: 90 cb";
    EXPECT_EQ(difference(golden, now, 1),
              "case 'a' differs\n    set x1, %2\n-      0: 90 90                              | nop\n"
              "+      0: 90                              | xchg   eax,eax\n");
    now = golden;
    now[1].lines[1] = "  set x2, %2";
    now[2].name = "c";
    EXPECT_EQ(difference(golden, now, 1),
              "case 'b' is only in the file\ncase 'a' differs\n  IR:\n-   set x1, %2\n+   set x2, %2\n"
              "case 'c' is not in the file\n");
}

}  // namespace
}  // namespace viv::golden
