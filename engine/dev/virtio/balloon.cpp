// The balloon's queues: page numbers to inflate and deflate, statistics records, reports of free pages. See balloon.h.
#include "engine/dev/virtio/balloon.h"

#include "engine/dev/virtio/create.h"

namespace viv::virtio {

namespace {

enum Feature : unsigned { f_stats_vq = 1, f_deflate_on_oom = 2, f_reporting = 5 };

constexpr u16 inflate_queue = 0, deflate_queue = 1, statistics_queue = 2;
constexpr u16 queue_size = 128;
constexpr usize c_num_pages = 0, c_actual = 4;
constexpr unsigned page_shift = 12;
constexpr u64 page = u64{1} << page_shift;
constexpr unsigned chains_per_notification = 32;
constexpr unsigned pages_per_chain = 1024;
constexpr usize statistic_records = 64;  // read from one buffer

Function::Identity identity(const Balloon::Options& options) {
    u64 features = feature(f_stats_vq);
    std::vector<u16> queues(3, queue_size);
    if (options.deflate_on_oom) features |= feature(f_deflate_on_oom);
    if (options.free_page_reporting) {
        features |= feature(f_reporting);
        queues.push_back(queue_size);
    }
    return {DeviceId::balloon, "virtio-balloon", features, std::move(queues)};
}

}  // namespace

Balloon::Balloon(const Wiring& wiring, const Options& options) : Function(wiring, identity(options)) {}

void Balloon::show() {
    store_le<u32>(&config_[c_num_pages], target_);
    store_le<u32>(&config_[c_actual], actual_);
}

void Balloon::set_target(u32 pages) {
    if (pages == target_) return;
    target_ = pages;
    show();
    config_changed();
}

std::optional<u64> Balloon::statistic(usize tag) const {
    if (tag >= statistic_count || !bit(known_statistics_, static_cast<unsigned>(tag))) return std::nullopt;
    return statistics_[tag];
}

bool Balloon::request_statistics() {
    if (!holding_ || !running()) return false;
    holding_ = false;
    push(statistics_queue, statistics_chain_, 0);
    return true;
}

void Balloon::config_written(u32 offset, std::span<const u8> bytes) {
    if (offset != c_actual || bytes.size() != 4) return;
    actual_ = load_le<u32>(bytes.data());
    show();
}

void Balloon::device_reset() {
    actual_ = 0;
    known_statistics_ = 0;
    statistics_ = {};
    show();
}

void Balloon::device_state(Archive& a) {
    a(1, "target", target_);
    a(2, "actual", actual_);
    a(3, "statistics", statistics_);
    a(4, "known_statistics", known_statistics_, low_mask(statistic_count));
}

void Balloon::device_restored() { show(); }

void Balloon::notify(u16 queue) {
    switch (queue) {
        case inflate_queue:
        case deflate_queue: return take_pages(queue);
        case statistics_queue: return take_statistics();
        default: return take_reports();
    }
}

void Balloon::take_pages(u16 queue) {
    Chain chain;
    for (unsigned i = 0; i < chains_per_notification; i++) {
        if (!pop(queue, chain)) return;
        // Deflated pages need nothing: they read as zero and come back to the guest when touched.
        if (queue == inflate_queue) inflate(chain);
        push(queue, chain, 0);
    }
    later(queue);
}

void Balloon::inflate(const Chain& chain) {
    ChainReader reader(chain);
    u64 start = 0, size = 0;  // a run of neighbouring pages
    for (unsigned i = 0; i < pages_per_chain; i++) {
        const auto number = reader.load<u32>();
        if (!number) break;
        const u64 address = u64{*number} << page_shift;
        if (size == 0 || address != start + size) {
            discard(start, size);
            start = address;
            size = 0;
        }
        size += page;
    }
    discard(start, size);
}

void Balloon::take_reports() {
    const u16 queue = static_cast<u16>(queue_count() - 1);
    Chain chain;
    for (unsigned i = 0; i < chains_per_notification; i++) {
        if (!pop(queue, chain)) return;
        for (const Piece& piece : chain.writable()) {
            const u64 start = align_up(piece.address, page), end = align_down(piece.address + piece.bytes.size(), page);
            if (start < end) discard(start, end - start);
        }
        push(queue, chain, 0);
    }
    later(queue);
}

// A range that is not RAM as a whole is tried page by page.
void Balloon::discard(u64 address, u64 size) {
    if (size == 0) return;
    const auto* region = dma().memory().find(address, size);
    if (region != nullptr && region->kind == GuestMemory::Kind::ram) {
        region->block->discard(address - region->base, size);
        dma().wrote(address, size);
    } else if (size == page) {
        log().guest("page {:#x} is not RAM", address);
    } else {
        for (u64 at = 0; at < size; at += page) discard(address + at, page);
    }
}

void Balloon::take_statistics() {
    for (unsigned i = 0; i < chains_per_notification; i++) {
        if (holding_) return;
        if (!pop(statistics_queue, statistics_chain_)) return;
        holding_ = true;
        ChainReader reader(statistics_chain_);
        for (usize record = 0; record < statistic_records; record++) {
            const auto tag = reader.load<u16>();
            const auto value = reader.load<u64>();
            if (!value) break;
            if (*tag >= statistic_count) continue;
            statistics_[*tag] = *value;
            known_statistics_ |= u32{1} << *tag;
        }
    }
}

Result<std::unique_ptr<Function>> make_balloon(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    Balloon::Options options;
    TRY_SET(options.deflate_on_oom, properties.on_off("deflate-on-oom", false));
    TRY_SET(options.free_page_reporting, properties.on_off("free-page-reporting", options.free_page_reporting));
    return std::unique_ptr<Function>(std::make_unique<Balloon>(wiring, options));
}

}  // namespace viv::virtio
