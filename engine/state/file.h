// The file of a saved machine: chunks, each compressed by itself and checked by a hash, and behind them a directory that
// says where they are and holds a table of the caller's. It is written in one pass and read in any order.
// Promises: whoever reads sees only bytes whose XXH3-128 fits, and no length is believed before it is checked; each byte
// of the file lies under some hash, so that an altered or cut file never passes verify(); memory grows only with bytes
// that are really there. Whatever the input, the end is a value or one line that says what is wrong and where.
// Format, little endian: a head of 16 bytes (magic, u32 version, u32 zero); the chunks, back to back; the directory; an
// end of 64 bytes (see file.cpp).
#pragma once

#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/host/file.h"
#include "engine/lang/bits.h"
#include "engine/lang/hash.h"
#include "engine/lang/result.h"

namespace viv {

// Where saved files go to; the host opens and closes them.
class ByteSink {
public:
    virtual ~ByteSink() = default;
    virtual Result<void> write(std::span<const u8> bytes) = 0;
    // Everything is written: makes it durable and gives it its name. A sink that ends without this leaves nothing
    // behind.
    virtual Result<void> finish() { return {}; }
};

namespace state {

constexpr u32 file_version = 2;
constexpr usize chunk_limit = 1 << 20;  // bytes of a chunk before compression

// Bytes as a file holds them.
struct PackedChunk {
    std::vector<u8> stored;
    u32 plain = 0;  // bytes before compression; `stored` has as many if that did not help
    Hash128 hash;   // of `stored`
};

// Compresses. One a thread.
class ChunkPacker {
public:
    ChunkPacker();
    ~ChunkPacker();
    PackedChunk pack(std::span<const u8> plain);  // at most chunk_limit bytes

private:
    struct Tools;
    std::unique_ptr<Tools> tools_;
};

class FileWriter {
public:
    explicit FileWriter(ByteSink& sink) : sink_(sink) {}

    Result<void> begin();
    // Its number in the file; equal chunks are stored once.
    Result<u32> add(const PackedChunk& chunk);
    // Writes the directory with `table`, and finishes the sink.
    Result<void> finish(std::span<const u8> table);

private:
    struct HashOfHash {
        usize operator()(const Hash128& hash) const { return static_cast<usize>(hash.low); }
    };
    ByteSink& sink_;
    u64 position_ = 0;
    std::vector<u8> places_;  // as the directory has them
    std::unordered_map<Hash128, u32, HashOfHash> numbers_;
};

class FileReader {
public:
    // Reads the ends and the directory; `file` must outlive the reader.
    static Result<FileReader> open(host::File& file);
    FileReader(FileReader&&) noexcept;
    FileReader& operator=(FileReader&&) noexcept;
    ~FileReader();

    std::span<const u8> table() const;
    u32 chunks() const;
    u32 size_of(u32 chunk) const;  // bytes before compression
    // The content of a chunk, until the next call.
    Result<std::span<const u8>> read(u32 chunk);
    // Whether all chunks are as they were written.
    Result<void> verify();

private:
    struct Place;
    struct Inside;
    explicit FileReader(std::unique_ptr<Inside> inside);
    Result<void> fetch(const Place& place);
    std::unique_ptr<Inside> inside_;
};

}  // namespace state
}  // namespace viv
