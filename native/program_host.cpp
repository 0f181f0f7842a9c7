// The program's version, which the build defines, what keeps a machine from being saved, and overlay images. See
// program_host.h.
#include "native/program_host.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "engine/block/catalog.h"
#include "native/image_files.h"

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

Result<std::string> absolute_path(const std::string& path) {
    char* const resolved = realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return Error{fmt::format("{}: {}", path, error_text(errno))};
    std::string text(resolved);
    std::free(resolved);
    return text;
}

Result<void> make_overlay(const OverlayImage& wanted) {
    TRY_SET(const auto* kind, block::find_format(wanted.format));
    if (kind->create == nullptr || !kind->has(block::CreateOption::backing))
        return Error{
            fmt::format("{}: {} images cannot have another below them; qcow2 can", wanted.path, wanted.format)};
    block::CreateOptions options;
    options.size = wanted.size;
    TRY_SET(options.backing_file, absolute_path(wanted.below));
    options.backing_format = wanted.below_format;
    const bool there = access(wanted.path.c_str(), F_OK) == 0;
    TRY_SET(const auto file, create_file(wanted.path));
    PosixEntropy().fill(options.unique);
    auto made = kind->create(*file, options);
    if (made.ok()) made = file->flush();
    if (made.ok()) return {};
    if (!there) unlink(wanted.path.c_str());
    return Error{fmt::format("{}: {}", wanted.path, made.error().message)};
}

// One that is there already: it must name what it is put over, and show nothing else than that.
Result<void> check_overlay(block::Image& image, const OverlayImage& wanted) {
    const auto details = image.details();
    if (details.backing_file.empty()) return Error{fmt::format("{}: names no image below it", wanted.path)};
    TRY_SET(const auto named, ImageFiles::path_of(details.backing_file, wanted.path));
    TRY_SET(const auto named_path, absolute_path(named));
    TRY_SET(const auto present_path, absolute_path(wanted.below));
    if (named_path != present_path)
        return Error{fmt::format("{}: names {} as the image below it, and the disk's is {}", wanted.path, named_path,
                                 present_path)};
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
    if (wanted.file == OverlayImage::File::made) TRY(make_overlay(wanted));
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
