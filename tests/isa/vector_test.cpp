// The vector extension's rules: configuration, what is illegal, what stays undisturbed, vstart, status bits; and
// answers known from the specification.
// The arithmetic itself is compared with QEMU, see tests/lockstep/qemu_user.
#include <random>

#include "tests/isa/vector_bench.h"

namespace viv::riscv::test {
namespace {

constexpr u64 vill = u64{1} << 63;

TEST(Vector, TheLengthIsTheLessOfAvlAndVlmax) {
    struct Row {
        unsigned vlen, sew;
        int lmul;
        u64 vlmax;
    };
    for (const Row& row : {Row{128, 8, 0, 16}, Row{128, 64, 3, 16}, Row{128, 8, -3, 2}, Row{128, 32, -1, 2},
                           Row{256, 16, 1, 32}, Row{1024, 8, 3, 1024}, Row{1024, 64, 0, 16}, Row{512, 16, -2, 8}}) {
        VectorBench b(HartConfig{.vlen = row.vlen});
        for (const u64 avl : {u64{0}, u64{1}, row.vlmax - 1, row.vlmax, row.vlmax + 1, u64{1} << 40}) {
            b.set(vtype(row.sew, row.lmul), avl);
            EXPECT_EQ(b.hart.s.vl, std::min(avl, row.vlmax));
            EXPECT_EQ(b.x(6), b.hart.s.vl);
            EXPECT_EQ(b.hart.s.vtype, vtype(row.sew, row.lmul));
        }
        EXPECT_TRUE(b.execute(csrrs(7, 0xc22, 0)));
        EXPECT_EQ(b.x(7), row.vlen / 8);
    }
}

TEST(Vector, X0AsAvlMeansAllOrTheSame) {
    VectorBench b;
    EXPECT_TRUE(b.execute(vsetvli(7, 0, vtype(8))));
    EXPECT_EQ(b.x(7), 16u);
    b.set(vtype(8), 5);
    EXPECT_TRUE(b.execute(vsetvli(0, 0, vtype(16, 1))));
    EXPECT_EQ(b.hart.s.vl, 5u);
    EXPECT_EQ(b.hart.s.vtype, vtype(16, 1));
    EXPECT_TRUE(b.execute(vsetivli(7, 31, vtype(8, 1))));
    EXPECT_EQ(b.x(7), 31u);
    b.x(8) = vtype(64, 0);
    b.x(9) = 77;
    EXPECT_TRUE(b.execute(vsetvl(7, 9, 8)));
    EXPECT_EQ(b.x(7), 2u);
}

TEST(Vector, AnUnsupportedTypeSetsVillAndThenVectorInstructionsAreIllegal) {
    VectorBench b;
    for (const u64 type :
         {u64{4}, u64{0x20}, u64{0x100}, u64{1} << 63, u64{vtype(64, -1)}, u64{vtype(16, -3)}, u64{vtype(32, -2)}}) {
        b.set(vtype(8), 16);
        b.x(8) = type;
        b.x(9) = 1;
        EXPECT_TRUE(b.execute(vsetvl(7, 9, 8)));
        EXPECT_EQ(b.hart.s.vtype, vill) << type;
        EXPECT_EQ(b.hart.s.vl, 0u);
        EXPECT_EQ(b.x(7), 0u);
        EXPECT_TRUE(b.illegal(op_v(0, opivv, 1, 2, 3)));
        EXPECT_TRUE(b.illegal(vle(8, 1, 2)));
        EXPECT_TRUE(b.illegal(op_v(0x10, opmvv, 1, 2, 0)));  // vmv.x.s
    }
    // Whole registers move to and from memory all the same.
    b.x(10) = ram_base + 0x2000;
    EXPECT_TRUE(b.execute(vse(8, 8, 10, Unit::whole)));
    EXPECT_TRUE(b.execute(vle(64, 8, 10, Unit::whole, 8)));
}

TEST(Vector, NothingWorksWithTheUnitOff) {
    VectorBench b;
    b.set(vtype(32), 4);
    b.hart.s.mstatus &= ~mstatus::vs;
    EXPECT_TRUE(b.illegal(op_v(0, opivv, 1, 2, 3)));
    EXPECT_TRUE(b.illegal(vsetvli(1, 2, 0)));
    EXPECT_TRUE(b.illegal(vle(8, 8, 10, Unit::whole)));
    EXPECT_TRUE(b.illegal(csrrs(7, 0xc20, 0)));
    b.hart.s.mstatus |= mstatus::vs;
    b.hart.s.mstatus &= ~mstatus::fs;
    EXPECT_FALSE(b.illegal(op_v(0, opivv, 1, 2, 3)));
    EXPECT_TRUE(b.illegal(op_v(0, opfvv, 1, 2, 3)));     // vfadd.vv
    EXPECT_TRUE(b.illegal(op_v(0x10, opfvv, 1, 2, 0)));  // vfmv.f.s
    EXPECT_TRUE(b.illegal(op_v(0x0e, opfvf, 1, 2, 3)));  // vfslide1up.vf
    Bench without(HartConfig{.vlen = 0});
    without.hart.s.mtvec = ram_base + 0x1000;
    without.put(ram_base, {vsetvli(1, 2, 0)});
    without.run(1);
    EXPECT_EQ(without.hart.s.mcause, 2u);
}

TEST(Vector, AReservedRoundingModeMakesFloatingPointIllegal) {
    VectorBench b;
    b.set(vtype(32), 4);
    for (u8 frm = 0; frm < 8; frm++) {
        b.hart.s.frm = frm;
        EXPECT_EQ(b.illegal(op_v(0, opfvv, 1, 2, 3)), frm > 4);
        EXPECT_EQ(b.illegal(op_v(0x08, opfvv, 1, 2, 3)), frm > 4);  // vfsgnj.vv
        EXPECT_EQ(b.illegal(op_v(0x12, opfvv, 1, 2, 7)), frm > 4);  // vfcvt.rtz.x.f.v
        EXPECT_FALSE(b.illegal(op_v(0, opivv, 1, 2, 3)));
    }
}

TEST(Vector, StatusBecomesDirtyWhereSomethingChanged) {
    VectorBench b;
    const auto status = [&](unsigned shift) { return b.hart.s.mstatus >> shift & 3; };
    b.set(vtype(32), 4);
    EXPECT_EQ(status(mstatus::vs_shift), 3u);
    EXPECT_TRUE(b.execute(csrrs(7, 0x300, 0)));
    EXPECT_NE(b.x(7) & mstatus::sd, 0u);
    b.fill<u32>(2, {0x3f80'0000, 0x3f80'0000, 0, 0});
    b.fill<u32>(3, {0x3f80'0000, 0x3380'0000, 0, 0});
    b.set(vtype(32), 1);
    EXPECT_TRUE(b.execute(op_v(0, opfvv, 1, 2, 3)));  // exact
    EXPECT_EQ(status(mstatus::fs_shift), 1u);
    EXPECT_EQ(b.hart.s.fflags, 0u);
    b.set(vtype(32), 2);
    EXPECT_TRUE(b.execute(op_v(0, opfvv, 1, 2, 3)));  // 1 + 2^-24 is not
    EXPECT_EQ(status(mstatus::fs_shift), 3u);
    EXPECT_EQ(b.hart.s.fflags, soft::Flag::inexact);
    EXPECT_EQ(b.elements<u32>(1, 2), (std::vector<u32>{0x4000'0000, 0x3f80'0000}));
}

TEST(Vector, InactiveAndTailElementsStay) {
    VectorBench b;
    b.set(vtype(16) | 0xc0, 6);  // agnostic, which may keep them too
    b.fill<u16>(0, {0b101101});
    b.fill<u16>(1, {9, 9, 9, 9, 9, 9, 9, 9});
    b.fill<u16>(2, {1, 2, 3, 4, 5, 6, 7, 8});
    EXPECT_TRUE(b.execute(op_v(0, opivi, 1, 2, 10, Mask::v0)));
    EXPECT_EQ(b.elements<u16>(1, 8), (std::vector<u16>{11, 9, 13, 14, 9, 16, 9, 9}));
    b.set(vtype(16), 0);
    EXPECT_TRUE(b.execute(op_v(0, opivi, 1, 2, 10)));
    EXPECT_EQ(b.elements<u16>(1, 8), (std::vector<u16>{11, 9, 13, 14, 9, 16, 9, 9}));
}

TEST(Vector, VstartSkipsElementsAndIsCleared) {
    VectorBench b;
    b.set(vtype(32), 4);
    b.fill<u32>(1, {9, 9, 9, 9});
    b.fill<u32>(2, {1, 2, 3, 4});
    b.hart.s.vstart = 2;
    EXPECT_TRUE(b.execute(op_v(0, opivi, 1, 2, 1)));
    EXPECT_EQ(b.elements<u32>(1, 4), (std::vector<u32>{9, 9, 4, 5}));
    EXPECT_EQ(b.hart.s.vstart, 0u);
    // Reductions, counts and compress cannot go on in the middle.
    for (const u32 word : {op_v(0, opmvv, 1, 2, 3), op_v(0x10, opmvv, 1, 2, 16), op_v(0x14, opmvv, 1, 2, 1),
                           op_v(0x17, opmvv, 1, 2, 3), op_v(0x14, opmvv, 1, 2, 16)}) {
        b.hart.s.vstart = 1;
        EXPECT_TRUE(b.illegal(word));
        EXPECT_EQ(b.hart.s.vstart, 1u);
        b.hart.s.vstart = 0;
        EXPECT_FALSE(b.illegal(word));
    }
    b.hart.s.vstart = 7;
    b.set(vtype(32), 4);
    EXPECT_EQ(b.hart.s.vstart, 0u);
}

TEST(Vector, RegisterRules) {
    struct Row {
        u32 type, word;
        bool illegal;
        const char* what;
    };
    constexpr u32 vadd = 0, vwadd = 0x31, vnsrl = 0x2c, vmseq = 0x18, vrgather = 0x0c, slide = 0x0e, ext = 0x12,
                  vwmacc = 0x3d, vwadd_w = 0x35;
    const Row rows[] = {
        {vtype(8, 1), op_v(vadd, opivv, 2, 4, 6), false, "aligned groups"},
        {vtype(8, 1), op_v(vadd, opivv, 3, 4, 6), true, "vd not aligned"},
        {vtype(8, 3), op_v(vadd, opivv, 8, 16, 20), true, "vs1 not aligned"},
        {vtype(8, 0), op_v(vadd, opivv, 0, 4, 6, Mask::v0), true, "vd is the mask"},
        {vtype(8, 0), op_v(vadd, opivv, 1, 0, 6, Mask::v0), true, "vs2 is the mask"},
        {vtype(8, 0), op_v(vmseq, opivv, 0, 4, 6, Mask::v0), false, "a mask result may replace the mask"},
        {vtype(8, 0), op_v(vwadd, opmvv, 2, 4, 5), false, "widening"},
        {vtype(8, 0), op_v(vwadd, opmvv, 2, 3, 5), false, "source in the highest part"},
        {vtype(8, 0), op_v(vwadd, opmvv, 2, 2, 5), true, "source in the lowest part"},
        {vtype(8, -1), op_v(vwadd, opmvv, 2, 2, 5), true, "no overlap below one register"},
        {vtype(8, 3), op_v(vwadd, opmvv, 8, 16, 24), true, "group of 16"},
        {vtype(64, 0), op_v(vwadd, opmvv, 2, 4, 5), true, "elements of 128 bits"},
        {vtype(8, 0), op_v(vwmacc, opmvv, 2, 3, 5), true, "vd is read with another width"},
        {vtype(8, 0), op_v(vwadd_w, opmvv, 2, 4, 5), true, "vs1 within the wide vs2"},
        {vtype(8, 0), op_v(vwadd_w, opmvv, 2, 2, 5), false, "the wide source may be vd"},
        {vtype(8, 0), op_v(vnsrl, opivv, 2, 2, 5), false, "narrow result in the lowest part"},
        {vtype(8, 0), op_v(vnsrl, opivv, 3, 2, 5), true, "narrow result in the highest part"},
        {vtype(8, 1), op_v(vmseq, opivv, 4, 4, 8), false, "mask in the lowest part"},
        {vtype(8, 1), op_v(vmseq, opivv, 5, 4, 8), true, "mask in another part"},
        {vtype(8, 0), op_v(vrgather, opivv, 2, 2, 5), true, "gather onto its source"},
        {vtype(8, 0), op_v(vrgather, opivv, 2, 3, 2), true, "gather onto its indices"},
        {vtype(8, 0), op_v(slide, opivx, 2, 2, 5), true, "slide up onto its source"},
        {vtype(8, 0), op_v(slide + 1, opivx, 2, 2, 5), false, "slide down onto its source"},
        {vtype(32, 3), op_v(ext, opmvv, 8, 14, 4), false, "vzext.vf4 from the highest part"},
        {vtype(32, 3), op_v(ext, opmvv, 8, 12, 4), true, "vzext.vf4 from another part"},
        {vtype(8, 0), op_v(ext, opmvv, 8, 12, 6), true, "extension to 8 bits"},
        {vtype(16, -2), op_v(ext, opmvv, 8, 12, 6), false, "from an eighth of a register"},
        {vtype(32, -1), op_v(ext, opmvv, 8, 12, 2), true, "vzext.vf8 from a sixteenth"},
        {vtype(8, 0), op_v(0x14, opmvv, 2, 2, 1), true, "vmsbf onto its source"},
        {vtype(8, 1), op_v(0x14, opmvv, 2, 3, 16), true, "viota over its source"},
        {vtype(8, 3), op_v(0, opmvv, 3, 8, 5), false, "scalars of a reduction need no alignment"},
        {vtype(8, 0), op_v(0, opmvv, 0, 8, 5, Mask::v0), false, "a reduction's result may replace the mask"},
        {vtype(8, 0), op_v(0, opfvv, 2, 4, 6), true, "floating point of 8 bits"},
        {vtype(32, 0), op_v(0x0c, opmvv, 2, 4, 6), true, "vclmul of 32 bits"},
        {vtype(64, 0), op_v(0x0c, opmvv, 2, 4, 6), false, "vclmul of 64 bits"},
        {vtype(8, 0), op_v(0x27, opivi, 4, 8, 3), false, "vmv4r.v"},
        {vtype(8, 0), op_v(0x27, opivi, 4, 9, 3), true, "vmv4r.v not aligned"},
        {vtype(8, 0), op_v(0x27, opivi, 4, 8, 2), true, "vmv3r.v"},
        {vtype(16, 0), vle(64, 4, 10), false, "EMUL 4"},
        {vtype(16, 0), vle(64, 6, 10), true, "EMUL 4, not aligned"},
        {vtype(8, 1), vle(64, 8, 10), true, "EMUL 16"},
        {vtype(64, -3 + 3), vle(8, 8, 10), false, "EMUL 1/8"},
        {vtype(32, -1), vle(8, 8, 10), false, "EMUL 1/8 from a half"},
        {vtype(8, 1), vle(8, 8, 10, Unit::plain, 4), false, "4 fields of 2 registers"},
        {vtype(8, 1), vle(8, 8, 10, Unit::plain, 5), true, "5 fields of 2 registers"},
        {vtype(8, 0), vle(8, 28, 10, Unit::plain, 5), true, "fields beyond v31"},
        {vtype(8, 0), vluxei(16, 8, 10, 8), false, "indices wider, result in their lowest part"},
        {vtype(8, 0), vluxei(16, 9, 10, 8), true, "result in their highest part"},
        {vtype(8, 0), vluxei(8, 7, 10, 8, 2), true, "a segment over its indices"},
        {vtype(8, 0), vle(8, 0, 10, Unit::plain, 1, Mask::v0), true, "load over the mask"},
        {vtype(8, 0), vse(8, 0, 10, Unit::plain, 1, Mask::v0), false, "store of the mask under itself"},
    };
    VectorBench b;
    b.x(10) = ram_base + 0x2000;
    for (const Row& row : rows) {
        for (unsigned i = 0; i < 32; i++) std::memset(b.hart.vector_register(i), 0, 16);
        b.set(row.type, 1);
        ASSERT_NE(b.hart.s.vtype, vill) << row.what;
        EXPECT_EQ(b.illegal(row.word), row.illegal) << row.what;
    }
}

// Whatever the length, start and mask, an instruction does what its elements do one by one.
TEST(Vector, ChunksAndSingleElementsAgree) {
    VectorBench b(HartConfig{.vlen = 512});
    std::mt19937 random(7);
    for (int round = 0; round < 400; round++) {
        for (unsigned i = 0; i < 32; i++)
            for (unsigned at = 0; at < 64; at++) b.hart.vector_register(i)[at] = static_cast<u8>(random());
        if (round % 3 == 0) std::memset(b.hart.vector_register(0), 0xff, 64);
        const Mask mask = round % 2 == 0 ? Mask::none : Mask::v0;
        b.set(vtype(8, 1), random() % 140);
        const u32 vl = static_cast<u32>(b.hart.s.vl);
        const u32 start = random() % 4 == 0 ? static_cast<u32>(random() % 128) : 0;
        const auto before = b.elements<u8>(8, 128), a = b.elements<u8>(16, 128), c = b.elements<u8>(24, 128),
                   m = b.elements<u8>(0, 16);
        b.hart.s.vstart = start;
        ASSERT_TRUE(b.execute(op_v(0x2d, opmvv, 8, 16, 24, mask)));  // vmacc.vv
        const auto after = b.elements<u8>(8, 128);
        for (u32 i = 0; i < 128; i++) {
            const bool active = i >= start && i < vl && (mask == Mask::none || (m[i / 8] >> (i % 8) & 1) != 0);
            ASSERT_EQ(after[i], active ? static_cast<u8>(before[i] + a[i] * c[i]) : before[i])
                << i << " of " << vl << " from " << start;
        }
        const auto old_mask = b.elements<u8>(4, 16);
        b.hart.s.vstart = start;
        ASSERT_TRUE(b.execute(op_v(0x1b, opivv, 4, 16, 24, mask)));  // vmslt.vv
        const auto new_mask = b.elements<u8>(4, 16);
        for (u32 i = 0; i < 128; i++) {
            const bool active = i >= start && i < vl && (mask == Mask::none || (m[i / 8] >> (i % 8) & 1) != 0);
            const bool expected =
                active ? static_cast<i8>(a[i]) < static_cast<i8>(c[i]) : (old_mask[i / 8] >> (i % 8) & 1) != 0;
            ASSERT_EQ((new_mask[i / 8] >> (i % 8) & 1) != 0, expected) << i << " of " << vl << " from " << start;
        }
    }
}

// A compiler has got this wrong.
TEST(Vector, HighHalvesOfSignedProducts) {
    VectorBench b;
    b.set(vtype(16), 8);
    b.fill<i16>(2, {-1, 1, -32768, 32767, 300, -300, 0, -2});
    b.fill<i16>(3, {-1, -1, -32768, -32768, 300, 300, -5, 32767});
    ASSERT_TRUE(b.execute(op_v(0x27, opmvv, 1, 2, 3)));  // vmulh.vv
    EXPECT_EQ(b.elements<i16>(1, 8), (std::vector<i16>{0, -1, 16384, -16384, 1, -2, 0, -1}));
    ASSERT_TRUE(b.execute(op_v(0x26, opmvv, 1, 2, 3)));  // vmulhsu.vv: vs1 is unsigned
    EXPECT_EQ(b.elements<i16>(1, 8), (std::vector<i16>{-1, 0, -16384, 16383, 1, -2, 0, -1}));
}

TEST(Vector, FixedPointRounding) {
    // 2-bit right shifts of -8..7 sixteenths: rnu, rne, rdn, rod as section 31.3.8 defines them.
    VectorBench b;
    b.set(vtype(8), 8);
    b.fill<i8>(2, {-3, -2, -1, 1, 2, 3, 6, 10});
    const std::vector<std::vector<i8>> expected = {
        {-1, 0, 0, 0, 1, 1, 2, 3}, {-1, 0, 0, 0, 0, 1, 2, 2}, {-1, -1, -1, 0, 0, 0, 1, 2}, {-1, -1, -1, 1, 1, 1, 1, 3}};
    for (u8 vxrm = 0; vxrm < 4; vxrm++) {
        b.hart.s.vxrm = vxrm;
        ASSERT_TRUE(b.execute(op_v(0x2b, opivi, 1, 2, 2)));  // vssra.vi
        EXPECT_EQ(b.elements<i8>(1, 8), expected[vxrm]) << int{vxrm};
    }
    EXPECT_EQ(b.hart.s.vxsat, 0u);
    b.fill<i8>(2, {-128, -128, 127, 64});
    b.fill<i8>(3, {-128, 127, 127, 2});
    b.set(vtype(8), 4);
    b.hart.s.vxrm = 0;
    ASSERT_TRUE(b.execute(op_v(0x27, opivv, 1, 2, 3)));  // vsmul.vv
    EXPECT_EQ(b.elements<i8>(1, 4), (std::vector<i8>{127, -127, 126, 1}));
    EXPECT_EQ(b.hart.s.vxsat, 1u);
}

TEST(Vector, MaskInstructionsOfTheSpecificationsExamples) {
    VectorBench b;
    b.set(vtype(8), 8);
    b.fill<u8>(3, {0b10010100});
    EXPECT_TRUE(b.execute(op_v(0x14, opmvv, 2, 3, 1)));  // vmsbf.m
    EXPECT_EQ(b.elements<u8>(2, 1)[0], 0b00000011);
    EXPECT_TRUE(b.execute(op_v(0x14, opmvv, 2, 3, 3)));  // vmsif.m
    EXPECT_EQ(b.elements<u8>(2, 1)[0], 0b00000111);
    EXPECT_TRUE(b.execute(op_v(0x14, opmvv, 2, 3, 2)));  // vmsof.m
    EXPECT_EQ(b.elements<u8>(2, 1)[0], 0b00000100);
    b.fill<u8>(0, {0b11000011});
    b.fill<u8>(2, {0b01010101});
    EXPECT_TRUE(b.execute(op_v(0x14, opmvv, 2, 3, 1, Mask::v0)));
    EXPECT_EQ(b.elements<u8>(2, 1)[0], 0b01010111);
    EXPECT_TRUE(b.execute(op_v(0x10, opmvv, 7, 3, 16)));  // vcpop.m
    EXPECT_EQ(b.x(7), 3u);
    EXPECT_TRUE(b.execute(op_v(0x10, opmvv, 7, 3, 17, Mask::v0)));  // vfirst.m
    EXPECT_EQ(b.x(7), 7u);
    b.fill<u8>(0, {0});
    EXPECT_TRUE(b.execute(op_v(0x10, opmvv, 7, 3, 17, Mask::v0)));
    EXPECT_EQ(b.x(7), ~u64{0});
    b.fill<u8>(2, {0b10001000});
    EXPECT_TRUE(b.execute(op_v(0x14, opmvv, 4, 2, 16)));  // viota.m
    EXPECT_EQ(b.elements<u8>(4, 8), (std::vector<u8>{0, 0, 0, 0, 1, 1, 1, 1}));
    EXPECT_TRUE(b.execute(op_v(0x14, opmvv, 4, 0, 17)));  // vid.v
    EXPECT_EQ(b.elements<u8>(4, 8), (std::vector<u8>{0, 1, 2, 3, 4, 5, 6, 7}));
}

TEST(Vector, Permutations) {
    VectorBench b;
    b.set(vtype(16), 5);
    b.fill<u16>(2, {10, 11, 12, 13, 14, 15, 16, 17});
    b.fill<u16>(4, {90, 91, 92, 93, 94, 95, 96, 97});
    b.x(9) = 2;
    EXPECT_TRUE(b.execute(op_v(0x0e, opivx, 4, 2, 9)));  // vslideup.vx
    EXPECT_EQ(b.elements<u16>(4, 8), (std::vector<u16>{90, 91, 10, 11, 12, 95, 96, 97}));
    b.x(9) = 6;
    EXPECT_TRUE(b.execute(op_v(0x0f, opivx, 4, 2, 9)));  // vslidedown.vx: the source reaches to VLMAX
    EXPECT_EQ(b.elements<u16>(4, 8), (std::vector<u16>{16, 17, 0, 0, 0, 95, 96, 97}));
    b.x(9) = ~u64{0};
    EXPECT_TRUE(b.execute(op_v(0x0f, opivx, 4, 2, 9)));
    EXPECT_EQ(b.elements<u16>(4, 5), (std::vector<u16>{0, 0, 0, 0, 0}));
    EXPECT_TRUE(b.execute(op_v(0x0e, opmvx, 4, 2, 9)));  // vslide1up.vx
    EXPECT_EQ(b.elements<u16>(4, 5), (std::vector<u16>{0xffff, 10, 11, 12, 13}));
    EXPECT_TRUE(b.execute(op_v(0x0f, opmvx, 4, 2, 9)));  // vslide1down.vx
    EXPECT_EQ(b.elements<u16>(4, 5), (std::vector<u16>{11, 12, 13, 14, 0xffff}));
    b.fill<u16>(3, {7, 8, 0, 0xffff, 3});
    EXPECT_TRUE(b.execute(op_v(0x0c, opivv, 4, 2, 3)));  // vrgather.vv
    EXPECT_EQ(b.elements<u16>(4, 5), (std::vector<u16>{17, 0, 10, 0, 13}));
    b.fill<u8>(3, {0b10110});
    EXPECT_TRUE(b.execute(op_v(0x17, opmvv, 4, 2, 3)));  // vcompress.vm
    EXPECT_EQ(b.elements<u16>(4, 5), (std::vector<u16>{11, 12, 14, 0, 13}));
}

TEST(Vector, Rv32SeesItsOwnWidth) {
    VectorBench b(HartConfig{.xlen = 32});
    b.set(vtype(64), 2);
    b.fill<u64>(2, {0x8765'4321'0000'0001, 5});
    EXPECT_TRUE(b.execute(op_v(0x10, opmvv, 7, 2, 0)));  // vmv.x.s
    EXPECT_EQ(b.x(7), 1u);
    b.x(9) = 0xffff'fffe;
    EXPECT_TRUE(b.execute(op_v(0, opivx, 4, 2, 9)));  // vadd.vx: x is sign-extended
    EXPECT_EQ(b.elements<u64>(4, 2), (std::vector<u64>{0x8765'4320'ffff'ffff, 3}));
    b.x(10) = ram_base;
    EXPECT_TRUE(b.illegal(vluxei(64, 4, 10, 6)));
    b.set(vtype(8), 1);
    EXPECT_TRUE(b.execute(op_v(0x10, opmvv, 7, 6, 17)));  // vfirst.m of nothing
    EXPECT_EQ(b.x(7), 0xffff'ffffu);
    b.x(8) = 0x4;
    EXPECT_TRUE(b.execute(vsetvl(7, 9, 8)));
    EXPECT_TRUE(b.execute(csrrs(7, 0xc21, 0)));
    EXPECT_EQ(b.x(7), 0x8000'0000u);
}

TEST(Vector, FloatingPointScalarsMustBeBoxed) {
    VectorBench b;
    b.set(vtype(16), 1);
    b.hart.s.f[3] = 0xffff'ffff'ffff'3c00;
    EXPECT_TRUE(b.execute(op_v(0x17, opfvf, 4, 0, 3)));  // vfmv.v.f
    EXPECT_EQ(b.elements<u16>(4, 1)[0], 0x3c00);
    b.hart.s.f[3] = 0xffff'ffff'0000'3c00;
    EXPECT_TRUE(b.execute(op_v(0x17, opfvf, 4, 0, 3)));
    EXPECT_EQ(b.elements<u16>(4, 1)[0], 0x7e00);
    EXPECT_TRUE(b.execute(op_v(0x10, opfvv, 9, 4, 0)));  // vfmv.f.s
    EXPECT_EQ(b.hart.s.f[9], 0xffff'ffff'ffff'7e00u);
}

TEST(Vector, Disassembly) {
    VectorBench b;
    const auto text = [&](u32 word) {
        b.put32(ram_base, word);
        return b.hart.disassemble(ram_base).text;
    };
    EXPECT_EQ(text(vsetvli(10, 11, 0xd1)), "vsetvli    a0,a1,e32,m2,ta,ma");
    EXPECT_EQ(text(op_v(0, opivi, 1, 2, 31, Mask::v0)), "vadd.vi    v1,v2,-1,v0.t");
    EXPECT_EQ(text(op_v(0x2d, opmvx, 1, 2, 10)), "vmacc.vx   v1,a0,v2");
    EXPECT_EQ(text(op_v(0x10, opivv, 1, 2, 3, Mask::v0)), "vadc.vvm   v1,v2,v3,v0");
    EXPECT_EQ(text(vle(16, 4, 10, Unit::plain, 3, Mask::v0)), "vlseg3e16.v v4,(a0),v0.t");
    EXPECT_EQ(text(vlse(8, 4, 10, 11)), "vlse8.v    v4,(a0),a1");
    EXPECT_EQ(text(vsoxei(32, 4, 10, 12)), "vsoxei32.v v4,(a0),v12");
    EXPECT_EQ(text(vle(64, 8, 10, Unit::whole, 8)), "vl8re64.v  v8,(a0)");
}

}  // namespace
}  // namespace viv::riscv::test
