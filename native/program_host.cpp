// The program's version, which the build defines, what keeps a machine from being saved, and overlay images. See
// program_host.h.
#include "native/program_host.h"

#include <fmt/format.h>

#include "engine/block/catalog.h"
#include "native/image_files.h"
#include "native/overlay_image.h"

namespace viv::native {

std::string_view program_version() {
#ifdef VIV_VERSION
    return VIV_VERSION;
#else
    return "0.0.0";
#endif
}

Result<PointStore*> ProgramHost::points() {
    if (points_ == nullptr)
        return Error{
            "this machine has no folder for points: start it with --snapshots DIR, as in viv run GUEST --snapshots "
            "points"};
    return points_.get();
}

namespace {

// One that is there already: it must name what it is put over, and show nothing else than that.
Result<void> check_overlay(block::Image& image, const OverlayImage& wanted) {
    TRY_SET(const auto below, join_name(wanted.below, ""));
    TRY(check_below(image, wanted.path, below));
    if (image.size() != wanted.size)
        return Error{fmt::format("{}: is of {} bytes, and the disk of {}", wanted.path, image.size(), wanted.size)};
    for (u64 at = 0; at < wanted.size;) {
        TRY_SET(const auto extent, image.extent(at, wanted.size - at));
        if (extent.kind != block::Extent::Kind::absent)
            return Error{fmt::format("{}: is not empty; the guest would see other data than now", wanted.path)};
        at += extent.length;
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<block::Image>> ProgramHost::open_overlay(const OverlayImage& wanted) {
    if (wanted.below.empty()) return Error{"the disk has no file that could be below another"};
    if (wanted.file == OverlayImage::File::made) {
        TRY_SET(const auto below, join_name(wanted.below, ""));
        TRY(make_overlay_image({wanted.path, wanted.format, below, wanted.below_format, wanted.size}));
    }
    ImageFiles files;
    TRY_SET(auto file, files.open_named(wanted.path, block::Access::read_write));
    block::OpenOptions how;
    how.format = wanted.format;
    how.access = block::Access::read_write;
    how.chain = block::Chain::first_only;  // what is below is open already, and stays so
    TRY_SET(auto image, block::open_image(std::move(file), how));
    if (wanted.file == OverlayImage::File::existing) TRY(check_overlay(*image, wanted));
    return image;
}

}  // namespace viv::native
