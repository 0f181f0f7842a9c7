// Disk images of any origin: opened by their content or as each format, read, written, checked, mended and resized. The
// first bytes choose what is done; the rest is the file. --only=FORMAT keeps to one format.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "engine/block/catalog.h"
#include "engine/block/vhd/footer.h"
#include "engine/block/vhdx/layout.h"
#include "engine/lang/bytes.h"

using namespace viv;

namespace {

constexpr u64 largest_file = 64 << 20;

// A sparse file of any size below a limit.
class FuzzFile final : public host::File {
public:
    explicit FuzzFile(std::span<const u8> content) : bytes_(content.begin(), content.end()) {}
    u64 size() override { return bytes_.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), size())) return Error{"behind the end"};
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return {};
    }
    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        if (!range_fits(offset, in.size(), largest_file)) return Error{"no space"};
        if (offset + in.size() > size()) bytes_.resize(offset + in.size());
        std::copy(in.begin(), in.end(), bytes_.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64 offset, u64 length) override {
        if (offset < size())
            std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), std::min(length, size() - offset), u8{0});
        return true;
    }
    Result<void> resize(u64 size) override {
        if (size > largest_file) return Error{"no space"};
        bytes_.resize(size);
        return {};
    }

private:
    std::vector<u8> bytes_;
};

// Whatever an image names, it gets itself or an empty file.
class Opener final : public block::FileOpener {
public:
    explicit Opener(std::span<const u8> content) : content_(content) {}
    Result<Opened> open_part(const std::string& name, const std::string& image, block::Access) override {
        return open(name, image);
    }
    Result<std::unique_ptr<state::ChunkStore>> open_chunks(const std::string&) override {
        // Each chunk is what the image begins with.
        struct Store final : state::ChunkStore {
            explicit Store(std::span<const u8> from) : content(from) {}
            Result<void> fetch(const Hash128&, std::span<u8> out) override {
                if (out.size() > content.size()) return Error{"is not there"};
                std::copy_n(content.begin(), out.size(), out.begin());
                return {};
            }
            std::span<const u8> content;
        };
        return std::unique_ptr<state::ChunkStore>(std::make_unique<Store>(content_));
    }
    Result<Opened> open(const std::string& name, const std::string&) override {
        Opened opened;
        opened.name = name;
        opened.identity = name;
        opened.file = std::make_unique<FuzzFile>(name.size() % 2 == 0 ? content_ : content_.first(0));
        return opened;
    }

private:
    std::span<const u8> content_;
};

// Or nothing behind a checksum would ever be seen.
void mend_vhd(std::vector<u8>& file) {
    using block::vhd::checksum, block::vhd::sector;
    const std::span all(file);
    const auto mend = [&](u64 start, u64 length, usize place) {
        if (!range_fits(start, length, all.size())) return;
        const auto part = all.subspan(start, length);
        store_be<u32>(&part[place], checksum(part, place));
    };
    mend(0, sector, 64);
    if (file.size() >= sector) mend(file.size() - sector, sector, 64);
    mend(sector, 2 * sector, 36);
}

// The parts of a VHDX image that say something, from where they are in the input to where they are in an image, with
// the checksums that they must have.
std::vector<u8> spread_vhdx(std::span<const u8> parts) {
    using namespace block::vhdx;
    constexpr u64 log = unit, metadata = 2 * unit, table = 3 * unit;
    struct Part {
        u64 length, place;
    };
    std::vector<u8> file(6 * unit);
    std::copy_n("vhdxfile", 8, file.begin());
    for (const auto& [length, place] :
         {Part{128, header_places[0]}, Part{128, header_places[1]}, Part{256, region_places[0]}, Part{512, metadata},
          Part{64, metadata + (64 << 10)}, Part{1024, table}, Part{unit, log}}) {
        const auto part = parts.first(std::min<u64>(parts.size(), length));
        std::copy(part.begin(), part.end(), file.begin() + static_cast<std::ptrdiff_t>(place));
        parts = parts.subspan(part.size());
    }
    const std::span all(file);
    const auto mend = [&](u64 start, u64 length) {
        const auto part = all.subspan(start, length);
        store_le<u32>(&part[4], checksum(part, 4));
    };
    for (const u64 place : header_places) mend(place, page);
    mend(region_places[0], region_table_bytes);
    for (u64 at = log; at < log + unit;) {
        const u64 length = load_le<u32>(&file[at + 8]);
        const bool entry = std::memcmp(&file[at], "loge", 4) == 0 && length % page == 0 && length != 0 &&
                           range_fits(at, length, log + unit);
        if (entry) mend(at, length);
        at += entry ? length : page;
    }
    return file;
}

// A published disk's index around what is there: u8 number of chunks, u16 stored and u32 plain size of each, the table.
// The chunks' hashes are those of what the opener gives.
std::vector<u8> index_around(std::span<const u8> content) {
    struct Sink final : ByteSink, state::ChunkSink {
        std::vector<u8> bytes;
        Result<void> write(std::span<const u8> in) override {
            bytes.insert(bytes.end(), in.begin(), in.end());
            return {};
        }
        Result<void> put(const state::PackedChunk&) override { return {}; }
    } sink;
    state::FileWriter writer(sink, &sink, state::Content::disk);
    (void)writer.begin();
    auto rest = content.subspan(std::min<usize>(1, content.size()));
    for (u8 left = content.empty() ? 0 : content[0]; left != 0 && rest.size() >= 6; left--, rest = rest.subspan(6)) {
        const usize stored = std::min<usize>(load_le<u16>(rest.data()), content.size());
        state::PackedChunk chunk;
        chunk.stored.assign(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(stored));
        chunk.plain = std::min<u32>(load_le<u32>(rest.data() + 2), state::chunk_limit);
        chunk.hash = hash128(chunk.stored);
        (void)writer.add(chunk);
    }
    (void)writer.finish(rest);
    return std::move(sink.bytes);
}

// Keys are zeroes, however many iterations they would take, and AES inverts all bits: what a header asks for costs no
// time.
class QuickCiphers final : public host::Ciphers {
public:
    Result<std::unique_ptr<host::BlockCipher>> aes(std::span<const u8>) override {
        struct Inverted final : host::BlockCipher {
            Result<void> encrypt(std::span<u8> blocks) override {
                for (u8& byte : blocks) byte ^= 0xff;
                return {};
            }
            Result<void> decrypt(std::span<u8> blocks) override { return encrypt(blocks); }
        };
        return std::unique_ptr<host::BlockCipher>(std::make_unique<Inverted>());
    }
    Result<Secret> digest(std::string_view hash, std::span<const u8>) override {
        return Secret(usize{hash == "sha512" || hash == "sha384" ? 64u : 32u});
    }
    Result<void> derive(std::string_view, std::span<const u8>, std::span<const u8>, u32, std::span<u8> out) override {
        std::ranges::fill(out, u8{0});
        return {};
    }
    void random(std::span<u8> out) override { std::ranges::fill(out, u8{7}); }
};

void use(block::Image& image, u8 choice) {
    (void)image.details();
    const u64 size = image.size();
    std::vector<u8> bytes(96 << 10, choice);
    for (u64 at = 0, steps = 0; at < size && steps < 64; steps++) {
        const auto extent = image.extent(at, size - at);
        if (!extent.ok() || extent.value().length == 0) break;
        const auto some = std::span(bytes).first(std::min<u64>(4096, extent.value().length));
        (void)image.read(at, some);
        at += extent.value().length;
    }
    const auto part = std::span(bytes).first(std::min<u64>(bytes.size(), size));
    (void)image.read(size - part.size(), part);
    if (image.read_only()) {
        (void)image.show_snapshot("1");
        (void)image.read(0, std::span(bytes).first(std::min<u64>(512, image.size())));
        (void)image.check(block::Repair::nothing);
        return;
    }
    (void)image.write(size / 2, std::span(bytes).first(std::min<u64>(70000, size - size / 2)));
    (void)image.flush();
    (void)image.write_zeroes(0, std::min<u64>(size, 200000));
    (void)image.discard(size / 3, std::min<u64>(size - size / 3, 100000));
    const u64 cluster = image.details().cluster_size;
    if (cluster != 0 && cluster <= size) (void)image.write_compressed(0, std::vector<u8>(cluster, 7));
    (void)image.write(0, part);
    (void)image.flush();
    if ((choice & 1) != 0) (void)image.create_snapshot("new", {1, 2, 0});
    if ((choice & 2) != 0) (void)image.apply_snapshot("1");
    if ((choice & 4) != 0) (void)image.delete_snapshot("1");
    (void)image.write(size - part.size(), part);
    if ((choice & 8) != 0) (void)image.resize(align_down(std::min<u64>(size * 2, u64{1} << 32), 512));
    if ((choice & 16) != 0) (void)image.set_backing("other", "raw");
    (void)image.flush();
}

std::string_view only_format;  // empty: all

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* count, char*** arguments) {
    for (const std::string_view argument : std::span(*arguments, static_cast<usize>(*count))) {
        constexpr std::string_view option = "--only=";
        if (!argument.starts_with(option)) continue;
        only_format = argument.substr(option.size());
        const auto kind = block::find_format(only_format);
        if (kind.ok() && (*kind)->open != nullptr) continue;
        std::fprintf(stderr, "--only=%s: there is no such format to open\n", std::string(only_format).c_str());
        std::exit(2);
    }
    return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    if (size < 2) return 0;
    std::vector<u8> content(data + 2, data + size);
    block::OpenOptions options;
    const auto formats = block::formats();
    usize format = (data[0] & 0x1f) % (formats.size() + 1);
    if (!only_format.empty())
        format =
            static_cast<usize>(std::ranges::find(formats, only_format, &block::FormatKind::name) - formats.begin());
    if (format < formats.size() && formats[format].name == "vpc" && (data[0] & 0x20) != 0) mend_vhd(content);
    if (format < formats.size() && formats[format].name == "vhdx" && (data[0] & 0x20) != 0)
        content = spread_vhdx(content);
    const auto chunks = content;
    if (format < formats.size() && formats[format].name == "published" && (data[0] & 0x20) != 0)
        content = index_around(content);
    Opener opener(chunks);
    if (format < formats.size() && formats[format].open != nullptr) options.format = formats[format].name;
    options.access = (data[0] & 0x80) != 0 ? block::Access::read_write : block::Access::read_only;
    options.opener = &opener;
    QuickCiphers ciphers;
    const block::Key key{ciphers, Secret(usize{1})};
    if ((data[0] & 0x20) != 0 && (options.format == "luks" || options.format == "qcow2")) options.key = &key;
    options.content = (data[1] & 32) != 0 ? block::Content::unused : block::Content::wanted;
    const auto file = [&] { return block::FileOpener::Opened{std::make_unique<FuzzFile>(content), "image", "image"}; };
    if (auto image = block::open_image(file(), options); image.ok()) use(**image, data[1]);
    if ((data[0] & 0x40) == 0) return 0;
    options.damage = block::OpenOptions::Damage::expected;
    options.chain = block::Chain::first_only;
    options.access = block::Access::read_write;
    if (auto image = block::open_image(file(), options); image.ok()) {
        const auto report = (*image)->check((data[1] & 1) != 0 ? block::Repair::everything : block::Repair::leaks);
        if (report.ok()) (void)(*image)->check(block::Repair::nothing);
    }
    return 0;
}
