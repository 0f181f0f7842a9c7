// See progress.h.
#include "native/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <string>

namespace viv::native {

namespace {

volatile std::sig_atomic_t caught_signal = 0;
void note_signal(int number) { caught_signal = number; }

// A terminal; what it does not take is not worth a word.
void show(std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(STDERR_FILENO, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        text.remove_prefix(static_cast<usize>(count));
    }
}

}  // namespace

Progress::Progress(Shown shown, u64 total)
    : shown_(shown == Shown::yes && isatty(STDERR_FILENO) == 1 && total != 0), total_(total) {}
Progress::~Progress() {
    if (shown_) show("\r\033[K");
}
void Progress::at(u64 done) {
    if (!shown_) return;
    const auto tenths = static_cast<unsigned>(static_cast<double>(done) / static_cast<double>(total_) * 1000);
    if (tenths == last_) return;
    last_ = tenths;
    const unsigned filled = std::min(tenths / 25, 40u);
    show(fmt::format("\r[{}{}] {:5.1f} %", std::string(filled, '#'), std::string(40 - filled, '.'), tenths / 10.0));
}

Interruption::Interruption() {
    caught_signal = 0;
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, note_signal);
}
Interruption::~Interruption() {
    for (const int number : {SIGINT, SIGTERM, SIGHUP}) std::signal(number, SIG_DFL);
}
int Interruption::signal() { return caught_signal; }

}  // namespace viv::native
