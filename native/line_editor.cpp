// Bytes are characters here: monitor commands are ASCII, and other UTF-8 is only passed on. See line_editor.h; ECMA-48 for the sequences.
#include "native/line_editor.h"

#include <fmt/format.h>

#include <algorithm>

namespace viv::native {

namespace {

constexpr u8 ctrl_a = 1, ctrl_c = 3, ctrl_d = 4, ctrl_e = 5, backspace = 8, ctrl_k = 11, ctrl_l = 12, ctrl_n = 14, ctrl_p = 16, ctrl_u = 21,
             ctrl_w = 23, escape = 27, rubout = 127;

}  // namespace

void LineEditor::show_prompt() {
    show_(prompt_);
    show_(line_);
    if (cursor_ < line_.size()) show_(fmt::format("\x1b[{}D", line_.size() - cursor_));
}

void LineEditor::redraw_tail() {
    show_(std::string_view(line_).substr(cursor_));
    show_("\x1b[K");
    if (cursor_ < line_.size()) show_(fmt::format("\x1b[{}D", line_.size() - cursor_));
}

void LineEditor::insert(char letter) {
    if (line_.size() >= longest_line) return;
    line_.insert(cursor_, 1, letter);
    show_(std::string_view(line_).substr(cursor_, 1));
    cursor_++;
    if (cursor_ < line_.size()) redraw_tail();
}

void LineEditor::move_to(usize position) {
    if (position < cursor_) show_(fmt::format("\x1b[{}D", cursor_ - position));
    if (position > cursor_) show_(fmt::format("\x1b[{}C", position - cursor_));
    cursor_ = position;
}

void LineEditor::erase(usize from, usize to) {
    move_to(from);
    line_.erase(from, to - from);
    redraw_tail();
}

void LineEditor::replace(const std::string& text) {
    move_to(0);
    line_ = text;
    redraw_tail();
    move_to(line_.size());
}

void LineEditor::recall(int step) {
    if (step < 0 ? history_at_ == 0 : history_at_ >= history_.size()) return;
    history_at_ += static_cast<usize>(step);
    replace(history_at_ < history_.size() ? history_[history_at_] : std::string());
}

void LineEditor::control_sequence(char final) {
    switch (final) {
        case 'A': return recall(-1);
        case 'B': return recall(1);
        case 'C': return move_to(std::min(cursor_ + 1, line_.size()));
        case 'D': return move_to(cursor_ == 0 ? 0 : cursor_ - 1);
        case 'H': return move_to(0);
        case 'F': return move_to(line_.size());
        case '~':
            if (parameter_ == '3' && cursor_ < line_.size()) erase(cursor_, cursor_ + 1);
            if (parameter_ == '1' || parameter_ == '7') move_to(0);
            if (parameter_ == '4' || parameter_ == '8') move_to(line_.size());
            return;
        default: return;
    }
}

void LineEditor::finish(const std::function<void(std::string_view line)>& entered) {
    show_("\r\n");
    const std::string line = std::move(line_);
    line_.clear();
    cursor_ = 0;
    if (!line.empty() && (history_.empty() || history_.back() != line)) history_.push_back(line);
    if (history_.size() > longest_history) history_.erase(history_.begin());
    history_at_ = history_.size();
    entered(line);
}

void LineEditor::feed(std::span<const u8> typed, const std::function<void(std::string_view line)>& entered) {
    for (const u8 byte : typed) {
        if (sequence_ == Sequence::escape) {
            if (byte != escape) sequence_ = byte == '[' || byte == 'O' ? Sequence::bracket : Sequence::none;
            parameter_ = 0;
            continue;
        }
        if (sequence_ == Sequence::bracket) {
            if (byte >= 0x40 && byte <= 0x7e) {
                sequence_ = Sequence::none;
                control_sequence(static_cast<char>(byte));
            } else {
                parameter_ = static_cast<char>(byte);
            }
            continue;
        }
        switch (byte) {
            case '\r':
            case '\n': finish(entered); break;
            case escape: sequence_ = Sequence::escape; break;
            case backspace:
            case rubout:
                if (cursor_ > 0) erase(cursor_ - 1, cursor_);
                break;
            case ctrl_a: move_to(0); break;
            case ctrl_e: move_to(line_.size()); break;
            case ctrl_c:
            case ctrl_u: erase(0, line_.size()); break;
            case ctrl_d:
                if (cursor_ < line_.size()) erase(cursor_, cursor_ + 1);
                break;
            case ctrl_k: erase(cursor_, line_.size()); break;
            case ctrl_l:
                show_("\x1b[H\x1b[2J");
                show_prompt();
                break;
            case ctrl_n: recall(1); break;
            case ctrl_p: recall(-1); break;
            case ctrl_w: {
                usize from = cursor_;
                while (from > 0 && line_[from - 1] == ' ') from--;
                while (from > 0 && line_[from - 1] != ' ') from--;
                erase(from, cursor_);
                break;
            }
            default:
                if (byte >= 0x20) insert(static_cast<char>(byte));
        }
    }
}

}  // namespace viv::native
