// The pacing of piped standard input, on a clock of the test's own.
#include "native/piped_input.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace viv::native {
namespace {

constexpr u64 ms = 1'000'000;

struct Session {
    PipedInput input{PipedInput::Patience{}};
    u64 now_ns = 0;
    std::string typed;

    void add(std::string_view text) { input.add({reinterpret_cast<const u8*>(text.data()), text.size()}); }
    // One slice later; returns what was typed in it.
    std::string wait(u64 milliseconds, bool idle, PipedInput::Advice expected = PipedInput::Advice::none) {
        now_ns += milliseconds * ms;
        EXPECT_EQ(input.step(now_ns, idle), expected);
        const auto bytes = input.typable();
        const std::string text(bytes.begin(), bytes.end());
        if (!bytes.empty()) input.taken(bytes.size());
        return text;
    }
};

TEST(PipedInput, WaitsForAGuestThatHasSettled) {
    Session session;
    session.add("a\nb\n");
    EXPECT_EQ(session.wait(900, true), "");
    session.input.printed(session.now_ns);
    EXPECT_EQ(session.wait(900, true), "");
    EXPECT_EQ(session.wait(101, false), "");  // busy: still booting
    EXPECT_EQ(session.wait(999, true), "");
    EXPECT_EQ(session.wait(1, true), "a\n");
    EXPECT_EQ(session.wait(10, true), "");
    EXPECT_EQ(session.wait(11, true), "b\n");
}

TEST(PipedInput, AGuestThatListensIsTypedToAtOnce) {
    Session session;
    session.add("a\n");
    session.input.printed(0);
    session.input.listening();
    EXPECT_EQ(session.wait(19, true), "");
    EXPECT_EQ(session.wait(1, true), "a\n");
}

TEST(PipedInput, FirmwareThatPollsIsServedMorePatiently) {
    Session session;
    session.add("a\nb\n");
    EXPECT_EQ(session.wait(9'999, false), "");
    EXPECT_EQ(session.wait(1, false), "a\n");
    EXPECT_EQ(session.wait(999, false), "");
    EXPECT_EQ(session.wait(1, false), "b\n");
}

TEST(PipedInput, AnAnswerGoesAtOnceButOneLineOnly) {
    Session session;
    session.wait(100, false);
    session.input.printed(session.now_ns);  // "Hit any key to stop autoboot"
    session.add(" ");
    EXPECT_EQ(session.wait(0, false), " ");
    session.add("a\nb\n");
    EXPECT_EQ(session.wait(0, false), "a\n");
    EXPECT_EQ(session.wait(19, true), "");
    EXPECT_EQ(session.wait(1, true), "b\n");
}

TEST(PipedInput, AKnownPromptIsWaitedForWhateverIsPrintedBefore) {
    PipedInput::Patience patience;
    patience.prompt = PipedInput::Prompt::known;
    Session session;
    session.input = PipedInput(patience);
    session.input.printed(0);
    session.add("a\n");
    EXPECT_EQ(session.wait(900, true), "");
    session.input.listening();
    EXPECT_EQ(session.wait(0, true), "a\n");
    session.add("b\n");
    EXPECT_EQ(session.wait(0, false), "b\n");
}

TEST(PipedInput, AnswersDoNotFillTheGuestsLineBuffer) {
    Session session;
    session.input.listening();
    usize at_once = 0;
    for (int i = 0; i < 100; i++) {
        session.add(std::string(99, 'x') + "\n");
        at_once += session.wait(0, false).size();
    }
    EXPECT_EQ(at_once, 2100u);
}

TEST(PipedInput, OutputPutsTheNextLineOff) {
    Session session;
    session.add("a\nb\n");
    session.input.listening();
    EXPECT_EQ(session.wait(20, true), "a\n");
    for (int i = 0; i < 50; i++) {
        EXPECT_EQ(session.wait(15, true), "");
        session.input.printed(session.now_ns);
    }
    EXPECT_EQ(session.wait(20, true), "b\n");
}

TEST(PipedInput, NothingNewIsDecidedWhileTheConsoleIsFull) {
    Session session;
    session.add("abc\ndef\n");
    session.input.listening();
    session.input.step(20 * ms, true);
    ASSERT_EQ(session.input.typable().size(), 4u);
    session.input.taken(1);
    session.input.step(1000 * ms, true);
    EXPECT_EQ(session.input.typable().size(), 3u);
    session.input.taken(3);
    session.input.step(1010 * ms, true);
    EXPECT_EQ(session.input.typable().size(), 0u);  // counted from the last byte taken
    session.input.step(1020 * ms, true);
    EXPECT_EQ(session.input.typable().size(), 4u);
}

TEST(PipedInput, LongInputPausesNowAndThen) {
    Session session;
    for (int i = 0; i < 100; i++) session.add(std::string(99, 'x') + "\n");
    session.input.listening();
    usize fast = 0;
    while (!session.wait(20, true).empty()) fast += 100;
    EXPECT_EQ(fast, 2100u);
    EXPECT_EQ(session.wait(1000, true).size(), 100u);
    EXPECT_EQ(session.wait(20, true).size(), 100u);
}

TEST(PipedInput, LinesWithoutEndAreCut) {
    Session session;
    session.add(std::string(3000, 'x'));
    session.input.listening();
    EXPECT_EQ(session.wait(20, true).size(), 1024u);
    EXPECT_EQ(session.wait(20, true).size(), 1024u);
    EXPECT_EQ(session.wait(1000, true).size(), 952u);
}

TEST(PipedInput, EndsWithControlDOnALineOfItsOwn) {
    Session session;
    session.add("uname");
    session.input.end();
    session.input.listening();
    EXPECT_EQ(session.wait(20, true), "uname");
    EXPECT_EQ(session.wait(20, true), "\n");
    EXPECT_EQ(session.wait(20, true), "\x04");
    EXPECT_EQ(session.wait(4'999, true), "");
    EXPECT_EQ(session.wait(1, true), "\x04");  // a program may have taken the first
    EXPECT_EQ(session.wait(5'000, true), "");
}

TEST(PipedInput, NoInputAtAllEndsTheShellToo) {
    Session session;
    session.input.end();
    session.input.listening();
    EXPECT_EQ(session.wait(20, true), "\x04");
}

TEST(PipedInput, AGuestThatStaysOnIsSwitchedOff) {
    Session session;
    session.input.end();
    session.input.listening();
    EXPECT_EQ(session.wait(20, true), "\x04");
    EXPECT_EQ(session.wait(5'000, true), "\x04");
    EXPECT_EQ(session.wait(59'999, true), "");
    EXPECT_EQ(session.wait(1, true, PipedInput::Advice::press_power_button), "");
    session.now_ns += 29'999 * ms;
    session.input.printed(session.now_ns);  // shutting down
    EXPECT_EQ(session.wait(29'999, true), "");
    EXPECT_EQ(session.wait(1, true, PipedInput::Advice::give_up), "");
    EXPECT_EQ(session.wait(1'000'000, true), "");
    EXPECT_EQ(session.input.next_decision_ns(), ~u64{0});
}

TEST(PipedInput, ABusyGuestGetsMoreTimeToEnd) {
    Session session;
    session.input.end();
    session.input.listening();
    EXPECT_EQ(session.wait(1000, false), "\x04");
    EXPECT_EQ(session.wait(299'999, false), "");
    EXPECT_EQ(session.wait(1, false, PipedInput::Advice::press_power_button), "");
}

TEST(PipedInput, TellsWhenItWantsToBeAskedAgain) {
    Session session;
    EXPECT_EQ(session.input.next_decision_ns(), ~u64{0});  // nothing to type yet
    session.add("a\n");
    EXPECT_EQ(session.input.next_decision_ns(), 1000 * ms);
    session.input.printed(500 * ms);
    EXPECT_EQ(session.input.next_decision_ns(), 1500 * ms);
    session.input.listening();
    EXPECT_EQ(session.input.next_decision_ns(), 520 * ms);
}

}  // namespace
}  // namespace viv::native
