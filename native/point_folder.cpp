// See point_folder.h. points.json: {"version": 1, "points": [{"name", "parent", "realtime-ns", "guest-ns",
// "instructions", "disks", "file", "bytes"}]}, parents before their children.
#include "native/point_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "native/host_posix.h"
#include "native/published.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

constexpr u64 json_limit = u64{64} << 20;  // bytes
constexpr u64 version = 1;
constexpr usize most_disks = 1000;
constexpr std::string_view file_prefix = "point-", file_suffix = ".viv";

std::string file_name(u64 number) { return fmt::format("{}{}{}", file_prefix, number, file_suffix); }

// The number of a name that we could have given.
std::optional<u64> number_of(std::string_view name) {
    if (!name.starts_with(file_prefix) || !name.ends_with(file_suffix)) return std::nullopt;
    const auto digits = name.substr(file_prefix.size(), name.size() - file_prefix.size() - file_suffix.size());
    u64 number = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (parsed.ec != std::errc() || file_name(number) != name) return std::nullopt;
    return number;
}

std::string json_path(const std::string& folder) { return folder + "/points.json"; }

std::string encode(const PointTree& tree) {
    auto rows = nlohmann::ordered_json::array();
    for (const Point& point : tree.points()) {
        auto row = nlohmann::ordered_json::object();
        row["name"] = point.name;
        if (!point.parent.empty()) row["parent"] = point.parent;
        row["realtime-ns"] = point.realtime_ns;
        row["guest-ns"] = point.guest_ns;
        row["instructions"] = point.instructions;
        row["disks"] = point.disks;
        row["file"] = point.file;
        row["bytes"] = point.bytes;
        rows.push_back(std::move(row));
    }
    auto whole = nlohmann::ordered_json::object();
    whole["version"] = version;
    whole["points"] = std::move(rows);
    // What devices are called is the user's, and need not be UTF-8.
    return whole.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

class Decoder {
public:
    explicit Decoder(const std::string& path) : path_(path) {}

    Result<PointTree> decode(std::span<const u8> bytes) {
        const auto whole = nlohmann::json::parse(bytes.begin(), bytes.end(), nullptr, false);
        if (!whole.is_object()) return fault("is no JSON object");
        const auto found = whole.find("version");
        if (found == whole.end() || !found->is_number_unsigned()) return fault("has no version");
        if (found->get<u64>() != version)
            return fault(fmt::format("is of version {}, and this viv knows {}", found->get<u64>(), version));
        const auto rows = whole.find("points");
        if (rows == whole.end() || !rows->is_array()) return fault("has no list of points");
        std::vector<Point> points;
        std::set<std::string> files;
        for (const auto& row : *rows) {
            TRY_SET(Point point, decode_point(row));
            if (!files.insert(point.file).second) return fault("gives one file to two points");
            points.push_back(std::move(point));
        }
        auto tree = PointTree::of(std::move(points));
        if (!tree.ok()) return fault(tree.error().message);
        return tree;
    }

private:
    Error fault(std::string_view what) const { return Error{fmt::format("{}: {}", path_, what)}; }

    Result<u64> number(const nlohmann::json& row, const char* name) const {
        const auto found = row.find(name);
        if (found == row.end() || !found->is_number_unsigned())
            return fault(fmt::format("has a point without {}", name));
        return found->get<u64>();
    }
    Result<std::string> text(const nlohmann::json& row, const char* name) const {
        const auto found = row.find(name);
        if (found == row.end() || !found->is_string()) return fault(fmt::format("has a point without {}", name));
        return found->get<std::string>();
    }

    Result<Point> decode_point(const nlohmann::json& row) const {
        if (!row.is_object()) return fault("has a point that is no JSON object");
        Point point;
        TRY_SET(point.name, text(row, "name"));
        if (row.contains("parent")) {
            TRY_SET(point.parent, text(row, "parent"));
        }
        TRY_SET(point.realtime_ns, number(row, "realtime-ns"));
        TRY_SET(point.guest_ns, number(row, "guest-ns"));
        TRY_SET(point.instructions, number(row, "instructions"));
        TRY_SET(point.file, text(row, "file"));
        if (!number_of(point.file)) return fault("has a point whose file is not called point-N.viv");
        TRY_SET(point.bytes, number(row, "bytes"));
        const auto disks = row.find("disks");
        if (disks == row.end() || !disks->is_array() || disks->size() > most_disks)
            return fault("has a point without a list of disks");
        for (const auto& disk : *disks) {
            if (!disk.is_string()) return fault("has a point with a disk that has no name");
            point.disks.push_back(disk.get<std::string>());
        }
        return point;
    }

    const std::string& path_;
};

Error with_who(const std::string& who, const Error& error) { return Error{who + " " + error.message}; }

Result<Descriptor> open_folder_itself(const std::string& who, const std::string& folder) {
    Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) return Error{fmt::format("{} {}: cannot open: {}", who, folder, error_text(errno))};
    return opened;
}

}  // namespace

Result<void> PointFolder::check(const std::string& who, const std::string& folder) {
    if (access(folder.c_str(), F_OK) != 0 && errno == ENOENT) return check_writable(who, folder);
    TRY(open_folder_itself(who, folder));
    if (access(folder.c_str(), W_OK | X_OK) != 0)
        return Error{fmt::format("{} {}: {}", who, folder, error_text(errno))};
    TRY(read(who, folder));
    return {};
}

Result<PointTree> PointFolder::read(const std::string& who, const std::string& folder) {
    TRY(open_folder_itself(who, folder));
    const std::string path = json_path(folder);
    const auto bytes = read_file_if_present(path, json_limit);
    if (!bytes.ok()) return with_who(who, bytes.error());
    if (!*bytes) return PointTree();
    auto tree = Decoder(path).decode(**bytes);
    if (!tree.ok()) return with_who(who, tree.error());
    return tree;
}

Result<std::unique_ptr<PointFolder>> PointFolder::open(const std::string& who, const std::string& folder) {
    if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        return Error{fmt::format("{} {}: cannot be made: {}", who, folder, error_text(errno))};
    TRY_SET(auto lock, open_folder_itself(who, folder));
    // A file system without locks lets everybody pass.
    if (flock(lock.number(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return Error{
            fmt::format("{} {}: is in use by another viv; end that one first, or ask it (--from)", who, folder)};
    TRY_SET(auto tree, read(who, folder));
    return std::unique_ptr<PointFolder>(new PointFolder(folder, std::move(lock), std::move(tree)));
}

Result<PointStore::NewFile> PointFolder::create_file() {
    // What lies there from a run that was killed is not ours to overwrite.
    const auto taken = [this](const std::string& name) {
        const auto& points = tree_.points();
        return access((folder_ + "/" + name).c_str(), F_OK) == 0 ||
               std::any_of(points.begin(), points.end(), [&](const Point& point) { return point.file == name; });
    };
    while (taken(file_name(next_number_))) next_number_++;
    NewFile made;
    made.name = file_name(next_number_++);
    TRY_SET(made.sink, FileSink::create("", folder_ + "/" + made.name));
    return made;
}

void PointFolder::remove_file(const std::string& name) {
    if (number_of(name)) unlink((folder_ + "/" + name).c_str());
}

Result<void> PointFolder::change_to(PointTree tree) {
    const std::string text = encode(tree);
    TRY_SET(const auto sink, FileSink::create("", json_path(folder_)));
    TRY(sink->write({reinterpret_cast<const u8*>(text.data()), text.size()}));
    TRY(sink->finish());
    tree_ = std::move(tree);
    return {};
}

Result<void> PointFolder::add(Point point) {
    struct stat status {};
    if (stat(path_of(point).c_str(), &status) != 0)
        return Error{fmt::format("{}: {}", path_of(point), error_text(errno))};
    point.bytes = static_cast<u64>(status.st_size);
    PointTree tree = tree_;
    TRY(tree.add(std::move(point)));
    return change_to(std::move(tree));
}

Result<std::shared_ptr<state::Source>> PointFolder::open(const Point& point) {
    TRY_SET(auto file, open_file(path_of(point), FileAccess::read_only));
    return state::Source::of(std::move(file));
}

Result<void> PointFolder::remove(const std::string& name) {
    const Point* const point = tree_.find(name);
    if (point == nullptr) return Error{fmt::format("{}: has no point '{}'", folder_, name)};
    const std::string file = point->file;
    PointTree tree = tree_;
    tree.remove(name);
    TRY(change_to(std::move(tree)));
    remove_file(file);
    return {};
}

}  // namespace viv::native
