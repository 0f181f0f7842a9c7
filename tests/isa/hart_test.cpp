// The interpreter's promises: exact instruction counts, precise traps, coherent self-modifying code, pages that meet,
// stepping, breakpoints.
#include "tests/isa/bench.h"

namespace viv::riscv::test {
namespace {

constexpr u64 mtvec_at = ram_base + 0x1000;

TEST(Hart, RunsExactlyTheInstructionsItIsGiven) {
    // A loop of two instructions, cut at every possible place.
    Bench b;
    b.put(ram_base, {addi(1, 1, 1), jal(0, -4)});
    for (u64 total = 0, n = 1; n < 40; n++) {
        EXPECT_EQ(b.run(n), Cpu::Exit::budget);
        total += n;
        EXPECT_EQ(b.hart.instructions(), total);
        EXPECT_EQ(b.x(1), (total + 1) / 2);
        EXPECT_EQ(b.hart.s.pc, ram_base + (total % 2) * 4);
    }
}

TEST(Hart, ATrapLeavesTheInstructionUndoneAndCounts) {
    Bench b;
    b.put(ram_base, {addi(5, 0, 7), csrrw(0, 0x305, 6), ld(5, 0, 0x7f0), nop()});
    b.x(6) = mtvec_at;
    b.run(3);
    EXPECT_EQ(b.x(5), 7u);
    EXPECT_EQ(b.hart.s.mcause, 5u);
    EXPECT_EQ(b.hart.s.mtval, 0x7f0u);
    EXPECT_EQ(b.hart.s.mepc, ram_base + 8);
    EXPECT_EQ(b.hart.s.pc, mtvec_at);
    EXPECT_EQ(b.hart.instructions(), 3u);
}

TEST(Hart, MinstretLeavesOutWhatTrapped) {
    Bench b;
    b.put(ram_base, {ecall});
    b.put(mtvec_at, {nop(), csrrs(7, 0xb02, 0), csrrs(8, 0xb00, 0)});
    b.hart.s.mtvec = mtvec_at;
    b.run(4);
    EXPECT_EQ(b.x(7), 1u);  // the nop
    EXPECT_EQ(b.x(8), 3u);  // ecall, nop, csrrs
}

TEST(Hart, SelfModifyingCodeIsSeenByTheNextInstruction) {
    Bench b;
    // The store overwrites the instruction right behind it.
    b.put(ram_base, {sw(6, 5, 4), addi(1, 0, 1), nop()});
    b.x(5) = ram_base;
    b.x(6) = addi(1, 0, 2);
    b.run(1);
    b.hart.s.pc = ram_base;
    b.put32(ram_base + 4, addi(1, 0, 1));
    b.run(3);
    EXPECT_EQ(b.x(1), 2u);
    // And again after a full decode of the block.
    b.x(6) = addi(1, 0, 3);
    b.hart.s.pc = ram_base;
    b.run(2);
    EXPECT_EQ(b.x(1), 3u);
}

TEST(Hart, AnInstructionAcrossAPageBoundaryRunsAndBranchesRight) {
    Bench b;
    // c.nop up to the last half-word of the page, then a 4-byte instruction across the boundary.
    const u64 at = ram_base + 0xffe;
    b.put32(at, jal(1, -0xffe));
    b.put32(ram_base, addi(2, 2, 1));
    b.hart.s.pc = at;
    b.run(2);
    EXPECT_EQ(b.x(1), at + 4);
    EXPECT_EQ(b.x(2), 1u);
    // Its second half changes: the page boundary is no excuse.
    b.put32(at, addi(3, 0, 5));
    b.hart.s.pc = at;
    b.run(1);
    EXPECT_EQ(b.x(3), 5u);
    EXPECT_EQ(b.hart.s.pc, at + 4);
}

TEST(Hart, SteppingIsTheSameAsRunning) {
    Bench run, step;
    const std::vector<u32> program{addi(1, 0, 100), addi(2, 2, 3), add(3, 3, 2), addi(1, 1, -1), bne(1, 0, -12), wfi};
    run.put(ram_base, program);
    step.put(ram_base, program);
    run.run(300);
    for (int i = 0; i < 300; i++) EXPECT_EQ(step.hart.run(1, Cpu::Step::single), Cpu::Exit::debug);
    EXPECT_EQ(run.hart.s.pc, step.hart.s.pc);
    for (unsigned r = 0; r < 32; r++) EXPECT_EQ(run.x(r), step.x(r)) << r;
    EXPECT_EQ(run.hart.instructions(), step.hart.instructions());
}

TEST(Hart, BreakpointsStopBeforeAndAreLeftBehind) {
    Bench b;
    b.put(ram_base, {addi(1, 1, 1), addi(2, 2, 1), jal(0, -8)});
    DebugPoints points;
    points.breakpoints = {ram_base + 4};
    b.hart.set_debug_points(&points);
    for (u64 round = 1; round < 4; round++) {
        EXPECT_EQ(b.run(1000), Cpu::Exit::debug);
        EXPECT_EQ(b.hart.debug_event().kind, Cpu::DebugEvent::Kind::breakpoint);
        EXPECT_EQ(b.hart.s.pc, ram_base + 4);
        EXPECT_EQ(b.x(1), round);
        EXPECT_EQ(b.x(2), round - 1);
        // A run that starts on a breakpoint stops at once: who resumes steps over it.
        EXPECT_EQ(b.run(1), Cpu::Exit::debug);
        EXPECT_EQ(b.hart.run(1, Cpu::Step::single), Cpu::Exit::debug);
        EXPECT_EQ(b.hart.debug_event().kind, Cpu::DebugEvent::Kind::step);
    }
    points.breakpoints.clear();
    b.hart.debug_changed();
    EXPECT_EQ(b.run(30), Cpu::Exit::budget);
}

TEST(Hart, WatchpointsSeeTheirAccess) {
    Bench b;
    b.put(ram_base, {sd(1, 5, 0), sd(1, 5, 8), ld(2, 5, 16), jal(0, -12)});
    b.x(5) = ram_base + 0x2000;
    DebugPoints points;
    points.watches = {{ram_base + 0x2008, 8, DebugPoints::Access::write}};
    b.hart.set_debug_points(&points);
    EXPECT_EQ(b.run(100), Cpu::Exit::debug);
    EXPECT_EQ(b.hart.debug_event().kind, Cpu::DebugEvent::Kind::watch);
    EXPECT_EQ(b.hart.debug_event().address, ram_base + 0x2008);
    EXPECT_EQ(b.hart.s.pc, ram_base + 8);
    EXPECT_EQ(b.hart.instructions(), 2u);
}

TEST(Hart, LoadReservedAndStoreConditional) {
    Bench b;
    b.put(ram_base, {lr_d(1, 5), sc_d(2, 6, 5), sc_d(3, 6, 5), lr_d(4, 5), sd(7, 5, 0), sc_d(8, 6, 5)});
    b.x(5) = ram_base + 0x100;
    b.x(6) = 42;
    b.x(7) = 43;
    b.run(6);
    EXPECT_EQ(b.x(2), 0u);
    EXPECT_EQ(b.x(3), 1u);  // the reservation is used up
    EXPECT_EQ(b.x(8), 1u);  // the word has changed
    EXPECT_EQ(b.get64(ram_base + 0x100), 43u);
}

TEST(Hart, MisalignedAccessesWorkAcrossPagesAndAtomicsDoNot) {
    Bench b;
    b.put(ram_base, {sd(1, 5, 0), ld(2, 5, 0), lr_d(3, 5)});
    b.hart.s.mtvec = mtvec_at;
    b.x(1) = 0x0123'4567'89ab'cdef;
    b.x(5) = ram_base + 0x2ffb;
    b.run(3);
    EXPECT_EQ(b.x(2), b.x(1));
    EXPECT_EQ(b.hart.s.mcause, 4u);
    EXPECT_EQ(b.hart.s.mtval, ram_base + 0x2ffb);
}

TEST(Hart, WaitsForInterruptsAndTakesThem) {
    Bench b;
    b.put(ram_base, {wfi, nop()});
    b.hart.s.mtvec = mtvec_at | 1;  // vectored
    b.hart.s.mie = 1 << irq_mti;
    EXPECT_EQ(b.run(10), Cpu::Exit::idle);
    EXPECT_EQ(b.run(10), Cpu::Exit::idle);
    b.hart.interrupt_line(irq_mti).set(true);
    EXPECT_EQ(b.run(1), Cpu::Exit::budget);  // goes on after it, interrupts being off
    EXPECT_EQ(b.hart.s.pc, ram_base + 8);
    b.hart.s.mstatus |= mstatus::mie;
    b.put(mtvec_at + 4 * irq_mti, {addi(9, 0, 1)});
    b.run(1);
    EXPECT_EQ(b.x(9), 1u);
    EXPECT_EQ(b.hart.s.mcause, u64{1} << 63 | irq_mti);
    EXPECT_EQ(b.hart.s.mepc, ram_base + 8);
}

// A firmware sets another bit of mip while the wire is high: that must not stick after the wire has fallen.
TEST(Hart, SettingBitsOfMipLeavesTheExternalInterruptToItsWire) {
    constexpr u16 mip = 0x344;
    constexpr u64 ssip = 1 << irq_ssi, seip = 1 << irq_sei;
    Bench b;
    b.put(ram_base, {csrrs(7, mip, 5), csrrc(8, mip, 5), csrrs(9, mip, 6), csrrs(10, mip, 0)});
    b.x(5) = ssip;
    b.x(6) = seip;
    b.hart.interrupt_line(irq_sei).set(true);
    b.run(1);
    EXPECT_EQ(b.x(7), seip);
    EXPECT_EQ(b.hart.pending(), seip | ssip);
    b.run(1);
    EXPECT_EQ(b.x(8), seip | ssip);
    b.hart.interrupt_line(irq_sei).set(false);
    EXPECT_EQ(b.hart.pending(), 0u);
    b.run(2);
    EXPECT_EQ(b.x(10), seip);  // the software's own bit
}

TEST(Hart, StateSavesAndLoadsWhole) {
    Bench b;
    b.put(ram_base, {addi(1, 0, 5), csrrw(0, 0x340, 1), addi(2, 1, 1), jal(0, 0)});
    b.run(3);
    std::vector<u8> saved;
    auto out = Archive::saver(saved);
    b.hart.state(out);
    Bench other;
    auto in = Archive::loader(saved);
    other.hart.state(in);
    ASSERT_TRUE(in.finish().ok());
    other.hart.restored();
    std::vector<u8> again;
    auto second = Archive::saver(again);
    other.hart.state(second);
    EXPECT_EQ(saved, again);
    EXPECT_EQ(other.hart.s.mscratch, 5u);
    EXPECT_EQ(other.hart.instructions(), 3u);
}

TEST(Hart, HostileStateIsRefused) {
    Bench b;
    b.hart.s.vtype = 0;
    b.hart.s.vl = 17;  // VLMAX is 16 at SEW 8, LMUL 1, VLEN 128
    std::vector<u8> saved;
    auto out = Archive::saver(saved);
    b.hart.state(out);
    Bench other;
    auto in = Archive::loader(saved);
    other.hart.state(in);
    EXPECT_FALSE(in.finish().ok());
}

TEST(Hart, RandomWordsNeverEscape) {
    // Random instruction streams in every mode: whatever happens stays inside the guest.
    u64 seed = 12345;
    const auto random = [&] {
        return seed = seed * 6364136223846793005u + 1442695040888963407u, static_cast<u32>(seed >> 32);
    };
    for (const unsigned xlen : {32u, 64u}) {
        HartConfig config;
        config.xlen = xlen;
        Bench b(config);
        for (int round = 0; round < 200; round++) {
            for (u64 at = 0; at < 0x400; at += 4) b.put32(ram_base + at, random());
            b.hart.s.pc = ram_base;
            b.hart.s.mtvec = ram_base + (random() & 0x3fc);
            b.hart.s.stvec = ram_base + (random() & 0x3fc);
            b.hart.s.medeleg = random();
            b.hart.s.mstatus |= mstatus::fs | mstatus::vs;
            for (unsigned r = 1; r < 32; r++) b.x(r) = random() % 3 == 0 ? random() : ram_base + (random() & 0x3fff);
            b.hart.s.privilege = static_cast<Privilege>(round % 3 == 2 ? 3 : round % 3);
            b.hart.restored();
            const u64 before = b.hart.instructions();
            for (u64 done = 0; done < 2000;) {
                const u64 at = b.hart.instructions();
                const auto exit = b.run(2000 - done);
                done += b.hart.instructions() - at;
                if (exit == Cpu::Exit::idle || exit == Cpu::Exit::stopped) break;
            }
            EXPECT_LE(b.hart.instructions() - before, 2000u);
            EXPECT_EQ(b.x(0), 0u);
        }
    }
}

}  // namespace
}  // namespace viv::riscv::test
