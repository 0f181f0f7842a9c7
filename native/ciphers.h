// The ciphers of encrypted disk images, by OpenSSL's libcrypto, and where passphrases come from.
// Promises: a passphrase is in a Secret and nowhere else; no error says anything of it.
#pragma once

#include <string>
#include <string_view>

#include "engine/block/catalog.h"

namespace viv::native {

host::Ciphers& host_ciphers();

// All bytes of a file, or of the open descriptor N if the source is fd:N, up to 8 MiB; a last newline belongs to it.
// A descriptor is read to its end and closed.
Result<block::Key> read_key(const std::string& source);

// How many iterations of deriving a key take this host so long; 1000 at least.
Result<u32> iterations_in(std::string_view hash, u64 milliseconds);

}  // namespace viv::native
