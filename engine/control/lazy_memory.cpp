// See lazy_memory.h.
#include "engine/control/lazy_memory.h"

#include <algorithm>
#include <cstring>

#include "engine/lang/check.h"

namespace viv {

namespace {

template <class Each>
void for_each_run(const SavedBytes& saved, Each each) {
    for (usize i = 0; i < saved.runs.size(); i += SavedBytes::numbers_in_run)
        each(saved.runs[i], saved.runs[i + 1], saved.runs[i + 2]);
}

// Memory that was never written is not touched: some hosts would have to find all of it first.
void discard_written(const GuestMemory::Region& region) {
    const u64 pages = region.size / page_size;
    for (u64 page = 0; page < pages;) {
        const u64 first = page;
        while (page < pages && !GuestMemory::unchanged(region, page)) page++;
        if (page != first) region.block->discard(first * page_size, (page - first) * page_size);
        while (page < pages && GuestMemory::unchanged(region, page)) page++;
    }
}

}  // namespace

LazyMemory::LazyMemory(GuestMemory& memory, state::FileReader reader, SavedTable table, host::Threads* threads,
                       Before before, std::function<void(const Error&)> failed)
    : memory_(memory), reader_(std::move(reader)), table_(std::move(table)), failed_(std::move(failed)) {
    if (threads != nullptr) mutex_ = threads->make_mutex();
    // Counting sort by stored page.
    first_place_.assign(table_.chunks.size() * table_.pages_in_chunk + 1, 0);
    u64 total = 0;
    for (const SavedBytes& region : table_.regions)
        for_each_run(region, [&](u32, u32 count, u32 stored) {
            for (u32 i = 0; i < count; i++) first_place_[stored + i + 1]++;
            total += count;
        });
    for (usize i = 1; i < first_place_.size(); i++) first_place_[i] += first_place_[i - 1];
    places_.resize(static_cast<usize>(total));
    auto next = first_place_;
    for (u32 index = 0; index < table_.regions.size(); index++) {
        const auto& region = *memory_.regions()[index];
        if (before == Before::zero_where_unchanged)
            discard_written(region);
        else
            region.block->discard(0, region.size);
        memory_.wrote(region.base, region.size);
        for (u64 page = 0; page < region.size / page_size; page++) memory_.note_unchanged(region, page);
        for_each_run(table_.regions[index], [&](u32 first, u32 count, u32 stored) {
            for (u32 i = 0; i < count; i++) {
                places_[next[stored + i]++] = {index, first + i};
                memory_.note_absent(region, first + i);
            }
        });
    }
    memory_.set_page_source(this);
}

LazyMemory::~LazyMemory() { memory_.set_page_source(nullptr); }

u32 LazyMemory::stored_of(usize region, u64 page) const {
    const auto& runs = table_.regions[region].runs;
    usize low = 0, high = runs.size() / SavedBytes::numbers_in_run;
    while (high - low > 1) {
        const usize middle = low + (high - low) / 2;
        (runs[middle * SavedBytes::numbers_in_run] <= page ? low : high) = middle;
    }
    const u32* run = &runs[low * SavedBytes::numbers_in_run];
    CHECK(page >= run[0] && page - run[0] < run[1], "an absent page that the file does not have");
    return run[2] + static_cast<u32>(page - run[0]);
}

void LazyMemory::fetch(usize region, u64 page) {
    host::Lock lock(mutex_.get());
    if (!GuestMemory::absent(*memory_.regions()[region], page)) return;
    fetch_chunk(stored_of(region, page) / table_.pages_in_chunk);
}

bool LazyMemory::fetch_more() {
    host::Lock lock(mutex_.get());
    const auto waits = [this](u32 chunk) {
        const auto from = places_.begin() + first_place_[chunk * table_.pages_in_chunk];
        const auto to = places_.begin() + first_place_[(chunk + 1) * table_.pages_in_chunk];
        return std::any_of(from, to, [this](const Place& place) {
            return GuestMemory::absent(*memory_.regions()[place.region], place.page);
        });
    };
    while (next_chunk_ < table_.chunks.size() && !waits(next_chunk_)) next_chunk_++;
    if (next_chunk_ == table_.chunks.size()) return false;
    fetch_chunk(next_chunk_++);
    return true;
}

void LazyMemory::fetch_chunk(u32 place) {
    const auto bytes = has_failed_ ? Result<std::span<const u8>>(Error{}) : reader_.read(table_.chunks[place]);
    if (!bytes.ok() && !std::exchange(has_failed_, true)) failed_(bytes.error());
    for (u32 i = 0; i < table_.pages_in_chunk; i++) {
        const u32 stored = place * table_.pages_in_chunk + i;
        for (u32 at = first_place_[stored]; at < first_place_[stored + 1]; at++) {
            const auto& region = *memory_.regions()[places_[at].region];
            const u64 page = places_[at].page;
            if (!GuestMemory::absent(region, page)) continue;
            if (bytes.ok())
                std::memcpy(region.host + page * page_size, bytes.value().data() + i * page_size, page_size);
            memory_.note_present(region, page);
        }
    }
}

}  // namespace viv
