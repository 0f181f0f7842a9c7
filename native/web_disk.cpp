// See web_disk.h.
#include "native/web_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/block/read_ahead.h"
#include "native/chunk_cache.h"
#include "native/chunk_folder.h"

namespace viv::native {

namespace {

constexpr u64 piece_size = 128 << 10;  // bytes of a file that are asked for at once

class WebFile final : public host::File {
public:
    WebFile(std::string url, HttpClient::Part head, std::shared_ptr<Feed> feed)
        : url_(std::move(url)), head_(std::move(head)), feed_(std::move(feed)) {}

    u64 size() override { return head_.total; }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), size())) return Error{fmt::format("{}: reads past the end", url_)};
        if (out.empty()) return {};
        if (range_fits(offset, out.size(), head_.bytes.size())) {
            std::memcpy(out.data(), head_.bytes.data() + offset, out.size());
            return {};
        }
        const u64 first = offset / piece_size, end = (offset + out.size() - 1) / piece_size + 1;
        const auto ahead = read_ahead_.note(first, end);
        for (u64 piece = first; piece < end; piece++) feed_->expect(key_of(piece), fetch_of(piece));
        for (u64 piece = ahead.first; piece < std::min(ahead.end, (size() - 1) / piece_size + 1); piece++)
            feed_->expect(key_of(piece), fetch_of(piece));
        for (u64 piece = first; piece < end; piece++) {
            const u64 inside = offset % piece_size;
            const auto part = out.first(static_cast<usize>(std::min<u64>(out.size(), piece_size - inside)));
            TRY(feed_->read(key_of(piece), fetch_of(piece), [&](std::span<const u8> bytes) -> Result<void> {
                std::memcpy(part.data(), bytes.data() + inside, part.size());
                return {};
            }));
            offset += part.size();
            out = out.subspan(part.size());
        }
        return {};
    }
    Result<void> write_at(u64, std::span<const u8>) override {
        return Error{fmt::format("{}: can only be read", url_)};
    }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }

private:
    std::string key_of(u64 piece) const { return fmt::format("{} {}", url_, piece); }
    Feed::Fetch fetch_of(u64 piece) const {
        const u64 offset = piece * piece_size, length = std::min(piece_size, head_.total - offset);
        return [url = url_, version = head_.version, total = head_.total, offset,
                length](HttpClient& client) -> Result<Feed::Bytes> {
            TRY_SET(auto part, client.get_part(url, offset, length, HttpClient::Trust::seen));
            if (part.total != total || part.version != version)
                return Error{fmt::format("{}: has changed since it was opened", url)};
            if (part.bytes.size() != length) return Error{fmt::format("{}: the server gave another part", url)};
            return std::move(part.bytes);
        };
    }

    std::string url_;
    HttpClient::Part head_;
    std::shared_ptr<Feed> feed_;
    block::ReadAhead read_ahead_;
};

class WebChunks final : public state::ChunkStore {
public:
    WebChunks(std::string folder, std::shared_ptr<Feed> feed, const std::string& cache)
        : folder_(std::move(folder)), feed_(std::move(feed)), cache_(std::make_shared<ChunkCache>(cache, folder_)) {}

    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        return feed_->read(key_of(hash, out.size()), fetch_of(hash, out.size()),
                           [&](std::span<const u8> bytes) -> Result<void> {
                               std::copy(bytes.begin(), bytes.end(), out.begin());
                               return {};
                           });
    }
    void expect(const Hash128& hash, u32 size) override { feed_->expect(key_of(hash, size), fetch_of(hash, size)); }

private:
    // An index may give one chunk two sizes, of which one is wrong.
    std::string key_of(const Hash128& hash, usize size) const {
        return fmt::format("{}{} {}", folder_, chunk_path(hash), size);
    }
    Feed::Fetch fetch_of(const Hash128& hash, usize size) const {
        return
            [url = folder_ + chunk_path(hash), hash, size, cache = cache_](HttpClient& client) -> Result<Feed::Bytes> {
                if (auto kept = cache->find(hash, size)) return std::move(*kept);
                TRY_SET(auto bytes, client.get(url, size, HttpClient::Trust::seen));
                if (bytes.size() != size) return Error{fmt::format("{}: has another size than it should", url)};
                if (hash128(bytes) != hash) return Error{fmt::format("{}: fails its check", url)};
                cache->keep(hash, bytes);
                return bytes;
            };
    }

    std::string folder_;
    std::shared_ptr<Feed> feed_;
    std::shared_ptr<ChunkCache> cache_;
};

}  // namespace

Result<std::unique_ptr<host::File>> open_web_image(const std::string& url, std::shared_ptr<Feed> feed) {
    HttpClient client;
    TRY_SET(auto head, client.get_part(url, 0, first_part, HttpClient::Trust::none));
    if (head.total == 0) return Error{fmt::format("{}: is empty", url)};
    if (head.bytes.size() != std::min(first_part, head.total))
        return Error{fmt::format("{}: the server gave another part", url)};
    if (state::FileReader::looks_like(head.bytes, state::Content::disk)) TRY(client.get_rest(url, head, largest_index));
    return std::unique_ptr<host::File>(std::make_unique<WebFile>(url, std::move(head), std::move(feed)));
}

std::unique_ptr<state::ChunkStore> open_web_chunks(const std::string& url, std::shared_ptr<Feed> feed,
                                                   const std::string& cache) {
    // What is behind the path of a URL is for the index alone.
    return std::make_unique<WebChunks>(folder_part(url.substr(0, url.find_first_of("?#"))), std::move(feed), cache);
}

}  // namespace viv::native
