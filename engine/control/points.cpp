// Making points, going back to them, deleting them. See points.h.
#include "engine/control/points.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/control/commands/command.h"

namespace viv {

namespace {

bool has_snapshot(const std::vector<block::DiskSnapshot>& snapshots, const std::string& name) {
    return std::any_of(snapshots.begin(), snapshots.end(), [&](const auto& each) { return each.name == name; });
}

// A point in the making. What it has done to the disks is undone with it, unless it has become one.
class NewPoint {
public:
    NewPoint(Machine& machine, CommandHost& host, PointStore& store, std::string name, std::string file)
        : machine_(machine), host_(host), store_(store), disks_(writable_disks(machine)) {
        point_.name = std::move(name);
        point_.file = std::move(file);
    }
    ~NewPoint() { undo(); }
    NewPoint(const NewPoint&) = delete;
    NewPoint& operator=(const NewPoint&) = delete;

    Result<void> at_moment() {
        point_.realtime_ns = host_.realtime_ns();
        point_.guest_ns = machine_.timers().now_ns();
        point_.instructions = machine_.instructions();
        for (const auto& [id, disk] : disks_) {
            TRY(disk->create_snapshot(point_.name, {point_.realtime_ns, point_.guest_ns}));
            point_.disks.push_back(id);
        }
        return {};
    }

    Result<void> finish(const Result<void>& saved) {
        if (!saved.ok()) {
            undo();
            return saved;
        }
        point_.parent = store_.present();
        const std::string name = point_.name;
        if (auto added = store_.add(point_); !added.ok()) {
            undo();
            store_.remove_file(point_.file);
            return added;
        }
        complete_ = true;
        store_.set_present(name);
        return {};
    }

private:
    void undo() {
        if (complete_) return;
        // A disk that cannot any more keeps a snapshot that is nobody's: nothing else depends on it.
        for (usize i = 0; i < point_.disks.size(); i++) (void)disks_[i].disk->delete_snapshot(point_.name);
        point_.disks.clear();
    }

    Machine& machine_;
    CommandHost& host_;
    PointStore& store_;
    const std::vector<WritableDisk> disks_;
    Point point_;  // its disks: the first of disks_
    bool complete_ = false;
};

struct Begun {
    std::shared_ptr<NewPoint> point;
    std::unique_ptr<ByteSink> sink;
};

Result<Begun> prepare(Machine& machine, CommandHost& host, const std::string& name, SameName same) {
    TRY(check_point_name(name));
    TRY_SET(PointStore* const store, host.points());
    if (store->tree().find(name) != nullptr) {
        if (same == SameName::refuse) return Error{fmt::format("there is a point '{}' already", name)};
        TRY(delete_point(machine, host, name));
    }
    for (const auto& [id, disk] : writable_disks(machine)) {
        TRY_SET(const auto snapshots, disk->snapshots());
        if (has_snapshot(snapshots, name))
            return Error{
                fmt::format("{}: has a snapshot '{}' that is no point's; choose another name, or delete it with "
                            "viv-img snapshot -d when the machine has ended",
                            disk->file_name(), name)};
    }
    TRY_SET(auto file, store->create_file());
    return Begun{std::make_shared<NewPoint>(machine, host, *store, name, std::move(file.name)), std::move(file.sink)};
}

}  // namespace

std::vector<WritableDisk> writable_disks(const Machine& machine) {
    std::vector<WritableDisk> disks;
    for (const PluggedDevice& device : machine.plugged())
        if (device.disk != nullptr && !device.disk->read_only() && device.disk->temporary() == nullptr)
            disks.push_back({device.id, device.disk});
    return disks;
}

Result<void> begin_point(Machine& machine, CommandHost& host, const std::string& name, SameName same,
                         Machine::Saved told) {
    TRY_SET(auto begun, prepare(machine, host, name, same));
    const auto point = begun.point;
    return machine.begin_save(
        std::move(begun.sink),
        [point, tell = std::move(told)](const Result<void>& saved) { tell(point->finish(saved)); },
        [point] { return point->at_moment(); });
}

Result<void> make_point(Machine& machine, CommandHost& host, const std::string& name, SameName same) {
    TRY_SET(const auto begun, prepare(machine, host, name, same));
    return begun.point->finish(machine.save(*begun.sink, [&] { return begun.point->at_moment(); }));
}

Result<void> load_point(Machine& machine, CommandHost& host, const std::string& name) {
    TRY_SET(PointStore* const store, host.points());
    const Point* const point = store->tree().find(name);
    if (point == nullptr) return Error{fmt::format("there is no point '{}'; info snapshots lists them", name)};
    const auto disks = writable_disks(machine);
    for (const auto& [id, disk] : disks) {
        if (std::find(point->disks.begin(), point->disks.end(), id) == point->disks.end())
            return Error{fmt::format("the point '{}' was made without the disk {} ({})", name, id, disk->file_name())};
        TRY_SET(const auto snapshots, disk->snapshots());
        const auto found =
            std::find_if(snapshots.begin(), snapshots.end(), [&](const auto& each) { return each.name == name; });
        if (found == snapshots.end())
            return Error{
                fmt::format("{}: has no snapshot '{}': another image than the point's, or the snapshot has been "
                            "deleted",
                            disk->file_name(), name)};
        if (found->disk_size != disk->size())
            return Error{fmt::format("{}: had {} bytes in its snapshot '{}', and has {} now", disk->file_name(),
                                     found->disk_size, name, disk->size())};
    }
    for (const std::string& id : point->disks)
        if (std::none_of(disks.begin(), disks.end(), [&](const auto& disk) { return disk.id == id; }))
            return Error{fmt::format("the point '{}' was made with a disk {} that can be written", name, id)};
    TRY_SET(auto source, store->open(*point));
    const bool was_paused = machine.state() == RunState::paused;
    usize put_back = 0;
    auto done = machine.open(std::move(source), [&]() -> Result<void> {
        for (const auto& [id, disk] : disks) {
            TRY(disk->apply_snapshot(name));
            put_back++;
        }
        return {};
    });
    if (!done.ok() && put_back != 0) {
        machine.give_up();
        return Error{fmt::format("{}; the machine is ended, since other disks are those of '{}' by now",
                                 done.error().message, name)};
    }
    TRY(done);
    store->set_present(name);
    if (!was_paused) machine.resume();
    return {};
}

Result<void> delete_point(Machine& machine, CommandHost& host, const std::string& name) {
    TRY_SET(PointStore* const store, host.points());
    const Point* const point = store->tree().find(name);
    if (point == nullptr) return Error{fmt::format("there is no point '{}'; info snapshots lists them", name)};
    // The disks first: a point that has lost a part is refused by load_point(), and can still be deleted.
    for (const auto& [id, disk] : writable_disks(machine)) {
        if (std::find(point->disks.begin(), point->disks.end(), id) == point->disks.end()) continue;
        const auto snapshots = disk->snapshots();
        if (snapshots.ok() && has_snapshot(*snapshots, name)) TRY(disk->delete_snapshot(name));
    }
    const std::string parent = point->parent;
    TRY(store->remove(name));
    if (store->present() == name) store->set_present(parent);
    return {};
}

}  // namespace viv
