// Opening, making, and the fixed images, which are a disk's bytes and a footer. See vhd.h.
#include "engine/block/vhd/vhd.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "engine/block/vhd/dynamic.h"
#include "engine/lang/bytes.h"

namespace viv::block::vhd {

namespace {

constexpr u64 usual_block = 2 << 20;

class FixedImage final : public Image {
public:
    FixedImage(std::unique_ptr<host::File> file, std::string name, Access access, u64 size)
        : Image(std::move(file), std::move(name), access), size_(size) {}

    std::string_view format() const override { return "vpc"; }
    u64 size() const override { return size_; }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        return file_->read_at(offset, out);
    }
    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        return file_->write_at(offset, in);
    }
    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return zero_range(*file_, offset, length);
    }
    // What is discarded may keep its content.
    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        if (length != 0) file_->punch_hole(offset, length);
        return {};
    }
    Result<void> flush() override { return read_only() ? Result<void>{} : file_->flush(); }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        const auto found = file_->extent_at(offset);
        Extent extent;
        extent.kind = found.hole ? Extent::Kind::zero : Extent::Kind::data;
        extent.length = std::min({length, align_up(std::max<u64>(found.length, 1), sector), size_ - offset});
        extent.file_offset = offset;
        return extent;
    }

    ImageDetails details() override {
        ImageDetails details;
        details.specific.emplace_back("subformat", std::string("fixed"));
        return details;
    }

    // The footer was right when the image was opened, and there is nothing else.
    Result<CheckReport> check(Repair) override {
        CheckReport report;
        report.image_end = size_ + sector;
        return report;
    }

private:
    u64 size_;
};

}  // namespace

bool is_fixed(std::span<const u8, 512> tail) {
    const auto footer = read_footer(tail);
    return footer && footer->type == fixed_type;
}

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    const auto fault = [&](std::string what) { return Error{fmt::format("{}: {}", context.name, what)}; };
    // The end first: a guest cannot write there, but the beginning of a fixed image is its own. Old programs left out
    // the footer's last byte.
    FooterBytes bytes{};
    const u64 end = std::max(align_up(file->size(), sector), sector) - sector;
    TRY(read_padded(*file, end, bytes));
    auto footer = read_footer(bytes);
    if (!footer) {
        TRY(read_padded(*file, 0, bytes));
        footer = read_footer(bytes);
        if (footer && footer->type == fixed_type) footer.reset();
    }
    if (!footer) return fault("is no VHD image, or both copies of its footer are damaged");
    if (footer->version >> 16 != version_1 >> 16)
        return fault(fmt::format("is a VHD image of version {}.{}; there is 1.0", footer->version >> 16,
                                 footer->version & 0xffff));
    if (footer->type == differencing_type)
        return fault("is a differencing VHD image, which needs another one below it; that is not supported");
    if (footer->type != fixed_type && footer->type != dynamic_type)
        return fault(fmt::format("is a VHD image of the kind {}; fixed and dynamic ones are supported", footer->type));
    if (footer->disk_size == 0 || footer->disk_size > most_bytes)
        return fault(fmt::format("has a disk of {} bytes, which cannot be", footer->disk_size));
    if (footer->type == fixed_type) {
        if (footer->disk_size > end)
            return fault(fmt::format("has a disk of {} bytes, but only {} of them", footer->disk_size, end));
        return std::unique_ptr<Image>(
            std::make_unique<FixedImage>(std::move(file), std::move(context.name), context.access, footer->disk_size));
    }
    auto image = std::make_unique<DynamicImage>(std::move(file), std::move(context.name), context.access, *footer);
    TRY(image->load(context.damage));
    return std::unique_ptr<Image>(std::move(image));
}

Result<void> create(host::File& file, const CreateOptions& options) {
    if (options.size == 0 || options.size > most_bytes)
        return Error{fmt::format("a VHD image has a disk of 512 bytes to 2040 GiB; {} bytes cannot be", options.size)};
    const std::span<const u8, 16> unique(options.unique.data(), 16);
    if (options.subformat == "fixed") {
        TRY(file.resize(options.size));
        return file.write_at(options.size, make_footer(fixed_type, no_offset, options.size, unique));
    }
    const auto footer = make_footer(dynamic_type, sector, options.size, unique);
    const u64 blocks = (options.size + usual_block - 1) / usual_block;
    const auto header = make_header(static_cast<u32>(blocks), usual_block);
    const u64 table = sector + header.size();
    const std::vector<u8> entries(align_up(blocks * 4, sector), 0xff);
    TRY(file.resize(0));
    TRY(file.write_at(table + entries.size(), footer));
    TRY(file.write_at(table, entries));
    TRY(file.write_at(sector, header));
    return file.write_at(0, footer);
}

}  // namespace viv::block::vhd
