// The folder of --snapshots: points.json, which is the tree of points, and a machine file for each of them.
// Promises: whatever points.json says is checked before it is believed, and the names of files are ours: nothing
// outside the folder is read, written or removed; points.json is replaced as a whole or not at all; one program at a
// time changes a folder. It is for this user only, since guest memory may hold secrets.
#pragma once

#include <memory>
#include <string>

#include "engine/control/points.h"
#include "native/descriptor.h"

namespace viv::native {

class PointFolder final : public PointStore {
public:
    // To be changed: made if it is missing, and locked until this ends. `who` begins errors: "--snapshots".
    static Result<std::unique_ptr<PointFolder>> open(const std::string& who, const std::string& folder);
    // To be looked at: its points as they are now.
    static Result<PointTree> read(const std::string& who, const std::string& folder);
    // Could it be opened? Looks only; a folder that is missing could be made.
    static Result<void> check(const std::string& who, const std::string& folder);

    const PointTree& tree() const override { return tree_; }
    Result<NewFile> create_file() override;
    void remove_file(const std::string& name) override;
    Result<void> add(Point point) override;
    Result<std::shared_ptr<state::Source>> open(const Point& point) override;
    Result<void> remove(const std::string& name) override;

    std::string path_of(const Point& point) const { return folder_ + "/" + point.file; }

private:
    PointFolder(std::string folder, Descriptor lock, PointTree tree)
        : folder_(std::move(folder)), lock_(std::move(lock)), tree_(std::move(tree)) {}
    Result<void> change_to(PointTree tree);

    std::string folder_;
    Descriptor lock_;
    PointTree tree_;
    u64 next_number_ = 1;
};

}  // namespace viv::native
