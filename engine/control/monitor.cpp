// See monitor.h. The keys are the common ones of terminals (ECMA-48 cursor keys): backspace, Ctrl-U, Ctrl-W, Ctrl-C,
// up and down for history, tab to complete.
#include "engine/control/monitor.h"

#include <fmt/format.h>

#include <utility>

namespace viv {

namespace {

constexpr std::string_view prompt = "(viv) ";
constexpr char control_c = 3, backspace = 8, tab = 9, newline = 10, carriage_return = 13, control_u = 21,
               control_w = 23, escape = 27, del = 127;

bool is_text(char c) { return static_cast<u8>(c) >= 32 && c != del; }

}  // namespace

MonitorSession::MonitorSession(Machine& machine, CommandHost& host, Echo echo, Send send)
    : context_{machine, host}, echo_(echo), send_(std::move(send)) {}

void MonitorSession::start() {
    print(fmt::format("vivarium {} monitor - help lists the commands\n", context_.host.version()));
    show_prompt();
}

void MonitorSession::show_prompt() {
    send_(prompt);
    echo(line_);
}

void MonitorSession::echo(std::string_view text) {
    if (echo_ == Echo::on && !text.empty()) send_(text);
}

void MonitorSession::print(std::string_view text) {
    if (text.empty()) return;
    if (echo_ == Echo::off) return send_(text);
    std::string lines;
    for (const char c : text) {
        if (c == '\n') lines += '\r';
        lines += c;
    }
    send_(lines);
}

void MonitorSession::receive(std::span<const u8> bytes) {
    for (const u8 byte : bytes) {
        const char c = static_cast<char>(byte);
        if (key_ == Key::plain)
            take(c);
        else
            take_escaped(c);
    }
}

void MonitorSession::take_escaped(char c) {
    if (key_ == Key::escape) {
        key_ = c == '[' || c == 'O' ? Key::bracket : Key::plain;
        return;
    }
    if (c >= '0' && c <= '?') return;  // parameters
    key_ = Key::plain;
    if (c == 'A') recall(-1);
    if (c == 'B') recall(1);
}

void MonitorSession::take(char c) {
    const bool after_return = std::exchange(after_return_, c == carriage_return);
    switch (c) {
        case newline:
            if (after_return) return;  // the second half of CR LF
            [[fallthrough]];
        case carriage_return: return end_line();
        case backspace:
        case del:
            if (line_.empty()) return;
            line_.pop_back();
            return echo("\b \b");
        case control_u: return replace_line({});
        case control_w: {
            const auto end = line_.find_last_not_of(' ');
            const auto space = end == line_.npos ? line_.npos : line_.find_last_of(' ', end);
            return replace_line(space == line_.npos ? std::string() : line_.substr(0, space + 1));
        }
        case control_c:
            line_.clear();
            recalled_ = history_.size();
            print("\n");
            return show_prompt();
        case tab: return complete();
        case escape:
            if (echo_ == Echo::on) key_ = Key::escape;
            return;
        default:
            if (!is_text(c) || line_.size() >= maximum_line) return;
            line_ += c;
            return echo({&c, 1});
    }
}

void MonitorSession::end_line() {
    if (echo_ == Echo::on) print("\n");
    const std::string line = std::exchange(line_, {});
    if (!line.empty() && (history_.empty() || history_.back() != line)) {
        history_.push_back(line);
        if (history_.size() > maximum_history) history_.pop_front();
    }
    recalled_ = history_.size();
    print(run_line(context_, line).text);
    show_prompt();
}

void MonitorSession::replace_line(std::string line) {
    std::string rubout;
    for (usize i = 0; i < line_.size(); i++) rubout += "\b \b";
    echo(rubout);
    line_ = std::move(line);
    echo(line_);
}

void MonitorSession::recall(int direction) {
    if (direction < 0 ? recalled_ == 0 : recalled_ == history_.size()) return;
    if (recalled_ == history_.size()) typed_ = line_;
    recalled_ = direction < 0 ? recalled_ - 1 : recalled_ + 1;
    replace_line(recalled_ == history_.size() ? typed_ : history_[recalled_]);
}

void MonitorSession::complete() {
    const auto words = complete_line(line_);
    if (words.empty()) return;
    std::string common = words.front();
    for (const std::string& word : words) {
        usize same = 0;
        while (same < common.size() && same < word.size() && common[same] == word[same]) same++;
        common.resize(same);
    }
    const auto start = line_.rfind(' ') == line_.npos ? 0 : line_.rfind(' ') + 1;
    std::string added = common.substr(std::min(common.size(), line_.size() - start));
    if (words.size() == 1) added += ' ';
    if (!added.empty()) {
        if (line_.size() + added.size() > maximum_line) return;
        line_ += added;
        return echo(added);
    }
    std::string choices = "\n";
    for (const std::string& word : words) choices += word + "  ";
    print(choices + "\n");
    show_prompt();
}

}  // namespace viv
