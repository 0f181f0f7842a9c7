// Commands of a drive. See cd.h.
#include "engine/dev/scsi/cd.h"

#include <algorithm>
#include <utility>

#include "engine/lang/bytes.h"

namespace viv::scsi {

namespace {

constexpr u64 largest_cd = 360'000;  // blocks: what is longer is taken for a DVD
constexpr u16 profile_cd_rom = 0x08, profile_dvd_rom = 0x10;
constexpr u8 data_track = 0x14;  // ADR 1, a data track that may be copied
constexpr u8 lead_out = 0xaa;

// A block's address, or its minute, second and frame, which start two seconds earlier.
void put_address(u8* to, u32 block, bool as_time) {
    if (!as_time) return store_be<u32>(to, block);
    constexpr u32 frames = 75, gap = 2 * frames;
    const u32 at = block + gap;
    to[0] = 0;
    to[1] = static_cast<u8>(at / frames / 60);
    to[2] = static_cast<u8>(at / frames % 60);
    to[3] = static_cast<u8>(at % frames);
}

}  // namespace

u32 Cd::blocks() const { return static_cast<u32>(std::min<u64>(disk()->size() / block_size, 0x7fff'ffff)); }

void Cd::unit_reset(const Sense& why) {
    if (why == sense::power_on) tray_open_ = false;
    locked_ = false;
    event_ = Event::none;
}

void Cd::unit_state(Archive& a) {
    a(16, "tray_open", tray_open_);
    a(17, "locked", locked_);
    a(18, "event", event_, 3);
    a.require(event_ != Event{1}, "event", "is unknown");
}

Sense Cd::missing() const { return tray_open_ ? sense::tray_open : sense::no_medium; }

Sense Cd::carry_out(Task& task) {
    const auto& cdb = task.command.cdb;
    switch (cdb[0]) {
        case start_stop_unit: return start_stop(task);
        case prevent_allow_medium_removal:
            if ((cdb[4] & 2) != 0) return sense::bad_field;  // persistent
            locked_ = (cdb[4] & 1) != 0;
            return sense::none;
        case get_configuration: return answer_configuration(task);
        case get_event_status_notification: return answer_event(task);
        case mechanism_status: return answer_mechanism(task);
        case mode_sense_6:
        case mode_sense_10: {
            std::vector<u8> data;
            const Sense problem = sense_modes(cdb, modes(), modes(), data);
            return problem != sense::none ? problem : give(task, data, mode_length(cdb));
        }
        case mode_select_6:
        case mode_select_10: {
            const auto list = take(task, mode_length(cdb));
            std::vector<std::vector<u8>> pages;
            return list ? select_modes(cdb, modes(), *list, pages) : sense::none;
        }
        case test_unit_ready: return loaded() ? sense::none : missing();
        case synchronize_cache_10: return sense::none;
        case read_capacity_10: {
            if (!loaded()) return missing();
            std::array<u8, 8> data{};
            store_be<u32>(&data[0], blocks() == 0 ? 0 : blocks() - 1);
            store_be<u32>(&data[4], block_size);
            return give(task, data, data.size());
        }
        case read_6:
        case read_10:
        case read_12: {
            if (!loaded()) return missing();
            const Extent extent = extent_of(cdb);
            if (!range_fits(extent.block, extent.count, blocks())) return sense::out_of_range;
            return transfer(task, block::Operation::read, extent.block * block_size, extent.count * block_size);
        }
        case read_toc: return loaded() ? answer_toc(task) : missing();
        case read_disc_information: return loaded() ? answer_disc_information(task) : missing();
        default: return sense::unknown_command;
    }
}

Sense Cd::start_stop(Task& task) {
    const u8 what = task.command.cdb[4];
    constexpr u8 start = 1, load_or_eject = 2;
    if ((what >> 4) != 0 || (what & load_or_eject) == 0) return sense::none;  // power conditions, spinning
    const bool opens = (what & start) == 0;
    if (opens == tray_open_) return sense::none;
    if (opens && locked_) return sense::removal_prevented;
    tray_open_ = opens;
    if (disk() == nullptr) return sense::none;
    event_ = opens ? Event::removed : Event::new_medium;
    if (!opens) attend(sense::medium_changed);
    return sense::none;
}

// One session with one track (MMC-6, 6.25).
Sense Cd::answer_toc(Task& task) {
    const auto& cdb = task.command.cdb;
    const bool as_time = (cdb[1] & 2) != 0;
    const u8 format = (cdb[2] & 0xf) != 0 ? cdb[2] & 0xf : cdb[9] >> 6, from = cdb[6];
    std::vector<u8> data{0, 0, 1, 1};
    const auto entry = [&](u8 track, u32 block) {
        data.insert(data.end(), {0, data_track, track, 0, 0, 0, 0, 0});
        put_address(&data[data.size() - 4], block, as_time);
    };
    if (format == 0) {
        if (from > 1 && from != lead_out) return sense::bad_field;
        if (from <= 1) entry(1, 0);
        entry(lead_out, blocks());
    } else if (format == 1) {
        entry(1, 0);
    } else {
        return sense::bad_field;
    }
    store_be<u16>(&data[0], static_cast<u16>(data.size() - 2));
    return give(task, data, load_be<u16>(&cdb[7]));
}

// MMC-6, 5.3: what the drive can do, and which of its profiles is that of the medium.
Sense Cd::answer_configuration(Task& task) {
    const auto& cdb = task.command.cdb;
    enum Which : u8 { all, present, one };
    constexpr u8 persistent_and_present = 3, present_only = 1;
    const u8 which = cdb[1] & 3;
    const u16 from = load_be<u16>(&cdb[2]);
    if (which > one) return sense::bad_field;
    const bool cd = loaded() && blocks() <= largest_cd, dvd = loaded() && !cd;
    std::vector<u8> data(8);
    store_be<u16>(&data[6], dvd ? profile_dvd_rom : cd ? profile_cd_rom : 0);
    const auto feature = [&](u16 number, u8 flags, bool is_present, std::initializer_list<u8> body) {
        if (which == one ? number != from : number < from) return;
        if (which == present && !is_present) return;
        data.insert(data.end(),
                    {static_cast<u8>(number >> 8), static_cast<u8>(number), flags, static_cast<u8>(body.size())});
        data.insert(data.end(), body);
    };
    constexpr u8 readable = present_only;
    feature(0x0000, persistent_and_present, true, {0, profile_dvd_rom, dvd, 0, 0, profile_cd_rom, cd, 0});
    feature(0x0001, 2 << 2 | persistent_and_present, true, {0, 0, 0, 1, 1, 0, 0, 0});        // core: SCSI, DBE
    feature(0x0003, 1 << 2 | persistent_and_present, true, {1 << 5 | 1 << 3 | 1, 0, 0, 0});  // tray, eject, lock
    feature(0x0010, loaded() ? readable : u8{0}, loaded(), {0, 0, 8, 0, 0, 1, 0, 0});        // blocks of 2048
    feature(0x001e, cd ? readable : u8{0}, cd, {0, 0, 0, 0});
    feature(0x001f, dvd ? readable : u8{0}, dvd, {0, 0, 0, 0});
    store_be<u32>(&data[0], static_cast<u32>(data.size() - 4));
    return give(task, data, load_be<u16>(&cdb[7]));
}

Sense Cd::answer_event(Task& task) {
    const auto& cdb = task.command.cdb;
    constexpr u8 polled = 1, media = 4, no_event_class = 0x80;
    if ((cdb[1] & polled) == 0) return sense::bad_field;  // nothing is told by itself
    std::vector<u8> data{0, 2, no_event_class, 1 << media};
    if ((cdb[4] & 1 << media) != 0) {
        data = {0,
                6,
                media,
                1 << media,
                static_cast<u8>(std::exchange(event_, Event::none)),
                static_cast<u8>((tray_open_ ? 1 : 0) | (loaded() ? 2 : 0)),
                0,
                0};
    }
    return give(task, data, load_be<u16>(&cdb[7]));
}

Sense Cd::answer_disc_information(Task& task) {
    const auto& cdb = task.command.cdb;
    if ((cdb[1] & 7) != 0) return sense::bad_field;
    constexpr u8 complete = 0x0e;  // last session and disc
    std::array<u8, 34> data{0, 32, complete, 1, 1, 1, 1, 0x20};
    std::fill(data.begin() + 16, data.begin() + 24, u8{0xff});  // no further lead-in and lead-out
    return give(task, data, load_be<u16>(&cdb[7]));
}

Sense Cd::answer_mechanism(Task& task) {
    std::array<u8, 8> data{};
    data[1] = tray_open_ ? 0x10 : 0;
    return give(task, data, load_be<u16>(&task.command.cdb[8]));
}

ModeSet Cd::modes() const {
    ModeSet set;
    set.medium_type = tray_open_ ? 0x71 : !loaded() ? 0x70 : 0x01;
    ModePage recovery, capabilities;
    recovery.now = {0x01, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    constexpr u8 reads_dvd = 8, sessions = 0x40, lock = 1, eject = 8, tray = 0x20, is_locked = 2;
    capabilities.now.assign(24, 0);
    capabilities.now[0] = 0x2a;
    capabilities.now[1] = 22;
    capabilities.now[2] = reads_dvd;
    capabilities.now[4] = sessions;
    capabilities.now[6] = static_cast<u8>(lock | eject | tray | (locked_ ? is_locked : 0));
    constexpr u16 speed = 50 * 176;  // kB/s, as drives tell it
    store_be<u16>(&capabilities.now[8], speed);
    store_be<u16>(&capabilities.now[12], 2048);  // KiB of buffer
    store_be<u16>(&capabilities.now[14], speed);
    for (ModePage* page : {&recovery, &capabilities}) page->changeable.assign(page->now.size(), 0);
    set.pages = {recovery, capabilities};
    return set;
}

std::span<const u8> Cd::vital_product_pages() const {
    static constexpr u8 pages[] = {0x00, 0x80, 0x83};
    return pages;
}

}  // namespace viv::scsi
