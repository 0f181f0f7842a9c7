// Folders of chunks, on this host or behind a URL. See published.h.
#include "native/published.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/control/publishing.h"
#include "native/host_posix.h"
#include "native/http.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

constexpr std::string_view extension = ".viv", first_extension = ".first";
constexpr u64 index_limit = u64{128} << 20;  // bytes

std::string chunk_path(const Hash128& hash) {
    const auto name = hash.hex();
    return fmt::format("chunks/{}/{}", name.substr(0, 2), name);
}

// With its last slash; "" for a name without one.
std::string folder_part(const std::string& path) { return path.substr(0, path.rfind('/') + 1); }

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

std::string index_url(const std::string& url) {
    return url.ends_with('/') ? fmt::format("{}{}{}", url, usual_published_name, extension) : url;
}

Result<std::shared_ptr<state::Source>> open_url(const std::string& of_what) {
    const auto url = index_url(of_what);
    HttpClient client;
    // Enough for most indexes.
    constexpr u64 first_part = 256 << 10;
    TRY_SET(auto head, client.get_part(url, 0, first_part, HttpClient::Trust::none));
    auto source = std::make_shared<state::Source>();
    source->reach = state::Source::Reach::far;
    source->chunks = std::make_unique<HttpChunks>(folder_part(url));
    if (state::FileReader::chunks_are(head.bytes) == state::Chunks::outside && head.bytes.size() != head.total) {
        if (head.total > index_limit) return Error{fmt::format("{}: is too large for an index", url)};
        TRY_SET(const auto rest,
                client.get_part(url, head.bytes.size(), head.total - head.bytes.size(), HttpClient::Trust::seen));
        head.bytes.insert(head.bytes.end(), rest.bytes.begin(), rest.bytes.end());
        if (head.bytes.size() != head.total) return Error{fmt::format("{}: came cut short", url)};
    }
    source->file = std::make_unique<HttpFile>(url, std::move(head));
    return source;
}

std::string index_path(const std::string& folder) {
    return fmt::format("{}/{}{}", folder, usual_published_name, extension);
}

bool is_folder(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

// A file that others may read.
Result<void> write_public(const std::string& path, std::span<const u8> bytes, FileSink::Durable durable) {
    TRY_SET(const auto sink, FileSink::create("", path, FileSink::Readers::all, durable));
    TRY(sink->write(bytes));
    return sink->finish();
}

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

class FolderSink final : public state::ChunkSink {
public:
    FolderSink(std::string folder, Published& counts) : folder_(std::move(folder)), counts_(counts) {}
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

private:
    std::string folder_;
    Published& counts_;
};

struct IndexSink final : ByteSink {
    IndexSink(std::string in_folder, const std::string& name)
        : folder(std::move(in_folder)), path(fmt::format("{}/{}{}", folder, name, extension)) {}
    Result<void> write(std::span<const u8> in) override {
        bytes.insert(bytes.end(), in.begin(), in.end());
        return {};
    }
    // The last of all: whoever sees it finds all chunks.
    Result<void> finish() override {
        TRY(make_durable(folder));
        return write_public(path, bytes, FileSink::Durable::at_end);
    }
    std::string folder, path;
    std::vector<u8> bytes;
};

}  // namespace

Result<std::shared_ptr<state::Source>> open_saved(std::string_view who, const std::string& name) {
    const auto named = [&](const Error& error) { return Error{fmt::format("{} {}", who, error.message)}; };
    if (is_url(name)) {
        auto source = open_url(name);
        if (!source.ok()) return named(source.error());
        return source;
    }
    const auto path = is_folder(name) ? index_path(name) : name;
    auto file = open_file(path, FileAccess::read_only);
    if (!file.ok()) return named(file.error());
    auto source = state::Source::of(std::move(*file));
    source->chunks = std::make_unique<FolderChunks>(folder_part(path));
    return source;
}

Result<void> check_saved(std::string_view who, const std::string& name) {
    return check_readable(who, is_folder(name) ? index_path(name) : name);
}

Result<Published> publish(const std::string& from, const std::string& folder, const std::string& name,
                          const std::function<bool(u64 done, u64 all)>& progress) {
    TRY_SET(auto source, open_saved("publish", from));
    auto opened = state::FileReader::open(std::move(source));
    if (!opened.ok()) return Error{fmt::format("publish {}: {}", from, opened.error().message)};
    TRY(make_folder(folder));
    TRY(make_folder(folder + "/chunks"));
    Published counts;
    FolderSink chunks(folder + "/", counts);
    IndexSink index(folder, name);
    state::FileWriter writer(index, &chunks);
    TRY(writer.begin());
    if (auto done = write_for_fetching(*opened, writer, progress); !done.ok())
        return Error{fmt::format("publish {}: {}", from, done.error().message)};
    return counts;
}

Result<std::shared_ptr<state::Source>> open_as_far(const std::string& folder, const std::string& name) {
    TRY_SET(auto file, open_file(fmt::format("{}/{}{}", folder, name, extension), FileAccess::read_only));
    auto source = state::Source::of(std::move(file));
    source->reach = state::Source::Reach::far;
    source->chunks = std::make_unique<FolderChunks>(folder + "/");
    return source;
}

Result<void> publish_first(const std::string& folder, const std::string& name, const KeptChunks& first) {
    const auto path = fmt::format("{}/{}{}", folder, name, first_extension);
    if (first.count != 0) return write_public(path, first.file, FileSink::Durable::at_end);
    if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};  // of what was published there before
    return Error{fmt::format("{}: cannot be removed: {}", path, error_text(errno))};
}

std::vector<u8> fetch_first(const std::string& url) {
    auto path = index_url(url);
    if (!path.ends_with(extension)) return {};
    path.replace(path.size() - extension.size(), extension.size(), first_extension);
    auto pack = HttpClient().get(path, Arrival::longest_pack, HttpClient::Trust::seen);
    return pack.ok() ? std::move(*pack) : std::vector<u8>();
}

}  // namespace viv::native
