// Work that takes a while and is done by a verb on its own: a bar on the terminal, and Ctrl-C that lets it clean up.
#pragma once

#include "engine/lang/bits.h"

namespace viv::native {

// A bar on standard error, if that is a terminal and one is wanted.
class Progress {
public:
    enum class Shown : u8 { no, yes };
    Progress(Shown shown, u64 total);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;
    void at(u64 done);

private:
    bool shown_;
    u64 total_;
    unsigned last_ = ~0u;
};

// While one lives, Ctrl-C and SIGTERM are noted instead of ending the program.
class Interruption {
public:
    Interruption();
    ~Interruption();
    Interruption(const Interruption&) = delete;
    Interruption& operator=(const Interruption&) = delete;
    static int signal();  // 0: none came
};

}  // namespace viv::native
