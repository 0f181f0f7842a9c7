// Requests of virtio-blk: header, data and status byte in any framing (virtio 1.2, 5.2.6), handed to block::Disk
// without copying. See block.h.
#include "engine/dev/virtio/block.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/dev/virtio/create.h"
#include "engine/lang/check.h"

namespace viv::virtio {

namespace {

enum Feature : unsigned {
    f_seg_max = 2,
    f_ro = 5,
    f_blk_size = 6,
    f_flush = 9,
    f_topology = 10,
    f_config_wce = 11,
    f_mq = 12,
    f_discard = 13,
    f_write_zeroes = 14,
};

enum RequestType : u32 {
    type_in = 0,
    type_out = 1,
    type_flush = 4,
    type_get_id = 8,
    type_discard = 11,
    type_write_zeroes = 13
};

enum ConfigOffset : usize {
    c_capacity = 0,
    c_seg_max = 12,
    c_blk_size = 20,
    c_physical_block_exp = 24,
    c_min_io_size = 26,
    c_writeback = 32,
    c_num_queues = 34,
    c_max_discard_sectors = 36,
    c_max_discard_seg = 40,
    c_discard_sector_alignment = 44,
    c_max_write_zeroes_sectors = 48,
    c_max_write_zeroes_seg = 52,
    c_write_zeroes_may_unmap = 56,
};

constexpr u64 sector_size = 512;
constexpr u64 longest_transfer = u64{64} << 20;
constexpr u64 work_per_notification = u64{64} << 20;  // bytes, then the rest waits for the timers
constexpr u64 work_per_request = u64{64} << 10;       // what a request counts for at least
constexpr u32 discard_sectors = 1 << 22;              // 2 GiB: a hole costs the host little
constexpr u32 write_zeroes_sectors = 1 << 16;         // 32 MiB: the host may have to write them
constexpr u32 discard_alignment = 8;                  // sectors: a host page

Function::Identity identity(const block::Disk& disk, const Block::Options& options) {
    u64 features =
        feature(f_seg_max) | feature(f_blk_size) | feature(f_flush) | feature(f_topology) | feature(f_config_wce);
    if (options.read_only || disk.read_only())
        features |= feature(f_ro);
    else
        features |= feature(f_discard) | feature(f_write_zeroes);
    if (options.queues > 1) features |= feature(f_mq);
    return {DeviceId::block, "virtio-blk", features, std::vector<u16>(options.queues, options.queue_size)};
}

}  // namespace

Block::Block(const Wiring& wiring, std::unique_ptr<block::Disk> disk, const Options& options)
    : Function(wiring, identity(*disk, options)), options_(options), disk_(std::move(disk)) {
    store_le<u64>(&config_[c_capacity], disk_->size() / sector_size);
    store_le<u32>(&config_[c_seg_max], options.queue_size - 2u);
    store_le<u32>(&config_[c_blk_size], sector_size);
    config_[c_physical_block_exp] = 3;
    store_le<u16>(&config_[c_min_io_size], 8);
    store_le<u16>(&config_[c_num_queues], options.queues);
    if ((offered() & feature(f_ro)) == 0) {
        store_le<u32>(&config_[c_max_discard_sectors], discard_sectors);
        store_le<u32>(&config_[c_max_discard_seg], 1);
        store_le<u32>(&config_[c_discard_sector_alignment], discard_alignment);
        store_le<u32>(&config_[c_max_write_zeroes_sectors], write_zeroes_sectors);
        store_le<u32>(&config_[c_max_write_zeroes_seg], 1);
        config_[c_write_zeroes_may_unmap] = 1;
    }
    show_cache_mode();
}

Block::~Block() { drop_chains(); }

void Block::show_cache_mode() { config_[c_writeback] = writeback_; }

void Block::config_written(u32 offset, std::span<const u8> bytes) {
    if (offset != c_writeback || bytes.size() != 1 || !negotiated(f_config_wce)) return;
    writeback_ = (bytes[0] & 1) != 0;
    show_cache_mode();
}

// Whether a completed write may still be in the host's cache.
bool Block::cached() const {
    if (negotiated(f_config_wce)) return writeback_;
    return negotiated(f_flush);
}

void Block::device_reset() {
    writeback_ = true;
    show_cache_mode();
}

void Block::device_state(Archive& a) { a(1, "writeback", writeback_); }

void Block::device_restored() { show_cache_mode(); }

void Block::drop_chains() {
    disk_->abandon();
    for (auto& pending : pending_) pending->ticket = 0;
}

Block::Pending& Block::free_slot() {
    for (auto& pending : pending_)
        if (pending->ticket == 0) return *pending;
    Pending& added = *pending_.emplace_back(std::make_unique<Pending>());
    added.slot = pending_.size() - 1;
    return added;
}

void Block::notify(u16 queue) {
    u64 work = 0;
    while (work < work_per_notification) {
        Pending& pending = free_slot();
        if (!pop(queue, pending.chain)) return;
        pending.ticket = next_ticket_++;
        pending.queue = queue;
        pending.flush_after = false;
        work += std::max(start(pending), work_per_request);
    }
    later(queue);
}

bool Block::inside(u64 sector, u64 bytes) const {
    const u64 sectors = disk_->size() / sector_size;
    return bytes % sector_size == 0 && range_fits(sector, bytes / sector_size, sectors);
}

// Begins one request; it may be complete when this returns. Returns the number of bytes moved.
u64 Block::start(Pending& pending) {
    ChainReader reader(pending.chain);
    const auto type = reader.load<u32>();
    const auto reserved = reader.load<u32>();
    const auto sector = reader.load<u64>();
    if (!type || !reserved || !sector || pending.chain.writable_size() == 0) {
        pending.ticket = 0;
        needs_reset("a request without a whole header or without room for its status");
        return 0;
    }
    const bool changes = *type == type_out || *type == type_discard || *type == type_write_zeroes;
    if (changes && (offered() & feature(f_ro)) != 0) {
        answer(pending, Answer::io_error);
        return 0;
    }
    switch (*type) {
        case type_in: return transfer(pending, reader, block::Operation::read, *sector);
        case type_out: return transfer(pending, reader, block::Operation::write, *sector);
        case type_flush: submit(pending, block::Operation::flush, 0, 0); return 0;
        case type_get_id: give_serial(pending); return 0;
        case type_discard: clear_range(pending, reader, block::Operation::discard); return 0;
        case type_write_zeroes: clear_range(pending, reader, block::Operation::write_zeroes); return 0;
        default: answer(pending, Answer::unsupported); return 0;
    }
}

u64 Block::transfer(Pending& pending, ChainReader& reader, block::Operation operation, u64 sector) {
    const bool reads = operation == block::Operation::read;
    const u64 bytes = reads ? pending.chain.writable_size() - 1 : reader.remaining();
    if (bytes == 0 || bytes > longest_transfer || !inside(sector, bytes)) {
        log().guest("a request for {} bytes at sector {} is not possible", bytes, sector);
        answer(pending, Answer::io_error);
        return 0;
    }
    std::vector<std::span<u8>> segments;
    u64 left = bytes;
    u64 before = reads ? 0 : pending.chain.readable_size() - bytes;  // the header
    for (const Piece& piece : reads ? pending.chain.writable() : pending.chain.readable()) {
        const u64 skipped = std::min<u64>(before, piece.bytes.size());
        before -= skipped;
        const u64 part = std::min<u64>(left, piece.bytes.size() - skipped);
        left -= part;
        if (part != 0) segments.push_back(piece.bytes.subspan(skipped, part));
    }
    pending.flush_after = !reads && !cached();
    submit(pending, operation, sector * sector_size, bytes, std::move(segments));
    return bytes;
}

void Block::clear_range(Pending& pending, ChainReader& reader, block::Operation operation) {
    constexpr u32 flag_unmap = 1;
    const bool discards = operation == block::Operation::discard;
    const auto sector = reader.load<u64>();
    const auto sectors = reader.load<u32>();
    const auto flags = reader.load<u32>();
    if (!flags || reader.remaining() != 0) return answer(pending, Answer::io_error);  // exactly one segment
    if (*flags > flag_unmap || (discards && *flags != 0)) return answer(pending, Answer::unsupported);
    const u64 bytes = *sectors * sector_size;
    if (*sectors > (discards ? discard_sectors : write_zeroes_sectors) || !inside(*sector, bytes))
        return answer(pending, Answer::io_error);
    if (bytes == 0) return answer(pending, Answer::ok);
    pending.flush_after = !discards && !cached();
    submit(pending, operation, *sector * sector_size, bytes);
}

void Block::give_serial(Pending& pending) {
    std::array<u8, serial_size> serial{};
    std::copy_n(options_.serial.begin(), std::min(serial_size, options_.serial.size()), serial.begin());
    const u64 room = pending.chain.writable_size() - 1;
    ChainWriter writer(pending.chain);
    writer.write(std::span(serial).first(std::min<u64>(room, serial_size)));
    answer(pending, Answer::ok);
}

void Block::submit(Pending& pending, block::Operation operation, u64 offset, u64 length,
                   std::vector<std::span<u8>> segments) {
    disk_->submit(block::Request{operation, offset, length, std::move(segments),
                                 [this, slot = pending.slot, ticket = pending.ticket](block::Status status) {
                                     completed(slot, ticket, status);
                                 }});
}

void Block::completed(usize slot, u64 ticket, block::Status status) {
    Pending& pending = *pending_[slot];
    if (pending.ticket != ticket) return;  // of a time before a reset
    if (status == block::Status::ok && pending.flush_after) {
        pending.flush_after = false;
        return submit(pending, block::Operation::flush, 0, 0);
    }
    answer(pending, status == block::Status::ok            ? Answer::ok
                    : status == block::Status::unsupported ? Answer::unsupported
                                                           : Answer::io_error);
}

void Block::answer(Pending& pending, Answer answer) {
    pending.chain.writable().back().bytes.back() = static_cast<u8>(answer);
    pending.ticket = 0;
    push(pending.queue, pending.chain, pending.chain.writable_size());
}

Result<std::unique_ptr<Function>> make_block(DeviceSpec& spec, const Properties& properties, const Wiring& wiring) {
    Block::Options options;
    if (const auto serial = properties.text("serial")) options.serial = *serial;
    if (options.serial.size() > Block::serial_size)
        return properties.error("serial", fmt::format("is longer than {} characters", Block::serial_size));
    TRY_SET(options.read_only, properties.on_off("readonly", false));
    TRY_SET(const u64 queues, properties.number("num-queues", 1, 1, Function::most_queues));
    TRY_SET(const u64 size, properties.number("queue-size", options.queue_size, 4, Queue::largest));
    if (!is_power_of_two(size)) return properties.error("queue-size", "is not a power of two");
    options.queues = static_cast<u16>(queues);
    options.queue_size = static_cast<u16>(size);
    if (spec.disk == nullptr) return Error{fmt::format("{}: no disk is connected to it; use --disk FILE", spec.name)};
    return std::unique_ptr<Function>(std::make_unique<Block>(wiring, std::move(spec.disk), options));
}

}  // namespace viv::virtio
