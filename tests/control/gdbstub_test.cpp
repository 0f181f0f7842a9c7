// The remote serial protocol byte by byte: framing, attaching, registers, memory, points, running and stopping,
// threads, descriptions, monitor commands, and input that means harm.
#include "engine/control/gdbstub.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/control/fake_command_host.h"
#include "tests/control/programs.h"

namespace viv::test {
namespace {

struct Debugger {
    explicit Debugger(Bench& a_bench)
        : bench(a_bench), stub(*bench.machine, host, [this](std::string_view bytes) { out += bytes; }) {
        stub.connected();
        raw(gdb::packet("QStartNoAckMode"));
        out.clear();
    }
    void raw(std::string_view bytes) { stub.receive(as_bytes(bytes)); }
    // Sends a packet and returns the payloads of the answers, several joined by '|'.
    std::string ask(std::string_view payload) {
        out.clear();
        raw(gdb::packet(payload));
        return answers();
    }
    std::string answers() {
        gdb::Framing framing;
        std::string joined;
        for (const char c : std::exchange(out, {})) {
            const auto event = framing.take(static_cast<u8>(c));
            if (event == gdb::Framing::Event::packet)
                joined += (joined.empty() ? "" : "|") + framing.payload();
            else if (event != gdb::Framing::Event::nothing)
                joined += "?";
        }
        return joined;
    }
    // Resumes by `payload`, lets the machine run and returns the stop reply.
    std::string go(std::string_view payload) {
        EXPECT_EQ(ask(payload), "");
        bench.run_out({10'000, 0}, 20);
        return answers();
    }

    Bench& bench;
    FakeCommandHost host;
    std::string out;
    GdbStub stub;
};

Bench::Options harts(unsigned count) {
    Bench::Options options;
    options.cpus = count;
    return options;
}

TEST(GdbFraming, AcknowledgesAndChecks) {
    Bench bench(counting_program());
    FakeCommandHost host;
    std::string out;
    GdbStub stub(*bench.machine, host, [&](std::string_view bytes) { out += bytes; });
    stub.connected();
    const auto send = [&](std::string_view bytes) {
        out.clear();
        stub.receive(as_bytes(bytes));
        return out;
    };
    EXPECT_EQ(send("$?#3f"), "+$T05thread:1;#d7");
    EXPECT_EQ(send("-"), "$T05thread:1;#d7");
    EXPECT_EQ(send("$?#40"), "-");
    EXPECT_EQ(send("$?#xx"), "-");
    EXPECT_EQ(send("+$?"), "");
    EXPECT_EQ(send("#3"), "");
    EXPECT_EQ(send("f"), "+$T05thread:1;#d7");
    EXPECT_EQ(send("noise$qC$?#3f"), "+$T05thread:1;#d7");  // the first packet was cut off by the second
    EXPECT_EQ(send("$QStartNoAckMode#b0"), "+$OK#9a");
    EXPECT_EQ(send("$?#3f"), "$T05thread:1;#d7");
    EXPECT_EQ(send("-"), "");
    EXPECT_EQ(send("$unknown#" + gdb::packet("unknown").substr(9)), "$#00");
}

TEST(GdbFraming, EscapesBothWays) {
    gdb::Framing framing;
    const std::string payload("a#b$c}d*e\0f", 11);
    std::string got;
    for (const char c : gdb::packet(payload))
        if (framing.take(static_cast<u8>(c)) == gdb::Framing::Event::packet) got = framing.payload();
    EXPECT_EQ(got, payload);
}

TEST(GdbFraming, PacketsBeyondTheLimitAreAnsweredWithAnError) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    EXPECT_EQ(debugger.ask("m" + std::string(gdb::packet_size, '1')), "E22");
    EXPECT_EQ(debugger.ask("?"), "T05thread:1;");
}

TEST(GdbStub, StopsTheMachineAndLetsItGo) {
    Bench bench(counting_program());
    EXPECT_EQ(bench.machine->state(), RunState::running);
    {
        Debugger debugger(bench);
        EXPECT_EQ(bench.machine->state(), RunState::paused);
        EXPECT_EQ(debugger.ask("qAttached"), "1");
        EXPECT_EQ(debugger.ask("Z0,10008,8"), "OK");
        EXPECT_EQ(debugger.ask("D"), "OK");
        EXPECT_EQ(bench.machine->state(), RunState::running);
        EXPECT_TRUE(bench.machine->debug_points().empty());
    }
    {
        Debugger debugger(bench);
        EXPECT_EQ(debugger.ask("Z0,10008,8"), "OK");
    }  // gone without a word
    EXPECT_EQ(bench.machine->state(), RunState::running);
    EXPECT_TRUE(bench.machine->debug_points().empty());
    bench.machine->pause();
    { Debugger debugger(bench); }
    EXPECT_EQ(bench.machine->state(), RunState::paused);  // it was paused before the debugger came
}

TEST(GdbStub, SaysWhatItCan) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    const std::string supported = debugger.ask("qSupported:multiprocess+;swbreak+;hwbreak+;xmlRegisters=i386");
    for (const char* feature :
         {"PacketSize=4000", "QStartNoAckMode+", "qXfer:features:read+", "qXfer:threads:read+", "vContSupported+"})
        EXPECT_NE(supported.find(feature), std::string::npos) << feature;
    EXPECT_EQ(debugger.ask("vCont?"), "vCont;c;C;s;S");
    EXPECT_EQ(debugger.ask("vMustReplyEmpty"), "");
    EXPECT_EQ(debugger.ask("qTStatus"), "");
    EXPECT_EQ(debugger.ask("!"), "");
}

TEST(GdbStub, ReadsAndWritesRegisters) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    bench.cpu(0).set_x(5, 0x1122334455667788);
    const std::string all = debugger.ask("g");
    EXPECT_EQ(all.size(), 33U * 16 + 32) << "x, pc and the wide one; number 70 is apart";
    EXPECT_EQ(all.substr(5 * 16, 16), "8877665544332211");
    EXPECT_EQ(all.substr(32 * 16, 16), "0000010000000000");
    EXPECT_EQ(all.substr(33 * 16), std::string(32, '0'));
    EXPECT_EQ(debugger.ask("p5"), "8877665544332211");
    EXPECT_EQ(debugger.ask("P5=0102030405060708"), "OK");
    EXPECT_EQ(bench.cpu(0).x(5), 0x0807060504030201U);
    EXPECT_EQ(debugger.ask("P21=000102030405060708090a0b0c0d0e0f"), "OK");
    EXPECT_EQ(debugger.ask("p21"), "000102030405060708090a0b0c0d0e0f");
    EXPECT_EQ(debugger.ask("g").substr(33 * 16), "000102030405060708090a0b0c0d0e0f");
    EXPECT_EQ(debugger.ask("P21=0001020304050607"), "E22");
    EXPECT_EQ(debugger.ask("p46"), "0000000000000000");
    EXPECT_EQ(debugger.ask("P46=0100000000000000"), "E14");
    EXPECT_EQ(debugger.ask("p22"), "E14");
    EXPECT_EQ(debugger.ask("p"), "E22");
    EXPECT_EQ(debugger.ask("pffffffff1"), "E22");
    EXPECT_EQ(debugger.ask("P5=01"), "E22");
    EXPECT_EQ(debugger.ask("P5=0x"), "E22");
    EXPECT_EQ(debugger.ask("P99=00"), "E22");
    std::string other = all;
    other.replace(7 * 16, 2, "ff");
    other.replace(33 * 16 + 30, 2, "77");
    EXPECT_EQ(debugger.ask("G" + other), "OK");
    EXPECT_EQ(bench.cpu(0).x(7), 0xffU);
    EXPECT_EQ(debugger.ask("p21"), "00000000000000000000000000000077");
    EXPECT_EQ(debugger.ask("G" + other.substr(2)), "E22");
    EXPECT_EQ(debugger.ask("G" + other + "00"), "E22");
}

TEST(GdbStub, ReadsAndWritesMemory) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    EXPECT_EQ(debugger.ask("M18000,4:deadbeef"), "OK");
    EXPECT_EQ(debugger.ask("m18000,6"), "deadbeef0000");
    EXPECT_EQ(debugger.ask(std::string_view("X18002,4:a}#\0", 13)), "OK");
    EXPECT_EQ(debugger.ask("m18000,6"), "dead617d2300");
    EXPECT_EQ(debugger.ask("X18000,0:"), "OK");
    EXPECT_EQ(debugger.ask("m0,4"), "E14");
    EXPECT_EQ(debugger.ask("m1fffc,8"), "00000000");  // what there is before the end of RAM
    EXPECT_EQ(debugger.ask("M1fffc,8:0102030405060708"), "E14");
    EXPECT_EQ(debugger.ask("m1fffc,4"), "00000000");
    EXPECT_EQ(debugger.ask("M18000,4:dead"), "E22");
    EXPECT_EQ(debugger.ask("M18000,4:deadbeeg"), "E22");
    EXPECT_EQ(debugger.ask("m18000"), "E22");
    EXPECT_EQ(debugger.ask("mfffffffffffffff8,10"), "E14");
    EXPECT_EQ(debugger.ask("m10000000000000000,1"), "E22");
    EXPECT_LE(debugger.ask("m10000,ffffffffffffffff").size(), gdb::packet_size);
}

TEST(GdbStub, BreakpointsStopAndAreNamed) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    debugger.ask("qSupported:swbreak+;hwbreak+");
    EXPECT_EQ(debugger.ask("Z0,10008,8"), "OK");
    EXPECT_EQ(debugger.go("vCont;c"), "T05thread:1;swbreak:;");
    EXPECT_EQ(bench.cpu(0).pc(), 0x1'0008U);
    EXPECT_EQ(debugger.ask("?"), "T05thread:1;swbreak:;");
    // As gdb goes on: takes it out, steps, puts it in again.
    EXPECT_EQ(debugger.ask("z0,10008,8"), "OK");
    EXPECT_EQ(debugger.ask("vCont;s:1"), "T05thread:1;");
    EXPECT_EQ(bench.cpu(0).pc(), 0x1'0010U);
    EXPECT_EQ(debugger.ask("Z1,10008,8"), "OK");
    EXPECT_EQ(debugger.go("c"), "T05thread:1;hwbreak:;");
    EXPECT_EQ(bench.cpu(0).x(2), 1U);
    EXPECT_EQ(debugger.go("c10000"), "T05thread:1;hwbreak:;");  // from the start: x1 again, then the breakpoint
    EXPECT_EQ(bench.cpu(0).x(2), 1U);
    EXPECT_EQ(debugger.ask("s"), "T05thread:1;");
    EXPECT_EQ(debugger.ask("s10010"), "T05thread:1;");
    EXPECT_EQ(bench.cpu(0).pc(), 0x1'0008U);
    EXPECT_EQ(debugger.ask("czz"), "E22");
    EXPECT_EQ(debugger.ask("S05"), "T05thread:1;");
}

TEST(GdbStub, WatchpointsAreNamedByTheirKind) {
    const std::vector<Instruction> program{
        set(1, 1), set(5, 0x1'8000), {Op::add, 2, 2, 0, 1}, {Op::store, 2, 5, 0, 8}, {Op::load, 3, 5, 0, 16}, jump(-3)};
    Bench bench(program);
    Debugger debugger(bench);
    EXPECT_EQ(debugger.ask("Z2,1800c,4"), "OK");
    EXPECT_EQ(debugger.go("c"), "T05thread:1;watch:1800c;");
    EXPECT_EQ(bench.board().ram(0x1'8008), 1U);
    EXPECT_EQ(bench.cpu(0).pc(), 0x1'0020U);
    EXPECT_EQ(debugger.ask("Z3,18010,8"), "OK");
    EXPECT_EQ(debugger.go("c"), "T05thread:1;rwatch:18010;");
    EXPECT_EQ(debugger.ask("z2,1800c,4"), "OK");
    EXPECT_EQ(debugger.ask("z3,18010,8"), "OK");
    EXPECT_EQ(debugger.ask("Z4,18008,10"), "OK");
    EXPECT_EQ(debugger.go("c"), "T05thread:1;awatch:18008;");
    EXPECT_EQ(debugger.go("c"), "T05thread:1;awatch:18010;");
    EXPECT_EQ(debugger.ask("Z2,18000,0"), "E22");
    EXPECT_EQ(debugger.ask("Z2,ffffffffffffffff,2"), "E22");
    EXPECT_EQ(debugger.ask("Z5,18000,4"), "");
    EXPECT_EQ(debugger.ask("Z0,18000"), "E22");
    EXPECT_EQ(debugger.ask("Z0,18000,4;X1,27"), "");
}

TEST(GdbStub, PointsAreBounded) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    std::string last;
    for (unsigned i = 0; i < 2'000 && last != "E28"; i++)
        last = debugger.ask(fmt::format("Z0,{:x},4", 0x100000 + 4 * i));
    EXPECT_EQ(last, "E28");
}

TEST(GdbStub, ControlCStops) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    EXPECT_EQ(debugger.go("vCont;c"), "");
    EXPECT_EQ(bench.machine->state(), RunState::running);
    debugger.raw("\x03");
    EXPECT_EQ(debugger.answers(), "T02thread:1;");
    EXPECT_EQ(bench.machine->state(), RunState::paused);
    debugger.raw("\x03");
    EXPECT_EQ(debugger.answers(), "");
}

TEST(GdbStub, PauseByTheMonitorIsAStopToo) {
    Bench bench(counting_program());
    Debugger debugger(bench);
    debugger.go("c");
    bench.machine->pause();
    EXPECT_EQ(debugger.answers(), "T02thread:1;");
}

TEST(GdbStub, PowerOffIsAnExit) {
    Bench bench({set(5, power_address), set(6, 0x701), {Op::store, 6, 5, 0, 0}});
    Debugger debugger(bench);
    EXPECT_EQ(debugger.go("c"), "W07");
    EXPECT_EQ(debugger.ask("?"), "W07");
    EXPECT_EQ(debugger.ask("vCont;c"), "W07");
    EXPECT_EQ(debugger.ask("vCont;s:1"), "W07");
}

TEST(GdbStub, SteppingIntoPowerOffIsAnExit) {
    Bench bench({set(5, power_address), set(6, 0x801), {Op::store, 6, 5, 0, 0}});
    Debugger debugger(bench);
    EXPECT_EQ(debugger.ask("vCont;s:1"), "T05thread:1;");
    EXPECT_EQ(debugger.ask("vCont;s:1"), "T05thread:1;");
    EXPECT_EQ(debugger.ask("vCont;s:1"), "W08");
}

TEST(GdbStub, KillEndsTheMachine) {
    Bench one(counting_program()), two(counting_program());
    Debugger first(one), second(two);
    EXPECT_EQ(first.ask("k"), "");
    EXPECT_EQ(one.machine->state(), RunState::powered_off);
    EXPECT_EQ(second.ask("vKill;1"), "OK");
    EXPECT_EQ(two.machine->stop_reason(), StopReason::quit);
}

TEST(GdbStub, HartsAreThreads) {
    Bench bench(counting_program(), harts(3));
    Debugger debugger(bench);
    EXPECT_EQ(debugger.ask("qfThreadInfo"), "m1,2,3");
    EXPECT_EQ(debugger.ask("qsThreadInfo"), "l");
    EXPECT_EQ(debugger.ask("qThreadExtraInfo,2"), gdb::to_hex(std::string_view("CPU 1 (machine mode)")));
    EXPECT_EQ(debugger.ask("qThreadExtraInfo,9"), "E22");
    EXPECT_EQ(debugger.ask("T3"), "OK");
    EXPECT_EQ(debugger.ask("T4"), "E22");
    EXPECT_EQ(debugger.ask("T0"), "E22");
    EXPECT_EQ(debugger.ask("Hg2"), "OK");
    EXPECT_EQ(debugger.ask("qC"), "QC2");
    EXPECT_EQ(debugger.ask("pa"), "0100000000000000");  // x10: the hart's number
    EXPECT_EQ(debugger.ask("Hg4"), "E22");
    EXPECT_EQ(debugger.ask("Hx1"), "E22");
    EXPECT_EQ(debugger.ask("Hg-1"), "OK");
    EXPECT_EQ(debugger.ask("qC"), "QC2");
    EXPECT_EQ(debugger.ask("vCont;s:3"), "T05thread:3;");
    EXPECT_EQ(bench.cpu(2).instructions(), 1U);
    EXPECT_EQ(bench.cpu(0).instructions(), 0U);
    EXPECT_EQ(debugger.ask("qC"), "QC3");
    EXPECT_EQ(debugger.ask("vCont;s:2;c"), "T05thread:2;");
    EXPECT_EQ(bench.cpu(1).instructions(), 1U);
    EXPECT_GT(bench.cpu(0).instructions(), 10U);
    EXPECT_EQ(debugger.ask("Hc1"), "OK");
    EXPECT_EQ(debugger.ask("s"), "T05thread:1;");
    const u64 before = bench.cpu(2).instructions();
    debugger.go("vCont;c:2");
    EXPECT_EQ(bench.cpu(2).instructions(), before);
    EXPECT_GT(bench.cpu(1).instructions(), 10'000U);
    debugger.raw("\x03");
    EXPECT_EQ(debugger.answers(), "T02thread:1;");
    EXPECT_EQ(debugger.ask("Hc-1"), "OK");
    debugger.go("c");
    EXPECT_GT(bench.cpu(2).instructions(), 10'000U);
    EXPECT_EQ(debugger.ask("vCont;s:9"), "E22");
    EXPECT_EQ(debugger.ask("vCont;"), "E22");
    EXPECT_EQ(debugger.ask("vCont;x"), "E22");
    EXPECT_EQ(debugger.ask("vCont;s1"), "E22");
    EXPECT_EQ(debugger.ask("vCont;S"), "E22");
}

TEST(GdbStub, BreakpointOnAnotherHartNamesIt) {
    Bench bench(
        {set(1, 1), {Op::branch, 10, 0, 0, 3 * 8}, {Op::add, 2, 2, 0, 1}, jump(-1), {Op::add, 3, 3, 0, 1}, jump(-1)},
        harts(2));
    Debugger debugger(bench);
    EXPECT_EQ(debugger.ask("Z0,10020,8"), "OK");
    EXPECT_EQ(debugger.go("vCont;c"), "T05thread:2;");
    EXPECT_EQ(debugger.ask("p20"), "2000010000000000");
}

TEST(GdbStub, DescriptionsComeInPieces) {
    Bench bench(counting_program(), harts(2));
    Debugger debugger(bench);
    std::string xml;
    for (;;) {
        const std::string part = debugger.ask(fmt::format("qXfer:features:read:target.xml:{:x},{:x}", xml.size(), 100));
        ASSERT_FALSE(part.empty());
        xml += part.substr(1);
        if (part.front() == 'l') break;
        ASSERT_EQ(part.front(), 'm');
        ASSERT_EQ(part.size(), 101U);
    }
    EXPECT_EQ("l" + xml, debugger.ask("qXfer:features:read:target.xml:0,ffff"));
    EXPECT_NE(xml.find("<architecture>riscv:rv64</architecture>"), std::string::npos);
    EXPECT_NE(xml.find("<feature name=\"org.gnu.gdb.riscv.cpu\">"), std::string::npos);
    EXPECT_NE(xml.find("<reg name=\"x2\" bitsize=\"64\" regnum=\"2\" type=\"data_ptr\"/>"), std::string::npos);
    EXPECT_NE(xml.find("<reg name=\"pc\" bitsize=\"64\" regnum=\"32\" type=\"code_ptr\"/>"), std::string::npos);
    EXPECT_NE(xml.find("<vector id=\"fake_vector_w\" type=\"uint32\" count=\"4\"/>"), std::string::npos);
    EXPECT_NE(xml.find("<reg name=\"wide\" bitsize=\"128\" regnum=\"33\" type=\"fake_vector\"/>"), std::string::npos);
    EXPECT_LT(xml.find("<union id=\"fake_vector\">"), xml.find("<reg name=\"wide\""));
    EXPECT_EQ(debugger.ask("qXfer:threads:read::0,ffff"),
              "l<?xml version=\"1.0\"?><threads><thread id=\"1\" core=\"0\">CPU 0 (machine mode)</thread>"
              "<thread id=\"2\" core=\"1\">CPU 1 (machine mode)</thread></threads>");
    EXPECT_EQ(debugger.ask("qXfer:features:read:other.xml:0,ff"), "E00");
    EXPECT_EQ(debugger.ask("qXfer:features:read:target.xml:fffff,ff"), "E22");
    EXPECT_EQ(debugger.ask("qXfer:features:read:target.xml:0"), "E22");
    EXPECT_EQ(debugger.ask("qXfer:auxv:read::0,ff"), "");
}

TEST(GdbStub, MonitorCommandsAreTheRows) {
    Bench bench(counting_program(), harts(2));
    Debugger debugger(bench);
    debugger.ask("Hg2");
    EXPECT_EQ(debugger.ask("qRcmd," + gdb::to_hex(std::string_view("info status"))),
              "O" + gdb::to_hex(std::string_view("VM status: debug\n")) + "|OK");
    EXPECT_EQ(debugger.ask("qRcmd," + gdb::to_hex(std::string_view("x/2x $x10 + 0x18000"))),
              "O" + gdb::to_hex(std::string_view("0000000000018001: 0x00000000 0x00000000\n")) + "|OK");
    EXPECT_EQ(debugger.ask("qRcmd," + gdb::to_hex(std::string_view("stop"))), "OK");
    EXPECT_EQ(debugger.ask("qRcmd,7"), "E22");
    // A long answer comes in several packets, none beyond the limit.
    debugger.out.clear();
    debugger.raw(gdb::packet("qRcmd," + gdb::to_hex(std::string_view("x/4000x 0x10000"))));
    EXPECT_GT(debugger.out.size(), 3 * gdb::packet_size);
    usize longest = 0;
    for (usize at = 0; at < debugger.out.size();) {
        const usize end = debugger.out.find('#', at) + 3;
        longest = std::max(longest, end - at);
        at = end;
    }
    EXPECT_LE(longest, gdb::packet_size);
}

TEST(GdbStub, SurvivesWhateverComes) {
    std::mt19937_64 random(11);
    Bench bench(busy_program(), harts(2));
    const std::vector<std::string> seeds{"?",
                                         "g",
                                         "p20",
                                         "P5=0102030405060708",
                                         "m10000,100",
                                         "M18000,4:deadbeef",
                                         "X18000,2:ab",
                                         "Z0,10040,8",
                                         "Z2,18000,8",
                                         "z0,10040,8",
                                         "vCont;c",
                                         "vCont;s:1;c",
                                         "vCont;c:2",
                                         "s",
                                         "c",
                                         "c10000",
                                         "Hg2",
                                         "Hc1",
                                         "qSupported:swbreak+",
                                         "T1",
                                         "qXfer:features:read:target.xml:0,fff",
                                         "qXfer:threads:read::0,fff",
                                         "qfThreadInfo",
                                         "qThreadExtraInfo,1",
                                         "qRcmd," + gdb::to_hex(std::string_view("x/4i $pc")),
                                         "D",
                                         "C05;10000",
                                         "S05",
                                         "vCont?",
                                         "QStartNoAckMode"};
    FakeCommandHost host;
    usize sent = 0;
    GdbStub stub(*bench.machine, host, [&](std::string_view bytes) { sent += bytes.size(); });
    stub.connected();
    for (unsigned round = 0; round < 6'000; round++) {
        std::string text = seeds[random() % seeds.size()];
        for (u64 changes = random() % 4; changes > 0 && !text.empty(); changes--) {
            const usize at = random() % text.size();
            switch (random() % 4) {
                case 0: text[at] = static_cast<char>(random()); break;
                case 1: text.erase(at, 1 + random() % 3); break;
                case 2: text.insert(at, text.substr(random() % text.size())); break;
                default: text.insert(at, 1, "0123456789abcdef-,;:="[random() % 21]);
            }
        }
        std::string bytes = random() % 8 == 0 ? text : gdb::packet(text);
        if (random() % 16 == 0) bytes.resize(random() % (bytes.size() + 1));
        if (random() % 16 == 0) bytes += '\x03';
        stub.receive(as_bytes(bytes));
        bench.machine->run({200, 0});
        if (bench.machine->state() == RunState::powered_off) {
            ASSERT_TRUE(bench.machine->reset().ok());
        }
        if (round % 500 == 0) stub.connected();
    }
    EXPECT_GT(sent, 0U);
}

TEST(GdbStub, SurvivesNoise) {
    std::mt19937_64 random(12);
    Bench bench(counting_program());
    FakeCommandHost host;
    GdbStub stub(*bench.machine, host, [](std::string_view) {});
    stub.connected();
    std::vector<u8> noise(200'000);
    for (u8& byte : noise) byte = static_cast<u8>(random() % 4 == 0 ? "$#+-}\x03qv"[random() % 8] : random());
    stub.receive(noise);
    EXPECT_NE(bench.machine, nullptr);
}

}  // namespace
}  // namespace viv::test
