// See chunk_folder.h.
#include "native/chunk_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "native/host_posix.h"
#include "native/http.h"

namespace viv::native {

namespace {

class FolderChunks final : public state::ChunkStore {
public:
    explicit FolderChunks(std::string folder) : folder_(std::move(folder)) {}
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        TRY_SET(const auto file, open_file(folder_ + chunk_path(hash), FileAccess::read_only_unlocked));
        if (file->size() != out.size())
            return Error{fmt::format("{}{}: has another size than it should", folder_, chunk_path(hash))};
        return file->read_at(0, out);
    }

private:
    std::string folder_;
};

// Chunks behind a URL.
class HttpChunks final : public state::ChunkStore {
public:
    explicit HttpChunks(std::string folder) : folder_(std::move(folder)) {}
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        TRY_SET(const auto bytes, client_.get(folder_ + chunk_path(hash), out.size(), HttpClient::Trust::seen));
        if (bytes.size() != out.size())
            return Error{fmt::format("{}{}: has another size than it should", folder_, chunk_path(hash))};
        std::copy(bytes.begin(), bytes.end(), out.begin());
        return {};
    }

private:
    std::string folder_;
    HttpClient client_;
};

// Everything of the file system that holds it.
Result<void> make_durable(const std::string& folder) {
    const Descriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened || syncfs(opened.number()) != 0)
        return Error{fmt::format("{}: cannot be written to its end: {}", folder, error_text(errno))};
    return {};
}

Result<void> make_folder(const std::string& path) {
    if (mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return {};
    return Error{fmt::format("{}: cannot create the folder: {}", path, error_text(errno))};
}

class Folder final : public PublishedFolder, private state::ChunkSink, private ByteSink {
public:
    Folder(std::string folder, std::string index) : folder_(std::move(folder)), index_path_(std::move(index)) {}
    state::ChunkSink& chunks() override { return *this; }
    ByteSink& index() override { return *this; }
    const Published& counts() const override { return counts_; }

private:
    Result<void> put(const state::PackedChunk& chunk) override {
        counts_.chunks++;
        counts_.bytes += chunk.stored.size();
        const auto path = folder_ + chunk_path(chunk.hash);
        struct stat status {};
        if (stat(path.c_str(), &status) == 0 && static_cast<u64>(status.st_size) == chunk.stored.size()) return {};
        TRY(make_folder(folder_part(path)));
        counts_.new_chunks++;
        counts_.new_bytes += chunk.stored.size();
        return write_public(path, chunk.stored, FileSink::Durable::later);
    }
    Result<void> write(std::span<const u8> in) override {
        index_.insert(index_.end(), in.begin(), in.end());
        return {};
    }
    // The last of all: whoever sees it finds all chunks.
    Result<void> finish() override {
        TRY(make_durable(folder_));
        return write_public(index_path_, index_, FileSink::Durable::at_end);
    }

    std::string folder_, index_path_;
    std::vector<u8> index_;
    Published counts_;
};

}  // namespace

std::string chunk_path(const Hash128& hash) {
    const auto name = hash.hex();
    return fmt::format("chunks/{}/{}", name.substr(0, 2), name);
}

std::string folder_part(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

std::unique_ptr<state::ChunkStore> chunks_in_folder(std::string folder) {
    return std::make_unique<FolderChunks>(std::move(folder));
}

std::unique_ptr<state::ChunkStore> chunks_behind_url(std::string folder) {
    return std::make_unique<HttpChunks>(std::move(folder));
}

Result<std::unique_ptr<PublishedFolder>> PublishedFolder::open(const std::string& folder, const std::string& index) {
    TRY(make_folder(folder));
    TRY(make_folder(folder + "/chunks"));
    return std::unique_ptr<PublishedFolder>(std::make_unique<Folder>(folder + "/", folder + "/" + index));
}

Result<void> write_public(const std::string& path, std::span<const u8> bytes, FileSink::Durable durable) {
    TRY_SET(const auto sink, FileSink::create("", path, FileSink::Readers::all, durable));
    TRY(sink->write(bytes));
    return sink->finish();
}

}  // namespace viv::native
