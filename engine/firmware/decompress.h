// Unpacking of compressed kernels: gzip and Zstandard, through zlib and libzstd.
// Promises: the result is never larger than `maximum`; damaged input is an error that names it; trailing bytes after
// the stream are ignored (boot images are padded).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

bool is_gzip(std::span<const u8> data);
bool is_zstd(std::span<const u8> data);

// `what` names the data in errors: "kernel 'x'". `maximum` is in bytes.
Result<std::vector<u8>> unpack_gzip(std::span<const u8> data, usize maximum, std::string_view what);
Result<std::vector<u8>> unpack_zstd(std::span<const u8> data, usize maximum, std::string_view what);

}  // namespace viv
