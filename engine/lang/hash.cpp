// XXH3 by libxxhash; the one file that sees its header.
#include "engine/lang/hash.h"

#include <fmt/core.h>
#ifdef __x86_64__
#include <xxh_x86dispatch.h>  // the same functions, with the vectors that the processor has
#else
#include <xxhash.h>
#endif

#include "engine/lang/check.h"

namespace viv {

struct Hasher::State {
    XXH3_state_t* xxh = nullptr;
};

std::string Hash128::hex() const { return fmt::format("{:016x}{:016x}", high, low); }

Hash128 hash128(std::span<const u8> data) {
    const auto hash = XXH3_128bits(data.data(), data.size());
    return {hash.low64, hash.high64};
}

u64 hash64(std::span<const u8> data) { return XXH3_64bits(data.data(), data.size()); }

Hasher::Hasher() : state_(std::make_unique<State>()) {
    state_->xxh = XXH3_createState();
    CHECK(state_->xxh != nullptr);
    XXH3_128bits_reset(state_->xxh);
}

Hasher::~Hasher() { XXH3_freeState(state_->xxh); }

void Hasher::add(std::span<const u8> data) { XXH3_128bits_update(state_->xxh, data.data(), data.size()); }

Hash128 Hasher::finish() const {
    const auto hash = XXH3_128bits_digest(state_->xxh);
    return {hash.low64, hash.high64};
}

}  // namespace viv
