// A state machine of one bit. See escape_keys.h.
#include "native/escape_keys.h"

namespace viv::native {

void EscapeKeys::feed(std::span<const u8> typed, const std::function<void(std::span<const u8>)>& through,
                      const std::function<void(Key)>& pressed) {
    usize start = 0;
    const auto pass = [&](usize end) {
        if (end > start) through(typed.subspan(start, end - start));
    };
    for (usize i = 0; i < typed.size(); i++) {
        if (!escaped_) {
            if (typed[i] != escape) continue;
            pass(i);
            start = i + 1;
            escaped_ = true;
            continue;
        }
        escaped_ = false;
        start = typed[i] == escape ? i : i + 1;
        if (typed[i] == 'x') {
            pressed(Key::quit);
            return;
        }
        if (typed[i] == 'c') pressed(Key::switch_monitor);
        if (typed[i] == 'h' || typed[i] == '?') pressed(Key::help);
    }
    pass(typed.size());
}

std::string_view EscapeKeys::help_text() {
    return "\n"
           "Ctrl-A h       this help\n"
           "Ctrl-A x       quit: the machine is switched off at once\n"
           "Ctrl-A c       to the monitor and back\n"
           "Ctrl-A Ctrl-A  sends Ctrl-A\n";
}

}  // namespace viv::native
