// The fuzzer's random numbers: small, fast, the same on every host for a seed (xoshiro256** by Blackman and Vigna).
#pragma once

#include <array>
#include <bit>

#include "engine/lang/bits.h"

namespace viv::lockstep {

class Random {
public:
    explicit Random(u64 seed) {
        for (u64& word : state_) {  // SplitMix64
            seed += 0x9e37'79b9'7f4a'7c15;
            u64 z = seed;
            z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9;
            z = (z ^ z >> 27) * 0x94d0'49bb'1331'11eb;
            word = z ^ z >> 31;
        }
    }
    u64 next() {
        const u64 result = std::rotl(state_[1] * 5, 7) * 9;
        const u64 shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }
    // 0 to count - 1.
    u32 below(u64 count) { return static_cast<u32>((static_cast<u128>(next()) * count) >> 64); }
    bool percent(unsigned chance) { return below(100) < chance; }
    template <class T, usize N>
    T pick(const std::array<T, N>& from) {
        return from[below(N)];
    }

private:
    u64 state_[4];
};

}  // namespace viv::lockstep
