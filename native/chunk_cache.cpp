// See chunk_cache.h. CACHE/disks/ORIGIN/chunks/xx/HASH, ORIGIN being the XXH3-128 of its URL; ORIGIN/url is that URL,
// so that two with equal hashes are told apart.
#include "native/chunk_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <span>

#include "native/chunk_folder.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

namespace fs = std::filesystem;

std::span<const u8> bytes_of(const std::string& text) {
    return {reinterpret_cast<const u8*>(text.data()), text.size()};
}

bool write(const std::string& path, std::span<const u8> bytes) {
    const auto sink = FileSink::create("", path, FileSink::Readers::owner, FileSink::Durable::later);
    return sink.ok() && (*sink)->write(bytes).ok() && (*sink)->finish().ok();
}

}  // namespace

ChunkCache::ChunkCache(const std::string& cache, const std::string& origin, u64 limit)
    : all_(cache + "/disks"), limit_(limit) {
    if (cache.empty()) return;
    const auto folder = fmt::format("{}/{}/", all_, hash128(bytes_of(origin)).hex());
    std::error_code failed;
    fs::create_directories(folder + "chunks", failed);
    if (failed) return;
    const auto url = folder + "url";
    const auto known = read_file_if_present(url, largest_index);
    if (!known.ok()) return;
    if (known.value()) {
        const auto wanted = bytes_of(origin);
        if (!std::equal(wanted.begin(), wanted.end(), known.value()->begin(), known.value()->end())) return;
    } else if (!write(url, bytes_of(origin))) {
        return;
    }
    folder_ = folder;
    make_room();
}

std::optional<std::vector<u8>> ChunkCache::find(const Hash128& hash, usize size) const {
    if (folder_.empty()) return {};
    const auto path = folder_ + chunk_path(hash);
    auto file = read_file_if_present(path, size);
    if (!file.ok() || !file.value() || file.value()->size() != size || hash128(*file.value()) != hash) return {};
    std::error_code ignored;
    fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);
    return std::move(*file.value());
}

void ChunkCache::keep(const Hash128& hash, const std::vector<u8>& bytes) {
    if (folder_.empty()) return;
    const auto path = folder_ + chunk_path(hash);
    std::error_code ignored;
    fs::create_directory(folder_part(path), ignored);
    if (!write(path, bytes)) return;
    const std::lock_guard lock(mutex_);
    kept_ += bytes.size();
    if (kept_ > limit_ / 16) make_room();
}

void ChunkCache::make_room() {
    struct Kept {
        fs::file_time_type used;
        u64 size = 0;
        fs::path path;
    };
    std::vector<Kept> files;
    u64 total = 0;
    std::error_code ignored;
    for (fs::recursive_directory_iterator at(all_, ignored), end; !ignored && at != end; at.increment(ignored)) {
        if (!at->is_regular_file(ignored) || at->path().filename() == "url") continue;
        const u64 size = at->file_size(ignored);
        if (ignored) break;
        files.push_back({at->last_write_time(ignored), size, at->path()});
        total += size;
    }
    kept_ = 0;
    if (total <= limit_) return;
    std::sort(files.begin(), files.end(), [](const Kept& a, const Kept& b) { return a.used < b.used; });
    for (const Kept& file : files) {
        if (total <= limit_ - limit_ / 8) break;
        if (fs::remove(file.path, ignored)) total -= file.size;
    }
}

}  // namespace viv::native
