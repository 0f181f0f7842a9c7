// Disk images as files of the host: opening one with everything below it, and the rules for the files that images name.
// Promises: a name inside an image is a path, relative to the image's folder, of a regular file or a block device, and
// is opened for reading only; no other kind of name is followed. Parts of an image are files of its own folder.
#pragma once

#include <string>

#include "engine/block/catalog.h"
#include "native/host_posix.h"

namespace viv::native {

class ImageFiles final : public block::FileOpener {
public:
    enum class Locking : u8 { locked, unlocked };
    explicit ImageFiles(Locking locking = Locking::locked) : locking_(locking) {}

    // As an image names it.
    Result<Opened> open(const std::string& name, const std::string& named_by) override;
    Result<Opened> open_part(const std::string& name, const std::string& image, block::Access access) override;
    Result<std::unique_ptr<state::ChunkStore>> open_chunks(const std::string& index) override;
    // As the user names it.
    Result<Opened> open_named(const std::string& path, block::Access access);
    // What open() would open.
    static Result<std::string> path_of(const std::string& name, const std::string& named_by);

private:
    Locking locking_;
};

}  // namespace viv::native
