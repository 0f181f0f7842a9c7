// Debug triggers (Sdtrig): which values the registers take, what each kind of match sees, where triggers keep quiet,
// and how they live together with a debugger's points, slices, saved machines and page boundaries.
#include "tests/isa/bench.h"

namespace viv::riscv::test {
namespace {

constexpr u16 tselect = 0x7a0, tdata1 = 0x7a1, tdata2 = 0x7a2, tdata3 = 0x7a3, tinfo = 0x7a4, tcontrol = 0x7a5;
constexpr u16 mstatus_csr = 0x300, medeleg = 0x302, mtvec = 0x305, mepc = 0x341;
constexpr u64 r = 1, w = 2, x = 4, u = 8, m = 64, hit0 = 1 << 22;
constexpr u64 s_mode = 16;
constexpr u64 equal = 0, napot = 1 << 7, ge = 2 << 7, lt = 3 << 7;
constexpr u64 handler = ram_base + 0x8000, data = ram_base + 0x2000;
constexpr u64 mte = 8, mpte = 128;

constexpr u32 load_of(unsigned funct3, unsigned rd, unsigned rs1) { return 0x3 | funct3 << 12 | rd << 7 | rs1 << 15; }

struct TriggerBench : Bench {
    explicit TriggerBench(HartConfig config = {}) : Bench(config) {
        write(mtvec, handler);
        put32(handler, jal(0, 0));
    }
    void write(u16 number, u64 value) { ASSERT_TRUE(hart.write_csr(number, value)); }
    u64 read(u16 number) {
        u64 value = 0;
        EXPECT_TRUE(hart.read_csr(number, value, false));
        return value;
    }
    // As software is told to do it: disabled while tdata2 changes.
    void set(unsigned index, u64 control, u64 address) {
        write(tselect, index);
        write(tdata1, 0);
        write(tdata2, address);
        write(tdata1, u64{6} << (hart.xlen() - 4) | control);
    }
    bool trapped() const { return hart.s.mcause == 3 && hart.s.pc == handler; }
};

HartConfig with_xlen(unsigned xlen) {
    HartConfig config;
    config.xlen = xlen;
    return config;
}

TEST(Triggers, RegistersTakeWhatIsLegal) {
    for (const unsigned xlen : {32u, 64u}) {
        TriggerBench b(with_xlen(xlen));
        const unsigned top = xlen - 4;
        const u64 disabled = u64{15} << top, type6 = u64{6} << top;
        const u64 ones = low_mask(xlen);
        EXPECT_EQ(b.read(tinfo), 0x0100'8040u);
        for (unsigned i = 0; i < 4; i++) {
            b.write(tselect, i);
            EXPECT_EQ(b.read(tselect), i);
            EXPECT_EQ(b.read(tdata1), disabled);
            EXPECT_EQ(b.read(tdata2), 0u);
            b.write(tdata2, i + 100);
        }
        for (const u64 beyond : {u64{4}, ones}) {
            b.write(tselect, beyond);
            EXPECT_EQ(b.read(tselect), 3u) << "there is no such trigger";
        }
        b.write(tselect, 1);
        EXPECT_EQ(b.read(tdata2), 101u) << "each has its own";
        for (unsigned type = 0; type < 16; type++) {
            b.write(tdata1, u64{type} << top | m | x);
            EXPECT_EQ(b.read(tdata1), type == 6 ? type6 | m | x : disabled) << type;
        }
        // Everything at once: neither debug mode's own, nor data, actions, chains, virtual modes or reserved matches.
        b.write(tdata1, type6 | low_mask(top));
        EXPECT_EQ(b.read(tdata1), type6 | hit0 | m | s_mode | u | x | w | r);
        for (u64 size = 0; size < 8; size++) {
            b.write(tdata1, type6 | size << 16 | m | w);
            EXPECT_EQ(b.read(tdata1), type6 | (size == 4 || size > 5 ? 0 : size << 16) | m | w) << size;
        }
        for (u64 match = 0; match < 16; match++) {
            b.write(tdata1, type6 | match << 7 | m | r);
            EXPECT_EQ(b.read(tdata1), type6 | (match > 3 ? 0 : match << 7) | m | r) << match;
        }
        // The largest range is half of all addresses, which is how software finds out.
        b.write(tdata1, type6 | napot | m | r);
        b.write(tdata2, ones);
        EXPECT_EQ(b.read(tdata2), ones & ~(u64{1} << (xlen - 2)));
        b.write(tdata1, type6 | equal | m | r);
        b.write(tdata2, ones);
        EXPECT_EQ(b.read(tdata2), ones);
        b.write(tdata1, type6 | napot | m | r);
        EXPECT_EQ(b.read(tdata2), ones & ~(u64{1} << (xlen - 2)));
        b.write(tdata3, ones);
        EXPECT_EQ(b.read(tdata3), 0u);
        b.write(tinfo, 0);
        EXPECT_EQ(b.read(tinfo), 0x0100'8040u);
        b.write(tcontrol, ones);
        EXPECT_EQ(b.read(tcontrol), mte | mpte);
    }
}

TEST(Triggers, OnlyMachineModeMayTouchThem) {
    for (const u16 number : {tselect, tdata1, tdata2, tdata3, tinfo, tcontrol}) {
        TriggerBench b;
        b.hart.prepare_supervisor();
        b.write(medeleg, 0);
        b.put(ram_base, {mret, csrrs(3, number, 0)});
        b.write(mepc, ram_base + 4);
        b.write(mstatus_csr, u64{1} << 11);
        b.run(2);
        EXPECT_EQ(b.hart.s.pc, handler) << number;
        EXPECT_EQ(b.hart.s.mcause, 2u) << number;
    }
}

struct Access {
    u64 control, value;  // of the trigger
    u64 address;
    unsigned log2_size;
    bool hit;
};

TEST(Triggers, LoadsAndStoresMatchByAddress) {
    constexpr u64 half = data + 0x100;
    const Access accesses[] = {
        {equal, data + 8, data + 8, 3, true},
        {equal, data + 8, data + 8, 0, true},
        {equal, data + 9, data + 8, 3, true},  // any byte of it
        {equal, data + 15, data + 8, 3, true},
        {equal, data + 16, data + 8, 3, false},
        {equal, data + 7, data + 8, 3, false},
        {equal, data + 0x1000, data + 0xffc, 3, true},  // into the next page
        {equal, data + 0x1004, data + 0xffc, 3, false},
        {napot, half | 0x7f, half, 3, true},  // 256 bytes
        {napot, half | 0x7f, half + 0xff, 0, true},
        {napot, half | 0x7f, half + 0x100, 0, false},
        {napot, half | 0x7f, half - 1, 0, false},
        {napot, half | 0x7f, half - 4, 3, true},
        {napot, data + 8, data + 9, 0, true},  // two bytes
        {napot, data + 8, data + 10, 0, false},
        {napot, low_mask(62), data, 0, true},  // half of all addresses
        {ge, data + 8, data + 8, 0, true},
        {ge, data + 8, data + 7, 0, false},
        {ge, data + 8, data + 7, 1, true},
        {ge, data + 8, data + 0x3000, 3, true},
        {lt, data + 8, data + 7, 0, true},
        {lt, data + 8, data + 8, 0, false},
        {lt, data + 8, data + 4, 3, true},
        {lt, data + 8, ram_base + 0x1000, 2, true},
        {equal | 3 << 16, data + 8, data + 8, 2, true},  // four bytes alone
        {equal | 3 << 16, data + 8, data + 8, 3, false},
        {equal | 5 << 16, data + 8, data + 8, 3, true},
        {equal | 1 << 16, data + 8, data + 8, 1, false},
    };
    for (const Access& a : accesses)
        for (const u64 kind : {r, w}) {
            const std::string what = "access " + std::to_string(&a - accesses) + (kind == r ? " load" : " store");
            TriggerBench b;
            // The second time round the page could be in the TLB.
            const u32 access = kind == r ? load_of(a.log2_size, 3, 5) : store(a.log2_size, 1, 5, 0);
            b.put(ram_base, {nop(), access, jal(0, -8)});
            b.x(5) = a.address;
            b.x(1) = b.x(3) = 0x55;
            b.run(6);
            b.put64(align_down(a.address, 8), 0);
            b.x(3) = 0x55;
            b.set(2, a.control | m | kind, a.value);
            b.write(tcontrol, mte);
            b.run(2);
            EXPECT_EQ(b.trapped(), a.hit) << what;
            if (a.hit) {
                EXPECT_EQ(b.hart.s.mepc, ram_base + 4) << what;
                EXPECT_EQ(b.hart.s.mtval, a.address) << what;
                EXPECT_EQ(b.x(3), 0x55u) << what << ": it has not been done";
                EXPECT_EQ(b.get64(align_down(a.address, 8)), 0u) << what;
                EXPECT_EQ(b.hart.s.tdata1[2] & hit0, hit0) << what;
            }
            // The other kind of access does not count.
            TriggerBench other;
            other.put(ram_base, {kind == w ? load_of(a.log2_size, 3, 5) : store(a.log2_size, 1, 5, 0)});
            other.x(5) = a.address;
            other.set(0, a.control | m | kind, a.value);
            other.write(tcontrol, mte);
            other.run(1);
            EXPECT_FALSE(other.trapped()) << what;
            EXPECT_EQ(other.hart.s.tdata1[0] & hit0, 0u) << what;
        }
}

TEST(Triggers, InstructionsMatchByAddress) {
    struct Case {
        u64 control, value;
        u64 stops_at;  // how many of the program's instructions are executed
    };
    const Case cases[] = {{equal, ram_base + 12, 3},
                          {napot, ram_base + 8 + 3, 2},
                          {napot, ram_base | 0x7ff, 0},
                          {napot, low_mask(62), 0},
                          {ge, ram_base + 16, 4},
                          {lt, ram_base + 4, 0},
                          {lt, ram_base, 9},
                          {equal, ram_base + 2, 9},
                          {equal, ram_base + 0x100c, 9},
                          {napot, ram_base + 0x100c, 9},
                          {equal, data, 9}};
    for (const Case& c : cases) {
        for (const bool decoded_before : {false, true}) {
            TriggerBench b;
            b.put(ram_base, std::vector<u32>(9, addi(1, 1, 1)));
            if (decoded_before) {
                b.run(9);
                b.hart.s.pc = ram_base;
                b.x(1) = 0;
            }
            b.set(1, c.control | m | x, c.value);
            b.write(tcontrol, mte);
            const u64 before = b.hart.instructions();
            b.run(9);
            const std::string what = "case " + std::to_string(&c - cases);
            EXPECT_EQ(b.hart.instructions() - before, 9u) << what;
            EXPECT_EQ(b.x(1), c.stops_at) << what;
            EXPECT_EQ(b.trapped(), c.stops_at != 9) << what;
            if (!b.trapped()) continue;
            EXPECT_EQ(b.hart.s.mepc, ram_base + 4 * c.stops_at) << what;
            EXPECT_EQ(b.hart.s.mtval, ram_base + 4 * c.stops_at) << what;
            EXPECT_EQ(b.hart.s.tdata1[1] & hit0, hit0) << what;
        }
    }
}

TEST(Triggers, ModesAreChosenByTheirBits) {
    for (const Privilege mode : {Privilege::user, Privilege::supervisor})
        for (const u64 bits : {u, s_mode, m, u | s_mode})
            for (const u64 kind : {x, w}) {
                TriggerBench b;
                b.hart.prepare_supervisor();
                b.write(medeleg, 0);
                b.put(ram_base, {mret});
                b.put(ram_base + 0x100, {sd(1, 5, 0), jal(0, 0)});
                b.x(5) = data;
                b.write(mepc, ram_base + 0x100);
                b.write(mstatus_csr, static_cast<u64>(mode) << 11);
                b.write(tcontrol, mte | mpte);
                b.set(0, bits | kind, kind == x ? ram_base + 0x100 : data);
                b.run(2);
                EXPECT_EQ(b.trapped(), (bits & (mode == Privilege::user ? u : s_mode)) != 0);
            }
}

TEST(Triggers, ASupervisorThatHandlesItsOwnIsLeftAloneWithInterruptsOff) {
    for (const bool enabled : {false, true}) {
        TriggerBench b;
        b.hart.prepare_supervisor();  // delegates breakpoints
        b.write(0x105, handler);
        b.put(ram_base, {mret});
        b.put(ram_base + 0x100, {sd(1, 5, 0), jal(0, 0)});
        b.x(5) = data;
        b.write(mepc, ram_base + 0x100);
        b.write(mstatus_csr, u64{1} << 11 | (enabled ? 2 : 0));
        b.set(0, s_mode | w, data);
        b.run(2);
        EXPECT_EQ(b.hart.s.pc, enabled ? handler : ram_base + 0x104);
        EXPECT_EQ(b.hart.s.scause, enabled ? 3u : 0u);
        EXPECT_EQ(b.hart.s.stval, enabled ? data : 0u);
        EXPECT_EQ(b.hart.s.privilege, Privilege::supervisor);
    }
}

TEST(Triggers, MachineModeNeedsMteWhichATrapTakesAway) {
    TriggerBench b;
    b.put(ram_base, {sd(1, 5, 0), sd(1, 5, 0), jal(0, -8)});
    b.put(handler, {sd(1, 5, 0), csrrw(0, mepc, 7), mret});
    b.x(5) = data;
    b.x(7) = ram_base + 4;
    b.set(0, m | w, data);
    b.run(3);
    EXPECT_EQ(b.hart.s.mcause, 0u) << "off after reset";
    b.write(tcontrol, mte);
    b.run(1);
    EXPECT_EQ(b.hart.s.mcause, 3u);
    EXPECT_EQ(b.hart.s.pc, handler);
    EXPECT_EQ(b.read(tcontrol), mpte);
    b.run(3);
    EXPECT_EQ(b.hart.s.pc, ram_base + 4) << "the handler's own store did not fire it again";
    EXPECT_EQ(b.read(tcontrol), mte | mpte);
    b.run(1);
    EXPECT_EQ(b.hart.s.mepc, ram_base + 4);
    EXPECT_EQ(b.hart.s.pc, handler);
}

TEST(Triggers, HitTellsWhichAndIsTheSoftwaresToClear) {
    TriggerBench b;
    b.put(ram_base, {sd(1, 5, 0)});
    b.x(5) = data;
    b.set(0, m | w, data);
    b.set(1, m | w, data + 8);
    b.set(2, m | w | ge, data);
    b.set(3, m | r, data);
    b.write(tcontrol, mte);
    b.run(1);
    EXPECT_TRUE(b.trapped());
    for (unsigned i = 0; i < 4; i++) {
        b.write(tselect, i);
        EXPECT_EQ(b.read(tdata1) & hit0, i == 0 || i == 2 ? hit0 : 0) << i;
    }
    b.write(tselect, 2);
    b.write(tdata1, b.read(tdata1) & ~hit0);
    EXPECT_EQ(b.read(tdata1) & hit0, 0u);
}

TEST(Triggers, WrittenByAnInstructionTheyCountFromTheNextOn) {
    TriggerBench b;
    b.put(ram_base, {csrrw(0, tdata1, 6), addi(1, 1, 1), addi(1, 1, 1), sd(1, 5, 0), csrrw(0, tdata1, 0), sd(1, 5, 0),
                     jal(0, 0)});
    b.put(handler, {csrrw(0, mepc, 7), mret});
    b.x(5) = data;
    b.x(6) = u64{6} << 60 | m | w;
    b.x(7) = ram_base + 16;
    b.write(tdata2, data);
    b.write(tcontrol, mte);
    b.run(9);
    EXPECT_EQ(b.hart.s.pc, ram_base + 24) << "one trap, and none once it was disabled";
    EXPECT_EQ(b.hart.s.mcause, 3u);
    EXPECT_EQ(b.get64(data), 2u);
    EXPECT_EQ(b.hart.instructions(), 9u);
}

TEST(Triggers, AtomicOperationsLoadAndStore) {
    constexpr u32 amoadd_d = 0x302f | 5 << 15 | 6 << 20 | 3 << 7;
    const auto fires = [](u32 instruction, u64 kind) {
        TriggerBench b;
        b.put(ram_base, {instruction});
        b.put64(data, 7);
        b.x(5) = data;
        b.x(6) = 1;
        b.set(0, m | kind, data);
        b.write(tcontrol, mte);
        b.run(1);
        if (b.trapped()) {
            EXPECT_EQ(b.get64(data), 7u);
        }
        return b.trapped();
    };
    EXPECT_TRUE(fires(amoadd_d, r));
    EXPECT_TRUE(fires(amoadd_d, w));
    EXPECT_TRUE(fires(lr_d(3, 5), r));
    EXPECT_FALSE(fires(lr_d(3, 5), w));
    EXPECT_TRUE(fires(sc_d(3, 6, 5), w));
    EXPECT_FALSE(fires(sc_d(3, 6, 5), r));
    EXPECT_FALSE(fires(amoadd_d, x));
}

TEST(Triggers, AVectorLoadStopsAtItsElement) {
    TriggerBench b;
    constexpr u32 vsetivli_4_e32 = 0xc000'0057 | 0x10 << 20 | 4 << 15 | 7 << 12;
    constexpr u32 vle32_v1 = 0x7 | 1 << 25 | 5 << 15 | 6 << 12 | 1 << 7;
    b.put(ram_base, {vsetivli_4_e32, vle32_v1});
    b.write(mstatus_csr, 1 << 9);
    b.put64(data, 0x2222'2222'1111'1111);
    b.put64(data + 8, 0x4444'4444'3333'3333);
    b.x(5) = data;
    b.set(0, m | r, data + 13);
    b.write(tcontrol, mte);
    b.run(2);
    EXPECT_TRUE(b.trapped());
    EXPECT_EQ(b.hart.s.mtval, data + 12);
    EXPECT_EQ(b.hart.s.vstart, 3u);
    EXPECT_EQ(load_le<u64>(b.hart.vector_register(1)), 0x2222'2222'1111'1111u);
    EXPECT_EQ(load_le<u32>(b.hart.vector_register(1) + 12), 0u);
}

TEST(Triggers, ComeBeforeADebuggersWatchpoint) {
    TriggerBench b;
    b.put(ram_base, {sd(1, 5, 0), jal(0, 0)});
    b.put(handler, {csrrw(0, tdata1, 0), mret});
    b.x(5) = data;
    b.x(1) = 9;
    b.set(0, m | w, data);
    b.write(tcontrol, mte);
    DebugPoints points;
    points.watches = {{data, 8, DebugPoints::Access::write}};
    b.hart.set_debug_points(&points);
    EXPECT_EQ(b.run(2), Cpu::Exit::budget) << "the guest's trigger, and a step into its handler";
    EXPECT_EQ(b.hart.s.mcause, 3u);
    EXPECT_EQ(b.get64(data), 0u);
    EXPECT_EQ(b.run(10), Cpu::Exit::debug) << "back from there the access is made, and watched";
    EXPECT_EQ(b.hart.debug_event().kind, Cpu::DebugEvent::Kind::watch);
    EXPECT_EQ(b.hart.debug_event().address, data);
    EXPECT_EQ(b.get64(data), 9u);
    EXPECT_EQ(b.hart.s.pc, ram_base + 4);
    // Without the debugger's the guest's still works, and the other way round.
    b.hart.set_debug_points(nullptr);
    b.hart.s.pc = ram_base;
    b.set(0, m | w, data);
    b.run(1);
    EXPECT_EQ(b.hart.s.pc, handler);
}

TEST(Triggers, ComeAfterADebuggersBreakpoint) {
    TriggerBench b;
    b.put(ram_base, {addi(1, 1, 1), addi(1, 1, 1)});
    b.set(0, m | x, ram_base + 4);
    b.write(tcontrol, mte);
    DebugPoints points;
    points.breakpoints = {ram_base + 4};
    b.hart.set_debug_points(&points);
    EXPECT_EQ(b.run(10), Cpu::Exit::debug);
    EXPECT_EQ(b.hart.debug_event().kind, Cpu::DebugEvent::Kind::breakpoint);
    EXPECT_EQ(b.hart.s.pc, ram_base + 4);
    EXPECT_EQ(b.hart.run(1, Cpu::Step::single), Cpu::Exit::debug);
    EXPECT_EQ(b.hart.debug_event().kind, Cpu::DebugEvent::Kind::step);
    EXPECT_TRUE(b.trapped()) << "the step over the breakpoint is the trap";
    EXPECT_EQ(b.x(1), 1u);
}

// Such an instruction is decoded anew each time, on a way of its own.
TEST(Triggers, AnInstructionAcrossAPageBoundaryIsFoundByBoth) {
    constexpr u64 start = ram_base + page_size - 6, across = ram_base + page_size - 2;
    const auto make = [](TriggerBench& b) {
        u8 bytes[8];
        store_le(bytes, nop());
        store_le(bytes + 4, addi(1, 1, 1));
        ASSERT_TRUE(b.memory.write(start, bytes));
        b.put32(across + 4, jal(0, 0));
        b.hart.s.pc = start;
    };
    TriggerBench guest;
    make(guest);
    guest.set(0, m | x, across);
    guest.write(tcontrol, mte);
    guest.run(2);
    EXPECT_TRUE(guest.trapped());
    EXPECT_EQ(guest.hart.s.mepc, across);
    EXPECT_EQ(guest.x(1), 0u);
    TriggerBench debugged;
    make(debugged);
    DebugPoints points;
    points.breakpoints = {across};
    debugged.hart.set_debug_points(&points);
    EXPECT_EQ(debugged.run(10), Cpu::Exit::debug);
    EXPECT_EQ(debugged.hart.s.pc, across);
    EXPECT_EQ(debugged.x(1), 0u);
    points.breakpoints.clear();
    debugged.hart.debug_changed();
    debugged.run(1);
    EXPECT_EQ(debugged.x(1), 1u);
}

TEST(Triggers, HowRunsAreCutChangesNothing) {
    const auto make = [](TriggerBench& b) {
        b.put(ram_base, {addi(1, 1, 1), sd(1, 5, 0), addi(2, 2, 1), addi(3, 3, 1), sd(2, 5, 8), jal(0, -20)});
        b.put(handler, {addi(10, 10, 1), csrrs(6, mepc, 0), addi(6, 6, 4), csrrw(0, mepc, 6), mret});
        b.x(5) = data;
        b.set(0, m | x, ram_base + 12);
        b.set(1, m | w, data);
        b.write(tcontrol, mte);
    };
    constexpr u64 total = 2'000;
    TriggerBench whole;
    make(whole);
    whole.run(total);
    EXPECT_GT(whole.x(10), 100u);
    EXPECT_EQ(whole.x(3), 0u);
    for (const u64 piece : {1u, 2u, 3u, 7u, 64u}) {
        TriggerBench cut;
        make(cut);
        while (cut.hart.instructions() < total) cut.run(std::min(piece, total - cut.hart.instructions()));
        EXPECT_EQ(cut.hart.s.pc, whole.hart.s.pc) << piece;
        for (unsigned i = 0; i < 32; i++) EXPECT_EQ(cut.x(i), whole.x(i)) << piece << " x" << i;
        EXPECT_EQ(cut.hart.instructions(), whole.hart.instructions());
        EXPECT_EQ(cut.hart.s.trapped, whole.hart.s.trapped);
    }
    TriggerBench stepped;
    make(stepped);
    for (u64 i = 0; i < total; i++) EXPECT_EQ(stepped.hart.run(1, Cpu::Step::single), Cpu::Exit::debug);
    EXPECT_EQ(stepped.hart.s.pc, whole.hart.s.pc);
    for (unsigned i = 0; i < 32; i++) EXPECT_EQ(stepped.x(i), whole.x(i)) << "x" << i;
}

TEST(Triggers, AreSavedAndRestored) {
    TriggerBench first;
    first.set(0, m | x, ram_base + 4);
    first.set(3, m | w | napot, data | 7);
    first.write(tcontrol, mte);
    std::vector<u8> saved;
    Archive saver = Archive::saver(saved);
    first.hart.state(saver);

    TriggerBench second;
    second.put(ram_base, {sd(1, 5, 4), addi(1, 1, 1), addi(1, 1, 1)});
    second.run(1);
    Archive loader = Archive::loader(saved);
    second.hart.state(loader);
    ASSERT_TRUE(loader.finish().ok());
    second.hart.restored();
    EXPECT_EQ(second.read(tselect), 3u);
    EXPECT_EQ(second.read(tdata1), u64{6} << 60 | m | w | napot);
    EXPECT_EQ(second.read(tdata2), data | 7);
    EXPECT_EQ(second.read(tcontrol), mte);
    second.x(5) = data;
    second.hart.s.pc = ram_base;
    second.run(1);
    EXPECT_EQ(second.hart.s.mtval, data + 4);
    second.write(tcontrol, mte);
    second.hart.s.pc = ram_base + 4;
    second.run(1);
    EXPECT_EQ(second.hart.s.mtval, ram_base + 4);
    second.hart.reset();
    for (unsigned i = 0; i < trigger_count; i++) EXPECT_EQ(second.hart.s.tdata1[i], u64{15} << 60);
}

TEST(Triggers, WhatASavedMachineClaimsIsMadeLegal) {
    TriggerBench hostile;
    hostile.hart.s.tdata1[0] = ~u64{0} >> 1;  // type 7
    hostile.hart.s.tdata1[1] = (u64{6} << 60) | low_mask(60);
    hostile.hart.s.tdata1[2] = (u64{6} << 60) | napot | m | r;
    hostile.hart.s.tdata2[2] = ~u64{0};
    hostile.hart.s.tcontrol = ~u64{0};
    std::vector<u8> saved;
    Archive saver = Archive::saver(saved);
    hostile.hart.state(saver);
    TriggerBench b;
    Archive loader = Archive::loader(saved);
    b.hart.state(loader);
    ASSERT_TRUE(loader.finish().ok());
    b.hart.restored();
    EXPECT_EQ(b.hart.s.tdata1[0], u64{15} << 60);
    EXPECT_EQ(b.hart.s.tdata1[1], u64{6} << 60 | hit0 | 0x5f);
    EXPECT_EQ(b.hart.s.tdata2[2], ~(u64{1} << 62));
    EXPECT_EQ(b.hart.s.tcontrol, mte | mpte);
    hostile.hart.s.tselect = 4;
    saved.clear();
    Archive again = Archive::saver(saved);
    hostile.hart.state(again);
    Archive refused = Archive::loader(saved);
    b.hart.state(refused);
    EXPECT_FALSE(refused.finish().ok());
}

}  // namespace
}  // namespace viv::riscv::test
