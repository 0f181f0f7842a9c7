// Reading recipes and built guests with toml++ (TOML 1.0), and running the tool that builds them. See guest_catalog.h.
#include "native/guest_catalog.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "native/host_posix.h"
#include "native/toml.h"
#include "native/user_files.h"
#include "native/values.h"

namespace viv::native {

namespace {

constexpr i64 known_format = 1;

bool is_guest_name(std::string_view name) {
    if (name.empty() || name.front() == '-') return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

bool is_file(const std::string& path) {
    struct stat status {};
    return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// Fields of one table, with the first problem remembered.
class Fields {
public:
    Fields(const toml::table* table, std::string where) : table_(table), where_(std::move(where)) {}

    std::string text(std::string_view name) {
        const auto value = get<std::string>(name);
        if (!value) problem(name, "a text");
        return value.value_or("");
    }
    std::string optional_text(std::string_view name) { return get<std::string>(name).value_or(""); }
    i64 number(std::string_view name) {
        const auto value = get<i64>(name);
        if (!value) problem(name, "a number");
        return value.value_or(0);
    }
    void problem(std::string_view name, std::string_view wanted) {
        if (problem_.empty()) problem_ = fmt::format("{}: {} is missing or not {}", where_, name, wanted);
    }
    const std::string& first_problem() const { return problem_; }

private:
    template <class T>
    std::optional<T> get(std::string_view name) const {
        if (table_ == nullptr) return std::nullopt;
        return (*table_)[name].value<T>();
    }

    const toml::table* table_;
    std::string where_;
    std::string problem_;
};

std::string program_folder() {
    std::error_code error;
    return std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
}

// The tree that holds this program, or the one it was compiled in.
std::string source_guests_folder() {
    for (std::filesystem::path folder = program_folder(); folder.has_relative_path(); folder = folder.parent_path())
        if (is_file((folder / "guests/tools/guest.py").string())) return (folder / "guests").string();
#ifdef VIV_GUESTS_FOLDER
    return VIV_GUESTS_FOLDER;
#else
    return {};
#endif
}

std::string title_of_recipe(const std::string& path) {
    const auto parsed = toml::parse_file(path);
    if (!parsed) return fmt::format("(broken recipe: {})", path);
    return parsed.table()["title"].value_or(std::string("(no title)"));
}

}  // namespace

GuestCatalog GuestCatalog::of_this_user() {
    const char* chosen = std::getenv("VIVARIUM_GUESTS");
    std::string guests = chosen != nullptr && *chosen != 0 ? chosen : source_guests_folder();
    const char* cache_home = std::getenv("XDG_CACHE_HOME");
    const char* home = std::getenv("HOME");
    // A relative $XDG_CACHE_HOME is to be ignored, says the XDG Base Directory Specification.
    std::string cache = cache_home != nullptr && *cache_home == '/'
                            ? cache_home
                            : std::string(home != nullptr ? home : "/root") + "/.cache";
    return GuestCatalog(std::move(guests), cache + "/vivarium");
}

std::string GuestCatalog::ready_path(std::string_view name) const {
    return fmt::format("{}/guests/{}/ready.toml", cache_, name);
}

std::vector<GuestCatalog::Row> GuestCatalog::list() const {
    std::vector<Row> rows;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(guests_, error)) {
        Row row;
        row.name = entry.path().filename().string();
        const auto recipe = (entry.path() / "guest.toml").string();
        if (!is_guest_name(row.name) || !is_file(recipe)) continue;
        row.title = title_of_recipe(recipe);
        row.state = is_file(ready_path(row.name)) ? Row::State::ready : Row::State::missing;
        rows.push_back(std::move(row));
    }
    // Built by a source tree that is not here any more: it still runs.
    for (const auto& entry : std::filesystem::directory_iterator(cache_ + "/guests", error)) {
        const auto name = entry.path().filename().string();
        const bool listed = std::any_of(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
        if (listed || !is_guest_name(name) || !is_file(ready_path(name))) continue;
        rows.push_back({name, title_of_recipe(ready_path(name)), Row::State::ready});
    }
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.name < b.name; });
    return rows;
}

Result<void> GuestCatalog::check_name(std::string_view name) const {
    const auto rows = list();
    std::vector<std::string_view> names;
    for (const auto& row : rows) names.push_back(row.name);
    if (std::find(names.begin(), names.end(), name) != names.end()) return {};
    if (rows.empty())
        return Error{fmt::format(
            "{}: no guests are known: {} holds no recipes; set VIVARIUM_GUESTS to the folder guests of the source tree",
            name, guests_.empty() ? "no folder" : guests_)};
    return Error{fmt::format("{}: is no guest; there are {}{}", name, fmt::join(names, ", "), suggestion(name, names))};
}

Result<Guest> parse_ready(std::string_view text, const std::string& path) {
    const auto parsed = toml::parse(text, path);
    if (!parsed)
        return Error{fmt::format("{}: line {}: {}", path, parsed.error().source().begin.line,
                                 std::string_view(parsed.error().description()))};
    const toml::table& root = parsed.table();
    Fields top(&root, path);
    const i64 format = top.number("format");
    if (top.first_problem().empty() && format != known_format)
        return Error{
            fmt::format("{}: has format {}, this viv reads {}; build the guest again with guests/tools/guest.py", path,
                        format, known_format)};
    Guest guest;
    guest.name = top.text("name");
    guest.title = top.text("title");
    Fields machine(root["machine"].as_table(), path + ": [machine]");
    guest.board = machine.text("board");
    const auto memory = machine.text("memory");
    const i64 cpus = machine.number("cpus");
    Fields boot(root["boot"].as_table(), path + ": [boot]");
    guest.kernel = boot.text("kernel");
    guest.initrd = boot.optional_text("initrd");
    guest.append = boot.text("append");
    Fields console(root["console"].as_table(), path + ": [console]");
    guest.console_ready = console.text("ready");
    Fields exec(root["exec"].as_table(), path + ": [exec]");
    guest.exec_port = exec.text("port");
    guest.exec_append = exec.text("append");
    for (const auto* fields : {&top, &machine, &boot, &console, &exec})
        if (!fields->first_problem().empty()) return Error{fields->first_problem()};
    TRY_SET(guest.memory, parse_size(path + ": memory", memory));
    if (cpus < 1 || cpus > 4096)
        return Error{fmt::format("{}: [machine]: cpus is {}; 1 to 4096 is needed", path, cpus)};
    guest.cpus = static_cast<unsigned>(cpus);
    if (const auto* disks = root["disk"].as_array(); disks != nullptr) {
        for (const auto& entry : *disks) {
            Fields fields(entry.as_table(), path + ": [[disk]]");
            Guest::Disk disk;
            disk.file = fields.text("file");
            disk.format = fields.text("format");
            disk.device = fields.text("device");
            const auto writes = fields.text("writes");
            if (writes != "discard" && writes != "keep") fields.problem("writes", "discard or keep");
            disk.writes = writes == "keep" ? Guest::Disk::Writes::keep : Guest::Disk::Writes::discard;
            if (!fields.first_problem().empty()) return Error{fields.first_problem()};
            guest.disks.push_back(std::move(disk));
        }
    }
    return guest;
}

Result<std::optional<Guest>> GuestCatalog::find(std::string_view name) const {
    TRY(check_name(name));
    const auto path = ready_path(name);
    TRY_SET(const auto content, read_file_if_present(path, u64{1} << 20));
    if (!content) return std::optional<Guest>();
    const std::string_view text(reinterpret_cast<const char*>(content->data()), content->size());
    TRY_SET(auto guest, parse_ready(text, path));
    // The cache may have been cleaned up by hand.
    if (!is_file(guest.kernel) || (!guest.initrd.empty() && !is_file(guest.initrd))) return std::optional<Guest>();
    return std::optional<Guest>(std::move(guest));
}

Result<Guest> GuestCatalog::build(std::string_view name) const {
    TRY(check_name(name));
    const auto tool = guests_ + "/tools/guest.py";
    if (!is_file(tool))
        return Error{
            fmt::format("{}: is not built, and the tool that builds it is not at {}; set VIVARIUM_GUESTS to the folder "
                        "guests of the source tree",
                        name, tool)};
    const std::string guest_name(name);
    const char* arguments[] = {"python3", tool.c_str(), "build", guest_name.c_str(), nullptr};
    const pid_t child = fork();
    if (child < 0) return Error{fmt::format("{}: cannot start the tool that builds it: {}", name, error_text(errno))};
    if (child == 0) {
        dup2(STDERR_FILENO, STDOUT_FILENO);  // our standard output is the guest's
        std::signal(SIGPIPE, SIG_DFL);
        execvp(arguments[0], const_cast<char* const*>(arguments));
        static constexpr char message[] = "viv: python3 cannot be run; install it (apt-get install python3)\n";
        [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
        _exit(127);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return Error{fmt::format("{}: the tool that builds it was lost: {}", name, error_text(errno))};
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return Error{fmt::format("{}: could not be built; the reason is above, the command was: {} {} build {}", name,
                                 arguments[0], tool, name)};
    TRY_SET(auto guest, find(name));
    if (!guest)
        return Error{fmt::format("{}: was built, but {} or a file it names is missing", name, ready_path(name))};
    return std::move(*guest);
}

}  // namespace viv::native
