// The request path of qcow2 images: what tables.h says where, this reads and writes. See qcow2.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/block/luks/header.h"
#include "engine/block/qcow2/check.h"
#include "engine/block/qcow2/compress.h"
#include "engine/block/qcow2/qcow2.h"
#include "engine/block/qcow2/rebuild.h"
#include "engine/block/qcow2/tables.h"

namespace viv::block::qcow2 {

namespace {

constexpr u64 largest_piece = 2 << 20;  // bytes that are written to new clusters at once

class Qcow2Image final : public Image {
public:
    Qcow2Image(std::unique_ptr<host::File> file, std::string name, Access access)
        : Image(std::move(file), std::move(name), access) {}
    ~Qcow2Image() override {
        // Whoever wants to know whether it went well has called flush().
        if (!read_only() && tables_ && !only_to_mend_) (void)tables_->close();
    }

    Result<void> load(OpenContext& context) {
        only_to_mend_ = context.damage == OpenOptions::Damage::expected;
        TRY(open_data(context));
        TRY(open_encrypted(context));
        if (only_to_mend_) {
            // Even the header may be what has to be mended.
            TRY_SET(tables_, Tables::open(*file_, data(), name_, Access::read_only, ReadFor::repair));
        } else {
            TRY(mend_dirty());
            TRY_SET(tables_, Tables::open(*file_, data(), name_, access_, ReadFor::use));
        }
        const Header& header = tables_->header();
        cluster_ = header.cluster_size();
        compression_ = header.compression_type == 1 ? Compression::zstd : Compression::zlib;
        if (header.backing_file.empty() || !context.open_backing) return {};
        TRY_SET(backing_, context.open_backing(header.backing_file, header.backing_format));
        return {};
    }

    std::string_view format() const override { return "qcow2"; }
    u64 size() const override { return tables_->header().size; }

    Result<void> read(u64 offset, std::span<u8> out) override {
        TRY(check_range(offset, out.size()));
        while (!out.empty()) {
            TRY_SET(const Mapping mapping, tables_->map(offset, out.size()));
            const auto part = out.first(mapping.length);
            switch (mapping.kind) {
                case Mapping::Kind::data: TRY(named(read_padded(data(), *mapping.file_offset, part))); break;
                case Mapping::Kind::zero: std::memset(part.data(), 0, part.size()); break;
                case Mapping::Kind::absent: TRY(read_backing(offset, part)); break;
                case Mapping::Kind::compressed: TRY(unpack(offset, mapping.compressed, part)); break;
            }
            offset += part.size();
            out = out.subspan(part.size());
        }
        return {};
    }

    Result<void> write(u64 offset, std::span<const u8> in) override {
        TRY(check_change(offset, in.size()));
        return write_anywhere(offset, in);
    }

    Result<void> write_zeroes(u64 offset, u64 length) override {
        TRY(check_change(offset, length));
        return each_cluster(offset, length, Partial::written,
                            [&](u64 cluster, u64 count) { return zero_clusters(cluster, count); });
    }

    Result<void> discard(u64 offset, u64 length) override {
        TRY(check_change(offset, length));
        // In version 2 nothing says "zero"; the image below would show.
        if (tables_->header().version == 2 && !tables_->header().backing_file.empty()) return {};
        return each_cluster(offset, length, Partial::left,
                            [&](u64 cluster, u64 count) { return zero_clusters(cluster, count); });
    }

    Result<void> forget(u64 offset, u64 length) override {
        TRY(check_change(offset, length));
        return each_cluster(offset, length, Partial::left, [&](u64 cluster, u64 count) {
            return tables_->clear(cluster, count, Tables::Cleared::absent);
        });
    }

    Result<void> cover(u64 offset, u64 length) override {
        TRY(check_change(offset, length));
        packed_.reset();
        if (tables_->header().version >= 3)
            return tables_->clear(offset / cluster_, (length + cluster_ - 1) / cluster_, Tables::Cleared::zero);
        return write_anywhere(offset, std::vector<u8>(length));
    }

    Result<void> flush() override { return read_only() || only_to_mend_ ? Result<void>{} : tables_->flush(); }

    Result<Extent> extent(u64 offset, u64 length) override {
        TRY(check_range(offset, length));
        TRY_SET(const Mapping mapping, tables_->map(offset, length));
        Extent extent;
        extent.length = mapping.length;
        if (!encrypted_) extent.file_offset = mapping.file_offset;
        extent.compressed = mapping.kind == Mapping::Kind::compressed;
        extent.kind = mapping.kind == Mapping::Kind::absent ? Extent::Kind::absent
                      : mapping.kind == Mapping::Kind::zero ? Extent::Kind::zero
                                                            : Extent::Kind::data;
        return extent;
    }

    Result<void> write_compressed(u64 offset, std::span<const u8> in) override {
        TRY(check_change(offset, in.size()));
        if (encrypted_) return fault("is encrypted, and cannot hold compressed data");
        if (offset % cluster_ != 0 || in.size() > cluster_ || (in.size() < cluster_ && offset + in.size() != size()))
            return fault("compressed data is written by whole clusters");
        std::vector<u8> whole(in.begin(), in.end());
        whole.resize(cluster_);
        const auto packed = data_ ? std::vector<u8>() : compress(compression_, whole);
        if (packed.empty()) return write_anywhere(offset, in);
        TRY_SET(const u64 place, tables_->allocate_compressed(packed.size()));
        TRY(file_->write_at(place, packed));
        return tables_->link_compressed(offset / cluster_, place, packed.size());
    }

    ImageDetails details() override {
        const Header& header = tables_->header();
        ImageDetails details;
        details.cluster_size = cluster_;
        details.backing_file = header.backing_file;
        details.backing_format = header.backing_format;
        details.dirty = header.has(incompatible::dirty);
        details.encrypted = header.encrypted();
        details.specific.emplace_back("compat", std::string(header.version == 2 ? "0.10" : "1.1"));
        if (header.external()) {
            details.specific.emplace_back("data-file", data_name_);
            details.specific.emplace_back("data-file-raw", header.raw_external());
        }
        details.specific.emplace_back("compression-type", std::string(header.compression_type == 1 ? "zstd" : "zlib"));
        if (header.version >= 3)
            details.specific.emplace_back("lazy-refcounts", (header.compatible & compatible::lazy_refcounts) != 0);
        details.specific.emplace_back("refcount-bits", u64{1} << header.refcount_order);
        if (header.version >= 3) {
            details.specific.emplace_back("corrupt", header.has(incompatible::corrupt));
            details.specific.emplace_back("extended-l2", header.has(incompatible::extended_l2));
        }
        if (luks_) {
            details.specific.emplace_back("encrypt.format", std::string("luks"));
            for (auto& detail : luks_->details("encrypt.")) details.specific.push_back(std::move(detail));
        }
        for (const auto& snapshot : tables_->snapshots()) {
            SnapshotInfo info{snapshot.id,
                              snapshot.name,
                              snapshot.state_size,
                              snapshot.date_seconds,
                              snapshot.date_nanoseconds,
                              snapshot.clock_nanoseconds,
                              std::nullopt,
                              std::nullopt};
            info.disk_size = snapshot.disk_size(header.size);
            info.instructions = snapshot.instructions();
            details.snapshots.push_back(std::move(info));
        }
        return details;
    }

    Result<CheckReport> check(Repair repair) override {
        if (repair != Repair::nothing && read_only()) return fault("is opened for reading only");
        if (!only_to_mend_ && !read_only()) TRY(tables_->close());
        TRY_SET(auto report, check_image(*file_, name_, repair));
        if (repair != Repair::nothing) TRY(reload());
        return report;
    }

    Result<void> resize(u64 new_size) override;
    Result<void> set_backing(const std::string& file, const std::string& format) override {
        TRY(check_change(0, 0));
        return tables_->set_backing(file, format);
    }
    u64 allocated() override { return file_->allocated() + (data_ ? data_->allocated() : 0); }
    bool keeps_snapshots() const override { return !data_; }
    Result<void> create_snapshot(const std::string& name, const SnapshotTime& time) override;
    Result<void> apply_snapshot(std::string_view id_or_name) override;
    Result<void> delete_snapshot(std::string_view id_or_name) override;
    Result<void> show_snapshot(std::string_view id_or_name) override;

private:
    host::File& data() { return data_ ? *data_ : encrypted_ ? *encrypted_ : *file_; }
    Result<void> named(Result<void> done) const {
        return done.ok() ? done : encrypted_ ? fault(done.error().message) : done;
    }

    // Clusters are encrypted by where they are in the file, and tables are not.
    Result<void> open_encrypted(const OpenContext& context) {
        TRY_SET(const Header header, read_header(*file_, name_, ReadFor::repair));
        if (!header.encrypted()) return {};
        const luks::Place place{header.luks_offset, header.luks_bytes};
        auto found = luks::read_header(*file_, place);
        if (!found.ok()) return fault(found.error().message);
        luks_ = std::make_unique<luks::Header>(std::move(*found));
        std::unique_ptr<luks::SectorCipher> cipher;
        if (context.key != nullptr) {
            auto unlocked = luks::unlock(*file_, place, *luks_, *context.key);
            if (!unlocked.ok()) return fault(unlocked.error().message);
            cipher = std::move(*unlocked);
        } else if (context.content == Content::wanted) {
            return fault(needs_key);
        }
        encrypted_ = std::make_unique<luks::EncryptedFile>(*file_, 0, std::move(cipher));
        return {};
    }

    Result<void> open_data(OpenContext& context) {
        TRY_SET(const Header header, read_header(*file_, name_, ReadFor::repair));
        if (!header.external()) return {};
        TRY_SET(auto opened, context.open_data_file(header.data_file));
        data_ = std::move(opened.file);
        data_name_ = std::move(opened.name);
        return {};
    }

    // A process that ended with its counts unwritten has left the image so marked.
    Result<void> mend_dirty() {
        if (read_only()) return {};
        TRY_SET(const Header header, read_header(*file_, name_, ReadFor::repair));
        if (!header.has(incompatible::dirty) || header.has(incompatible::corrupt) ||
            header.has(incompatible::extended_l2))
            return {};
        TRY_SET(const auto report, check_image(*file_, name_, Repair::everything));
        if (report.corruptions != 0) return fault("was not closed properly and cannot be mended; see viv-img check");
        return {};
    }

    Result<void> check_change(u64 offset, u64 length) const {
        if (only_to_mend_) return fault("is opened for checking only");
        return check_writable(offset, length);
    }

    Result<void> reload() {
        packed_.reset();
        TRY_SET(tables_, Tables::open(*file_, data(), name_, only_to_mend_ ? Access::read_only : access_,
                                      only_to_mend_ ? ReadFor::repair : ReadFor::use));
        return {};
    }

    // Small reads of one compressed cluster unpack it once.
    Result<void> unpack(u64 offset, const CompressedPlace& place, std::span<u8> out) {
        if (packed_ != place.offset) {
            packed_.reset();
            std::vector<u8> data(place.bytes);
            TRY(read_padded(*file_, place.offset, data));
            unpacked_.resize(cluster_);
            if (!decompress(compression_, data, unpacked_))
                return fault(fmt::format("has a compressed cluster at {:#x} that is damaged", place.offset));
            packed_ = place.offset;
        }
        std::memcpy(out.data(), unpacked_.data() + offset % cluster_, out.size());
        return {};
    }

    Result<void> write_anywhere(u64 offset, std::span<const u8> in) {
        packed_.reset();
        while (!in.empty()) {
            TRY_SET(const Mapping mapping, tables_->map(offset, in.size()));
            u64 done = mapping.length;
            if (mapping.in_place) {
                TRY(write_in_place(offset, mapping, in.first(done)));
            } else {
                TRY_SET(done, write_new(offset, in));
            }
            offset += done;
            in = in.subspan(done);
        }
        return {};
    }

    Result<void> write_in_place(u64 offset, const Mapping& mapping, std::span<const u8> in) {
        const u64 at = *mapping.file_offset, start = align_down(at, cluster_), end = align_up(at + in.size(), cluster_);
        if (!data_ && tables_->refcounts().on_table(start / cluster_, (end - start) / cluster_))
            return fault(fmt::format("has data and a table in one place, {:#x}; see viv-img check", start));
        if (mapping.kind == Mapping::Kind::zero) {
            TRY(zero_range(data(), start, at - start));
            TRY(zero_range(data(), at + in.size(), end - at - in.size()));
        }
        TRY(data().write_at(at, in));
        return mapping.kind == Mapping::Kind::zero ? tables_->unzero(offset / cluster_, (end - start) / cluster_)
                                                   : Result<void>{};
    }

    // To new clusters, with what is around the new data in the first and the last of them. Returns the bytes written.
    Result<u64> write_new(u64 offset, std::span<const u8> in) {
        const u64 inside = offset % cluster_;
        const u64 wanted =
            (inside + std::min<u64>(in.size(), std::max(largest_piece, cluster_) - inside) + cluster_ - 1) / cluster_;
        TRY_SET(const u64 count, tables_->homeless(offset / cluster_, wanted));
        if (count == 0) return fault("has tables that contradict one another; see viv-img check");
        TRY_SET(auto room, tables_->allocate(offset / cluster_, count));
        const u64 length = std::min<u64>(in.size(), room.count * cluster_ - inside);
        if (const auto written = write_room(room, offset, in.first(length)); !written.ok()) {
            tables_->give_back(room);
            return written.error();
        }
        TRY(tables_->link(offset / cluster_, room));
        return length;
    }

    Result<void> write_room(const Tables::Room& room, u64 offset, std::span<const u8> in) {
        const u64 head = offset % cluster_, whole = room.count * cluster_, tail = whole - head - in.size();
        if (head == 0 && tail == 0) return data().write_at(room.file_offset, in);
        buffer_.resize(whole);
        const auto bytes = std::span(buffer_);
        const auto before = bytes.first(head), after = bytes.last(tail);
        TRY(read_around(offset - head, before));
        TRY(read_around(offset + in.size(), after));
        if (room.fresh && !encrypted_ && all_zero(before) && all_zero(after))
            return data().write_at(room.file_offset + head, in);
        std::memcpy(bytes.data() + head, in.data(), in.size());
        // A raw disk in another file ends where the disk does.
        return data().write_at(room.file_offset,
                               data_ ? bytes.first(std::min(whole, size() - (offset - head))) : bytes);
    }

    // Behind the end of the disk there are zeroes.
    Result<void> read_around(u64 offset, std::span<u8> out) {
        const u64 there = offset >= size() ? 0 : std::min<u64>(out.size(), size() - offset);
        std::memset(out.data() + there, 0, out.size() - there);
        return there == 0 ? Result<void>{} : read(offset, out.first(there));
    }

    enum class Partial : u8 { left, written };  // clusters that a range covers in part
    template <class Use>
    Result<void> each_cluster(u64 offset, u64 length, Partial partial, Use&& use) {
        packed_.reset();
        const u64 end = offset + length;
        // What lies behind the end of the disk in its last cluster is nobody's.
        const u64 last = end == size() ? align_up(end, cluster_) : align_down(end, cluster_);
        const u64 first = align_up(offset, cluster_);
        if (first >= last) return partial == Partial::written ? write_zero_bytes(offset, length) : Result<void>{};
        if (partial == Partial::written) TRY(write_zero_bytes(offset, first - offset));
        TRY(use(first / cluster_, (last - first) / cluster_));
        if (partial == Partial::written && last < end) TRY(write_zero_bytes(last, end - last));
        return {};
    }

    Result<void> zero_clusters(u64 cluster, u64 count) {
        const Header& header = tables_->header();
        if (data_) return zero_external(cluster, count);
        if (header.backing_file.empty()) return tables_->clear(cluster, count, Tables::Cleared::absent);
        if (header.version >= 3) return tables_->clear(cluster, count, Tables::Cleared::zero);
        return write_zero_bytes(cluster * cluster_, std::min(count * cluster_, size() - cluster * cluster_));
    }

    // Where they are: a raw disk in the other file is zero there, too, and space of others is nobody's to use again.
    Result<void> zero_external(u64 cluster, u64 count) {
        const u64 end = std::min((cluster + count) * cluster_, size());
        for (u64 offset = cluster * cluster_; offset < end;) {
            TRY_SET(const Mapping mapping, tables_->map(offset, end - offset));
            if (mapping.kind == Mapping::Kind::data)
                TRY(zero_range(data(), *mapping.file_offset, mapping.length));
            else if (mapping.kind == Mapping::Kind::absent && !tables_->header().backing_file.empty())
                TRY(tables_->clear(offset / cluster_, (mapping.length + cluster_ - 1) / cluster_,
                                   Tables::Cleared::zero));
            offset += mapping.length;
        }
        return {};
    }

    // As data, unless that is what is there.
    Result<void> write_zero_bytes(u64 offset, u64 length) {
        static constexpr std::array<u8, 64 << 10> zeroes{};
        while (length != 0) {
            TRY_SET(const Mapping mapping, tables_->map(offset, length));
            u64 part = mapping.length;
            const bool zero = mapping.kind == Mapping::Kind::zero ||
                              (mapping.kind == Mapping::Kind::absent && tables_->header().backing_file.empty());
            if (!zero) {
                part = std::min<u64>(part, zeroes.size());
                TRY(write_anywhere(offset, std::span(zeroes).first(part)));
            }
            offset += part;
            length -= part;
        }
        return {};
    }

    Result<const Snapshot*> find_snapshot(std::string_view id_or_name) const;
    Result<void> zero_new_end(u64 old_size, u64 new_size);
    Result<void> switch_state(NewState state);

    std::unique_ptr<host::File> data_;  // of external data
    std::string data_name_;
    std::unique_ptr<luks::Header> luks_;  // both of an encrypted image
    std::unique_ptr<luks::EncryptedFile> encrypted_;
    std::unique_ptr<Tables> tables_;
    u64 cluster_ = 0;
    Compression compression_ = Compression::zlib;
    bool only_to_mend_ = false;
    std::vector<u8> buffer_, unpacked_;
    std::optional<u64> packed_;  // the place whose cluster is in unpacked_
};

// Snapshots

Result<const Snapshot*> Qcow2Image::find_snapshot(std::string_view id_or_name) const {
    const auto& snapshots = tables_->snapshots();
    for (const auto& snapshot : snapshots)
        if (snapshot.id == id_or_name) return &snapshot;
    for (const auto& snapshot : snapshots)
        if (snapshot.name == id_or_name) return &snapshot;
    return fault(fmt::format("has no snapshot {}", id_or_name));
}

Result<void> Qcow2Image::switch_state(NewState state) {
    TRY(tables_->close());
    // The tables in memory know where the header's fields are by now.
    TRY_SET(const Header header, read_header(*file_, name_, ReadFor::use));
    TRY(rebuild(*file_, name_, header, std::move(state), Placement::in_gaps));
    return reload();
}

Result<void> Qcow2Image::create_snapshot(const std::string& name, const SnapshotTime& time) {
    TRY(check_change(0, 0));
    if (data_) return fault("has its data in another file, and cannot have snapshots");
    if (name.empty() || name.size() > 255) return fault("a snapshot's name has 1 to 255 bytes");
    u64 id = 0;
    for (const auto& snapshot : tables_->snapshots()) {
        if (snapshot.name == name) return fault(fmt::format("has a snapshot {} already", name));
        u64 number = 0;
        for (const char digit : snapshot.id)
            number = digit >= '0' && digit <= '9' && number < (u64{1} << 56) ? number * 10 + (digit - '0') : number;
        id = std::max(id, number);
    }
    const Header& header = tables_->header();
    Snapshot snapshot;
    snapshot.id = fmt::format("{}", id + 1);
    snapshot.name = name;
    // The disk's table becomes the snapshot's; the disk gets a new one.
    snapshot.l1_offset = header.l1_offset;
    snapshot.l1_entries = header.l1_entries;
    snapshot.date_seconds = time.date_seconds;
    snapshot.date_nanoseconds = time.date_nanoseconds;
    snapshot.clock_nanoseconds = time.clock_nanoseconds;
    snapshot.extra = snapshot_extra(0, header.size);
    NewState state{header.size, tables_->l1(), tables_->snapshots()};
    state.snapshots.push_back(std::move(snapshot));
    return switch_state(std::move(state));
}

Result<void> Qcow2Image::apply_snapshot(std::string_view id_or_name) {
    TRY(check_change(0, 0));
    TRY_SET(const Snapshot* snapshot, find_snapshot(id_or_name));
    TRY_SET(auto l1, tables_->read_l1(snapshot->l1_offset, snapshot->l1_entries));
    return switch_state({align_up(snapshot->disk_size(size()), 512), std::move(l1), tables_->snapshots()});
}

Result<void> Qcow2Image::delete_snapshot(std::string_view id_or_name) {
    TRY(check_change(0, 0));
    TRY_SET(const Snapshot* snapshot, find_snapshot(id_or_name));
    NewState state{size(), tables_->l1(), {}};
    for (const auto& other : tables_->snapshots())
        if (&other != snapshot) state.snapshots.push_back(other);
    return switch_state(std::move(state));
}

Result<void> Qcow2Image::show_snapshot(std::string_view id_or_name) {
    if (!read_only()) return fault("shows a snapshot only when it is opened for reading");
    TRY_SET(const Snapshot* snapshot, find_snapshot(id_or_name));
    return tables_->show(*snapshot);
}

// Resizing

Result<void> Qcow2Image::resize(u64 new_size) {
    TRY(check_change(0, 0));
    packed_.reset();
    if (new_size % 512 != 0) return fault("a disk has a multiple of 512 bytes");
    if (new_size > largest_offset) return fault("is larger than the format allows");
    const Geometry& geometry = tables_->geometry();
    const u64 old_size = size(), entries = geometry.l1_entries_for(new_size);
    if (!tables_->snapshots().empty() && (new_size < old_size || tables_->header().version == 2))
        return fault(new_size < old_size ? "has snapshots and cannot become smaller; delete them first"
                                         : "has snapshots that do not know their size (version 2); delete them first");
    const bool raw = tables_->header().raw_external();
    if (new_size > old_size) {
        // What is behind the raw disk's end is not shown.
        if (raw) TRY(data_->resize(old_size));
        if (raw) TRY(data_->resize(new_size));
        TRY(tables_->resize(old_size, entries));
        TRY(zero_new_end(old_size, new_size));
    }
    TRY(tables_->resize(new_size, entries));
    if (new_size >= old_size) return {};
    const u64 first = geometry.clusters_of(new_size), end = geometry.clusters_of(old_size);
    TRY(tables_->clear(first, end - first, Tables::Cleared::absent));
    TRY(tables_->flush());
    return raw ? data_->resize(new_size) : Result<void>{};
}

// What was behind the end, of an earlier and larger disk or of the image below, must not come back.
Result<void> Qcow2Image::zero_new_end(u64 old_size, u64 new_size) {
    const Geometry& geometry = tables_->geometry();
    const u64 first = geometry.clusters_of(old_size), end = geometry.clusters_of(new_size);
    TRY(tables_->clear(first, end - first, Tables::Cleared::absent));
    const u64 edge = std::min(new_size, align_up(old_size, cluster_));
    if (edge > old_size) TRY(write_zero_bytes(old_size, edge - old_size));
    const bool hidden = !tables_->header().backing_file.empty();
    const u64 shown = !hidden ? 0 : backing_ ? std::min(backing_->size(), new_size) : new_size;
    if (shown > edge) {
        if (tables_->header().version >= 3)
            TRY(tables_->clear(first, geometry.clusters_of(shown) - first, Tables::Cleared::zero));
        else
            TRY(write_zero_bytes(edge, shown - edge));
    }
    return tables_->flush();
}

}  // namespace

Result<std::unique_ptr<Image>> open(std::unique_ptr<host::File> file, OpenContext context) {
    auto image = std::make_unique<Qcow2Image>(std::move(file), std::move(context.name), context.access);
    TRY(image->load(context));
    return std::unique_ptr<Image>(std::move(image));
}

}  // namespace viv::block::qcow2
