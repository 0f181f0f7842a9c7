// The UART as its drivers use it: probing, polling, interrupts, FIFOs, loopback, a back end that refuses, saving in
// mid-operation.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/dev/serial/ns16550a.h"
#include "tests/dev/device_bench.h"

namespace viv {
namespace {

enum At : u64 { RBR = 0, THR = 0, DLL = 0, IER = 1, DLM = 1, IIR = 2, FCR = 2 };
enum Further : u64 { LCR = 3, MCR = 4, LSR = 5, MSR = 6, SCR = 7 };

struct Ns16550aTest : ::testing::Test, test::Bench {
    test::RecordingPin irq;
    test::RecordingBackend backend;
    Ns16550a uart{{}, {irq, backend, timers, log("ns16550a")}};

    void SetUp() override { uart.reset(); }
    u8 in(u64 at) { return static_cast<u8>(uart.read(at, 1)); }
    void out(u64 at, u8 value) { uart.write(at, 1, value); }
    usize send(std::string_view text) { return uart.put({reinterpret_cast<const u8*>(text.data()), text.size()}); }
    void set_115200_8n1() {
        out(LCR, 0x80);
        out(DLL, 2);
        out(DLM, 0);
        out(LCR, 0x03);
    }
    static constexpr u64 character_ns = u64{10} * 16 * 2 * 1'000'000'000 / 3'686'400;
};

TEST_F(Ns16550aTest, PowersOnAsTheDataSheetSays) {
    EXPECT_EQ(in(IER), 0);
    EXPECT_EQ(in(IIR), 0x01);
    EXPECT_EQ(in(LCR), 0);
    EXPECT_EQ(in(MCR), 0);
    EXPECT_EQ(in(LSR), 0x60);
    EXPECT_EQ(in(MSR), 0xb0);
    EXPECT_FALSE(irq.level);
}

TEST_F(Ns16550aTest, ProbesAsA16550A) {
    out(IER, 0);
    EXPECT_EQ(in(IER), 0);
    out(IER, 0xff);
    EXPECT_EQ(in(IER), 0x0f) << "no sleep or Xscale bits";
    out(IER, 0);
    out(SCR, 0xa5);
    EXPECT_EQ(in(SCR), 0xa5);
    out(MCR, 0x1a);  // loopback with OUT2 and RTS
    EXPECT_EQ(in(MSR)&0xf0, 0x90);
    out(MCR, 0xe0);
    EXPECT_EQ(in(MCR), 0) << "no auto flow control or prescaler";
    out(FCR, 0x01);
    EXPECT_EQ(in(IIR) >> 6, 3);
    out(FCR, 0x00);
    EXPECT_EQ(in(IIR) >> 6, 0);
    out(LCR, 0xbf);
    EXPECT_EQ(in(FCR)&0x20, 0) << "no 64-byte FIFO, no EFR";
    out(LCR, 0x80);
    out(DLL, 0x12);
    out(DLM, 0x34);
    EXPECT_EQ(in(DLL), 0x12);
    EXPECT_EQ(in(DLM), 0x34);
    out(LCR, 0x00);
    EXPECT_EQ(in(IER), 0);
}

TEST_F(Ns16550aTest, PolledOutputGoesStraightThrough) {
    const std::string text = "Hello, world\n";
    for (const char c : text) {
        ASSERT_TRUE(in(LSR)&0x20);
        out(THR, static_cast<u8>(c));
    }
    EXPECT_EQ(backend.output, text);
    EXPECT_EQ(in(LSR), 0x60);
}

TEST_F(Ns16550aTest, InterruptDrivenOutput) {
    out(FCR, 0x07);
    EXPECT_FALSE(irq.level);
    out(IER, 0x02);
    EXPECT_TRUE(irq.level) << "an empty transmitter interrupts as soon as it may";
    EXPECT_EQ(in(IIR), 0xc2);
    EXPECT_FALSE(irq.level) << "reading IIR acknowledges";
    EXPECT_EQ(in(IIR), 0xc1);
    out(THR, 'x');
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(in(IIR), 0xc2);
    out(IER, 0x00);
    out(IER, 0x02);
    EXPECT_TRUE(irq.level);
    out(IER, 0x00);
    EXPECT_FALSE(irq.level);
}

TEST_F(Ns16550aTest, ABackendThatRefusesLosesNothing) {
    out(FCR, 0x01);
    out(IER, 0x02);
    backend.room = 3;
    std::string sent;
    while (in(LSR)&0x20) {
        out(THR, static_cast<u8>('a' + sent.size()));
        sent += static_cast<char>('a' + sent.size());
    }
    ASSERT_EQ(sent.size(), 4u) << "the fourth byte stays, so THRE goes away";
    for (unsigned i = 0; i < 15; i++) {
        out(THR, static_cast<u8>('a' + sent.size()));
        sent += static_cast<char>('a' + sent.size());
    }
    EXPECT_EQ(in(LSR)&0x60, 0);
    EXPECT_EQ(in(IIR), 0xc1);
    EXPECT_FALSE(irq.level);
    out(THR, '!');  // a seventeenth byte, against LSR: the guest's mistake
    EXPECT_EQ(backend.output, "abc");

    // Saved while output is held, it goes on in another machine.
    const auto saved = test::save(uart);
    test::RecordingPin other_irq;
    test::RecordingBackend other_backend;
    other_backend.room = 5;
    Ns16550a other({}, {other_irq, other_backend, timers, log()});
    ASSERT_TRUE(test::load(other, saved).ok());
    EXPECT_EQ(other_backend.output, "defgh");
    EXPECT_FALSE(other_irq.level);
    other_backend.room = 100;
    other.room_for_output();
    EXPECT_EQ(other_backend.output, sent.substr(3));
    EXPECT_TRUE(other_irq.level);

    backend.room = ~usize{0};
    const unsigned puts = backend.puts;
    uart.room_for_output();
    EXPECT_EQ(backend.output, sent);
    EXPECT_LE(backend.puts - puts, 2u) << "held output goes in one batch, two where the FIFO wraps";
    EXPECT_EQ(in(LSR)&0x60, 0x60);
    EXPECT_EQ(in(IIR), 0xc2);
}

TEST_F(Ns16550aTest, ReceivesUpToTheTriggerLevelThenTimesOut) {
    set_115200_8n1();
    out(FCR, 0x81);  // trigger at 8
    out(IER, 0x01);
    EXPECT_EQ(send("1234567"), 7u);
    EXPECT_FALSE(irq.level);
    EXPECT_EQ(send("8"), 1u);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(in(IIR), 0xc4);
    EXPECT_EQ(in(RBR), '1');
    EXPECT_FALSE(irq.level) << "below the trigger level";
    advance(4 * character_ns - 10);
    EXPECT_FALSE(irq.level);
    advance(20);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(in(IIR), 0xcc);
    EXPECT_EQ(in(RBR), '2');
    EXPECT_EQ(in(IIR), 0xc1) << "a read restarts the time-out";
    advance(4 * character_ns);
    EXPECT_EQ(in(IIR), 0xcc);
    std::string rest;
    while (in(LSR)&1) rest += static_cast<char>(in(RBR));
    EXPECT_EQ(rest, "345678");
    EXPECT_EQ(in(RBR), '8') << "an empty receiver repeats";
    advance(100 * character_ns);
    EXPECT_FALSE(irq.level);
}

TEST_F(Ns16550aTest, ATimeOutSurvivesSaving) {
    set_115200_8n1();
    out(FCR, 0x81);
    out(IER, 0x01);
    send("x");
    advance(2 * character_ns);
    const auto saved = test::save(uart);
    test::RecordingPin other_irq;
    Ns16550a other({}, {other_irq, backend, timers, log()});
    ASSERT_TRUE(test::load(other, saved).ok());
    EXPECT_EQ(test::save(other), saved);
    advance(character_ns);
    EXPECT_FALSE(other_irq.level);
    advance(2 * character_ns);
    EXPECT_TRUE(other_irq.level);
    EXPECT_EQ(other.read(IIR, 1), 0xccu);
    EXPECT_EQ(other.read(RBR, 1), 'x');
}

TEST_F(Ns16550aTest, InputThatDoesNotFitStaysWithTheHost) {
    EXPECT_EQ(send("ab"), 1u) << "one byte without FIFOs";
    EXPECT_EQ(backend.wanted, 0u);
    EXPECT_EQ(in(RBR), 'a');
    EXPECT_EQ(backend.wanted, 1u);
    out(FCR, 0x01);
    EXPECT_EQ(send("0123456789abcdefgh"), 16u);
    for (unsigned i = 0; i < 7; i++) in(RBR);
    EXPECT_EQ(backend.wanted, 1u);
    in(RBR);
    EXPECT_EQ(backend.wanted, 2u) << "asked once the FIFO is half empty";
    EXPECT_EQ(send("gh"), 2u);
    EXPECT_EQ(in(LSR)&0x02, 0) << "flow control means no overrun";
}

TEST_F(Ns16550aTest, PrioritiesOfInterrupts) {
    out(FCR, 0x01);
    out(IER, 0x0f);
    out(MCR, 0x10);
    out(MCR, 0x12);  // CTS changes in loopback
    send("z");
    out(THR, 'q');
    uart.receive_break();  // dropped: SIN is disconnected in loopback
    EXPECT_EQ(in(IIR), 0xc4);
    EXPECT_EQ(in(RBR), 'q');
    EXPECT_EQ(in(IIR), 0xc2);
    EXPECT_EQ(in(IIR), 0xc0);
    EXPECT_TRUE(irq.level);
    EXPECT_EQ(in(MSR)&0x01, 0x01);
    EXPECT_EQ(in(IIR), 0xc1);
    EXPECT_FALSE(irq.level);
    out(MCR, 0x00);
    uart.receive_break();
    EXPECT_EQ(in(IIR), 0xc6);
    EXPECT_EQ(in(LSR), 0x60 | 0x80 | 0x10 | 0x01);
    EXPECT_EQ(in(IIR), 0xc4);
    EXPECT_EQ(in(RBR), 0);
}

TEST_F(Ns16550aTest, BreakShowsWhenItsByteIsNext) {
    out(FCR, 0x01);
    send("ok");
    uart.receive_break();
    EXPECT_EQ(in(LSR)&0x9f, 0x81) << "an error waits in the FIFO, but not at its top";
    in(RBR);
    in(RBR);
    EXPECT_EQ(in(LSR)&0x9f, 0x91);
    EXPECT_EQ(in(LSR)&0x9f, 0x01) << "reading LSR clears it";
}

TEST_F(Ns16550aTest, LoopbackOverruns) {
    out(MCR, 0x10);
    out(THR, 'a');
    EXPECT_EQ(in(LSR)&0x03, 0x01);
    out(THR, 'b');
    EXPECT_EQ(in(LSR)&0x03, 0x03);
    EXPECT_EQ(in(RBR), 'b') << "without FIFOs the newer byte wins";
    out(FCR, 0x01);
    for (unsigned i = 0; i < 18; i++) out(THR, static_cast<u8>('A' + i));
    EXPECT_EQ(in(LSR)&0x03, 0x03);
    std::string got;
    while (in(LSR)&1) got += static_cast<char>(in(RBR));
    EXPECT_EQ(got, "ABCDEFGHIJKLMNOP");
    EXPECT_EQ(backend.output, "");
    EXPECT_EQ(send("host"), 0u);
    out(MCR, 0x00);
    EXPECT_EQ(backend.wanted, 1u);
}

TEST_F(Ns16550aTest, ModemStatusDeltas) {
    out(MCR, 0x10);
    in(MSR);
    out(MCR, 0x14);  // RI rises: no edge of interest
    EXPECT_EQ(in(MSR), 0x40);
    out(MCR, 0x10);
    EXPECT_EQ(in(MSR), 0x04) << "trailing edge of RI";
    out(MCR, 0x1b);
    EXPECT_EQ(in(MSR), 0xb0 | 0x0b);
    EXPECT_EQ(in(MSR), 0xb0);
}

TEST_F(Ns16550aTest, FcrClearsTheFifos) {
    out(FCR, 0x01);
    send("abc");
    out(FCR, 0x00 | 0x02);
    EXPECT_EQ(in(LSR)&1, 0) << "switching FIFOs off empties them";
    out(FCR, 0x01);
    send("abc");
    out(FCR, 0x03);
    EXPECT_EQ(in(LSR)&1, 0);
    backend.room = 0;
    out(THR, 'x');
    EXPECT_EQ(in(LSR)&0x60, 0);
    out(FCR, 0x05);
    EXPECT_EQ(in(LSR)&0x60, 0x60);
    backend.room = 10;
    uart.room_for_output();
    EXPECT_EQ(backend.output, "");
}

TEST_F(Ns16550aTest, OtherSizesAndOffsetsAreDefined) {
    uart.write(SCR, 4, 0x1234'5678);
    EXPECT_EQ(uart.read(SCR, 1), 0x78u);
    EXPECT_EQ(uart.read(LSR, 2), 0x60u);
    EXPECT_EQ(uart.read(0x20, 8), 0u);
    uart.write(0x20, 8, ~u64{0});
    uart.write(LSR, 1, 0xff);
    uart.write(MSR, 1, 0xff);
    EXPECT_EQ(in(LSR), 0x60);
    EXPECT_EQ(in(MSR), 0xb0);
}

TEST_F(Ns16550aTest, ResetForgetsEverything) {
    const auto fresh = test::save(uart);
    set_115200_8n1();
    out(FCR, 0xc7);
    out(IER, 0x0f);
    out(MCR, 0x1f);
    out(SCR, 1);
    out(THR, 1);
    uart.reset();
    EXPECT_FALSE(irq.level);
    EXPECT_EQ(test::save(uart), fresh);
    EXPECT_EQ(timers.next_deadline_ns(), Timers::never);
}

TEST_F(Ns16550aTest, RefusesABrokenSave) {
    send("a");
    auto saved = test::save(uart);
    Ns16550a other({}, {irq, backend, timers, log()});
    std::mt19937 random(5);
    for (unsigned i = 0; i < 2000; i++) {
        auto damaged = saved;
        damaged[random() % damaged.size()] ^= static_cast<u8>(1u << (random() % 8));
        (void)test::load(other, damaged);
        other.restored();
        for (u64 at = 0; at < 8; at++) other.read(at, 1);
        other.put(saved);
    }
}

TEST_F(Ns16550aTest, SurvivesRandomAccesses) {
    test::random_accesses(uart, 0x100, 100'000, [&](auto& random) {
        backend.room = random() % 8;
        uart.room_for_output();
        const std::string text(random() % 20, 'r');
        send(text);
        if (random() % 8 == 0) uart.receive_break();
        advance(random() % 1'000'000);
    });
    uart.reset();
    EXPECT_EQ(in(LSR), 0x60);
}

}  // namespace
}  // namespace viv
