// Live inputs pass through; deterministic ones are made here. See replay.h.
#include "engine/time/replay.h"

#include <bit>

#include "engine/lang/check.h"

namespace viv {

namespace {

constexpr u64 deterministic_start_ns = u64{946'684'800} * 1'000'000'000;  // 2000-01-01 00:00:00 UTC

u64 split_mix(u64& seed) {
    u64 z = seed += 0x9e37'79b9'7f4a'7c15;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
    return z ^ (z >> 31);
}

}  // namespace

Inlet::Inlet(Determinism mode, u64 seed, host::Clock& clock, host::Entropy& entropy)
    : mode_(mode), clock_(clock), entropy_(entropy) {
    for (u64& word : generator_) word = split_mix(seed);
}

u64 Inlet::monotonic_ns() {
    CHECK(mode_ == Determinism::live);
    return clock_.monotonic_ns();
}

u64 Inlet::realtime_ns() { return mode_ == Determinism::live ? clock_.realtime_ns() : deterministic_start_ns; }

u64 Inlet::next_random() {
    const u64 result = std::rotl(generator_[1] * 5, 7) * 9;
    const u64 t = generator_[1] << 17;
    generator_[2] ^= generator_[0];
    generator_[3] ^= generator_[1];
    generator_[1] ^= generator_[2];
    generator_[0] ^= generator_[3];
    generator_[2] ^= t;
    generator_[3] = std::rotl(generator_[3], 45);
    return result;
}

void Inlet::entropy(std::span<u8> out) {
    if (mode_ == Determinism::live) return entropy_.fill(out);
    u64 word = 0;
    for (usize i = 0; i < out.size(); i++) {
        if (i % 8 == 0) word = next_random();
        out[i] = static_cast<u8>(word >> (8 * (i % 8)));
    }
}

void Inlet::state(Archive& a) { a(1, "generator", generator_); }

}  // namespace viv
