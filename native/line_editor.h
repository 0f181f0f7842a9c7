// Editing of one line on a raw terminal, for the monitor's prompt: echo, erase, cursor keys, history.
// Promises: understands what common terminals send (VT100 cursor keys); bytes that are no text are ignored; lines are at most 4095 bytes.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::native {

class LineEditor {
public:
    // `show` puts text on the terminal, which is raw: line ends are "\r\n".
    LineEditor(std::string prompt, std::function<void(std::string_view)> show) : prompt_(std::move(prompt)), show_(std::move(show)) {}

    void show_prompt();
    // `entered` gets each finished line; it may show text itself. The next prompt is the caller's to show.
    void feed(std::span<const u8> typed, const std::function<void(std::string_view line)>& entered);

private:
    static constexpr usize longest_line = 4095;
    static constexpr usize longest_history = 100;

    void insert(char letter);
    void erase(usize from, usize to);
    void move_to(usize position);
    void replace(const std::string& text);
    void recall(int step);
    void control_sequence(char final);
    void redraw_tail();
    void finish(const std::function<void(std::string_view line)>& entered);

    std::string prompt_;
    std::function<void(std::string_view)> show_;
    std::string line_;
    usize cursor_ = 0;
    std::vector<std::string> history_;
    usize history_at_ = 0;
    enum class Sequence : u8 { none, escape, bracket } sequence_ = Sequence::none;
    char parameter_ = 0;
};

}  // namespace viv::native
