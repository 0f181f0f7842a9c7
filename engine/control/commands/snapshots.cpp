// Commands that save a machine and go back: machine files, points, QEMU's jobs for them, overlays over disks. QMP names
// and results follow the QEMU QMP reference where it has the command.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"
#include "engine/control/points.h"

namespace viv::commands {

namespace {

// Begins what takes long, or does it while the caller waits.
Result<void> save_with(CommandCall& call, const std::function<Result<void>(Machine::Saved)>& begin,
                       const std::function<Result<void>()>& at_once) {
    if (!call.context.defer) return at_once();
    const auto told = std::make_shared<CommandContext::Told>();
    TRY(begin([told](const Result<void>& done) { (*told)(done); }));
    *told = call.context.defer();
    return {};
}

Result<void> save(CommandCall& call) {
    const std::string path = call.text_argument(0);
    TRY_SET(auto sink, call.context.host.create_file(path));
    const auto named = [path](const Result<void>& done) -> Result<void> {
        if (done.ok()) return {};
        return Error{fmt::format("'{}' could not be written: {}", path, done.error().message)};
    };
    TRY(save_with(
        call,
        [&](Machine::Saved told) {
            return call.machine().begin_save(
                std::move(sink), [named, tell = std::move(told)](const Result<void>& done) { tell(named(done)); });
        },
        [&] { return named(call.machine().save(*sink)); }));
    call.text = fmt::format("saved to {}", path);
    return {};
}

Result<void> savevm(CommandCall& call) {
    const std::string name = call.text_argument(0);
    Machine& machine = call.machine();
    CommandHost& host = call.context.host;
    return save_with(
        call, [&](Machine::Saved told) { return begin_point(machine, host, name, SameName::replace, std::move(told)); },
        [&] { return make_point(machine, host, name, SameName::replace); });
}

Result<void> loadvm(CommandCall& call) { return load_point(call.machine(), call.context.host, call.text_argument(0)); }

Result<void> delvm(CommandCall& call) { return delete_point(call.machine(), call.context.host, call.text_argument(0)); }

Result<void> query_snapshots(CommandCall& call) {
    TRY_SET(const PointStore* const store, call.context.host.points());
    call.text = points_text(store->tree(), store->present());
    call.value = points_json(store->tree(), store->present());
    return {};
}

// What QEMU's jobs say about disks is what points do anyway; something else is refused.
Result<void> check_devices(Machine& machine, const std::vector<std::string>& devices) {
    const auto disks = writable_disks(machine);
    for (const std::string& name : devices)
        if (std::none_of(disks.begin(), disks.end(), [&](const auto& disk) { return disk.id == name; }))
            return Error{fmt::format("there is no disk '{}' that can be written; query-block lists them", name)};
    for (const auto& disk : disks)
        if (std::find(devices.begin(), devices.end(), disk.id) == devices.end())
            return Error{
                fmt::format("a snapshot holds all disks that can be written: '{}' is missing in devices", disk.id)};
    return {};
}

// The machine's state goes to the folder of the points, not into a disk; a machine without disks names none.
Result<void> check_vmstate(Machine& machine, const std::string& name) {
    const auto disks = writable_disks(machine);
    if (disks.empty() || std::any_of(disks.begin(), disks.end(), [&](const auto& disk) { return disk.id == name; }))
        return {};
    return Error{fmt::format("there is no disk '{}' for vmstate; query-block lists them", name)};
}

Result<void> snapshot_save(CommandCall& call) {
    Machine& machine = call.machine();
    CommandHost& host = call.context.host;
    return machine.jobs().start(call.text_argument(0), "snapshot-save",
                                [&machine, &host, name = call.text_argument(1), vmstate = call.text_argument(2),
                                 devices = call.texts_argument(3)](const Jobs::Told& told) {
                                    auto begun = check_vmstate(machine, vmstate);
                                    if (begun.ok()) begun = check_devices(machine, devices);
                                    if (begun.ok()) begun = begin_point(machine, host, name, SameName::refuse, told);
                                    if (!begun.ok()) told(begun);
                                });
}

Result<void> snapshot_load(CommandCall& call) {
    Machine& machine = call.machine();
    CommandHost& host = call.context.host;
    return machine.jobs().start(call.text_argument(0), "snapshot-load",
                                [&machine, &host, name = call.text_argument(1), vmstate = call.text_argument(2),
                                 devices = call.texts_argument(3)](const Jobs::Told& told) {
                                    auto done = check_vmstate(machine, vmstate);
                                    if (done.ok()) done = check_devices(machine, devices);
                                    if (done.ok()) done = load_point(machine, host, name);
                                    told(done);
                                });
}

Result<void> snapshot_delete(CommandCall& call) {
    Machine& machine = call.machine();
    CommandHost& host = call.context.host;
    return machine.jobs().start(
        call.text_argument(0), "snapshot-delete",
        [&machine, &host, name = call.text_argument(1), devices = call.texts_argument(2)](const Jobs::Told& told) {
            auto done = check_devices(machine, devices);
            const auto store = host.points();
            if (done.ok() && !store.ok()) done = store.error();
            // QEMU's does not mind one that is not there.
            if (done.ok() && (*store)->tree().find(name) != nullptr) done = delete_point(machine, host, name);
            told(done);
        });
}

Result<void> query_jobs(CommandCall& call) {
    call.value = nlohmann::json::array();
    for (const Job& job : call.machine().jobs().all()) {
        const bool over = job.status == JobStatus::concluded;
        nlohmann::json row = nlohmann::json::object();
        row["id"] = job.id;
        row["type"] = job.type;
        row["status"] = job_status_name(job.status);
        row["current-progress"] = over ? 1 : 0;
        row["total-progress"] = 1;
        if (job.error) row["error"] = *job.error;
        call.text += fmt::format("{}: {}, {}{}\n", job.id, job.type, job_status_name(job.status),
                                 job.error ? ": " + *job.error : "");
        call.value.push_back(std::move(row));
    }
    if (call.text.empty()) call.text = "no jobs";
    return {};
}

Result<void> job_dismiss(CommandCall& call) { return call.machine().jobs().dismiss(call.text_argument(0)); }

Result<void> blockdev_snapshot_sync(CommandCall& call) {
    const std::string id = call.text_argument(0);
    block::Disk* disk = nullptr;
    for (const PluggedDevice& device : call.machine().plugged())
        if (device.id == id) disk = device.disk;
    if (disk == nullptr) {
        call.error_class = ErrorClass::device_not_found;
        return Error{fmt::format("there is no disk '{}'; info block lists them", id)};
    }
    if (disk->read_only())
        return Error{fmt::format("the disk '{}' is read-only: an overlay would never be written", id)};
    if (disk->encrypted())
        return Error{fmt::format("the disk '{}' is encrypted: an overlay would hold in the clear what is written", id)};
    OverlayImage wanted;
    wanted.path = call.text_argument(1);
    wanted.format = call.has(2) ? call.text_argument(2) : "qcow2";
    const std::string mode = call.has(3) ? call.text_argument(3) : "absolute-paths";
    if (mode != "absolute-paths" && mode != "existing")
        return Error{fmt::format("mode '{}': absolute-paths (a new file) or existing is needed", mode)};
    wanted.file = mode == "existing" ? OverlayImage::File::existing : OverlayImage::File::made;
    wanted.below = disk->file_name();
    wanted.below_format = disk->format();
    wanted.size = disk->size();
    TRY_SET(auto overlay, call.context.host.open_overlay(wanted));
    return disk->put_over(std::move(overlay));
}

constexpr Argument save_arguments[] = {{"file", ArgumentType::text, Need::required, "where to"}};
constexpr Argument point_arguments[] = {{"name", ArgumentType::text, Need::required, "the point's"}};
constexpr Argument job_save_arguments[] = {
    {"job-id", ArgumentType::text, Need::required, "the job's, for query-jobs"},
    {"tag", ArgumentType::text, Need::required, "the point's name"},
    {"vmstate", ArgumentType::text, Need::required, "one of the disks; any text on a machine without"},
    {"devices", ArgumentType::texts, Need::required, "all disks that can be written, as query-block names them"}};
constexpr Argument job_delete_arguments[] = {job_save_arguments[0], job_save_arguments[1], job_save_arguments[3]};
constexpr Argument dismiss_arguments[] = {{"id", ArgumentType::text, Need::required, "the job's"}};
constexpr Argument overlay_arguments[] = {
    {"device", ArgumentType::text, Need::required, "the disk, as query-block names it"},
    {"snapshot-file", ArgumentType::text, Need::required, "the new image"},
    {"format", ArgumentType::text, Need::optional, "its format: qcow2"},
    {"mode", ArgumentType::text, Need::optional, "absolute-paths: it is made; existing: it is there"}};

constexpr Command rows[] = {
    {"save", "viv-save", save_arguments, "saves the machine to a file; it stays as it is", save},
    {"savevm", "savevm", point_arguments,
     "keeps this moment of machine and disks as a point; replaces one of that name", savevm},
    {"loadvm", "loadvm", point_arguments, "puts machine and disks back to a point", loadvm},
    {"delvm", "delvm", point_arguments, "deletes a point; those that came from it stay", delvm},
    {"info snapshots", "viv-query-snapshots", {}, "the points, as a tree", query_snapshots},
    {"", "snapshot-save", job_save_arguments, "a job that makes a point", snapshot_save},
    {"", "snapshot-load", job_save_arguments, "a job that goes back to a point", snapshot_load},
    {"", "snapshot-delete", job_delete_arguments, "a job that deletes a point", snapshot_delete},
    {"info jobs", "query-jobs", {}, "jobs, and what became of them", query_jobs},
    {"", "job-dismiss", dismiss_arguments, "forgets a job that has concluded", job_dismiss},
    {"snapshot_blkdev", "blockdev-snapshot-sync", overlay_arguments,
     "puts a new image over a disk's, which stays as it is from now on", blockdev_snapshot_sync},
};

}  // namespace

std::span<const Command> snapshot_rows() { return rows; }

}  // namespace viv::commands
