// XXH3, the engine's hash for state comparison and content addressing (libxxhash).
// Promises: the same bytes give the same value on every host. Not a cryptographic hash.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "engine/lang/bits.h"

namespace viv {

struct Hash128 {
    u64 low = 0;
    u64 high = 0;
    bool operator==(const Hash128&) const = default;
    std::string hex() const;  // 32 lower-case digits, high half first
};

Hash128 hash128(std::span<const u8> data);
u64 hash64(std::span<const u8> data);

// A 128-bit hash of data that arrives in pieces.
class Hasher {
public:
    Hasher();
    ~Hasher();
    Hasher(const Hasher&) = delete;
    Hasher& operator=(const Hasher&) = delete;
    void add(std::span<const u8> data);
    Hash128 finish() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace viv
