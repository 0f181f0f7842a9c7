// Streaming in steps, so that what is claimed to be inside never decides how much is allocated. See decompress.h.
#include "engine/firmware/decompress.h"

#include <fmt/format.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

namespace viv {

namespace {

constexpr usize step = usize{256} << 10;

Error damaged(std::string_view what, std::string_view kind) {
    return Error{fmt::format("{} is {} data that is damaged or cut short", what, kind)};
}
Error too_large(std::string_view what, usize maximum) {
    return Error{fmt::format("{} unpacks to more than the {} MiB that fit", what, maximum >> 20)};
}

// Room for another step, unless the output has reached `maximum`.
bool grow(std::vector<u8>& out, usize used, usize maximum) {
    if (used < out.size()) return true;
    if (out.size() >= maximum) return false;
    out.resize(std::min(maximum, out.size() + std::max(step, out.size() / 2)));
    return true;
}

}  // namespace

bool is_gzip(std::span<const u8> data) {
    return data.size() >= 3 && data[0] == 0x1f && data[1] == 0x8b && data[2] == 8;
}

bool is_zstd(std::span<const u8> data) {
    return data.size() >= 4 && data[0] == 0x28 && data[1] == 0xb5 && data[2] == 0x2f && data[3] == 0xfd;
}

Result<std::vector<u8>> unpack_gzip(std::span<const u8> data, usize maximum, std::string_view what) {
    z_stream stream{};
    if (inflateInit2(&stream, 16 + MAX_WBITS) != Z_OK) return Error{fmt::format("{}: zlib has no memory", what)};
    const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, [](z_stream* s) { return inflateEnd(s); });

    std::vector<u8> out;
    usize read = 0, written = 0;
    while (true) {
        const bool room = grow(out, written, maximum);
        // zlib counts in 32 bits; its input is const in all but the type. With no room left a byte of scratch tells
        // the end from more.
        u8 scratch = 0;
        const usize input = std::min<usize>(data.size() - read, 1u << 30);
        const usize output = room ? std::min<usize>(out.size() - written, 1u << 30) : 1;
        stream.next_in = const_cast<u8*>(data.data() + read);
        stream.avail_in = static_cast<uInt>(input);
        stream.next_out = room ? out.data() + written : &scratch;
        stream.avail_out = static_cast<uInt>(output);
        const int status = inflate(&stream, Z_NO_FLUSH);
        const usize consumed = input - stream.avail_in, produced = output - stream.avail_out;
        read += consumed;
        if (!room && produced != 0) return too_large(what, maximum);
        written += produced;
        if (status == Z_STREAM_END) break;
        if (status != Z_OK || (consumed == 0 && produced == 0)) return damaged(what, "gzip");
    }
    out.resize(written);
    return out;
}

Result<std::vector<u8>> unpack_zstd(std::span<const u8> data, usize maximum, std::string_view what) {
    const std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
    if (!stream) return Error{fmt::format("{}: zstd has no memory", what)};
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    std::vector<u8> out;
    usize written = 0;
    while (true) {
        const bool room = grow(out, written, maximum);
        u8 scratch = 0;
        ZSTD_outBuffer to = room ? ZSTD_outBuffer{out.data(), out.size(), written} : ZSTD_outBuffer{&scratch, 1, 0};
        const usize read_before = in.pos, written_before = to.pos;
        const size_t left = ZSTD_decompressStream(stream.get(), &to, &in);
        if (ZSTD_isError(left)) return damaged(what, "zstd");
        if (!room && to.pos != 0) return too_large(what, maximum);
        if (room) written = to.pos;
        if (left == 0) break;
        if (in.pos == read_before && to.pos == written_before) return damaged(what, "zstd");
    }
    out.resize(written);
    return out;
}

}  // namespace viv
