// See luks.h.
#include "engine/block/luks/luks.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/block/luks/header.h"

namespace viv::block::luks {

namespace {

class LuksImage final : public Image {
public:
    LuksImage(std::unique_ptr<host::File> file, std::string name, Access access, Header header,
              std::unique_ptr<SectorCipher> cipher)
        : Image(std::move(file), std::move(name), access),
          header_(std::move(header)),
          data_(*file_, header_.payload, std::move(cipher)) {}

    std::string_view format() const override { return "luks"; }
    u64 size() const override { return align_down(file_->size() - header_.payload, sector_bytes); }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        return named(data_.read_at(offset, out));
    }
    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_writable(offset, in.size()));
        return named(data_.write_at(offset, in));
    }
    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_writable(offset, length));
        return named(zero_range(data_, offset, length));
    }
    // A hole would be decrypted to anything; the content stays.
    Result<void> discard(u64 offset, u64 length) override { return check_writable(offset, length); }
    Result<void> flush() override { return read_only() ? Result<void>{} : file_->flush(); }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        Extent extent;
        extent.kind = Extent::Kind::data;
        extent.length = length;
        return extent;
    }

    bool begins_zero() const override { return false; }
    Result<void> resize(u64 size) override {
        TRY(check_writable(0, 0));
        if (size % sector_bytes != 0) return fault("a disk has a multiple of 512 bytes");
        return file_->resize(header_.payload + size);
    }

    ImageDetails details() override {
        ImageDetails details;
        details.encrypted = true;
        details.specific = header_.details("");
        return details;
    }

private:
    Result<void> named(Result<void> done) { return done.ok() ? done : fault(done.error().message); }

    Header header_;
    EncryptedFile data_;
};

}  // namespace

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    const auto fault = [&](std::string_view what) { return Error{fmt::format("{}: {}", context.name, what)}; };
    const Place place{0, file->size()};
    auto header = read_header(*file, place);
    if (!header.ok()) return fault(header.error().message);
    if (file->size() < header->payload + sector_bytes) return fault("ends before its data");
    std::unique_ptr<SectorCipher> cipher;
    if (context.key != nullptr) {
        auto unlocked = unlock(*file, place, *header, *context.key);
        if (!unlocked.ok()) return fault(unlocked.error().message);
        cipher = std::move(*unlocked);
    } else if (context.content == Content::wanted) {
        return fault(needs_key);
    }
    return std::unique_ptr<Image>(std::make_unique<LuksImage>(std::move(file), std::move(context.name), context.access,
                                                              std::move(*header), std::move(cipher)));
}

Result<void> create(host::File& file, const CreateOptions& options) {
    if (options.key == nullptr) return Error{"an encrypted image needs a passphrase; --key-file=FILE has one"};
    if (options.size == 0) return Error{"a disk has at least 512 bytes"};
    TRY_SET(const auto header, make_header(*options.key, options.encryption));
    if (options.size > ~u64{0} / 2) return Error{"is too large"};
    TRY(file.resize(header.size() + options.size));
    return file.write_at(0, header);
}

}  // namespace viv::block::luks
