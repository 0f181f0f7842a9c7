// SHA-256 and HMAC-SHA-256 (FIPS 180-4, RFC 2104), by Mbed TLS.
#pragma once

#include <array>
#include <span>

#include "engine/lang/bits.h"

namespace viv::emmc {

using Digest = std::array<u8, 32>;

Digest sha256(std::span<const u8> bytes);
// Of the pieces one after the other.
Digest hmac_sha256(std::span<const u8> key, std::span<const std::span<const u8>> pieces);

}  // namespace viv::emmc
