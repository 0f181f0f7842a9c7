// Bytes that nobody may find later: passphrases and keys.
// Promises: the bytes are overwritten before their memory is given back, and are never copied but on purpose.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "engine/lang/bits.h"

namespace viv {

// A write that the compiler does not leave out, though nobody reads the memory afterwards.
inline void wipe(std::span<u8> bytes) {
    volatile u8* const out = bytes.data();
    for (usize i = 0; i < bytes.size(); i++) out[i] = 0;
}

class Secret {
public:
    Secret() = default;
    explicit Secret(usize size) : bytes_(size) {}
    explicit Secret(std::span<const u8> from) : bytes_(from.begin(), from.end()) {}
    Secret(Secret&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    Secret& operator=(Secret&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(bytes_); }

    usize size() const { return bytes_.size(); }
    bool empty() const { return bytes_.empty(); }
    u8* data() { return bytes_.data(); }
    std::span<u8> bytes() { return bytes_; }
    std::span<const u8> bytes() const { return bytes_; }
    // To another size; what was there stays as far as it fits, and zeroes follow.
    void resize(usize size) {
        Secret larger(size);
        const usize kept = size < bytes_.size() ? size : bytes_.size();
        if (kept != 0) std::memcpy(larger.data(), bytes_.data(), kept);
        std::swap(bytes_, larger.bytes_);
    }

private:
    std::vector<u8> bytes_;
};

}  // namespace viv
