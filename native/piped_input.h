// When to type standard input into a guest's console if it is no terminal, and how to end the guest when it is used up.
// A console has no end of file and drops what is typed before somebody reads, so input is handed over a line at a time,
// each when the guest seems to wait for it; what arrives while the guest is already talking is an answer to it and goes
// at once. At the end comes Ctrl-D, which ends a shell, and a guest whose init ends with its shell powers off.
// Promises: works on guest time only, so that a deterministic run stays one; never waits for ever.
#pragma once

#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::native {

class PipedInput {
public:
    // Will the console show a text that is known beforehand when somebody reads (listening())?
    enum class Prompt : u8 { unknown, known };
    struct Patience {
        Prompt prompt = Prompt::unknown;
        u64 first_idle_ns =
            1'000'000'000;  // idle and silent for so long before the first line, unless the guest is known to listen
        u64 first_busy_ns = 10'000'000'000;  // the same for a guest that polls, as firmware does
        u64 line_idle_ns = 20'000'000;       // before each further line
        u64 line_busy_ns = 1'000'000'000;
        u64 budget_bytes = 2048;           // typed without a pause of line_busy_ns: a terminal line buffer holds 4096
        u64 again_ns = 5'000'000'000;      // Ctrl-D is repeated once after this, if a program took the first
        u64 end_idle_ns = 60'000'000'000;  // silent for so long after the end: the power button
        u64 end_busy_ns = 300'000'000'000;
        u64 button_ns = 30'000'000'000;  // and after that: give up
    };
    enum class Advice : u8 { none, press_power_button, give_up };

    explicit PipedInput(const Patience& patience) : patience_(patience) {}

    // What has come from the host so far; kept here until given, at most `limit` bytes are wanted at a time.
    static constexpr usize limit = 64 << 10;
    usize room() const { return limit - waiting_.size(); }
    void add(std::span<const u8> bytes);
    void end();  // nothing will be added any more

    // The guest printed something, or began to listen on its console.
    void printed(u64 now_ns);
    void listening() { listening_ = true; }

    // Called after each slice, with whether the guest waits for something: decides whether another line may be typed,
    // and what to do with a guest that does not end.
    Advice step(u64 now_ns, bool idle);
    // What may be typed now; the caller reports what the console took.
    std::span<const u8> typable() const { return {typed_.data() + typed_head_, typed_.size() - typed_head_}; }
    void taken(usize count);

    // The guest time at which step() may decide something new if the guest stays silent and idle; ~0 if never.
    u64 next_decision_ns() const;

private:
    enum class Phase : u8 { waiting, typing, ended, button_pressed, given_up };
    u64 quiet_needed_ns(bool idle) const;
    bool answers() const { return answer_ && spent_bytes_ < patience_.budget_bytes; }
    void type_next_line();
    void type(std::span<const u8> bytes);

    Patience patience_;
    Phase phase_ = Phase::waiting;
    bool listening_ = false;
    bool input_over_ = false;
    bool printed_any_ = false;
    bool answer_ = false;     // the first line that waits came after the guest's words
    bool repeated_ = false;   // Ctrl-D
    bool line_open_ = false;  // the last byte typed was no newline
    u64 now_ns_ = 0;
    u64 activity_ns_ = 0;  // the last output or typing
    u64 busy_ns_ = 0;      // when the guest was last found working
    u64 spent_bytes_ = 0;  // of the budget
    std::vector<u8> waiting_;
    std::vector<u8> typed_;  // decided, not yet taken by the console
    usize typed_head_ = 0;
};

}  // namespace viv::native
