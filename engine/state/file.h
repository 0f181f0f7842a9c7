// The file of a saved machine: a magic number, a version, and sections, each cut into parts that are compressed and
// hashed. Promises: no length is believed before it is checked, no part is decoded before its XXH3 fits, memory grows
// only with bytes that are really there; whatever the input, the end is a value or one line that says what is wrong and
// where. Format, little endian: 16 bytes of head (magic, u32 version, u32 zero); then parts of 40 bytes of header (see
// file.cpp) and their payload; the last section holds the hash of everything before it.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

// Where saved files go to and come from; the host opens and closes them.
class ByteSink {
public:
    virtual ~ByteSink() = default;
    virtual Result<void> write(std::span<const u8> bytes) = 0;
    // Everything is written: makes it durable and gives it its name. A sink that ends without this leaves nothing
    // behind.
    virtual Result<void> finish() { return {}; }
};

class ByteSource {
public:
    virtual ~ByteSource() = default;
    // All of `out` or an error (also at the end of the file).
    virtual Result<void> read(std::span<u8> out) = 0;
};

namespace state {

constexpr u32 file_version = 1;

class FileWriter {
public:
    explicit FileWriter(ByteSink& sink);
    ~FileWriter();

    Result<void> begin();
    // `type` is the caller's, below 0xffff'ffff.
    Result<void> section(u32 type, std::span<const u8> content);
    // Writes the hash of the whole and finishes the sink.
    Result<void> finish();

private:
    struct Tools;
    Result<void> put(std::span<const u8> bytes);
    Result<void> part(u32 type, std::span<const u8> content, u64 remaining);

    ByteSink& sink_;
    std::unique_ptr<Tools> tools_;
};

class FileReader {
public:
    explicit FileReader(ByteSource& source);
    ~FileReader();

    Result<void> begin();

    struct Section {
        bool end = false;  // the file is complete and its hash is right
        u32 type = 0;
        u64 size = 0;  // of the content, not yet checked against anything
    };
    // Announces the next section; its content is to be read before the next call.
    Result<Section> next();
    // The content, piece by piece; more than `maximum` bytes are an error before any of them is read.
    Result<void> content(u64 maximum, const std::function<Result<void>(std::span<const u8>)>& piece);
    Result<std::vector<u8>> content(u64 maximum);

    u64 position() const { return position_; }  // bytes read so far, for messages

private:
    struct Tools;
    struct Part {
        u32 type = 0;
        u32 plain = 0;
        u32 stored = 0;
        bool compressed = false;
        u64 remaining = 0;  // of the section, this part included
        u64 hash = 0;
    };
    Result<void> take(std::span<u8> out);
    Result<Part> part_header();
    Result<std::span<const u8>> part_content(const Part& part);
    Error damaged(const char* problem) const;

    ByteSource& source_;
    std::unique_ptr<Tools> tools_;
    Part part_;  // the announced one, not yet read
    u64 position_ = 0;
};

}  // namespace state
}  // namespace viv
