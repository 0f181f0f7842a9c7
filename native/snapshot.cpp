// See snapshot.h.
#include "native/snapshot.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "native/devices.h"
#include "native/point_folder.h"
#include "native/qmp_caller.h"
#include "native/session.h"

namespace viv::native {

namespace {

using What = SnapshotOptions::What;

Result<void> print(std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(STDOUT_FILENO, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return Error{fmt::format("standard output: {}", error_text(errno))};
        text.remove_prefix(static_cast<usize>(count));
    }
    return {};
}

std::string json_text(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<void> ask(const SnapshotOptions& options) {
    constexpr const char* verbs[] = {"snapshot create", "snapshot restore", "snapshot delete", "snapshot list"};
    constexpr const char* commands[] = {"savevm", "loadvm", "delvm", "viv-query-snapshots"};
    const auto what = static_cast<usize>(options.what);
    QmpCaller machine(verbs[what], "--from", *options.from);
    TRY(machine.connect());
    if (options.what != What::list) {
        TRY(machine.execute(commands[what], {{"name", options.name}}));
        return {};
    }
    // Asked in any case: at the prompt a refusal would be text like any other.
    TRY_SET(const auto points, machine.execute(commands[what], nlohmann::json::object()));
    if (options.json == OnOff::on) return print(json_text(points));
    TRY_SET(const auto answer, machine.execute("human-monitor-command", {{"command-line", "info snapshots"}}));
    if (!answer.is_string()) return Error{"snapshot list: the machine's answer is no text"};
    return print(harmless(answer.get<std::string>(), "\n"));
}

Result<void> list(const SnapshotOptions& options) {
    TRY_SET(const auto tree, PointFolder::read("--in", options.folder));
    return print(options.json == OnOff::on ? json_text(points_json(tree, "")) : harmless(points_text(tree, ""), "\n"));
}

// What points.json says about images is not followed: it may come from anywhere.
Result<void> remove(const SnapshotOptions& options) {
    if (access(options.folder.c_str(), F_OK) != 0)
        return Error{fmt::format("--in {}: {}", options.folder, error_text(errno))};
    TRY_SET(const auto points, PointFolder::open("--in", options.folder));
    const Point* const point = points->tree().find(options.name);
    if (point == nullptr)
        return Error{fmt::format("snapshot delete: there is no point '{}' in {}", options.name, options.folder)};
    const auto disks_of_point = point->disks;
    std::vector<std::unique_ptr<block::Disk>> disks;
    for (const std::string& file : options.disks) {
        DiskOption named;
        named.file = file;
        TRY_SET(auto disk, open_disk("--disk", named, {}));
        TRY_SET(const auto snapshots, disk->snapshots());
        if (std::none_of(snapshots.begin(), snapshots.end(),
                         [&](const auto& each) { return each.name == options.name; }))
            return Error{fmt::format("--disk {}: has no snapshot '{}'", file, options.name)};
        disks.push_back(std::move(disk));
    }
    for (const auto& disk : disks) TRY(disk->delete_snapshot(options.name));
    TRY(points->remove(options.name));
    if (disks.size() < disks_of_point.size())
        return print(
            fmt::format("{} of its {} disks ({}) still keep a snapshot '{}': viv-img snapshot -d deletes that\n",
                        disks_of_point.size() - disks.size(), disks_of_point.size(),
                        harmless(fmt::format("{}", fmt::join(disks_of_point, ", "))), options.name));
    return {};
}

}  // namespace

int snapshot(const SnapshotOptions& options) {
    const auto done = options.from ? ask(options) : options.what == What::list ? list(options) : remove(options);
    return done.ok() ? 0 : complain(done.error(), exit_bad_input);
}

}  // namespace viv::native
