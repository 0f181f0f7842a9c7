// Ciphers, hashes and random bytes of the host, for encrypted disk images. Implementation: native/ciphers.cpp; a host
// may have none.
// Promises: the same bytes from every implementation, but for random(). Hashes go by the names that LUKS has for them:
// sha1, sha224, sha256, sha384, sha512, ripemd160. An error is the end of a sentence that names the image.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "engine/lang/secret.h"

namespace viv::host {

// A key's AES, of blocks of 16 bytes, each by itself.
class BlockCipher {
public:
    virtual ~BlockCipher() = default;
    // In place; a multiple of 16 bytes.
    virtual Result<void> encrypt(std::span<u8> blocks) = 0;
    virtual Result<void> decrypt(std::span<u8> blocks) = 0;
};

class Ciphers {
public:
    virtual ~Ciphers() = default;
    // A key of 16, 24 or 32 bytes.
    virtual Result<std::unique_ptr<BlockCipher>> aes(std::span<const u8> key) = 0;
    virtual Result<Secret> digest(std::string_view hash, std::span<const u8> data) = 0;
    // PBKDF2 with HMAC. Fills `out`; takes as long as the iterations do.
    virtual Result<void> derive(std::string_view hash, std::span<const u8> secret, std::span<const u8> salt,
                                u32 iterations, std::span<u8> out) = 0;
    virtual void random(std::span<u8> out) = 0;  // fit for keys
};

}  // namespace viv::host
