// Disk images as files of the host: opening one with everything below it, and the rules for the files that images name.
// Promises: a name inside an image is a path, relative to the image's folder, of a regular file or a block device, and
// is opened for reading only; a URL in its place is followed only if the user allows it, and no other kind of name. An
// image behind a URL names nothing. Parts of an image are files of its own folder. What the user names may be a URL.
#pragma once

#include <memory>
#include <string>

#include "engine/block/catalog.h"
#include "native/feed.h"
#include "native/host_posix.h"

namespace viv::native {

// What is behind URLs.
struct WebAccess {
    enum class Named : u8 { refused, followed } named = Named::refused;  // URLs that images name
    std::string cache;       // the folder of this user's caches; empty: no chunks are kept
    LogSink* log = nullptr;  // for what cannot be fetched later; outlives the images
};

class ImageFiles final : public block::FileOpener {
public:
    enum class Locking : u8 { locked, unlocked };
    explicit ImageFiles(Locking locking = Locking::locked, WebAccess web = {})
        : locking_(locking), web_(std::move(web)) {}

    // As an image names it.
    Result<Opened> open(const std::string& name, const std::string& named_by) override;
    Result<Opened> open_part(const std::string& name, const std::string& image, block::Access access) override;
    Result<std::unique_ptr<state::ChunkStore>> open_chunks(const std::string& index) override;
    // As the user names it.
    Result<Opened> open_named(const std::string& path, block::Access access);
    // What open() would open.
    static Result<std::string> path_of(const std::string& name, const std::string& named_by);
    // What the opened images fetch from; null: all of them are here.
    std::shared_ptr<Feed> feed() const { return feed_; }

private:
    Result<Opened> open_url(const std::string& url, block::Access access);

    Locking locking_;
    WebAccess web_;
    std::shared_ptr<Feed> feed_;
};

}  // namespace viv::native
