// See several.h. Requests go to the extents that they lie in; each is an image of its own.
#include "engine/block/vmdk/several.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/block/vmdk/sparse.h"

namespace viv::block::vmdk {

namespace {

// A range of a file.
class FlatExtent final : public Image {
public:
    FlatExtent(std::unique_ptr<host::File> file, std::string name, Access access, u64 start, u64 size)
        : Image(std::move(file), std::move(name), access), start_(start), size_(size) {}

    std::string_view format() const override { return "vmdk"; }
    u64 size() const override { return size_; }
    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        return file_->read_at(start_ + offset, out);
    }
    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        return file_->write_at(start_ + offset, in);
    }
    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return zero_range(*file_, start_ + offset, length);
    }
    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        if (length != 0) file_->punch_hole(start_ + offset, length);
        return {};
    }
    Result<void> flush() override { return read_only() ? Result<void>{} : file_->flush(); }
    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        const auto found = file_->extent_at(start_ + offset);
        Extent extent;
        extent.kind = found.hole ? Extent::Kind::zero : Extent::Kind::data;
        extent.length = std::min({length, align_up(std::max<u64>(found.length, 1), sector), size_ - offset});
        return extent;
    }
    Result<CheckReport> check(Repair) override { return CheckReport{}; }

private:
    u64 start_, size_;
};

class SeveralImage final : public Image {
public:
    SeveralImage(std::unique_ptr<host::File> file, const OpenContext& context)
        : Image(std::move(file), context.name, context.access) {}

    Result<void> load(const OpenContext& context) {
        if (file_->size() > most_descriptor)
            return fault(
                fmt::format("has a descriptor of {} bytes; at most {} can be", file_->size(), most_descriptor));
        std::string text(file_->size(), '\0');
        TRY(file_->read_at(0, {reinterpret_cast<u8*>(text.data()), text.size()}));
        auto descriptor = read_descriptor(text);
        create_type_ = std::move(descriptor.create_type);
        if (create_type_ != "monolithicFlat" && create_type_ != "twoGbMaxExtentFlat" &&
            create_type_ != "twoGbMaxExtentSparse")
            return fault(
                fmt::format("is a VMDK image of the kind {}; of those of several files, monolithicFlat, "
                            "twoGbMaxExtentFlat and twoGbMaxExtentSparse are supported",
                            create_type_));
        if (descriptor.has_parent)
            return fault("is a VMDK image that needs another one below it, which is not supported");
        auto extents = read_extents(text);
        if (!extents.ok()) return fault(extents.error().message);
        for (const auto& line : *extents) TRY(add(line, context));
        return {};
    }

    std::string_view format() const override { return "vmdk"; }
    u64 size() const override { return size_; }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        return each(offset, out.size(), [&](const Piece& piece, u64 inside, u64 start, u64 length) -> Result<void> {
            const auto part = out.subspan(start, length);
            if (piece.image) return piece.image->read(inside, part);
            std::memset(part.data(), 0, part.size());
            return {};
        });
    }
    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        return each(offset, in.size(), [&](const Piece& piece, u64 inside, u64 start, u64 length) -> Result<void> {
            if (!piece.image) return fault("has no file for this part of the disk (ZERO)");
            return piece.image->write(inside, in.subspan(start, length));
        });
    }
    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return each(offset, length, [](const Piece& piece, u64 inside, u64, u64 part) -> Result<void> {
            return piece.image ? piece.image->write_zeroes(inside, part) : Result<void>{};
        });
    }
    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return each(offset, length, [](const Piece& piece, u64 inside, u64, u64 part) -> Result<void> {
            return piece.image ? piece.image->discard(inside, part) : Result<void>{};
        });
    }
    Result<void> flush() override {
        for (const auto& piece : pieces_)
            if (piece.image) TRY(piece.image->flush());
        return {};
    }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        const Piece& piece = piece_at(offset);
        const u64 most = std::min(length, piece.end - offset);
        Extent extent;
        extent.kind = Extent::Kind::zero;
        extent.length = most;
        if (!piece.image) return extent;
        TRY_SET(extent, piece.image->extent(offset - piece.start, most));
        extent.file_offset.reset();  // in the image's own file there is none of it
        return extent;
    }

    ImageDetails details() override {
        ImageDetails details;
        details.specific.emplace_back("create-type", create_type_);
        details.specific.emplace_back("extents", u64{pieces_.size()});
        for (const auto& piece : pieces_)
            if (piece.image && details.cluster_size == 0) details.cluster_size = piece.image->details().cluster_size;
        return details;
    }

    u64 allocated() override {
        u64 all = file_->allocated();
        for (const auto& piece : pieces_)
            if (piece.image) all += piece.image->allocated();
        return all;
    }

    Result<CheckReport> check(Repair repair) override {
        CheckReport report;
        for (const auto& piece : pieces_) {
            if (!piece.image) continue;
            TRY_SET(const auto one, piece.image->check(repair));
            report.corruptions += one.corruptions;
            report.total_clusters += one.total_clusters;
            report.allocated_clusters += one.allocated_clusters;
            for (const auto& line : one.findings) report.finding(fmt::format("{}: {}", piece.image->name(), line));
        }
        return report;
    }

private:
    struct Piece {
        u64 start = 0, end = 0;        // bytes of the disk
        std::unique_ptr<Image> image;  // null: zeroes
    };

    Result<void> add(const ExtentLine& line, const OpenContext& context) {
        Piece piece;
        piece.start = size_;
        piece.end = size_ = piece.start + line.sectors * sector;
        if (line.use == ExtentLine::Use::read_only && !read_only())
            return fault("has an extent for reading only (RDONLY), and can only be read");
        if (line.kind != ExtentLine::Kind::zero) {
            TRY_SET(auto part, context.open_part(line.file));
            const u64 bytes = line.sectors * sector, start = line.offset * sector;
            if (line.kind == ExtentLine::Kind::sparse) {
                TRY_SET(piece.image, open_sparse(std::move(part.file), part.name, access_, Part::extent));
                if (piece.image->size() < bytes)
                    return fault(fmt::format("has an extent of {} bytes in {}, which has {}", bytes, part.name,
                                             piece.image->size()));
            } else {
                if (!range_fits(start, bytes, part.file->size()))
                    return fault(fmt::format("has an extent of {} bytes at {} in {}, which has {}", bytes, start,
                                             part.name, part.file->size()));
                piece.image = std::make_unique<FlatExtent>(std::move(part.file), part.name, access_, start, bytes);
            }
        }
        pieces_.push_back(std::move(piece));
        return {};
    }

    const Piece& piece_at(u64 offset) const {
        return *std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                 [](u64 at, const Piece& piece) { return at < piece.end; });
    }

    template <class Use>
    Result<void> each(u64 offset, u64 length, Use&& use) {
        for (u64 done = 0; done < length;) {
            const Piece& piece = piece_at(offset + done);
            const u64 part = std::min(length - done, piece.end - offset - done);
            TRY(use(piece, offset + done - piece.start, done, part));
            done += part;
        }
        return {};
    }

    std::string create_type_;
    u64 size_ = 0;
    std::vector<Piece> pieces_;  // in the order of the disk
};

}  // namespace

Result<std::unique_ptr<Image>> open_several(std::unique_ptr<host::File> file, const OpenContext& context) {
    auto image = std::make_unique<SeveralImage>(std::move(file), context);
    TRY(image->load(context));
    return std::unique_ptr<Image>(std::move(image));
}

}  // namespace viv::block::vmdk
