// The user's terminal in raw mode, and the signals that a program with a raw terminal must mind.
// Promises: the terminal gets its old settings back at the end of the object, at exit(), on every signal that ends the
// program (crashes included) and while the program is stopped; a second signal to end ends the program at once, even
// when the main loop hangs.
#pragma once

#include <functional>

#include "engine/lang/bits.h"
#include "native/event_loop.h"

namespace viv::native {

struct WindowSize {
    u16 columns = 0;
    u16 rows = 0;
    bool operator==(const WindowSize&) const = default;
};

class Terminal {
public:
    // The terminal of `descriptor`, untouched until enter_raw().
    explicit Terminal(int descriptor);
    ~Terminal() { leave_raw(); }
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    bool present() const { return present_; }
    // Every byte as typed, nothing echoed, output as it is sent. Only one terminal at a time can be raw.
    void enter_raw();
    void leave_raw();
    bool raw() const;
    // 0 by 0 if it is not known.
    WindowSize size() const;

private:
    int descriptor_;
    bool present_;
};

// Signals as events of the loop. One object at a time; the old dispositions come back with its end.
class Signals {
public:
    // `end_asked` gets SIGINT, SIGTERM, SIGHUP or SIGQUIT; `resized` is called when the window changes.
    Signals(EventLoop& loop, std::function<void(int)> end_asked, std::function<void()> resized);
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    // Called from the handler itself, for what must not wait for the loop: only async-signal-safe calls. Set before it
    // can be needed, or null.
    using Prompt = void (*)(void*);
    void set_prompt(Prompt prompt, void* argument);

private:
    void dispatch();

    EventLoop& loop_;
    Descriptor event_;
    std::function<void(int)> end_asked_;
    std::function<void()> resized_;
};

// Ends this process as `signal` would have, so that the parent sees why.
[[noreturn]] void die_of(int signal);

}  // namespace viv::native
