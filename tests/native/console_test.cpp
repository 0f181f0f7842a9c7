// Standard input and output as a console: what reaches a device from a pipe and from a terminal, and what comes out.
#include "native/console.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <termios.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace viv::native {
namespace {

std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

class Device final : public ByteDevice {
public:
    usize put(std::span<const u8> input) override {
        received.append(input.begin(), input.end());
        return input.size();
    }
    std::string received;
};

std::string read_now(int descriptor) {
    char buffer[65536];
    const ssize_t count = read(descriptor, buffer, sizeof buffer);
    return {buffer, count > 0 ? static_cast<usize>(count) : 0};
}

class ConsoleTest : public ::testing::Test {
protected:
    void make_pipes() {
        int input[2], output[2];
        ASSERT_EQ(pipe2(input, O_CLOEXEC), 0);
        ASSERT_EQ(pipe2(output, O_CLOEXEC | O_NONBLOCK), 0);
        setup.input = input[0];
        setup.output = output[1];
        keep_[0] = Descriptor(input[0]);
        keep_[1] = Descriptor(output[1]);
        keyboard = Descriptor(input[1]);
        screen = Descriptor(output[0]);
    }
    void make_terminal() {
        int outer = -1, inner = -1;
        winsize size{};
        size.ws_row = 33;
        size.ws_col = 101;
        ASSERT_EQ(openpty(&outer, &inner, nullptr, nullptr, &size), 0);
        fcntl(outer, F_SETFL, O_NONBLOCK);
        setup.input = setup.output = inner;
        keep_[0] = Descriptor(inner);
        keyboard = Descriptor(dup(outer));
        screen = Descriptor(outer);
    }
    void make_console() {
        console = std::make_unique<Console>(loop, log, setup, [this] { quits++; });
        console->attach(&device);
        console->start();
    }
    void TearDown() override { console.reset(); }
    // A pseudo-terminal hands bytes over when the kernel finds the time: only a wait sees them for certain.
    template <class Condition>
    ::testing::AssertionResult until(Condition condition) {
        for (int i = 0; i < 1000; i++) {
            console->service();
            if (condition()) return ::testing::AssertionSuccess();
            loop.poll(10'000'000'000);
        }
        return ::testing::AssertionFailure() << "did not come about";
    }
    void type(std::string_view text) {
        while (!text.empty()) {
            const ssize_t count = write(keyboard.number(), text.data(), text.size());
            if (count > 0)
                text.remove_prefix(static_cast<usize>(count));
            else
                ASSERT_EQ(errno, EAGAIN);
            if (count <= 0) turn();
        }
    }
    void turn() {
        for (int i = 0; i < 3; i++) {
            console->service();
            loop.poll(0);
        }
        console->service();
    }
    // The next `size` bytes on the screen.
    std::string read_screen(usize size) {
        std::string text;
        while (text.size() < size) {
            pollfd ready{screen.number(), POLLIN, 0};
            if (::poll(&ready, 1, 10'000) <= 0) break;
            char buffer[4096];
            const ssize_t count = read(screen.number(), buffer, std::min(sizeof buffer, size - text.size()));
            if (count <= 0) break;
            text.append(buffer, static_cast<usize>(count));
        }
        return text;
    }
    PipedInput::Advice observe(u64 milliseconds, bool idle = true) {
        now_ns += milliseconds * 1'000'000;
        return console->observe(now_ns, idle);
    }

    EventLoop loop;
    StandardErrorLog log{LogLevel::error};
    Console::Setup setup;
    Device device;
    std::unique_ptr<Console> console;
    Descriptor keyboard, screen;
    int quits = 0;
    u64 now_ns = 0;

private:
    Descriptor keep_[2];
};

TEST_F(ConsoleTest, APipeIsTypedWhenTheGuestShowsThatItIsReady) {
    make_pipes();
    setup.ready = "~ # ";
    make_console();
    type("one\ntwo\n");
    turn();
    observe(100);
    EXPECT_EQ(device.received, "");
    for (const char letter : std::string_view("booting\r\n~ # \x1b[6n")) console->put(bytes({&letter, 1}));
    observe(1);
    EXPECT_EQ(device.received, "");
    observe(20);
    EXPECT_EQ(device.received, "one\n");
    console->put(bytes("one\r\n"));
    observe(10);
    observe(19);
    EXPECT_EQ(device.received, "one\n");
    observe(1);
    EXPECT_EQ(device.received, "one\ntwo\n");
    keyboard.reset();
    turn();
    observe(20);
    EXPECT_EQ(device.received, "one\ntwo\n\x04");
    turn();
    EXPECT_EQ(read_now(screen.number()), "booting\r\n~ # \x1b[6none\r\n");
}

TEST_F(ConsoleTest, WhatWasReadAheadIsTypedFirst) {
    setup.input = -1;
    int output[2];
    ASSERT_EQ(pipe2(output, O_CLOEXEC), 0);
    Descriptor reader(output[0]), writer(output[1]);
    setup.output = output[1];
    const std::string_view ahead = "one\n";
    setup.input_so_far.assign(ahead.begin(), ahead.end());
    make_console();
    turn();
    observe(1000);
    EXPECT_EQ(device.received, "one\n");
    observe(20);
    EXPECT_EQ(device.received, "one\n\x04");
}

TEST_F(ConsoleTest, AReaderThatHasGoneIsSeen) {
    make_pipes();
    make_console();
    screen.reset();
    console->put(bytes("x"));
    turn();
    EXPECT_TRUE(console->output_ended());
}

TEST_F(ConsoleTest, KnowsWhetherALineIsOpen) {
    make_pipes();
    make_console();
    EXPECT_FALSE(console->line_open());
    console->put(bytes("a"));
    EXPECT_TRUE(console->line_open());
    console->put(bytes("b\n"));
    EXPECT_FALSE(console->line_open());
}

TEST_F(ConsoleTest, ATerminalIsRawAndComesBack) {
    make_terminal();
    termios before{}, during{}, after{};
    ASSERT_EQ(tcgetattr(setup.input, &before), 0);
    make_console();
    ASSERT_EQ(tcgetattr(setup.input, &during), 0);
    EXPECT_EQ(during.c_lflag & (ICANON | ECHO | ISIG), 0u);
    EXPECT_EQ(during.c_oflag & OPOST, 0u);
    EXPECT_EQ(log.line_end(), StandardErrorLog::LineEnd::carriage_return_newline);
    type("ls\r\x03\x04");
    EXPECT_TRUE(until([&] { return device.received == "ls\r\x03\x04"; }));
    console->put(bytes("a\nb"));
    console->show("viv\n");
    console->service();
    EXPECT_EQ(read_screen(8), "a\nbviv\r\n");
    console.reset();
    ASSERT_EQ(tcgetattr(setup.input, &after), 0);
    EXPECT_EQ(after.c_lflag, before.c_lflag);
    EXPECT_EQ(after.c_oflag, before.c_oflag);
    EXPECT_EQ(after.c_iflag, before.c_iflag);
    EXPECT_EQ(log.line_end(), StandardErrorLog::LineEnd::newline);
}

TEST_F(ConsoleTest, EscapeKeysAreSeenThoughTheGuestTakesNothing) {
    class Deaf final : public ByteDevice {
    public:
        usize put(std::span<const u8> input) override {
            on_put(input.size());
            return 0;
        }
        std::function<void(usize)> on_put = [](usize) {};
    } deaf;
    usize refused = 0;
    deaf.on_put = [&](usize count) { refused = std::max(refused, count); };
    make_terminal();
    make_console();
    console->attach(&deaf);
    // More than the console keeps: the rest is dropped, not left in the terminal.
    for (int i = 0; i < 100; i++) {
        type(std::string(1000, 'x'));
        turn();
    }
    type("\x01x");
    EXPECT_TRUE(until([&] { return quits == 1; }));
    EXPECT_GE(refused, 1u);
    EXPECT_LE(refused, 65536u);
}

TEST_F(ConsoleTest, HelpIsShownAndTheGuestHearsNothingOfIt) {
    make_terminal();
    make_console();
    type("\x01ha");
    EXPECT_TRUE(until([&] { return device.received == "a"; }));
    const auto expected = "\r\nCtrl-A h       this help\r\n";
    EXPECT_EQ(read_screen(std::strlen(expected)), expected);
}

TEST_F(ConsoleTest, AHungUpTerminalEndsTheRun) {
    make_terminal();
    make_console();
    keyboard.reset();
    screen.reset();
    EXPECT_TRUE(until([&] { return quits > 0; }));
}

TEST(TerminalSize, IsTheWindows) {
    int outer = -1, inner = -1;
    winsize size{};
    size.ws_row = 33;
    size.ws_col = 101;
    ASSERT_EQ(openpty(&outer, &inner, nullptr, nullptr, &size), 0);
    Descriptor a(outer), b(inner);
    EXPECT_EQ(Terminal(inner).size(), (WindowSize{101, 33}));
    Descriptor null(open("/dev/null", O_RDWR));
    EXPECT_EQ(Terminal(null.number()).size(), (WindowSize{0, 0}));
    EXPECT_FALSE(Terminal(null.number()).present());
}

}  // namespace
}  // namespace viv::native
