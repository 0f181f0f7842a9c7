// Compressed clusters: raw deflate with a window of 4 KiB, or zstd frames.
// Promises: no more is written than the output has room for, whatever the input claims.
#pragma once

#include <span>
#include <vector>

#include "engine/block/catalog.h"
#include "engine/lang/bits.h"

namespace viv::block::qcow2 {

// Empty: it does not become smaller.
std::vector<u8> compress(Compression how, std::span<const u8> cluster);
// Fills the cluster; behind the compressed data the input may have anything. False: it is damaged.
bool decompress(Compression how, std::span<const u8> data, std::span<u8> cluster);

}  // namespace viv::block::qcow2
