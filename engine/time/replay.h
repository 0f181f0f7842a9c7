// The one inlet of nondeterminism: host time and entropy reach the machine here and nowhere else.
// Promises: in deterministic mode neither the host's clocks nor its entropy is ever consulted: time comes from executed
// instructions (time/clock.h) and entropy from a seeded generator whose state is part of the machine's.
#pragma once

#include <span>

#include "engine/host/clock.h"
#include "engine/host/entropy.h"
#include "engine/lang/bits.h"
#include "engine/state/archive.h"

namespace viv {

enum class Determinism : u8 { live, deterministic };

class Inlet {
public:
    Inlet(Determinism mode, u64 seed, host::Clock& clock, host::Entropy& entropy);

    Determinism mode() const { return mode_; }
    // Live: the host's monotonic clock. Never called in deterministic mode.
    u64 monotonic_ns();
    // Wall-clock time at the machine's start, nanoseconds since 1970. Deterministic: a fixed date, 2000-01-01.
    u64 realtime_ns();
    void entropy(std::span<u8> out);

    void state(Archive& a);

private:
    u64 next_random();

    Determinism mode_;
    host::Clock& clock_;
    host::Entropy& entropy_;
    u64 generator_[4];  // xoshiro256** by Blackman and Vigna, used in deterministic mode only
};

}  // namespace viv
