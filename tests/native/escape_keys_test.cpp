// What typed bytes become on a raw terminal.
#include <gtest/gtest.h>

#include "native/escape_keys.h"

namespace viv::native {
namespace {

std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

struct Typist {
    EscapeKeys keys;
    std::string log;  // what went through, and keys in braces
    void type(std::string_view text) {
        keys.feed(
            bytes(text), [&](std::span<const u8> run) { log.append(run.begin(), run.end()); },
            [&](EscapeKeys::Key key) {
                log += key == EscapeKeys::Key::quit ? "{x}" : key == EscapeKeys::Key::help ? "{h}" : "{c}";
            });
    }
};

TEST(EscapeKeys, OrdinaryBytesPassUnchanged) {
    Typist typist;
    typist.type(std::string_view("ab\x02\xff\x00z\r", 7));
    EXPECT_EQ(typist.log, std::string("ab\x02\xff\x00z\r", 7));
}

TEST(EscapeKeys, KeysInTheMiddleOfARun) {
    Typist typist;
    typist.type(
        "ab\x01"
        "hcd\x01"
        "cef\x01?");
    EXPECT_EQ(typist.log, "ab{h}cd{c}ef{h}");
}

TEST(EscapeKeys, TheEscapeItselfAndUnknownKeys) {
    Typist typist;
    typist.type(
        "a\x01\x01"
        "b\x01qc");
    EXPECT_EQ(typist.log,
              "a\x01"
              "bc");
}

TEST(EscapeKeys, ASequenceMaySpanReads) {
    Typist typist;
    typist.type("a\x01");
    EXPECT_EQ(typist.log, "a");
    typist.type("xb");
    EXPECT_EQ(typist.log, "a{x}");
}

TEST(EscapeKeys, NothingGoesThroughAfterQuit) {
    Typist typist;
    typist.type("\x01xabc");
    EXPECT_EQ(typist.log, "{x}");
}

}  // namespace
}  // namespace viv::native
