// Vector loads and stores: layouts, precise and resumable traps, fault-only-first loads, devices, code that a vector
// store overwrites.
#include "tests/isa/vector_bench.h"

namespace viv::riscv::test {
namespace {

constexpr u64 data = ram_base + 0x4000;

// The page at `lower` is RAM and the next one is not, until map_upper().
struct Paged : VectorBench {
    static constexpr u64 lower = 0x40'0000, upper = lower + page_size, table = ram_base + 0x10'0000;
    static constexpr u64 leaf(u64 physical) { return physical >> 12 << 10 | 0xc7; }  // V R W A D

    Paged() {
        put64(table, (table + 0x1000) >> 12 << 10 | 1);
        put64(table + 0x1000 + 2 * 8, (table + 0x2000) >> 12 << 10 | 1);
        put64(table + 0x2000, leaf(data));
        put64(table + 0x2000 + 16, leaf(data + 0x2000));
        hart.s.satp = u64{8} << 60 | table >> 12;
        hart.s.pmpcfg[0] = 0x1f;
        hart.s.pmpaddr[0] = low_mask(54);
        // Instructions are fetched in machine mode, data accesses are the supervisor's.
        hart.s.mstatus |= mstatus::mprv | u64{1} << mstatus::mpp_shift;
        hart.restored();
        for (u64 i = 0; i < 0x3000; i += 8) put64(data + i, i * 0x0101'0101'0101'0101);
    }
    void map_upper() {
        put64(table + 0x2000 + 8, leaf(data + 0x1000));
        hart.flush_tlb();
        again();
    }
    // After a trap, which has changed MPP.
    void again() {
        hart.s.mstatus = (hart.s.mstatus & ~mstatus::mpp) | mstatus::mprv | u64{1} << mstatus::mpp_shift;
        hart.restored();
    }
};

TEST(VectorMemory, ATrapNamesTheElementAndTheInstructionResumesThere) {
    Paged b;
    b.set(vtype(32, 1), 8);
    b.x(10) = Paged::upper - 12;
    for (unsigned reg = 8; reg < 10; reg++) std::memset(b.hart.vector_register(reg), 0xee, 16);
    EXPECT_FALSE(b.execute(vle(32, 8, 10)));
    EXPECT_EQ(b.hart.s.mcause, static_cast<u64>(Cause::load_page));
    EXPECT_EQ(b.hart.s.mtval, Paged::upper);
    EXPECT_EQ(b.hart.s.mepc, ram_base);
    EXPECT_EQ(b.hart.s.vstart, 3u);
    EXPECT_EQ(b.hart.s.vl, 8u);
    EXPECT_EQ(b.elements<u32>(8, 4)[3], 0xeeee'eeeeu);
    b.map_upper();
    b.put64(data + 0x1000, 0x2222'2222'1111'1111);
    EXPECT_TRUE(b.execute(vle(32, 8, 10)));
    EXPECT_EQ(b.hart.s.vstart, 0u);
    const auto values = b.elements<u32>(8, 8);
    EXPECT_EQ(values[0], static_cast<u32>(b.get64(data + 0xff0) >> 32));
    EXPECT_EQ(values[3], 0x1111'1111u);
    EXPECT_EQ(values[4], 0x2222'2222u);
}

TEST(VectorMemory, AStoreThatTrapsHasStoredWhatIsBefore) {
    Paged b;
    b.set(vtype(16), 8);
    b.fill<u16>(8, {1, 2, 3, 4, 5, 6, 7, 8});
    b.x(10) = Paged::upper - 6;
    EXPECT_FALSE(b.execute(vse(16, 8, 10)));
    EXPECT_EQ(b.hart.s.mcause, static_cast<u64>(Cause::store_page));
    EXPECT_EQ(b.hart.s.vstart, 3u);
    EXPECT_EQ(b.get64(data + 0xff8) >> 16, 0x0003'0002'0001u);
    b.map_upper();
    EXPECT_TRUE(b.execute(vse(16, 8, 10)));
    EXPECT_EQ(b.get64(data + 0x1000), 0x0007'0006'0005'0004u);
}

TEST(VectorMemory, AnElementAcrossThePageIsAllOrNothing) {
    Paged b;
    b.set(vtype(64), 2);
    b.fill<u64>(8, {~u64{0}, ~u64{0}});
    b.x(10) = Paged::upper - 12;
    const u64 before = b.get64(data + 0xff8);
    EXPECT_FALSE(b.execute(vse(64, 8, 10)));
    EXPECT_EQ(b.hart.s.vstart, 1u);
    EXPECT_EQ(b.hart.s.mtval, Paged::upper);
    EXPECT_EQ(b.get64(data + 0xff8), (before & 0xffff'ffff'0000'0000) | 0xffff'ffff);
    b.map_upper();
    EXPECT_TRUE(b.execute(vse(64, 8, 10)));
    EXPECT_EQ(b.get64(data + 0xff8), ~u64{0});
    EXPECT_EQ(b.get64(data + 0x1000) & 0xffff'ffff, 0xffff'ffffu);
}

TEST(VectorMemory, FaultOnlyFirstShortensTheLength) {
    Paged b;
    b.set(vtype(8, 1), 32);
    b.x(10) = Paged::upper - 5;
    EXPECT_TRUE(b.execute(vle(8, 8, 10, Unit::fault_first)));
    EXPECT_EQ(b.hart.s.vl, 5u);
    EXPECT_EQ(b.hart.s.vstart, 0u);
    // Again, now that the page is in the TLB.
    b.set(vtype(8, 1), 32);
    EXPECT_TRUE(b.execute(vle(8, 8, 10, Unit::fault_first)));
    EXPECT_EQ(b.hart.s.vl, 5u);
    // Segments count whole.
    b.set(vtype(8), 8);
    EXPECT_TRUE(b.execute(vle(8, 8, 10, Unit::fault_first, 2)));
    EXPECT_EQ(b.hart.s.vl, 2u);
    // Element 0 traps.
    b.set(vtype(8, 1), 32);
    b.x(10) = Paged::upper;
    EXPECT_FALSE(b.execute(vle(8, 8, 10, Unit::fault_first)));
    EXPECT_EQ(b.hart.s.mcause, static_cast<u64>(Cause::load_page));
    EXPECT_EQ(b.hart.s.vl, 32u);
    b.again();
    // Inactive elements do not fault.
    b.set(vtype(8), 8);
    b.x(10) = Paged::upper - 4;
    b.fill<u8>(0, {0x0f});
    EXPECT_TRUE(b.execute(vle(8, 8, 10, Unit::fault_first, 1, Mask::v0)));
    EXPECT_EQ(b.hart.s.vl, 8u);
    b.map_upper();
    b.set(vtype(8, 1), 32);
    b.x(10) = Paged::upper - 5;
    EXPECT_TRUE(b.execute(vle(8, 8, 10, Unit::fault_first)));
    EXPECT_EQ(b.hart.s.vl, 32u);
}

// A register that counts its reads.
struct Counter final : Mmio {
    u64 reads = 0;
    u64 read(u64 offset, unsigned) override { return reads++, offset; }
    void write(u64, unsigned, u64) override {}
};

TEST(VectorMemory, DevicesAreReadElementByElementAndNeverAhead) {
    Counter device;
    VectorBench b;
    ASSERT_TRUE(b.bus.map(0x1000'0000, 0x1000, device, "counter").ok());
    b.set(vtype(32), 4);
    b.x(10) = 0x1000'0010;
    EXPECT_TRUE(b.execute(vle(32, 8, 10)));
    EXPECT_EQ(b.elements<u32>(8, 4), (std::vector<u32>{0x10, 0x14, 0x18, 0x1c}));
    EXPECT_EQ(device.reads, 4u);
    b.set(vtype(32), 4);
    EXPECT_TRUE(b.execute(vle(32, 8, 10, Unit::fault_first)));
    EXPECT_EQ(b.hart.s.vl, 1u);
    EXPECT_EQ(device.reads, 5u);
}

TEST(VectorMemory, StridesSegmentsAndIndices) {
    VectorBench b;
    for (u64 i = 0; i < 256; i += 8) b.put64(data + i, 0x0706'0504'0302'0100 + i * 0x0101'0101'0101'0101);
    b.set(vtype(8), 4);
    b.x(10) = data + 100;
    b.x(11) = static_cast<u64>(-10);
    EXPECT_TRUE(b.execute(vlse(8, 8, 10, 11)));
    EXPECT_EQ(b.elements<u8>(8, 4), (std::vector<u8>{100, 90, 80, 70}));
    b.x(10) = data;
    EXPECT_TRUE(b.execute(vle(8, 8, 10, Unit::plain, 3)));
    EXPECT_EQ(b.elements<u8>(8, 4), (std::vector<u8>{0, 3, 6, 9}));
    EXPECT_EQ(b.elements<u8>(9, 4), (std::vector<u8>{1, 4, 7, 10}));
    EXPECT_EQ(b.elements<u8>(10, 4), (std::vector<u8>{2, 5, 8, 11}));
    b.fill<u16>(12, {200, 3, 77, 3});
    EXPECT_TRUE(b.execute(vluxei(16, 8, 10, 12)));
    EXPECT_EQ(b.elements<u8>(8, 4), (std::vector<u8>{200, 3, 77, 3}));
    // Of elements at one address the last is kept.
    b.fill<u8>(8, {1, 2, 3, 4});
    EXPECT_TRUE(b.execute(vsoxei(16, 8, 10, 12)));
    EXPECT_EQ(b.get64(data) >> 24 & 255, 4u);
    // A stride of zero, and masked elements untouched.
    b.fill<u8>(0, {0b0101});
    b.fill<u8>(8, {9, 9, 9, 9});
    EXPECT_TRUE(b.execute(vlse(8, 8, 10, 0, 1, Mask::v0)));
    EXPECT_EQ(b.elements<u8>(8, 4), (std::vector<u8>{0, 9, 0, 9}));
}

TEST(VectorMemory, MasksAreBytesAndWholeRegistersIgnoreTheLength) {
    VectorBench b;
    for (u64 i = 0; i < 256; i += 8) b.put64(data + i, ~u64{0});
    b.set(vtype(8), 11);
    b.x(10) = data;
    b.fill<u8>(8, {1, 2, 3, 4});
    EXPECT_TRUE(b.execute(vse(8, 8, 10, Unit::mask)));
    EXPECT_EQ(b.get64(data), 0xffff'ffff'ffff'0201u);
    std::memset(b.hart.vector_register(9), 0, 16);
    EXPECT_TRUE(b.execute(vle(8, 9, 10, Unit::mask)));
    EXPECT_EQ(b.elements<u8>(9, 3), (std::vector<u8>{1, 2, 0}));
    b.set(vtype(8), 0);
    for (unsigned i = 16; i < 20; i++) std::memset(b.hart.vector_register(i), static_cast<int>(i), 16);
    EXPECT_TRUE(b.execute(vse(8, 16, 10, Unit::whole, 4)));
    EXPECT_EQ(b.get64(data), 0x1010'1010'1010'1010u);
    EXPECT_EQ(b.get64(data + 56), 0x1313'1313'1313'1313u);
    EXPECT_EQ(b.get64(data + 64), ~u64{0});
    EXPECT_TRUE(b.execute(vle(32, 24, 10, Unit::whole, 2)));
    EXPECT_EQ(b.elements<u64>(25, 2)[1], 0x1111'1111'1111'1111u);
}

TEST(VectorMemory, MisalignedElementsWork) {
    VectorBench b;
    for (u64 i = 0; i < 64; i += 8) b.put64(data + i, 0x0706'0504'0302'0100 + i * 0x0101'0101'0101'0101);
    b.set(vtype(32), 4);
    b.x(10) = data + 3;
    EXPECT_TRUE(b.execute(vle(32, 8, 10)));
    EXPECT_EQ(b.elements<u32>(8, 4), (std::vector<u32>{0x0605'0403, 0x0a09'0807, 0x0e0d'0c0b, 0x1211'100f}));
    EXPECT_TRUE(b.execute(vse(32, 8, 10)));
    EXPECT_EQ(b.get64(data + 8), 0x0f0e'0d0c'0b0a'0908u);
}

TEST(VectorMemory, AVectorStoreOverCodeIsSeenByTheNextInstruction) {
    VectorBench b;
    b.set(vtype(32), 2);
    b.fill<u32>(8, {addi(1, 0, 5), addi(2, 1, 6)});
    const std::vector<u32> program{vse(32, 8, 10), addi(1, 0, 1), addi(2, 1, 2), nop()};
    b.put(ram_base, program);
    b.x(10) = ram_base + 4;
    for (int round = 0; round < 2; round++) {  // once decoded anew, once from decoded code
        b.hart.s.pc = ram_base;
        b.run(3);
        EXPECT_EQ(b.x(1), 5u);
        EXPECT_EQ(b.x(2), 11u);
    }
}

TEST(VectorMemory, Rv32AddressesWrap) {
    VectorBench b(HartConfig{.xlen = 32});
    b.set(vtype(8), 4);
    b.put32(ram_base + 0x4000, 0x0403'0201);
    b.x(10) = 0x1000;
    b.fill<u32>(12, {0x8000'3000, 0x8000'3001, 0x8000'3002, 0x8000'3003});
    EXPECT_TRUE(b.execute(vluxei(32, 8, 10, 12)));
    EXPECT_EQ(b.elements<u8>(8, 4), (std::vector<u8>{1, 2, 3, 4}));
    b.x(10) = 0xc000'4000;
    b.x(11) = 0xe000'0000;
    b.set(vtype(8), 3);
    EXPECT_FALSE(b.execute(vlse(8, 8, 10, 11)));
    EXPECT_EQ(b.hart.s.mtval, 0xc000'4000u);
    b.x(10) = 0x8000'4000;
    b.x(11) = 0x8000'0000;
    EXPECT_FALSE(b.execute(vlse(8, 8, 10, 11)));
    EXPECT_EQ(b.hart.s.mtval, 0x4000u);
    EXPECT_EQ(b.hart.s.vstart, 1u);
}

}  // namespace
}  // namespace viv::riscv::test
