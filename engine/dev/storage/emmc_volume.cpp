// The division of the disk, the record in two slots and the journal before the RPMB partition. See emmc_volume.h.
#include "engine/dev/storage/emmc_volume.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/block/image.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::emmc {

namespace {

constexpr u64 sector = 512;
constexpr u64 default_boot = 8 * size_unit, default_rpmb = 32 * size_unit;
constexpr u64 smallest_user = 64 << 10;
constexpr u64 byte_addressed_limit = u64{2} << 30;
constexpr u64 largest_user = u64{1} << 40;

// The last 4 KiB: magic, version, sizes, digest of what is before it.
constexpr std::array<u8, 8> division_magic{'V', 'i', 'v', 'e', 'M', 'M', 'C', 0};
constexpr u32 division_version = 1;
enum DivisionOffset : usize { d_version = 8, d_user = 16, d_boot = 24, d_rpmb = 32, d_digest = 40, d_end = 72 };

// A slot of the record: the same.
constexpr std::array<u8, 8> record_magic{'V', 'i', 'v', 'R', 'P', 'M', 'B', 0};
enum RecordOffset : usize {
    r_sequence = 8,
    r_key_set = 16,
    r_partition_config = 17,
    r_boot_bus_conditions = 18,
    r_rst_n_function = 19,
    r_write_counter = 20,
    r_journal_address = 24,
    r_journal_count = 26,
    r_key = 32,
    r_journal_digest = 64,
    r_digest = 96,
    r_end = 128,
};

}  // namespace

// Up to 2 GiB a CSD counts at most 4096 units of a power of two (7.3.12); beyond that SEC_COUNT counts sectors.
u64 user_size(u64 room) {
    if (room > byte_addressed_limit) return std::min(align_down(room, size_unit * 4), largest_user);
    u64 unit = 4 * sector;
    while (room / unit > 4096) unit *= 2;
    return align_down(room, unit);
}

Result<void> Volume::at_once(block::Operation operation, u64 offset, std::span<u8> bytes) {
    std::optional<block::Status> status;
    std::vector<std::span<u8>> segments;
    if (!bytes.empty()) segments.push_back(bytes);
    disk_->submit({operation, offset, bytes.size(), std::move(segments),
                   [&status](block::Status completed) { status = completed; }});
    if (status == block::Status::ok) return {};
    if (!status) disk_->abandon();
    return Error{fmt::format("{}: cannot be read or written where an eMMC keeps its state", disk_->file_name())};
}

Result<void> Volume::check_free(u64 from, u64 to) {
    std::vector<u8> piece(64 << 10);
    for (u64 at = from; at < to; at += piece.size()) {
        const auto part = std::span(piece).first(std::min<u64>(piece.size(), to - at));
        TRY(at_once(block::Operation::read, at, part));
        if (!block::all_zero(part))
            return Error{
                fmt::format("{}: its last {} KiB are not zero, and an eMMC keeps its boot and RPMB partitions there; "
                            "make room with `viv-img resize FILE +{}K`",
                            disk_->file_name(), (disk_->size() - from) >> 10, (to - from) >> 10)};
    }
    return {};
}

Result<void> Volume::divide(std::optional<u64> boot, std::optional<u64> rpmb) {
    end_ = align_down(disk_->size(), slot_size);
    std::array<u8, slot_size> division{};
    if (end_ >= slot_size) TRY(at_once(block::Operation::read, end_ - slot_size, division));
    if (std::equal(division_magic.begin(), division_magic.end(), division.begin())) {
        const Digest digest = sha256(std::span(division).first(d_digest));
        if (load_le<u32>(&division[d_version]) != division_version ||
            !std::equal(digest.begin(), digest.end(), &division[d_digest]))
            return Error{fmt::format("{}: is an eMMC's image whose end is damaged", disk_->file_name())};
        geometry_ = {load_le<u64>(&division[d_user]), load_le<u64>(&division[d_boot]), load_le<u64>(&division[d_rpmb])};
        if ((boot && *boot != geometry_.boot) || (rpmb && *rpmb != geometry_.rpmb))
            return Error{fmt::format("{}: is an eMMC with boot-size-mult={},rpmb-size-mult={} already",
                                     disk_->file_name(), geometry_.boot / size_unit, geometry_.rpmb / size_unit)};
        const u64 most = 255 * size_unit;
        if (geometry_.boot > most || geometry_.rpmb > most || geometry_.rpmb == 0 || geometry_.boot % size_unit != 0 ||
            geometry_.rpmb % size_unit != 0 || geometry_.user < smallest_user ||
            user_size(geometry_.user) != geometry_.user || 2 * geometry_.boot + geometry_.rpmb > journal_place() ||
            geometry_.user > place(Area::boot_1))
            return Error{fmt::format("{}: is an eMMC's image with an impossible division", disk_->file_name())};
    } else {
        geometry_.boot = boot.value_or(default_boot);
        geometry_.rpmb = rpmb.value_or(default_rpmb);
        const u64 kept = 2 * geometry_.boot + geometry_.rpmb + journal_size + slot_size * (slots + 1);
        if (end_ < kept + smallest_user)
            return Error{fmt::format("{}: is too small for an eMMC: {} KiB of it are for boot and RPMB partitions",
                                     disk_->file_name(), kept >> 10)};
        geometry_.user = user_size(end_ - kept);
        TRY(check_free(end_ - kept, end_));
        if (disk_->read_only())
            return Error{fmt::format("{}: is no eMMC's image yet, and cannot become one as it is read-only",
                                     disk_->file_name())};
        std::copy(division_magic.begin(), division_magic.end(), division.begin());
        store_le<u32>(&division[d_version], division_version);
        store_le<u64>(&division[d_user], geometry_.user);
        store_le<u64>(&division[d_boot], geometry_.boot);
        store_le<u64>(&division[d_rpmb], geometry_.rpmb);
        const Digest digest = sha256(std::span(division).first(d_digest));
        std::copy(digest.begin(), digest.end(), &division[d_digest]);
        TRY(at_once(block::Operation::write, end_ - slot_size, division));
        TRY(at_once(block::Operation::flush, 0, {}));
    }
    TRY(at_once(block::Operation::read, journal_place(), kept_));
    if (!take_record())
        return Error{fmt::format("{}: is an eMMC's image whose key and write counter are damaged", disk_->file_name())};
    record_at_open_ = record_;
    return {};
}

Result<std::unique_ptr<Volume>> Volume::open(std::unique_ptr<block::Disk> disk, std::optional<u64> boot,
                                             std::optional<u64> rpmb) {
    std::unique_ptr<Volume> volume(new Volume(std::move(disk)));
    TRY(volume->divide(boot, rpmb));
    return volume;
}

u64 Volume::size_of(Area area) const {
    if (area == Area::user) return geometry_.user;
    return area == Area::rpmb ? geometry_.rpmb : geometry_.boot;
}

u64 Volume::place(Area area) const {
    const u64 rpmb = journal_place() - geometry_.rpmb;
    switch (area) {
        case Area::user: return 0;
        case Area::boot_1: return rpmb - 2 * geometry_.boot;
        case Area::boot_2: return rpmb - geometry_.boot;
        case Area::rpmb: return rpmb;
    }
    return 0;
}

void Volume::read(Area area, u64 offset, std::span<u8> out, Done done) {
    if (!range_fits(offset, out.size(), size_of(area))) return done(false);
    run({{block::Operation::read, place(area) + offset, out.size(), out.data()}}, std::move(done));
}

void Volume::write(Area area, u64 offset, std::span<u8> in, Durable durable, Done done) {
    if (!range_fits(offset, in.size(), size_of(area))) return done(false);
    std::vector<Step> steps{{block::Operation::write, place(area) + offset, in.size(), in.data()}};
    if (durable == Durable::yes) steps.push_back({block::Operation::flush, 0, 0, nullptr});
    run(std::move(steps), std::move(done));
}

void Volume::clear(Area area, u64 offset, u64 length, block::Operation how, Done done) {
    if (!range_fits(offset, length, size_of(area))) return done(false);
    run({{how, place(area) + offset, length, nullptr}}, std::move(done));
}

void Volume::flush(Done done) { run({{block::Operation::flush, 0, 0, nullptr}}, std::move(done)); }

std::optional<Record> Volume::unpack(std::span<const u8> slot) {
    if (block::all_zero(slot)) return Record{};
    if (!std::equal(record_magic.begin(), record_magic.end(), slot.begin())) return std::nullopt;
    const Digest digest = sha256(slot.first(r_digest));
    if (!std::equal(digest.begin(), digest.end(), slot.begin() + r_digest)) return std::nullopt;
    Record record;
    record.sequence = load_le<u64>(&slot[r_sequence]);
    record.key_set = slot[r_key_set] != 0;
    record.partition_config = slot[r_partition_config];
    record.boot_bus_conditions = slot[r_boot_bus_conditions];
    record.rst_n_function = slot[r_rst_n_function];
    record.write_counter = load_le<u32>(&slot[r_write_counter]);
    record.journal_address = load_le<u16>(&slot[r_journal_address]);
    record.journal_count = std::min<u16>(load_le<u16>(&slot[r_journal_count]), journal_blocks);
    std::copy_n(&slot[r_key], record.key.size(), record.key.begin());
    std::copy_n(&slot[r_journal_digest], record.journal_digest.size(), record.journal_digest.begin());
    return record;
}

void Volume::pack(const Record& record, std::span<u8> slot) {
    std::fill(slot.begin(), slot.end(), u8{0});
    std::copy(record_magic.begin(), record_magic.end(), slot.begin());
    store_le<u64>(&slot[r_sequence], record.sequence);
    slot[r_key_set] = record.key_set ? 1 : 0;
    slot[r_partition_config] = record.partition_config;
    slot[r_boot_bus_conditions] = record.boot_bus_conditions;
    slot[r_rst_n_function] = record.rst_n_function;
    store_le<u32>(&slot[r_write_counter], record.write_counter);
    store_le<u16>(&slot[r_journal_address], record.journal_address);
    store_le<u16>(&slot[r_journal_count], record.journal_count);
    std::copy(record.key.begin(), record.key.end(), &slot[r_key]);
    std::copy(record.journal_digest.begin(), record.journal_digest.end(), &slot[r_journal_digest]);
    const Digest digest = sha256(slot.first(r_digest));
    std::copy(digest.begin(), digest.end(), &slot[r_digest]);
}

// The newer of the whole slots. A write goes to the older one, so one of them is whole whenever the host ends.
bool Volume::take_record() {
    std::optional<Record> newest;
    for (usize slot = 0; slot < slots; slot++) {
        const auto record = unpack(std::span(kept_).subspan(journal_size + slot * slot_size, slot_size));
        if (record && (!newest || record->sequence > newest->sequence)) newest = record;
    }
    if (newest) record_ = *newest;
    return newest.has_value();
}

std::span<const u8> Volume::journal() const {
    const auto blocks = std::span(kept_).first(record_.journal_count * rpmb_block);
    if (blocks.empty() || sha256(blocks) != record_.journal_digest) return {};
    if (!range_fits(record_.journal_address * rpmb_block, blocks.size(), geometry_.rpmb)) return {};
    return blocks;
}

void Volume::load(Done done) {
    run({{block::Operation::read, journal_place(), kept_.size(), kept_.data()}},
        [this, done = std::move(done)](bool ok) { done(ok && take_record()); });
}

void Volume::add_record(std::vector<Step>& steps, Record record) {
    record.sequence = record_.sequence + 1;
    pack(record, slot_);
    steps.push_back({block::Operation::write, slot_place(record.sequence % slots), slot_.size(), slot_.data()});
    steps.push_back({block::Operation::flush, 0, 0, nullptr});
}

void Volume::keep(const Record& record, Done done) {
    std::vector<Step> steps;
    add_record(steps, record);
    run(std::move(steps), std::move(done));
}

// The blocks that the journal holds go where they belong before it is written again; the record, which is written last,
// is what makes the new ones count.
void Volume::keep_with_blocks(const Record& record, u16 address, std::span<const u8> blocks, Done done) {
    CHECK(blocks.size() <= journal_size && blocks.size() % rpmb_block == 0);
    auto apply = [this, record = Record(record), address, bytes = std::vector<u8>(blocks.begin(), blocks.end()),
                  done](bool ok) mutable {
        if (!ok) return done(false);
        std::copy(bytes.begin(), bytes.end(), journal_.begin());
        std::fill(journal_.begin() + static_cast<std::ptrdiff_t>(bytes.size()), journal_.end(), u8{0});
        record.journal_address = address;
        record.journal_count = static_cast<u16>(bytes.size() / rpmb_block);
        record.journal_digest = sha256(bytes);
        std::vector<Step> steps{{block::Operation::write, journal_place(), journal_.size(), journal_.data()},
                                {block::Operation::flush, 0, 0, nullptr}};
        add_record(steps, record);
        run(std::move(steps), std::move(done));
    };
    if (journal().empty()) return apply(true);
    // Whole sectors around them: read with the journal over them, and written.
    const u64 from = align_down(record_.journal_address * rpmb_block, sector);
    const u64 to = align_up(record_.journal_address * rpmb_block + journal().size(), sector);
    moved_.resize(to - from);
    read_rpmb(static_cast<u16>(from / rpmb_block), moved_, [this, from, apply](bool ok) mutable {
        if (!ok) return apply(false);
        write(Area::rpmb, from, moved_, Durable::yes, std::move(apply));
    });
}

void Volume::read_rpmb(u16 address, std::span<u8> out, Done done) {
    const u64 offset = address * rpmb_block;
    if (!range_fits(offset, out.size(), geometry_.rpmb)) return done(false);
    const u64 from = align_down(offset, sector);
    sectors_.resize(align_up(offset + out.size(), sector) - from);
    read(Area::rpmb, from, sectors_, [this, offset, from, out, done = std::move(done)](bool ok) {
        if (!ok) return done(false);
        std::copy_n(&sectors_[offset - from], out.size(), out.begin());
        const auto newer = journal();
        const u64 newer_at = record_.journal_address * rpmb_block;
        for (u64 i = 0; i < newer.size(); i += rpmb_block)
            if (range_fits(newer_at + i - offset, rpmb_block, out.size()) && newer_at + i >= offset)
                std::copy_n(&newer[i], rpmb_block, &out[newer_at + i - offset]);
        done(true);
    });
}

void Volume::run(std::vector<Step> steps, Done done) {
    CHECK(!busy());
    steps_ = std::move(steps);
    next_ = 0;
    done_ = std::move(done);
    submit_next();
}

void Volume::submit_next() {
    if (next_ == steps_.size()) return finish(true);
    const Step step = steps_[next_++];
    std::vector<std::span<u8>> segments;
    if (step.bytes != nullptr) segments.emplace_back(step.bytes, step.length);
    disk_->submit(
        {step.operation, step.offset, step.length, std::move(segments), [this, ticket = ticket_](block::Status status) {
             if (ticket != ticket_) return;  // of a time before cancel()
             if (status == block::Status::ok) return submit_next();
             finish(false);
         }});
}

// The next thing may be asked for from within `done`.
void Volume::finish(bool ok) {
    ticket_++;
    const Done done = std::move(done_);
    done_ = nullptr;
    done(ok);
}

void Volume::cancel() {
    ticket_++;
    if (!busy()) return;
    done_ = nullptr;
    disk_->abandon();
}

}  // namespace viv::emmc
