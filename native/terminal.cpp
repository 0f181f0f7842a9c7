// Signal handlers need static storage: it is all here, of constant initial value, and touched through Terminal and
// Signals only. Only async-signal-safe functions are called in handlers (signal-safety(7)): tcsetattr, write,
// sigaction, raise. See terminal.h.
#include "native/terminal.h"

#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "engine/lang/check.h"

namespace viv::native {

namespace {

constexpr int end_signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr int crash_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGXCPU, SIGXFSZ};
constexpr int other_signals[] = {SIGWINCH, SIGTSTP, SIGCONT};
constexpr int signal_count = 65;

std::atomic<int> raw_descriptor = -1;  // -1: no terminal is raw
termios original_settings;
termios raw_settings;
bool exit_hook_set = false;

std::atomic<int> event_descriptor = -1;
std::atomic<u64> pending = 0;  // bit n: signal n has come and dispatch() has not seen it
std::atomic<Signals::Prompt> prompt_function = nullptr;
std::atomic<void*> prompt_argument = nullptr;
struct sigaction old_actions[signal_count];
alignas(16) char crash_stack[64 << 10];

static_assert(std::atomic<u64>::is_always_lock_free && std::atomic<void*>::is_always_lock_free);

void restore_terminal() {
    const int descriptor = raw_descriptor.load();
    if (descriptor >= 0) tcsetattr(descriptor, TCSANOW, &original_settings);
}

void crashed(int signal, siginfo_t* information, void*) {
    const int saved = errno;
    restore_terminal();
    sigaction(signal, &old_actions[signal], nullptr);
    // A fault comes again when its instruction does, with everything that the handler before us wants to know about it.
    if (information->si_code <= 0) raise(signal);
    errno = saved;
}

void stop_and_come_back() {
    restore_terminal();
    raise(SIGSTOP);
}

void came(int signal) {
    const int saved = errno;
    const u64 mask = u64{1} << signal;
    const u64 before = pending.fetch_or(mask);
    u64 end_mask = 0;
    for (const int each : end_signals) end_mask |= u64{1} << each;
    if ((mask & end_mask) != 0 && (before & end_mask) != 0) {
        restore_terminal();
        struct sigaction fatal {};
        fatal.sa_handler = SIG_DFL;
        sigaction(signal, &fatal, nullptr);
        raise(signal);  // delivered when this handler returns
        return;
    }
    if (signal == SIGTSTP) stop_and_come_back();
    if (signal == SIGCONT && raw_descriptor.load() >= 0) tcsetattr(raw_descriptor.load(), TCSANOW, &raw_settings);
    const u64 one = 1;
    [[maybe_unused]] const ssize_t written = write(event_descriptor.load(), &one, sizeof one);
    if (const auto prompt = prompt_function.load(); prompt != nullptr) prompt(prompt_argument.load());
    errno = saved;
}

void install(int signal, void (*plain)(int), void (*with_details)(int, siginfo_t*, void*)) {
    struct sigaction action {};
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    if (with_details != nullptr) {
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        action.sa_sigaction = with_details;
    } else {
        action.sa_handler = plain;
    }
    sigaction(signal, nullptr, &old_actions[signal]);
    // What was ignored when the program was started (nohup, a shell's background job) stays ignored.
    if (plain != nullptr && (old_actions[signal].sa_flags & SA_SIGINFO) == 0 &&
        old_actions[signal].sa_handler == SIG_IGN)
        return;
    sigaction(signal, &action, nullptr);
}

}  // namespace

Terminal::Terminal(int descriptor) : descriptor_(descriptor), present_(isatty(descriptor) == 1) {}

void Terminal::enter_raw() {
    if (!present_ || raw()) return;
    if (tcgetattr(descriptor_, &original_settings) != 0) return;
    raw_settings = original_settings;
    cfmakeraw(&raw_settings);
    raw_settings.c_cc[VMIN] = 1;
    raw_settings.c_cc[VTIME] = 0;
    if (!exit_hook_set) std::atexit(restore_terminal);
    exit_hook_set = true;
    raw_descriptor = descriptor_;
    tcsetattr(descriptor_, TCSANOW, &raw_settings);
}

void Terminal::leave_raw() {
    if (!raw()) return;
    // TCSADRAIN: what the guest printed last comes out under the settings it was meant for.
    tcsetattr(descriptor_, TCSADRAIN, &original_settings);
    raw_descriptor = -1;
}

bool Terminal::raw() const { return raw_descriptor.load() == descriptor_; }

WindowSize Terminal::size() const {
    winsize window{};
    if (!present_ || ioctl(descriptor_, TIOCGWINSZ, &window) != 0) return {};
    return {window.ws_col, window.ws_row};
}

Signals::Signals(EventLoop& loop, std::function<void(int)> end_asked, std::function<void()> resized)
    : loop_(loop),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      end_asked_(std::move(end_asked)),
      resized_(std::move(resized)) {
    CHECK(static_cast<bool>(event_) && event_descriptor.load() < 0, "two Signals objects");
    event_descriptor = event_.number();
    pending = 0;
    loop_.add(event_.number(), Interest::read, [this](EventLoop::Ready) { dispatch(); });
    stack_t stack{};
    if (sigaltstack(nullptr, &stack) == 0 && (stack.ss_flags & SS_DISABLE) != 0) {
        stack = {};
        stack.ss_sp = crash_stack;
        stack.ss_size = sizeof crash_stack;
        sigaltstack(&stack, nullptr);
    }
    for (const int signal : end_signals) install(signal, came, nullptr);
    for (const int signal : other_signals) install(signal, came, nullptr);
    for (const int signal : crash_signals) install(signal, nullptr, crashed);
}

Signals::~Signals() {
    for (const int signal : end_signals) sigaction(signal, &old_actions[signal], nullptr);
    for (const int signal : other_signals) sigaction(signal, &old_actions[signal], nullptr);
    for (const int signal : crash_signals) sigaction(signal, &old_actions[signal], nullptr);
    prompt_function = nullptr;
    loop_.remove(event_.number());
    event_descriptor = -1;
}

void Signals::set_prompt(Prompt prompt, void* argument) {
    prompt_function = nullptr;
    prompt_argument = argument;
    prompt_function = prompt;
}

void Signals::dispatch() {
    u64 count = 0;
    [[maybe_unused]] const ssize_t got = read(event_.number(), &count, sizeof count);
    const u64 seen = pending.exchange(0);
    for (const int signal : end_signals)
        if ((seen >> signal & 1) != 0) end_asked_(signal);
    if ((seen >> SIGWINCH & 1) != 0 || (seen >> SIGCONT & 1) != 0) resized_();
}

void die_of(int signal) {
    struct sigaction fatal {};
    fatal.sa_handler = SIG_DFL;
    sigaction(signal, &fatal, nullptr);
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    sigprocmask(SIG_UNBLOCK, &only, nullptr);
    std::fflush(nullptr);
    restore_terminal();
    raise(signal);
    std::exit(128 + signal);
}

}  // namespace viv::native
