// The file of a saved machine, and the index of a published disk: chunks, each compressed by itself and checked by a
// hash, and behind them a directory that says where they are and holds a table of the caller's. It is written in one
// pass and read in any order.
// Promises: whoever reads sees only bytes whose XXH3-128 fits, and no length is believed before it is checked; each
// byte of the file lies under some hash, so that an altered or cut file never passes verify(); memory grows only with
// bytes that are really there. Whatever the input, the end is a value or one line that says what is wrong and where.
// The chunks may lie elsewhere instead, each by itself and named by its hash (a published file): then only what is read
// is fetched, and files share the chunks that they have in common.
// Format, little endian: a head of 16 bytes (magic, u32 version, u32 where the chunks are); the chunks, back to back,
// if they are inside; the directory; an end of 64 bytes (see file.cpp).
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
enum class Chunks : u32 { inside, outside };
// What a file is of; its first bytes say so.
enum class Content : u8 { machine, disk };
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
    enum class Effort : u8 { little, much };
    ChunkPacker();
    ~ChunkPacker();
    PackedChunk pack(std::span<const u8> plain, Effort effort = Effort::little);  // less than 4 GiB

private:
    struct Tools;
    std::unique_ptr<Tools> tools_;
};

// Chunks outside of their file, on the way there.
class ChunkSink {
public:
    virtual ~ChunkSink() = default;
    // May be there already, from another file.
    virtual Result<void> put(const PackedChunk& chunk) = 0;
};

// The other way. All calls come from one thread at a time.
class ChunkStore {
public:
    virtual ~ChunkStore() = default;
    // All of `out`, which has the chunk's size; what is wrong with the content is found by the caller.
    virtual Result<void> fetch(const Hash128& hash, std::span<u8> out) = 0;
    // A chunk of so many bytes will be fetched soon. Promises nothing.
    virtual void expect(const Hash128& /*hash*/, u32 /*size*/) {}
};

class FileWriter {
public:
    // With `chunks` the chunks go there, and only the rest to `sink`. Both outlive this.
    explicit FileWriter(ByteSink& sink, ChunkSink* chunks = nullptr, Content content = Content::machine)
        : sink_(sink), outside_(chunks), content_(content) {}

    Result<void> begin();
    // Its number in the file; equal chunks are stored once. At most chunk_limit bytes before compression.
    Result<u32> add(const PackedChunk& chunk);
    // Writes the directory with `table`, and finishes the sink.
    Result<void> finish(std::span<const u8> table);

private:
    struct HashOfHash {
        usize operator()(const Hash128& hash) const { return static_cast<usize>(hash.low); }
    };
    Result<void> put(std::span<const u8> bytes);
    Result<void> put_buffer();

    ByteSink& sink_;
    ChunkSink* outside_;
    Content content_;
    std::vector<u8> buffer_;  // before the sink: chunks are small
    u64 position_ = 0;
    std::vector<u8> places_;  // as the directory has them
    std::unordered_map<Hash128, u32, HashOfHash> numbers_;
};

// A file to read, with its chunks if they are outside.
struct Source {
    std::unique_ptr<host::File> file;
    std::unique_ptr<ChunkStore> chunks;
    // Whether all of it can be read at little cost, so that a damage is found before anything is done with it.
    enum class Reach : u8 { near, far } reach = Reach::near;
    Content content = Content::machine;  // what is wanted

    static std::shared_ptr<Source> of(std::unique_ptr<host::File> file) {
        return std::make_shared<Source>(Source{std::move(file), nullptr, Reach::near, Content::machine});
    }
};

class FileReader {
public:
    // What the first bytes of a file say; inside, if it is no saved file.
    static Chunks chunks_are(std::span<const u8> head, Content content = Content::machine);
    static bool looks_like(std::span<const u8> head, Content content);
    // Reads the ends and the directory.
    static Result<FileReader> open(std::shared_ptr<Source> source);
    FileReader(FileReader&&) noexcept;
    FileReader& operator=(FileReader&&) noexcept;
    ~FileReader();

    std::span<const u8> table() const;
    u32 chunks() const;
    u32 size_of(u32 chunk) const;  // bytes before compression
    u32 stored_size_of(u32 chunk) const;
    // It will be read soon: the source may fetch it meanwhile.
    void expect(u32 chunk);
    // The content of a chunk, until the next call.
    Result<std::span<const u8>> read(u32 chunk);
    // A chunk as it is stored.
    Result<PackedChunk> stored(u32 chunk);
    // Whether all chunks are as they were written. Those of a far source are not looked at.
    Result<void> verify();
    bool is_near() const;
    // Of the directory, and so of all that the file holds.
    const Hash128& identity() const;

private:
    struct Place;
    struct Inside;
    explicit FileReader(std::unique_ptr<Inside> inside);
    Result<void> fetch(const Place& place);
    std::unique_ptr<Inside> inside_;
};

}  // namespace state
}  // namespace viv
