// Block commands. See disk.h.
#include "engine/dev/scsi/disk.h"

#include <algorithm>

#include "engine/lang/bytes.h"

namespace viv::scsi {

namespace {

constexpr u64 own_buffer = u64{1} << 20;
constexpr u8 protection = 0xe0;  // RDPROTECT and the like

}  // namespace

Sense Disk::carry_out(Task& task) {
    const auto& cdb = task.command.cdb;
    switch (cdb[0]) {
        case test_unit_ready:
        case prevent_allow_medium_removal: return sense::none;
        case start_stop_unit:
            add(task, Step{});  // stopped or going on, what was written stays
            return sense::none;
        case read_6:
        case read_10:
        case read_12:
        case read_16: return read_write(task, block::Operation::read);
        case write_6:
        case write_10:
        case write_12:
        case write_16: return read_write(task, block::Operation::write);
        case verify_10:
        case verify_12:
        case verify_16: return verify(task);
        case write_same_10:
        case write_same_16: return write_same(task);
        case unmap: return unmap_ranges(task);
        case synchronize_cache_10:
        case synchronize_cache_16: return synchronize(task);
        case read_capacity_10: return read_capacity(task);
        case service_action_in_16: return read_capacity_16(task);
        case mode_select_6:
        case mode_select_10: return select_mode(task);
        case mode_sense_6:
        case mode_sense_10: {
            std::vector<u8> data;
            const Sense problem = sense_modes(cdb, modes(writes_back_), modes(true), data);
            return problem != sense::none ? problem : give(task, data, mode_length(cdb));
        }
        default: return sense::unknown_command;
    }
}

Sense Disk::check_range(const Extent& extent) const {
    return range_fits(extent.block, extent.count, blocks()) ? sense::none : sense::out_of_range;
}

Sense Disk::read_write(Task& task, block::Operation operation) {
    const auto& cdb = task.command.cdb;
    constexpr u8 force_unit_access = 8;
    const bool short_form = cdb_length(cdb[0]) == 6;
    const bool writes = operation == block::Operation::write;
    if (!short_form && (cdb[1] & protection) != 0) return sense::bad_field;
    if (writes && disk()->read_only()) return sense::write_protected;
    const Extent extent = extent_of(cdb);
    if (const Sense problem = check_range(extent); problem != sense::none) return problem;
    const Sense problem = transfer(task, operation, extent.block * block_size, extent.count * block_size);
    const bool forced = !short_form && (cdb[1] & force_unit_access) != 0;
    if (problem == sense::none && !task.steps.empty() && (writes ? forced || !writes_back_ : false)) add(task, Step{});
    return problem;
}

Sense Disk::verify(Task& task) {
    const auto& cdb = task.command.cdb;
    const u8 compared = cdb[1] >> 1 & 3;
    if ((cdb[1] & protection) != 0 || compared > 1) return sense::bad_field;
    const Extent extent = extent_of(cdb);
    if (const Sense problem = check_range(extent); problem != sense::none) return problem;
    const u64 length = extent.count * block_size;
    if (length > longest_transfer) return sense::bad_field;
    if (compared != 0 && length > room_of(task.command.data_out)) {
        task.overrun = true;
        return sense::none;
    }
    task.buffer.resize(std::min(length, own_buffer));
    for (u64 at = 0; at < length; at += own_buffer) {
        const u64 part = std::min(own_buffer, length - at);
        Step step{block::Operation::read, extent.block * block_size + at, part, {std::span(task.buffer).first(part)}};
        if (compared != 0) step.compare_at = at;
        add(task, std::move(step));
    }
    if (compared != 0) task.moved = length;
    return sense::none;
}

Sense Disk::write_same(Task& task) {
    const auto& cdb = task.command.cdb;
    constexpr u8 no_data_given = 1, obsolete = 6, anchor = 16;
    const bool without_data = cdb[0] == write_same_16 && (cdb[1] & no_data_given) != 0;
    if ((cdb[1] & (protection | anchor | obsolete)) != 0) return sense::bad_field;
    if (disk()->read_only()) return sense::write_protected;
    const Extent extent = extent_of(cdb);
    if (extent.count == 0 || extent.count > most_written_same) return sense::bad_field;
    if (const Sense problem = check_range(extent); problem != sense::none) return problem;
    std::vector<u8> pattern(block_size);
    if (!without_data) {
        auto taken = take(task, block_size);
        if (!taken) return sense::none;
        pattern = std::move(*taken);
    }
    const u64 offset = extent.block * block_size, length = extent.count * block_size;
    // Zeros cost no space, whether or not the driver asks for that.
    if (std::all_of(pattern.begin(), pattern.end(), [](u8 byte) { return byte == 0; })) {
        add(task, Step{block::Operation::write_zeroes, offset, length, {}});
    } else {
        task.buffer.reserve(std::min(length, own_buffer));
        while (task.buffer.size() < std::min(length, own_buffer))
            task.buffer.insert(task.buffer.end(), pattern.begin(), pattern.end());
        for (u64 at = 0; at < length; at += own_buffer) {
            const u64 part = std::min(own_buffer, length - at);
            add(task, Step{block::Operation::write, offset + at, part, {std::span(task.buffer).first(part)}});
        }
    }
    if (!writes_back_) add(task, Step{});
    return sense::none;
}

Sense Disk::unmap_ranges(Task& task) {
    const auto& cdb = task.command.cdb;
    constexpr usize header = 8, entry = 16;
    if ((cdb[1] & 1) != 0) return sense::bad_field;  // anchored blocks
    if (disk()->read_only()) return sense::write_protected;
    const u64 given = load_be<u16>(&cdb[7]);
    const auto list = take(task, given);
    if (!list || given == 0) return sense::none;
    if (given < header) return sense::list_length;
    const usize size = load_be<u16>(&(*list)[2]);
    if (size > given - header || size % entry != 0) return sense::bad_parameter;
    if (size / entry > most_ranges) return sense::bad_parameter;
    u64 total = 0;
    for (usize at = header; at < header + size; at += entry) {
        const Extent extent{load_be<u64>(&(*list)[at]), load_be<u32>(&(*list)[at + 8])};
        if (const Sense problem = check_range(extent); problem != sense::none) return problem;
        total += extent.count;
        if (total > most_unmapped) return sense::bad_parameter;
        if (extent.count != 0)
            add(task, Step{block::Operation::discard, extent.block * block_size, extent.count * block_size, {}});
    }
    return sense::none;
}

Sense Disk::synchronize(Task& task) {
    if (const Sense problem = check_range(extent_of(task.command.cdb)); problem != sense::none) return problem;
    add(task, Step{});
    return sense::none;
}

Sense Disk::read_capacity(Task& task) {
    const auto& cdb = task.command.cdb;
    if ((cdb[8] & 1) != 0 || load_be<u32>(&cdb[2]) != 0) return sense::bad_field;
    std::array<u8, 8> data{};
    store_be<u32>(&data[0], static_cast<u32>(std::min<u64>(blocks() - 1, ~u32{0})));
    store_be<u32>(&data[4], block_size);
    return give(task, data, data.size());
}

Sense Disk::read_capacity_16(Task& task) {
    const auto& cdb = task.command.cdb;
    constexpr u8 capacity_action = 0x10, pages_exponent = 3, provisioned = 0x80;
    if ((cdb[1] & 0x1f) != capacity_action || (cdb[14] & 1) != 0 || load_be<u64>(&cdb[2]) != 0) return sense::bad_field;
    std::array<u8, 32> data{};
    store_be<u64>(&data[0], blocks() - 1);
    store_be<u32>(&data[8], block_size);
    data[13] = pages_exponent;
    data[14] = disk()->read_only() ? u8{0} : provisioned;
    return give(task, data, load_be<u32>(&cdb[10]));
}

ModeSet Disk::modes(bool writes_back) const {
    constexpr u8 write_protected = 0x80, obeys_fua = 0x10, cache_on = 4;
    ModeSet set;
    set.device_specific = static_cast<u8>((disk()->read_only() ? write_protected : 0) | obeys_fua);
    set.descriptor.assign(8, 0);
    if (blocks() <= 0xff'ffff) store_be<u32>(&set.descriptor[0], static_cast<u32>(blocks()));
    store_be<u32>(&set.descriptor[4], block_size);
    ModePage recovery, caching, control;
    recovery.now = {0x01, 10, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0};  // what was written is written again elsewhere
    caching.now.assign(20, 0);
    caching.now[0] = 0x08;
    caching.now[1] = 18;
    caching.now[2] = writes_back ? cache_on : u8{0};
    control.now = {0x0a, 10, 0, 0x10, 0, 0, 0, 0, 0xff, 0xff, 0, 0};  // commands in any order
    for (ModePage* page : {&recovery, &caching, &control}) page->changeable.assign(page->now.size(), 0);
    caching.changeable[2] = cache_on;
    set.pages = {recovery, caching, control};
    return set;
}

Sense Disk::select_mode(Task& task) {
    const auto& cdb = task.command.cdb;
    const auto list = take(task, mode_length(cdb));
    if (!list) return sense::none;
    std::vector<std::vector<u8>> pages;
    if (const Sense problem = select_modes(cdb, modes(writes_back_), *list, pages); problem != sense::none)
        return problem;
    for (const auto& page : pages)
        if (page[0] == 0x08) writes_back_ = (page[2] & 4) != 0;
    if (!writes_back_) add(task, Step{});  // what was cached so far
    return sense::none;
}

std::span<const u8> Disk::vital_product_pages() const {
    static constexpr u8 pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
    return pages;
}

bool Disk::vital_product_data(u8 page, std::vector<u8>& body) const {
    switch (page) {
        case 0xb0:  // limits
            body.assign(60, 0);
            body[0] = 1;                 // WSNZ
            store_be<u16>(&body[2], 8);  // granularity: a page
            store_be<u32>(&body[4], static_cast<u32>(longest_transfer / block_size));
            if (!disk()->read_only()) {
                store_be<u32>(&body[16], most_unmapped);
                store_be<u32>(&body[20], most_ranges);
                store_be<u32>(&body[24], 8);
                store_be<u64>(&body[32], most_written_same);
            }
            return true;
        case 0xb1:  // characteristics
            body.assign(60, 0);
            body[1] = 1;  // nothing rotates
            return true;
        case 0xb2: {  // provisioning
            constexpr u8 by_unmap = 0x80, by_write_same_16 = 0x40, by_write_same_10 = 0x20, thin = 2;
            body.assign(4, 0);
            if (!disk()->read_only()) {
                body[1] = by_unmap | by_write_same_16 | by_write_same_10;
                body[2] = thin;
            }
            return true;
        }
        default: return false;
    }
}

}  // namespace viv::scsi
