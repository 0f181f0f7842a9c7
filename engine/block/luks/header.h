// The header of LUKS images, version 1, big-endian, and its way from a passphrase to a cipher and back. It is at the
// start of a file, or somewhere in a qcow2 image. Specification: LUKS1 On-Disk Format Specification 1.2.
// Promises: what a header asks for is bounded before anything is derived; keys are wiped when they are not needed any
// more. Errors are the end of a sentence that names the image.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "engine/block/image.h"
#include "engine/block/luks/sectors.h"

namespace viv::block {
struct Key;
struct Encryption;
}  // namespace viv::block

namespace viv::block::luks {

inline constexpr usize header_bytes = 592, slots = 8;
// Of deriving keys, all slots together: some minutes. Eight slots of the fastest machines have less.
inline constexpr u64 most_iterations = 256'000'000;

struct Place {
    u64 offset = 0, length = 0;  // of the header with its keys, in the file
};

struct Slot {
    bool used = false;
    u32 iterations = 0, stripes = 0;
    std::array<u8, 32> salt{};
    u64 material = 0;  // bytes from the header's start
};

// Every number within its bounds, and all key material inside the header's place.
struct Header {
    Method method;
    std::string hash, uuid;
    u64 payload = 0;  // bytes from the header's start: where the data begins
    std::array<u8, 20> digest{};
    std::array<u8, 32> digest_salt{};
    u32 digest_iterations = 0;
    std::array<Slot, slots> slot;

    // What `info` shows, in qemu-img's words.
    std::vector<std::pair<std::string, ImageDetails::Value>> details(std::string_view prefix) const;
};
Result<Header> read_header(host::File& file, const Place& place);
Result<std::unique_ptr<SectorCipher>> unlock(host::File& file, const Place& place, const Header& header,
                                             const Key& key);

// A new header with a new key, which the passphrase opens: all bytes up to where the data begins.
Result<std::vector<u8>> make_header(const Key& key, const Encryption& wanted);

}  // namespace viv::block::luks
