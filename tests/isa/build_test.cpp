// Blocks built from guest code: their IR as text, where they end, what of the mode goes into them, and that every
// instruction makes a sound one.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "engine/ir/parse.h"
#include "engine/ir/print.h"
#include "engine/ir/verify.h"
#include "engine/isa/riscv/build.h"
#include "tests/isa/bench.h"

namespace viv::riscv::test {
namespace {

constexpr u64 rv64 = block_mode::rv64, on = block_mode::rv64 | block_mode::float_on,
              dirty = on | block_mode::float_dirty;
constexpr u64 with_frm(u64 mode, u64 frm) { return mode | frm << block_mode::frm_shift; }

// Code at one address; what is not there cannot be fetched.
class Code final : public CodeReader {
public:
    explicit Code(u64 pc = 0x1000) : pc_(pc) {}
    Code& word(u32 w) {
        for (unsigned i = 0; i < 4; i++) bytes_.push_back(static_cast<u8>(w >> (8 * i)));
        return *this;
    }
    Code& half(u16 h) {
        bytes_.push_back(static_cast<u8>(h));
        bytes_.push_back(static_cast<u8>(h >> 8));
        return *this;
    }
    unsigned read(u64 pc, std::span<u8> out) const override {
        const u64 offset = pc - pc_;
        if (offset >= bytes_.size()) return 0;
        const usize count = std::min<usize>(out.size(), bytes_.size() - offset);
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
        return static_cast<unsigned>(count);
    }

private:
    u64 pc_;
    std::vector<u8> bytes_;
};

ir::Block built(const Code& code, u64 mode = rv64, unsigned limit = 1, u64 pc = 0x1000) {
    const BlockBuilder builder((mode & block_mode::rv64) != 0 ? 64 : 32, (mode & block_mode::vector) != 0);
    ir::Block block = builder.build_block(code, pc, mode, limit);
    if (!block.code.empty()) {
        const auto verified = ir::verify(block, state_slots());
        EXPECT_TRUE(verified.ok()) << verified.error().message;
    }
    return block;
}
std::string text(const Code& code, u64 mode = rv64, unsigned limit = 1, u64 pc = 0x1000) {
    return ir::print(built(code, mode, limit, pc), state_slots());
}
std::string text(u32 word, u64 mode = rv64) { return text(Code().word(word), mode); }
std::string last_line(const std::string& text) { return text.substr(text.rfind('\n', text.size() - 2) + 1); }
usize count(const std::string& text, std::string_view part) {
    usize found = 0;
    for (usize at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) found++;
    return found;
}

// ---- Instructions --------------------------------------------------------------------------------------------------

TEST(Build, IntegerInstructions) {
    EXPECT_EQ(text(addi(5, 6, -1)),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\n%1:i64 = get x6\n%2:i64 = constant 0xffffffffffffffff\n"
              "%3:i64 = add %1, %2\nset x5, %3\njump 0x1004\n");
    EXPECT_EQ(text(0x0073'02bb),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\n%1:i64 = get x6\n%2:i32 = trunc %1\n%3:i64 = get "
              "x7\n%4:i32 = trunc %3\n"
              "%5:i32 = add %2, %4\n%6:i64 = sext %5\nset x5, %6\njump 0x1004\n");  // addw
}

TEST(Build, X0ReadsAsZeroAndTakesNoWrites) {
    EXPECT_EQ(text(addi(5, 0, 7)),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\n%1:i64 = constant 0x0\n%2:i64 = constant 0x7\n%3:i64 = "
              "add %1, %2\n"
              "set x5, %3\njump 0x1004\n");
    EXPECT_EQ(count(text(addi(0, 5, 7)), "set "), 0u);
}

TEST(Build, Rv32KeepsRegistersZeroExtended) {
    EXPECT_EQ(text(addi(5, 6, -1), 0),
              "block pc 0x1000 mode 0x0 size 4\nguest 0x1000\n%1:i64 = get x6\n%2:i32 = trunc %1\n%3:i32 = constant "
              "0xffffffff\n"
              "%4:i32 = add %2, %3\n%5:i64 = zext %4\nset x5, %5\njump 0x1004\n");
    // A jump over the end of the address space.
    EXPECT_EQ(last_line(text(Code(0xffff'fff0).word(jal(0, 0x20)), 0, 1, 0xffff'fff0)), "jump 0x10\n");
    EXPECT_EQ(last_line(text(Code(0xffff'fffc).word(nop()), 0, 8, 0xffff'fffc)), "jump 0x0\n");
}

TEST(Build, LoadsAndStoresMayLeaveBeforeAnythingIsWritten) {
    const std::string load = text(ld(5, 6, 16));
    EXPECT_EQ(count(load, "= load "), 1u);
    EXPECT_LT(load.find("= load "), load.find("set x5"));
    const std::string narrow = text(store(0, 5, 6, -1));  // sb
    EXPECT_EQ(count(narrow, "store.i8 "), 1u);
    // RV32 addresses wrap at 32 bits: lw x5, 0(x6).
    const ir::Block wrapping = built(Code().word(0x0003'2283), 0);
    const auto access = std::find_if(wrapping.code.begin(), wrapping.code.end(),
                                     [](const ir::Inst& inst) { return inst.op == ir::Op::load; });
    ASSERT_NE(access, wrapping.code.end());
    EXPECT_EQ(access->type, ir::Type::i32);
    EXPECT_EQ(wrapping.code[access->a].op, ir::Op::zext);
}

TEST(Build, BranchesJumpsAndTheirHints) {
    EXPECT_EQ(last_line(text(bne(5, 6, -8))), "branch %3, 0xff8, 0x1004\n");
    EXPECT_EQ(last_line(text(jal(0, 8))), "jump 0x1008\n");
    EXPECT_EQ(last_line(text(jal(1, 8))), "jump 0x1008 call\n");
    EXPECT_EQ(last_line(text(jal(5, 8))), "jump 0x1008 call\n");
    EXPECT_EQ(last_line(text(jal(6, 8))), "jump 0x1008\n");
    const auto hint = [](unsigned rd, unsigned rs1) { return built(Code().word(jalr(rd, rs1, 0))).code.back().hint; };
    EXPECT_EQ(hint(0, 1), ir::JumpHint::return_);
    EXPECT_EQ(hint(0, 5), ir::JumpHint::return_);
    EXPECT_EQ(hint(0, 6), ir::JumpHint::none);
    EXPECT_EQ(hint(1, 6), ir::JumpHint::call);
    EXPECT_EQ(hint(1, 1), ir::JumpHint::call);
    // The target is read before the link register is written.
    const std::string own = text(jalr(1, 1, 0));
    EXPECT_LT(own.find("get x1"), own.find("set x1"));
}

TEST(Build, AtomicsAreOperations) {
    EXPECT_EQ(text(0x0062'a2af),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\n%1:i64 = get x5\n%2:i64 = get x6\n%3:i32 = trunc %2\n"
              "%4:i32 = fetch_op add %1, %3\n%5:i64 = sext %4\nset x5, %5\njump 0x1004\n");  // amoadd.w
    EXPECT_EQ(count(text(0x0862'b2af), "= exchange "), 1u);                                  // amoswap.d
    EXPECT_EQ(count(text(0xe062'b2af), "= fetch_op maxu "), 1u);                             // amomaxu.d
    EXPECT_EQ(text(lr_d(5, 6)),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\n%1:i64 = get x6\n%2:i64 = physical.i64 load %1\n"
              "%3:i64 = load_acquire %1\n%4:i8 = constant 0x1\nset reservation_valid, %4\nset reservation_address, %2\n"
              "set reservation_value, %3\nset x5, %3\njump 0x1004\n");
    const std::string conditional = text(sc_d(5, 7, 6));
    EXPECT_EQ(count(conditional, "= physical.i64 store "), 1u);
    EXPECT_EQ(count(conditional, "= compare_exchange "), 1u);
    EXPECT_LT(conditional.find("compare_exchange"), conditional.find("set "));
}

// ---- Where blocks end ----------------------------------------------------------------------------------------------

TEST(Build, TheLimitAndThePageEndABlock) {
    const Code three = Code().word(nop()).half(0x0285).word(nop()).word(nop());
    const ir::Block two = built(three, rv64, 2);
    EXPECT_EQ(two.size, 6u);
    EXPECT_EQ(two.pc, 0x1000u);
    EXPECT_EQ(two.code.back().imm, 0x1006u);
    EXPECT_EQ(built(three, rv64, 100).size, 14u) << "what cannot be fetched ends it";
    EXPECT_EQ(built(three, rv64, 100).code.back().imm, 0x100eu);

    const Code across = Code(0x1ff8).word(nop()).word(nop()).word(nop());
    EXPECT_EQ(built(across, rv64, 100, 0x1ff8).size, 8u);
    EXPECT_EQ(built(across, rv64, 100, 0x1ff8).code.back().imm, 0x2000u);
}

TEST(Build, AnInstructionAcrossPagesIsABlockOfItsOwn) {
    const Code code = Code(0x1ffa).word(nop()).word(addi(5, 6, 1)).word(nop());
    EXPECT_EQ(built(code, rv64, 100, 0x1ffa).size, 4u);
    const ir::Block crossing = built(code, rv64, 100, 0x1ffe);
    EXPECT_EQ(crossing.size, 4u);
    EXPECT_EQ(crossing.code.back().op, ir::Op::jump);
    EXPECT_EQ(crossing.code.back().imm, 0x2002u);
    EXPECT_TRUE(built(Code(0x1ffe).half(0x0513), rv64, 1, 0x1ffe).code.empty()) << "its second half cannot be fetched";
}

TEST(Build, NothingToFetchIsNoBlock) {
    const ir::Block none = built(Code(), rv64, 8);
    EXPECT_TRUE(none.code.empty());
    EXPECT_EQ(none.size, 0u);
}

TEST(Build, IllegalInstructionsAreCalls) {
    const std::string expected =
        "guest 0x1000\n%1:i64 = constant 0x0\n%2:i64 = address 0x1000\n%3:i64 = address 0x1004\n"
        "%4:i64 = call illegal(%1, %2, %3) reads_state writes_state reads_memory writes_memory may_leave "
        "ends_block\nleave\n";
    EXPECT_EQ(text(0xffff'ffff), "block pc 0x1000 mode 0x1 size 4\n" + expected);
    EXPECT_EQ(text(ld(5, 6, 0), 0), "block pc 0x1000 mode 0x0 size 4\n" + expected) << "RV32 has no ld";
    EXPECT_EQ(text(0x0200'1013 | 1 << 7, 0), "block pc 0x1000 mode 0x0 size 4\n" + expected)
        << "RV32 shifts by less than 32";
    EXPECT_EQ(count(text(Code().half(0)), "0x1002\n"), 1u) << "a 16-bit one is two bytes long";
    EXPECT_EQ(text(0x0000'0057), "block pc 0x1000 mode 0x1 size 4\n" + expected) << "no vectors without the extension";
}

TEST(Build, SystemInstructionsEndTheBlock) {
    EXPECT_EQ(text(Code().word(csrrw(5, 0x180, 6)).word(nop()), rv64, 8),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\n%1:i64 = constant 0x180312f3\n%2:i64 = address "
              "0x1000\n%3:i64 = address 0x1004\n"
              "%4:i64 = call csrrw(%1, %2, %3) reads_state writes_state reads_memory writes_memory may_leave "
              "ends_block\nleave\n");
    for (const u32 word : {ecall, ebreak, mret, sret, wfi, sfence_vma_all, 0x0100'000fu})
        EXPECT_EQ(last_line(text(Code().word(word).word(nop()), rv64, 8)), "leave\n");
    EXPECT_EQ(text(Code().word(fence_i).word(nop()), rv64, 8),
              "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\nfence\n%2:i64 = address 0x1004\nset pc, %2\nleave\n");
    EXPECT_EQ(text(0x0ff0'000f), "block pc 0x1000 mode 0x1 size 4\nguest 0x1000\nfence\njump 0x1004\n")
        << "a plain fence does not";
}

TEST(Build, RegistersThatCodeDoesNotDependOnLetItGoOn) {
    // sstatus may change what it depends on, or let interrupts in: the helper says so.
    for (const unsigned number :
         {0x001u, 0x100u, 0x104u, 0x140u, 0x141u, 0x142u, 0x143u, 0x340u, 0x341u, 0x342u, 0x343u}) {
        const std::string block = text(Code().word(csrrw(5, number, 6)).word(nop()), rv64, 8);
        EXPECT_EQ(count(block, "guest "), 2u) << block;
        EXPECT_EQ(count(block, " may_leave\n"), 1u) << block;
    }
    for (const unsigned number : {0x002u, 0x003u, 0x015u, 0x144u, 0x180u, 0x300u, 0x304u, 0x7a1u, 0xc01u})
        EXPECT_EQ(last_line(text(Code().word(csrrw(5, number, 6)).word(nop()), rv64, 8)), "leave\n") << number;
}

TEST(Build, VectorInstructionsAreCallsThatGoOn) {
    const u64 mode = rv64 | block_mode::vector;
    const std::string add = text(Code().word(0x0220'81d7).word(nop()), mode, 8);  // vadd.vv v3, v2, v1
    EXPECT_EQ(count(add, "call vadd.vv(%1, %2, %3) reads_state writes_state may_leave\n"), 1u) << add;
    EXPECT_EQ(count(add, "guest "), 2u);
    const std::string load = text(0x0203'6087, mode);  // vle32.v
    EXPECT_EQ(count(load, "call vle32.v(%1, %2, %3) reads_state writes_state reads_memory writes_memory may_leave\n"),
              1u)
        << load;
}

// ---- Vectors as IR -------------------------------------------------------------------------------------------------

constexpr u64 vectors_on = rv64 | block_mode::vector | block_mode::vector_on;
constexpr u32 vsetvli_e32_m1 = 0x0d00'72d7;  // vsetvli t0, zero, e32, m1, ta, ma: vl is VLMAX
constexpr u32 vsetvli_e32_m2 = 0x0d16'72d7;  // vsetvli t0, a2, e32, m2, ta, ma
constexpr u32 vadd_3_2_1 = 0x0220'81d7;      // vadd.vv v3, v2, v1
constexpr u32 vadd_4_2_6 = 0x0223'0257;      // vadd.vv v4, v2, v6

std::string vector_text(std::initializer_list<u32> words, u64 mode = vectors_on) {
    Code code;
    for (const u32 word : words) code.word(word);
    return text(code, mode, static_cast<unsigned>(words.size()));
}

TEST(BuildVectors, AreIrWhereTheTypeIsKnown) {
    const std::string all = vector_text({vsetvli_e32_m1, vadd_3_2_1});
    EXPECT_EQ(count(all, "call"), 0u) << all;
    EXPECT_EQ(count(all, "= lanes.i32 add"), 1u);
    EXPECT_EQ(count(all, "lane_mask"), 0u) << "all of the register is written";
    EXPECT_EQ(count(all, "set mstatus"), 1u);
    const std::string part = vector_text({vsetvli_e32_m2, vadd_4_2_6});
    EXPECT_EQ(count(part, "call"), 0u);
    EXPECT_EQ(count(part, "= lanes.i32 add"), 2u);
    EXPECT_EQ(count(part, "= lane_mask.i32 0, "), 1u);
    EXPECT_EQ(count(part, "= lane_mask.i32 4, "), 1u);
    EXPECT_EQ(count(vector_text({vsetvli_e32_m2, vadd_4_2_6}, vectors_on | block_mode::of_vlen(512)), "lanes.i32 add"),
              8u);
    EXPECT_EQ(count(vector_text({vsetvli_e32_m2, vadd_4_2_6}, vectors_on | block_mode::of_vlen(1024)), "call vadd.vv"),
              1u)
        << "too long";
}

TEST(BuildVectors, AreCallsWhereItIsNot) {
    EXPECT_EQ(count(vector_text({vadd_3_2_1}), "call vadd.vv"), 1u);
    // VS is off.
    EXPECT_EQ(count(vector_text({vsetvli_e32_m1, vadd_3_2_1}, rv64 | block_mode::vector), "call "), 2u);
    constexpr u32 vsetvl = 0x8060'f2d7;           // vsetvl t0, ra, t1
    constexpr u32 vsetvli_illegal = 0x0200'72d7;  // e8, m1, and a reserved bit
    for (const u32 set : {vsetvl, vsetvli_illegal}) {
        EXPECT_EQ(count(vector_text({set, vadd_3_2_1}), "call "), 2u);
        EXPECT_EQ(count(vector_text({vsetvli_e32_m1, set, vadd_3_2_1}), "call "), 2u) << "what was known is so no more";
    }
    EXPECT_EQ(count(vector_text({vsetvli_e32_m2, vadd_3_2_1}), "call vadd.vv"), 1u) << "no group begins at v3";
    constexpr u32 vadd_masked_to_mask = 0x0020'8057;  // vadd.vv v0, v2, v1, v0.t
    EXPECT_EQ(count(vector_text({vsetvli_e32_m1, vadd_masked_to_mask}), "call vadd.vv"), 1u);
    // A helper in between takes nothing away, but for the length that a load may shorten.
    constexpr u32 vredsum = 0x0220'a1d7, vle32ff = 0x0305'e087;
    EXPECT_EQ(count(vector_text({vsetvli_e32_m1, vredsum, vadd_3_2_1}), "lane_mask"), 0u);
    EXPECT_EQ(count(vector_text({vsetvli_e32_m1, vle32ff, vadd_3_2_1}), "lane_mask"), 1u);
}

TEST(BuildVectors, TransfersNameTheRegistersAndTheirLength) {
    constexpr u32 vle32 = 0x0205'e107, vse32 = 0x0205'6127;  // v2, (a1); v2, (a0)
    const std::string block = vector_text({vsetvli_e32_m2, vle32, vse32});
    EXPECT_EQ(count(block, "load_lanes.i32 v_32, 8, "), 1u) << block;
    EXPECT_EQ(count(block, "store_lanes.i32 v_32, 8, "), 1u);
    // Whole registers need no type, but a vstart.
    constexpr u32 vl2re8 = 0x2285'0107, vsetivli = 0xcd82'7057;
    EXPECT_EQ(count(vector_text({vsetivli, vl2re8}), "load_lanes.i64 v_32, 4, "), 1u);
    EXPECT_EQ(count(vector_text({vl2re8}), "call vl2re8.v"), 1u);
}

TEST(BuildVectors, EveryInstructionBehindATypeMakesASoundBlock) {
    const ir::SlotTable slots = state_slots();
    u32 noise = 1;
    unsigned written = 0;
    for (const unsigned xlen : {64u, 32u})
        for (const unsigned vlen : {128u, 256u, 512u, 1024u}) {
            const BlockBuilder builder(xlen, true);
            const u64 mode =
                (xlen == 64 ? rv64 : 0) | block_mode::vector | block_mode::vector_on | block_mode::of_vlen(vlen);
            for (const InstructionInfo& info : instruction_table()) {
                if (info.operands != Operands::vector) continue;
                for (u32 vtype = 0; vtype < 32; vtype++) {
                    noise = noise * 1664525 + 1013904223;
                    const u32 word = info.encoding.value | (noise & ~info.encoding.mask);
                    const u32 set = vtype << 20 | (noise >> 8 & 31) << 15 | 0x72d7;
                    const ir::Block block = builder.build_block(Code().word(set).word(word), 0x1000, mode, 2);
                    const auto verified = ir::verify(block, slots);
                    ASSERT_TRUE(verified.ok()) << info.name << ": " << verified.error().message;
                    written += block.calls.empty() ? 1 : 0;
                }
            }
        }
    EXPECT_GT(written, 500u);
}

// ---- Floating point and the mode -----------------------------------------------------------------------------------

constexpr u32 fadd_d(unsigned rd, unsigned rs1, unsigned rs2, unsigned rm) {
    return 0x0200'0053 | rd << 7 | rm << 12 | rs1 << 15 | rs2 << 20;
}

TEST(Build, FloatIsIllegalWhileItIsOff) {
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 0)), "call illegal"), 1u);
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 0), on), "call illegal"), 0u);
}

TEST(Build, RoundingModesAreStatic) {
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 3), dirty), "unit 0 up\n"), 1u);
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 7), dirty), "unit 0 nearest_even\n"), 1u);
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 7), with_frm(dirty, 2)), "unit 0 down\n"), 1u);
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 1), with_frm(dirty, 6)), "unit 0 toward_zero\n"), 1u);
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 7), with_frm(dirty, 5)), "call illegal"), 1u);
    EXPECT_EQ(count(text(fadd_d(1, 2, 3, 5), dirty), "call illegal"), 1u);
}

TEST(Build, TheFirstWriteMarksFsDirtyUnlessItIs) {
    const Code twice = Code().word(fadd_d(1, 2, 3, 0)).word(fadd_d(1, 2, 3, 0));
    EXPECT_EQ(count(text(twice, on, 2), "set mstatus"), 1u);
    EXPECT_EQ(count(text(twice, dirty, 2), "mstatus"), 0u);
    constexpr u32 feq_d = 0xa220'a2d3;  // feq.d x5, f1, f2: writes flags alone
    EXPECT_EQ(count(text(feq_d, on), "set mstatus"), 1u);
    EXPECT_EQ(count(text(feq_d, dirty), "mstatus"), 0u);
}

TEST(Build, NarrowFormatsAreBoxed) {
    const std::string single = text(0x0031'70d3, dirty);  // fadd.s f1, f2, f3
    EXPECT_EQ(count(single, "= constant 0x7fc00000\n"), 2u)
        << "a register that is not boxed reads as the canonical NaN";
    EXPECT_EQ(count(single, "= constant 0xffffffff00000000\n"), 1u);
    EXPECT_EQ(text(fadd_d(1, 2, 3, 0), dirty).find("select"), std::string::npos);
}

TEST(Build, TheModeFollowsTheHart) {
    Bench bench({.vlen = 0});
    Hart& hart = bench.hart;
    hart.s.mstatus = 0;
    hart.s.frm = 3;
    EXPECT_EQ(block_mode_of(hart), rv64) << "frm does not matter while FS is off";
    hart.s.mstatus = u64{1} << mstatus::fs_shift;
    EXPECT_EQ(block_mode_of(hart), with_frm(on, 3));
    hart.fp_dirty();
    EXPECT_EQ(block_mode_of(hart), with_frm(dirty, 3));
    Bench vectors({.vlen = 128});
    vectors.hart.s.mstatus = 0;
    EXPECT_EQ(block_mode_of(vectors.hart), rv64 | block_mode::vector);
    vectors.hart.s.mstatus = u64{1} << mstatus::vs_shift;
    EXPECT_EQ(block_mode_of(vectors.hart), vectors_on);
    vectors.hart.vector_dirty();
    EXPECT_EQ(block_mode_of(vectors.hart), vectors_on) << "a block marks it dirty itself";
    Bench wide({.vlen = 512});
    wide.hart.s.mstatus = 0;
    EXPECT_EQ(block_mode::vlen_of(block_mode_of(wide.hart)), 512u);
    Bench narrow({.xlen = 32, .vlen = 0});
    EXPECT_EQ(block_mode_of(narrow.hart), 0u);
}

// ---- All of them ---------------------------------------------------------------------------------------------------

TEST(Build, EveryInstructionMakesASoundBlockInEveryMode) {
    const ir::SlotTable slots = state_slots();
    const auto helpers = block_helpers();
    u32 noise = 1;
    for (const u64 base : {rv64 | block_mode::vector, u64{block_mode::vector}}) {
        const BlockBuilder builder(base == block_mode::vector ? 32 : 64, true);
        for (const InstructionInfo& info : instruction_table()) {
            for (const u64 mode :
                 {base, base | block_mode::float_on, with_frm(base | block_mode::float_on | block_mode::float_dirty, 4),
                  with_frm(base | block_mode::float_on, 7)}) {
                noise = noise * 1664525 + 1013904223;
                const ir::Block block = builder.build_block(
                    Code().word(info.encoding.value | (noise & ~info.encoding.mask)), 0x1000, mode, 4);
                ASSERT_FALSE(block.code.empty());
                ASSERT_EQ(block.mode, mode);
                const auto verified = ir::verify(block, slots);
                ASSERT_TRUE(verified.ok()) << info.name << ": " << verified.error().message;
                const std::string printed = ir::print(block, slots);
                const auto parsed = ir::parse(printed, slots, helpers);
                ASSERT_TRUE(parsed.ok()) << info.name << ": " << parsed.error().message;
                ASSERT_EQ(ir::print(*parsed, slots), printed) << info.name;
            }
        }
    }
}

TEST(Build, HelpersAreSortedAndUnique) {
    const auto helpers = block_helpers();
    EXPECT_TRUE(std::is_sorted(helpers.begin(), helpers.end(),
                               [](const auto& a, const auto& b) { return std::string_view(a.name) < b.name; }));
    std::map<std::string_view, ir::HelperFunction> names;
    for (const ir::Helper& helper : helpers)
        EXPECT_TRUE(names.emplace(helper.name, helper.function).second) << helper.name;
    for (const char* name : {"illegal", "pause", "ecall", "csrrs", "cbo.zero", "vadd.vv", "vsetvli"})
        EXPECT_NE(names[name], nullptr) << name;
}

}  // namespace
}  // namespace viv::riscv::test
