// Points: moments of a machine, its disks included, to which it can be put back. A point is a machine file, kept by the
// host's PointStore, and in the image of each disk that the guest can write a snapshot of the point's name, both of one
// moment. Points form a tree: a new one comes from the point that the machine was saved to or put back to last.
// Promises: a point that could not be made leaves nothing behind, in the images neither; a machine that cannot be put
// back stays as it is, and so do its disks.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/machine.h"

namespace viv {

class CommandHost;

struct Point {
    static constexpr usize longest_name = 128;

    std::string name;
    std::string parent;              // empty: it has none
    u64 realtime_ns = 0;             // since 1970
    u64 guest_ns = 0;                // since power-on
    u64 instructions = 0;            // since power-on
    std::vector<std::string> disks;  // whose images have the snapshot: as PluggedDevice::id
    std::string file;                // the store's own name for the machine file
    u64 bytes = 0;                   // of that
};

// 1 to longest_name printable ASCII characters, blanks neither first nor last.
Result<void> check_point_name(std::string_view name);

class PointTree {
public:
    static constexpr usize most = 10'000;

    // In an order in which each comes after its parent. Whatever else is refused: a name that is none, two of one name,
    // a parent that is not there.
    static Result<PointTree> of(std::vector<Point> points);

    const std::vector<Point>& points() const { return points_; }
    const Point* find(std::string_view name) const;
    // Under a name that is not there yet.
    Result<void> add(Point point);
    // Its children become its parent's.
    void remove(std::string_view name);

private:
    std::vector<Point> points_;
};

// Where a machine's points are kept.
class PointStore {
public:
    virtual ~PointStore() = default;

    virtual const PointTree& tree() const = 0;
    struct NewFile {
        std::string name;
        std::unique_ptr<ByteSink> sink;
    };
    // A file for a machine, not yet a point's.
    virtual Result<NewFile> create_file() = 0;
    virtual void remove_file(const std::string& name) = 0;
    // Its file is complete; `bytes` is filled in. On failure the point is not in the tree.
    virtual Result<void> add(Point point) = 0;
    virtual Result<std::shared_ptr<state::Source>> open(const Point& point) = 0;
    // With its file.
    virtual Result<void> remove(const std::string& name) = 0;

    // The point that the running machine comes from; empty: none.
    const std::string& present() const { return present_; }
    void set_present(std::string name) { present_ = std::move(name); }

private:
    std::string present_;
};

enum class SameName : u8 { refuse, replace };

// Whatever can be found wrong at once is the result; otherwise `told` comes from Machine::run().
Result<void> begin_point(Machine& machine, CommandHost& host, const std::string& name, SameName same,
                         Machine::Saved told);
// The same while the caller waits.
Result<void> make_point(Machine& machine, CommandHost& host, const std::string& name, SameName same);
// A machine that was not paused goes on. If some disks have been put back and others cannot be, it ends.
Result<void> load_point(Machine& machine, CommandHost& host, const std::string& name);
Result<void> delete_point(Machine& machine, CommandHost& host, const std::string& name);

// For people, as a tree; `present` is marked.
std::string points_text(const PointTree& tree, std::string_view present);
// For programs: the result of viv-query-snapshots.
nlohmann::json points_json(const PointTree& tree, std::string_view present);

// The disks that keep a part of a point in their images. What temporary ones hold is in its file.
struct WritableDisk {
    std::string id;
    block::Disk* disk = nullptr;
};
std::vector<WritableDisk> writable_disks(const Machine& machine);

}  // namespace viv
