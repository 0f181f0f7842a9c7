// Folders of chunks, on this host or behind a URL. See published.h.
#include "native/published.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "engine/control/publishing.h"
#include "native/chunk_folder.h"
#include "native/host_posix.h"
#include "native/http.h"

namespace viv::native {

namespace {

constexpr std::string_view extension = ".viv", first_extension = ".first";

std::string index_url(const std::string& url) {
    return url.ends_with('/') ? fmt::format("{}{}{}", url, usual_published_name, extension) : url;
}

Result<std::shared_ptr<state::Source>> open_url(const std::string& of_what) {
    const auto url = index_url(of_what);
    HttpClient client;
    TRY_SET(auto head, client.get_part(url, 0, first_part, HttpClient::Trust::none));
    auto source = std::make_shared<state::Source>();
    source->reach = state::Source::Reach::far;
    source->chunks = chunks_behind_url(folder_part(url));
    if (state::FileReader::chunks_are(head.bytes) == state::Chunks::outside)
        TRY(client.get_rest(url, head, largest_index));
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
    source->chunks = chunks_in_folder(folder_part(path));
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
    TRY_SET(const auto target, PublishedFolder::open(folder, fmt::format("{}{}", name, extension)));
    state::FileWriter writer(target->index(), &target->chunks());
    TRY(writer.begin());
    if (auto done = write_for_fetching(*opened, writer, progress); !done.ok())
        return Error{fmt::format("publish {}: {}", from, done.error().message)};
    return target->counts();
}

Result<std::shared_ptr<state::Source>> open_as_far(const std::string& folder, const std::string& name) {
    TRY_SET(auto file, open_file(fmt::format("{}/{}{}", folder, name, extension), FileAccess::read_only));
    auto source = state::Source::of(std::move(file));
    source->reach = state::Source::Reach::far;
    source->chunks = chunks_in_folder(folder + "/");
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
