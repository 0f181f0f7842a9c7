// See compress.h.
#include "engine/block/qcow2/compress.h"

#include <zlib.h>
#include <zstd.h>

#include <memory>

namespace viv::block::qcow2 {

namespace {

// Readers may have no more than 4 KiB of window; a larger one here reads what others have written against the rules.
constexpr int window_written = -12, window_read = -15;

std::vector<u8> deflate_cluster(std::span<const u8> cluster) {
    z_stream stream{};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_written, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        return {};
    const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, [](z_stream* s) { return deflateEnd(s); });
    std::vector<u8> out(cluster.size() - 1);
    stream.next_in = const_cast<u8*>(cluster.data());
    stream.avail_in = static_cast<uInt>(cluster.size());
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream, Z_FINISH) != Z_STREAM_END) return {};
    out.resize(out.size() - stream.avail_out);
    return out;
}

bool inflate_cluster(std::span<const u8> data, std::span<u8> cluster) {
    z_stream stream{};
    if (inflateInit2(&stream, window_read) != Z_OK) return false;
    const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, [](z_stream* s) { return inflateEnd(s); });
    stream.next_in = const_cast<u8*>(data.data());
    stream.avail_in = static_cast<uInt>(data.size());
    stream.next_out = cluster.data();
    stream.avail_out = static_cast<uInt>(cluster.size());
    const int status = inflate(&stream, Z_FINISH);
    return (status == Z_STREAM_END || status == Z_BUF_ERROR) && stream.avail_out == 0;
}

bool unpack_zstd(std::span<const u8> data, std::span<u8> cluster) {
    const std::unique_ptr<ZSTD_DCtx, size_t (*)(ZSTD_DCtx*)> context(ZSTD_createDCtx(), ZSTD_freeDCtx);
    if (!context) return false;
    ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, 22);  // no cluster is larger than 2 MiB
    ZSTD_inBuffer in{data.data(), data.size(), 0};
    ZSTD_outBuffer out{cluster.data(), cluster.size(), 0};
    while (out.pos < out.size) {
        const usize before = in.pos + out.pos;
        if (ZSTD_isError(ZSTD_decompressStream(context.get(), &out, &in)) || in.pos + out.pos == before) return false;
    }
    return true;
}

}  // namespace

std::vector<u8> compress(Compression how, std::span<const u8> cluster) {
    if (how == Compression::zlib) return deflate_cluster(cluster);
    std::vector<u8> out(cluster.size() - 1);
    const usize size = ZSTD_compress(out.data(), out.size(), cluster.data(), cluster.size(), ZSTD_CLEVEL_DEFAULT);
    out.resize(ZSTD_isError(size) ? 0 : size);
    return out;
}

bool decompress(Compression how, std::span<const u8> data, std::span<u8> cluster) {
    return how == Compression::zlib ? inflate_cluster(data, cluster) : unpack_zstd(data, cluster);
}

}  // namespace viv::block::qcow2
