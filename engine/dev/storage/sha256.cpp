// See sha256.h.
#include "engine/dev/storage/sha256.h"

#include <mbedtls/md.h>

#include "engine/lang/check.h"

namespace viv::emmc {

namespace {

const mbedtls_md_info_t* algorithm() { return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256); }

}  // namespace

// What is called here fails only for an algorithm that is left out of the library, or without memory.
Digest sha256(std::span<const u8> bytes) {
    Digest digest;
    CHECK(mbedtls_md(algorithm(), bytes.data(), bytes.size(), digest.data()) == 0);
    return digest;
}

Digest hmac_sha256(std::span<const u8> key, std::span<const std::span<const u8>> pieces) {
    mbedtls_md_context_t context;
    mbedtls_md_init(&context);
    constexpr int with_hmac = 1;
    CHECK(mbedtls_md_setup(&context, algorithm(), with_hmac) == 0);
    CHECK(mbedtls_md_hmac_starts(&context, key.data(), key.size()) == 0);
    for (const auto& piece : pieces) CHECK(mbedtls_md_hmac_update(&context, piece.data(), piece.size()) == 0);
    Digest digest;
    CHECK(mbedtls_md_hmac_finish(&context, digest.data()) == 0);
    mbedtls_md_free(&context);
    return digest;
}

}  // namespace viv::emmc
