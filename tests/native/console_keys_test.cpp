// What typed bytes become: escape keys on a raw terminal, the monitor's line editor.
#include <gtest/gtest.h>

#include "native/escape_keys.h"
#include "native/line_editor.h"

namespace viv::native {
namespace {

std::span<const u8> bytes(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

struct Typist {
    EscapeKeys keys;
    std::string log;  // what went through, and keys in braces
    void type(std::string_view text) {
        keys.feed(
            bytes(text), [&](std::span<const u8> run) { log.append(run.begin(), run.end()); },
            [&](EscapeKeys::Key key) { log += key == EscapeKeys::Key::quit ? "{x}" : key == EscapeKeys::Key::help ? "{h}" : "{c}"; });
    }
};

TEST(EscapeKeys, OrdinaryBytesPassUnchanged) {
    Typist typist;
    typist.type(std::string_view("ab\x02\xff\x00z\r", 7));
    EXPECT_EQ(typist.log, std::string("ab\x02\xff\x00z\r", 7));
}

TEST(EscapeKeys, KeysInTheMiddleOfARun) {
    Typist typist;
    typist.type("ab\x01" "hcd\x01" "cef\x01?");
    EXPECT_EQ(typist.log, "ab{h}cd{c}ef{h}");
}

TEST(EscapeKeys, TheEscapeItselfAndUnknownKeys) {
    Typist typist;
    typist.type("a\x01\x01" "b\x01qc");
    EXPECT_EQ(typist.log, "a\x01" "bc");
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

// A terminal of one line that knows what the editor sends.
struct Screen {
    std::string row;
    usize column = 0;
    std::vector<std::string> finished;
    void show(std::string_view text) {
        for (usize i = 0; i < text.size(); i++) {
            if (text[i] == '\r') {
                column = 0;
            } else if (text[i] == '\n') {
                finished.push_back(row);
                row.clear();
            } else if (text[i] == '\x1b') {
                usize count = 0;
                for (i += 2; text[i] >= '0' && text[i] <= '9'; i++) count = count * 10 + static_cast<usize>(text[i] - '0');
                if (text[i] == 'D') column -= count;
                if (text[i] == 'C') column += count;
                if (text[i] == 'K') row.resize(column);
            } else {
                row.resize(std::max(row.size(), column + 1), ' ');
                row[column++] = text[i];
            }
        }
    }
};

struct Prompt {
    Screen screen;
    std::vector<std::string> lines;
    LineEditor editor{"> ", [this](std::string_view text) { screen.show(text); }};
    void type(std::string_view text) {
        editor.feed(bytes(text), [&](std::string_view line) {
            lines.emplace_back(line);
            editor.show_prompt();
        });
    }
};

TEST(LineEditor, EditsInTheMiddleAndShowsIt) {
    Prompt prompt;
    prompt.editor.show_prompt();
    prompt.type("info regs\x1b[D\x1b[D\x1b[D\x1b[D");
    prompt.type("\x7f\x7f");
    EXPECT_EQ(prompt.screen.row, "> infregs");
    EXPECT_EQ(prompt.screen.column, 5u);
    prompt.type("X\x01Y\x05Z\x1b[H\x1b[3~");
    EXPECT_EQ(prompt.screen.row, "> infXregsZ");
    prompt.type("\r");
    EXPECT_EQ(prompt.lines, (std::vector<std::string>{"infXregsZ"}));
    EXPECT_EQ(prompt.screen.row, "> ");
}

TEST(LineEditor, WordsAndTails) {
    Prompt prompt;
    prompt.type("one two  three\x17");
    prompt.type("\x1b[D\x0b");
    prompt.type("\n");
    prompt.type("gone\x15kept\n");
    EXPECT_EQ(prompt.lines, (std::vector<std::string>{"one two ", "kept"}));
}

TEST(LineEditor, HistoryWithoutRepetitions) {
    Prompt prompt;
    prompt.type("a\nb\nb\n\n");
    prompt.type("\x1b[A\x1b[A\n");
    prompt.type("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[B\x1b[B\x1b[B\x1b[Bnew\n");
    EXPECT_EQ(prompt.lines, (std::vector<std::string>{"a", "b", "b", "", "a", "new"}));
}

TEST(LineEditor, LongLinesAreCutAndNothingElseBreaks) {
    Prompt prompt;
    prompt.type(std::string(5000, 'x') + "\n\x1b\x1b[99;99R\x1bOq\x7f\x1b[C\x1b[D\x17y\n");
    ASSERT_EQ(prompt.lines.size(), 2u);
    EXPECT_EQ(prompt.lines[0].size(), 4095u);
    EXPECT_EQ(prompt.lines[1], "y");
}

}  // namespace
}  // namespace viv::native
