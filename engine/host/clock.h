// The host's clocks, as the engine sees them. Only time/replay.cpp calls this: guest time is the engine's own.
#pragma once

#include "engine/lang/bits.h"

namespace viv::host {

class Clock {
public:
    virtual ~Clock() = default;
    virtual u64 monotonic_ns() = 0;  // nanoseconds from an arbitrary start, never backwards
    virtual u64 realtime_ns() = 0;   // nanoseconds since 1970-01-01 UTC
};

}  // namespace viv::host
