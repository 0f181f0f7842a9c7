// A session at the monitor's prompt, for a terminal (Ctrl-A c) or a socket: bytes in, bytes out, line by line.
// Promises: lines, history and output are bounded; bytes that are no text are dropped. Commands: control/commands.
#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/control/commands/command.h"

namespace viv {

class MonitorSession {
public:
    static constexpr usize maximum_line = 4096;
    static constexpr usize maximum_history = 100;

    using Send = std::function<void(std::string_view bytes)>;
    // on: the other end is a terminal in raw mode: bytes are echoed, lines end with CR LF, keys edit the line.
    enum class Echo : u8 { on, off };
    MonitorSession(Machine& machine, CommandHost& host, Echo echo, Send send);

    // The banner and the first prompt.
    void start();
    // The prompt and the line typed so far again (the terminal was used for something else).
    void show_prompt();
    void receive(std::span<const u8> bytes);

private:
    enum class Key : u8 { plain, escape, bracket };
    void take(char byte);
    void take_escaped(char byte);
    void end_line();
    void replace_line(std::string line);
    void recall(int direction);
    void complete();
    void echo(std::string_view text);
    void print(std::string_view text);

    CommandContext context_;
    Echo echo_;
    Send send_;
    std::string line_;
    std::deque<std::string> history_;  // oldest first
    usize recalled_ = 0;               // index in history_; its size: the line being typed
    std::string typed_;                // that line, while an older one is shown
    Key key_ = Key::plain;
    bool after_return_ = false;
};

}  // namespace viv
