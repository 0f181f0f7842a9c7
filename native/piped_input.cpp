// The phases of a piped session: wait for a listener, type, end, press the button, give up. See piped_input.h.
#include "native/piped_input.h"

#include <algorithm>

#include "engine/lang/check.h"

namespace viv::native {

namespace {

constexpr u8 end_of_transmission = 0x04;  // Ctrl-D
constexpr usize longest_line = 1024;

}  // namespace

void PipedInput::add(std::span<const u8> bytes) {
    CHECK(bytes.size() <= room());
    if (bytes.empty()) return;
    const bool heard = listening_ || (printed_any_ && patience_.prompt == Prompt::unknown);
    if (heard && waiting_.empty() && typable().empty()) answer_ = true;
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
}

void PipedInput::end() { input_over_ = true; }

void PipedInput::printed(u64 now_ns) {
    printed_any_ = true;
    activity_ns_ = std::max(activity_ns_, now_ns);
}

void PipedInput::taken(usize count) {
    typed_head_ += count;
    CHECK(typed_head_ <= typed_.size());
    activity_ns_ = std::max(activity_ns_, now_ns_);
    if (typed_head_ < typed_.size()) return;
    typed_.clear();
    typed_head_ = 0;
}

void PipedInput::type(std::span<const u8> bytes) {
    typed_.insert(typed_.end(), bytes.begin(), bytes.end());
    spent_bytes_ += bytes.size();
    line_open_ = bytes.back() != '\n' && bytes.back() != end_of_transmission;
}

void PipedInput::type_next_line() {
    if (!waiting_.empty()) {
        const auto newline = std::find(waiting_.begin(), waiting_.end(), u8{'\n'});
        const auto end = newline == waiting_.end() ? newline : newline + 1;
        const auto count = std::min<usize>(static_cast<usize>(end - waiting_.begin()), longest_line);
        type({waiting_.data(), count});
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
        answer_ = false;
    } else if (input_over_ && line_open_) {
        // Ctrl-D means "end" at the start of a line only.
        constexpr u8 newline[] = {'\n'};
        type(newline);
    } else if (input_over_) {
        constexpr u8 end[] = {end_of_transmission};
        type(end);
        phase_ = Phase::ended;
    }
}

u64 PipedInput::quiet_needed_ns(bool idle) const {
    switch (phase_) {
        case Phase::waiting:
            if (answers()) return 0;
            if (!listening_) return idle ? patience_.first_idle_ns : patience_.first_busy_ns;
            [[fallthrough]];
        case Phase::typing:
            if (answers()) return 0;
            return idle && spent_bytes_ < patience_.budget_bytes ? patience_.line_idle_ns : patience_.line_busy_ns;
        case Phase::ended:
            if (idle && !repeated_) return patience_.again_ns;
            return idle ? patience_.end_idle_ns : patience_.end_busy_ns;
        case Phase::button_pressed: return patience_.button_ns;
        case Phase::given_up: break;
    }
    return ~u64{0};
}

PipedInput::Advice PipedInput::step(u64 now_ns, bool idle) {
    now_ns_ = std::max(now_ns_, now_ns);
    if (!idle) busy_ns_ = now_ns_;
    const bool nothing_to_type = phase_ <= Phase::typing && waiting_.empty() && !input_over_;
    const u64 quiet_ns = now_ns_ - std::min(idle ? std::max(activity_ns_, busy_ns_) : activity_ns_, now_ns_);
    if (phase_ <= Phase::typing && (nothing_to_type || !typable().empty())) return Advice::none;
    if (quiet_ns < quiet_needed_ns(idle)) return Advice::none;
    switch (phase_) {
        case Phase::waiting:
        case Phase::typing:
            phase_ = Phase::typing;
            if (now_ns_ - std::min(activity_ns_, now_ns_) >= patience_.line_busy_ns) spent_bytes_ = 0;
            type_next_line();
            return Advice::none;
        case Phase::ended:
            if (idle && !repeated_) {
                repeated_ = true;
                constexpr u8 end[] = {end_of_transmission};
                type(end);
                activity_ns_ = now_ns_;
                return Advice::none;
            }
            phase_ = Phase::button_pressed;
            activity_ns_ = now_ns_;
            return Advice::press_power_button;
        case Phase::button_pressed: phase_ = Phase::given_up; return Advice::give_up;
        case Phase::given_up: break;
    }
    return Advice::none;
}

u64 PipedInput::next_decision_ns() const {
    if (phase_ == Phase::given_up) return ~u64{0};
    if (phase_ <= Phase::typing && ((waiting_.empty() && !input_over_) || !typable().empty())) return ~u64{0};
    return std::max(activity_ns_, busy_ns_) + quiet_needed_ns(true);
}

}  // namespace viv::native
