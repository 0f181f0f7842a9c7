// Address translation and protection: Sv39, Sv48, Sv57, Sv32, superpages, Svnapot, Svpbmt, Svade, SUM, MXR, MPRV, PMP,
// fences.
#include "tests/isa/bench.h"

namespace viv::riscv::test {
namespace {

constexpr u64 v = 1, r = 2, w = 4, x = 8, u = 16, a = 64, d = 128;
constexpr u64 table = ram_base + 0x10'0000;  // root, then lower levels at the next pages
constexpr u64 target = ram_base + 0x8000;    // what the pages map to
constexpr u64 leaf(u64 physical, u64 bits) { return physical >> 12 << 10 | bits; }

// One virtual page mapped through all levels; its PTE is at pte_at.
struct Mapped : Bench {
    Mapped(unsigned levels, u64 address, u64 bits, HartConfig config = {}) : Bench(config), va(address) {
        const bool rv32 = config.xlen == 32;
        u64 at = table;
        for (unsigned level = levels; level-- > 0;) {
            const u64 index = address >> (12 + (rv32 ? 10 : 9) * level) & (rv32 ? 1023 : 511);
            pte_at = at + index * (rv32 ? 4 : 8);
            const u64 pte = level == 0 ? leaf(target, bits) : leaf(at + 0x1000, v);
            if (rv32)
                put32(pte_at, static_cast<u32>(pte));
            else
                put64(pte_at, pte);
            at += 0x1000;
        }
        hart.s.satp = rv32 ? u64{1} << 31 | table >> 12 : u64{5 + levels} << 60 | table >> 12;
        hart.s.pmpcfg[0] = 0x1f;
        hart.s.pmpaddr[0] = rv32 ? 0xffff'ffff : low_mask(54);
        hart.s.privilege = Privilege::supervisor;
        hart.s.mtvec = ram_base + 0x400;
        hart.restored();
        put64(target + 8, 0x1122'3344'5566'7788);
    }
    // The exception code of a load (or store) at va + 8, or -1.
    int load() {
        u64 value = 0;
        hart.s.mcause = 99;
        const State before = hart.s;
        if (hart.Hart::load(va + 8, 4, value)) return value == 0x5566'7788 ? -1 : -2;
        const int cause = static_cast<int>(hart.s.mcause);
        hart.s = before;
        hart.restored();
        return cause;
    }
    int store() {
        const State before = hart.s;
        if (hart.Hart::store(va + 8, 4, 0x5566'7788)) return -1;
        const int cause = static_cast<int>(hart.s.mcause);
        hart.s = before;
        hart.restored();
        return cause;
    }
    u64 va, pte_at = 0;
};

TEST(Mmu, EveryDepthTranslates) {
    EXPECT_EQ(Mapped(3, 0x3f'ffff'f000, v | r | w | a | d).load(), -1);
    EXPECT_EQ(Mapped(3, 0xffff'ffc0'1234'5000, v | r | w | a | d).load(), -1);
    EXPECT_EQ(Mapped(4, 0x7abc'dead'b000, v | r | w | a | d).load(), -1);
    EXPECT_EQ(Mapped(5, 0xff12'3456'789a'b000, v | r | w | a | d).load(), -1);
    EXPECT_EQ(Mapped(2, 0xc123'4000, v | r | w | a | d, HartConfig{.xlen = 32}).load(), -1);
}

TEST(Mmu, NonCanonicalAddressesFault) {
    Mapped m(3, 0x3f'ffff'f000, v | r | w | a | d);
    m.va = 0x40'0000'0000;
    EXPECT_EQ(m.load(), 13);
    m.va = 0xffff'ff80'0000'0000;
    EXPECT_EQ(m.store(), 15);
}

TEST(Mmu, PermissionsAndSvade) {
    EXPECT_EQ(Mapped(3, 0x1000, v | r | a).store(), 15);
    EXPECT_EQ(Mapped(3, 0x1000, v | r | w | d).load(), 13);  // A clear
    EXPECT_EQ(Mapped(3, 0x1000, v | r | w | a).load(), -1);
    EXPECT_EQ(Mapped(3, 0x1000, v | r | w | a).store(), 15);  // D clear
    EXPECT_EQ(Mapped(3, 0x1000, v | x | a | d).load(), 13);
    EXPECT_EQ(Mapped(3, 0x1000, v | w | a | d).load(), 13);                     // reserved
    EXPECT_EQ(Mapped(3, 0x1000, r | w | a | d).load(), 13);                     // not valid
    EXPECT_EQ(Mapped(3, 0x1000, v | r | w | a | d | u64{1} << 54).load(), 13);  // reserved bit
}

TEST(Mmu, UserPagesNeedSumAndExecutablePagesMxr) {
    Mapped user(3, 0x1000, v | r | w | u | a | d);
    EXPECT_EQ(user.load(), 13);
    user.hart.s.mstatus |= mstatus::sum;
    user.hart.restored();
    EXPECT_EQ(user.load(), -1);
    user.hart.s.privilege = Privilege::user;
    user.hart.s.mstatus &= ~mstatus::sum;
    user.hart.restored();
    EXPECT_EQ(user.load(), -1);
    Mapped code(3, 0x1000, v | x | a | d);
    code.hart.s.mstatus |= mstatus::mxr;
    code.hart.restored();
    EXPECT_EQ(code.load(), -1);
}

TEST(Mmu, MprvUsesThePreviousMode) {
    Mapped m(3, 0x1000, v | r | w | u | a | d);
    m.hart.s.privilege = Privilege::machine;
    m.hart.restored();
    EXPECT_EQ(m.load(), 5);             // untranslated: nothing at 0x1008
    m.hart.s.mstatus |= mstatus::mprv;  // MPP is user
    m.hart.restored();
    EXPECT_EQ(m.load(), -1);
}

TEST(Mmu, NapotAndMemoryTypes) {
    constexpr u64 n = u64{1} << 63, pbmt_nc = u64{1} << 61;
    // A 64 KiB range: PPN bits 3:0 are 1000, and the address supplies them.
    Mapped m(3, 0x5000, v | r | w | a | d);
    m.put64(m.pte_at, leaf(ram_base, v | r | w | a | d) | u64{8} << 10 | n);
    m.va = 0x8000 - 0x3000 + 0x0;  // 0x5000 maps to ram_base + 0x5000
    m.put64(ram_base + 0x5008, 0x5566'7788);
    m.hart.restored();
    EXPECT_EQ(m.load(), -1);
    m.put64(m.pte_at, leaf(ram_base, v | r | w | a | d) | u64{4} << 10 | n);
    m.hart.restored();
    EXPECT_EQ(m.load(), 13);
    Mapped typed(3, 0x1000, v | r | w | a | d | pbmt_nc);
    EXPECT_EQ(typed.load(), 13);  // menvcfg.PBMTE is clear
    typed.hart.s.menvcfg = u64{1} << 62;
    typed.hart.restored();
    EXPECT_EQ(typed.load(), -1);
}

TEST(Mmu, SuperpagesMustBeAligned) {
    Mapped m(3, 0x4000'0000, v | r | w | a | d);
    // A leaf in the root: 1 GiB.
    m.put64(table + 8, leaf(ram_base, v | r | w | a | d));
    m.hart.restored();
    m.va = 0x4000'8000;
    EXPECT_EQ(m.load(), -1);
    m.put64(table + 8, leaf(ram_base + 0x1000, v | r | w | a | d));
    m.hart.restored();
    EXPECT_EQ(m.load(), 13);
}

TEST(Mmu, AFenceMakesChangesSeen) {
    Mapped m(3, 0x1000, v | r | w | a | d);
    EXPECT_EQ(m.load(), -1);
    m.put64(m.pte_at, 0);
    m.hart.flush_tlb(0x1000);
    EXPECT_EQ(m.load(), 13);
    // One fence anywhere in a superpage is enough for all of it.
    Mapped large(3, 0x4000'0000, 0);
    large.put64(table + 8, leaf(ram_base, v | r | w | a | d));
    large.hart.restored();
    large.va = 0x4000'8000;
    EXPECT_EQ(large.load(), -1);
    large.put64(table + 8, 0);
    large.hart.flush_tlb(0x4012'3000);
    EXPECT_EQ(large.load(), 13);
}

TEST(Mmu, AddressSpacesKeepTheirTranslations) {
    Mapped m(3, 0x1000, v | r | w | a | d);
    EXPECT_EQ(m.load(), -1);
    const u64 first = m.hart.s.satp;
    u64 ignored = 0;
    m.hart.s.privilege = Privilege::supervisor;
    ASSERT_TRUE(m.hart.write_csr(0x180, (first & ~low_mask(44)) | u64{7} << 44 | (ram_base + 0x20'0000) >> 12));
    EXPECT_EQ(m.load(), 13);
    ASSERT_TRUE(m.hart.write_csr(0x180, first));
    EXPECT_EQ(m.load(), -1);
    ASSERT_TRUE(m.hart.read_csr(0x180, ignored, false));
    EXPECT_EQ(ignored, first);
}

TEST(Mmu, UnsupportedModesLeaveSatpAlone) {
    Bench b(HartConfig{.maximum_levels = 3});
    ASSERT_TRUE(b.hart.write_csr(0x180, u64{8} << 60 | 5));
    ASSERT_TRUE(b.hart.write_csr(0x180, u64{9} << 60 | 6));
    EXPECT_EQ(b.hart.s.satp, u64{8} << 60 | 5);
}

TEST(Pmp, NoMatchDeniesAllButMachineMode) {
    Bench b;
    b.hart.s.mtvec = ram_base + 0x400;
    u64 value = 0;
    EXPECT_TRUE(b.hart.load(ram_base, 4, value));
    b.hart.s.privilege = Privilege::supervisor;
    b.hart.restored();
    EXPECT_FALSE(b.hart.load(ram_base, 4, value));
    EXPECT_EQ(b.hart.s.mcause, 5u);
}

TEST(Pmp, RangesDecideByTheFirstMatch) {
    Bench b;
    b.hart.s.mtvec = ram_base + 0x400;
    b.put64(ram_base + 0x2000, 1);
    // Entry 0: 8 bytes at +0x2000 without rights; entry 1: everything.
    ASSERT_TRUE(b.hart.write_csr(0x3b0, (ram_base + 0x2000) >> 2));
    ASSERT_TRUE(b.hart.write_csr(0x3b1, low_mask(54)));
    ASSERT_TRUE(b.hart.write_csr(0x3a0, 0x1f << 8 | 0x18));
    const auto allowed = [&](u64 address, unsigned size) {
        const State before = b.hart.s;
        b.hart.s.privilege = Privilege::user;
        b.hart.restored();
        u64 value = 0;
        const bool ok = b.hart.load(address, size, value);
        b.hart.s = before;
        b.hart.restored();
        return ok;
    };
    EXPECT_FALSE(allowed(ram_base + 0x2000, 8));
    EXPECT_TRUE(allowed(ram_base + 0x2008, 8));
    EXPECT_FALSE(allowed(ram_base + 0x2004, 8));  // partly inside
    EXPECT_TRUE(allowed(ram_base + 0x1ff8, 8));
    // A locked entry binds machine mode too and cannot be changed.
    ASSERT_TRUE(b.hart.write_csr(0x3a0, 0x1f << 8 | 0x98));
    u64 value = 0;
    EXPECT_FALSE(b.hart.load(ram_base + 0x2000, 8, value));
    b.hart.s.privilege = Privilege::machine;
    ASSERT_TRUE(b.hart.write_csr(0x3a0, 0));
    EXPECT_EQ(b.hart.s.pmpcfg[0], 0x98);
    ASSERT_TRUE(b.hart.write_csr(0x3b0, 0));
    EXPECT_EQ(b.hart.s.pmpaddr[0], (ram_base + 0x2000) >> 2);
}

}  // namespace
}  // namespace viv::riscv::test
