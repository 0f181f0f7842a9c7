// Changed pages are found by their flags, copied, and known by the hash of their content. See memory_saver.h.
#include "engine/control/memory_saver.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/lang/bytes.h"

namespace viv {

namespace {

bool is_zero(const u8* page) {
    return load_host<u64>(page) == 0 && std::memcmp(page, page + sizeof(u64), page_size - sizeof(u64)) == 0;
}

constexpr usize most_numbers = usize{1} << 28;

void append_run(std::vector<u32>& runs, u64 page, u32 stored) {
    if (!runs.empty()) {
        const u32 first = runs[runs.size() - 3], first_stored = runs[runs.size() - 1];
        u32& count = runs[runs.size() - 2];
        if (first + count == page && first_stored + count == stored) {
            count++;
            return;
        }
    }
    runs.insert(runs.end(), {static_cast<u32>(page), 1, stored});
}

u64 pages_of(const GuestMemory::Region& region) { return region.size / page_size; }

}  // namespace

void SavedBytes::state(Archive& a) {
    a(1, "size", size);
    a.numbers(2, "runs", runs, most_numbers);
    a.require(runs.size() % numbers_in_run == 0, "runs", "has a broken length");
    a.numbers(3, "bases", bases, most_numbers);
    a.require(bases.size() % numbers_in_run == 0, "bases", "has a broken length");
}

MemorySaver::MemorySaver(GuestMemory& memory, std::span<Cpu* const> cpus, ChunkPipeline& pipeline)
    : memory_(memory), cpus_(cpus), pipeline_(pipeline) {
    for (const auto& region : memory_.regions())
        stored_.emplace_back(static_cast<usize>(pages_of(*region)), zero_page);
}

// That a page is unchanged means to the next one that it is zero.
MemorySaver::~MemorySaver() {
    for (usize i = 0; i < stored_.size(); i++)
        for (usize page = 0; page < stored_[i].size(); page++)
            if (stored_[i][page] != zero_page) memory_.note_changed(*memory_.regions()[i], page);
}

bool MemorySaver::step(u64 most) {
    struct Place {
        usize region;
        u64 page;
    };
    std::vector<Place> places;
    const auto& regions = memory_.regions();
    const auto look_at = [&](usize index, u64 from, u64 to) {
        u64 page = from;
        for (; page < to && places.size() < most; page++) {
            if (GuestMemory::unchanged(*regions[index], page)) continue;
            memory_.note_unchanged(*regions[index], page);
            places.push_back({index, page});
        }
        region_ = index;
        page_ = page;
    };
    // Once round, from where the last one ended.
    const usize first = region_;
    const u64 first_page = page_;
    for (usize i = 0; i <= regions.size() && places.size() < most; i++) {
        const usize index = (first + i) % regions.size();
        look_at(index, i == 0 ? first_page : 0, i == regions.size() ? first_page : pages_of(*regions[index]));
    }
    if (places.empty()) return false;
    for (Cpu* cpu : cpus_) cpu->pages_noted();
    for (const auto& [region, page] : places) {
        memory_.make_present(*regions[region], page * page_size, page_size);
        stored_[region][static_cast<usize>(page)] = store(regions[region]->host + page * page_size);
    }
    taken_ += places.size();
    return places.size() == most;
}

u32 MemorySaver::store(const u8* bytes) {
    if (is_zero(bytes)) return zero_page;
    const auto [known, fresh] = known_.emplace(hash128({bytes, page_size}), next_stored_);
    if (!fresh) return known->second;
    chunk_.insert(chunk_.end(), bytes, bytes + page_size);
    if (chunk_.size() == pages_in_chunk * page_size) flush_chunk();
    return next_stored_++;
}

void MemorySaver::flush_chunk() {
    chunks_.push_back(pipeline_.add(std::move(chunk_)));
    chunk_.clear();
    chunk_.reserve(pages_in_chunk * page_size);
}

void MemorySaver::finish() {
    step(~u64{0});
    if (!chunk_.empty()) flush_chunk();
}

namespace {

// Calls `each` with every page; the last one is filled up with zeroes.
template <class Each>
void for_each_page(std::span<const u8> bytes, Each each) {
    std::array<u8, page_size> last{};
    for (u64 page = 0; page * page_size < bytes.size(); page++) {
        auto from = bytes.subspan(static_cast<usize>(page * page_size));
        if (from.size() < page_size) {
            std::copy(from.begin(), from.end(), last.begin());
            from = last;
        }
        each(page, from.data());
    }
}

// Most of the two is the same.
bool alike(const u8* one, const u8* other) {
    constexpr usize block = 64;
    usize same = 0;
    for (usize at = 0; at < page_size; at += block) same += std::memcmp(one + at, other + at, block) == 0 ? 1 : 0;
    return same >= page_size / block / 2;
}

}  // namespace

SavedBytes MemorySaver::add(std::span<const u8> bytes) {
    SavedBytes saved;
    saved.size = bytes.size();
    for_each_page(bytes, [&](u64 page, const u8* from) {
        if (const u32 stored = store(from); stored != zero_page) append_run(saved.runs, page, stored);
    });
    return saved;
}

const u32* MemorySaver::known(const u8* page) const {
    const auto found = known_.find(hash128({page, page_size}));
    return found == known_.end() ? nullptr : &found->second;
}

// Where most of its pages are that are in memory as they are in the file.
MemorySaver::Loaded MemorySaver::find_loaded(std::span<const u8> file) const {
    const auto& regions = memory_.regions();
    const GuestMemory::Region* ram = nullptr;
    for (const auto& region : regions)
        if (region->kind == GuestMemory::Kind::ram && (ram == nullptr || region->size > ram->size)) ram = region.get();
    if (ram == nullptr) return {};
    const auto& stored = stored_[ram->index];
    std::unordered_map<u32, u32> pages;  // by what is stored; of equal ones the last
    for (u32 page = 0; page < stored.size(); page++)
        if (stored[page] != zero_page) pages[stored[page]] = page;
    std::unordered_map<i64, u32> votes;
    i64 best = 0;
    for_each_page(file, [&](u64 page, const u8* from) {
        const u32* number = is_zero(from) ? nullptr : known(from);
        const auto place = number == nullptr ? pages.end() : pages.find(*number);
        if (place == pages.end()) return;
        const i64 distance = i64{place->second} - static_cast<i64>(page);
        if (++votes[distance] > votes[best]) best = distance;
    });
    return votes.empty() ? Loaded{} : Loaded{ram, best};
}

SavedBytes MemorySaver::add_loaded(std::span<const u8> file) {
    const Loaded loaded = find_loaded(file);
    SavedBytes saved;
    saved.size = file.size();
    // The page of memory that was this one of the file, if it is still as it has been stored.
    const auto altered = [&](u64 page) -> const u8* {
        if (loaded.region == nullptr) return nullptr;
        const i64 at = static_cast<i64>(page) + loaded.distance;
        if (at < 0 || static_cast<u64>(at) >= pages_of(*loaded.region)) return nullptr;
        const bool as_stored = stored_[loaded.region->index][static_cast<usize>(at)] != zero_page &&
                               GuestMemory::unchanged(*loaded.region, static_cast<u64>(at));
        return as_stored ? loaded.region->host + at * static_cast<i64>(page_size) : nullptr;
    };
    for_each_page(file, [&](u64 page, const u8* from) {
        if (is_zero(from)) return;
        const u8* base = known(from) == nullptr ? altered(page) : nullptr;
        if (base == nullptr || !alike(from, base)) return append_run(saved.runs, page, store(from));
        std::array<u8, page_size> difference;
        for (usize i = 0; i < page_size; i++) difference[i] = from[i] ^ base[i];
        append_run(saved.runs, page, store(difference.data()));
        append_run(saved.bases, page, *known(base));
    });
    return saved;
}

std::vector<SavedBytes> MemorySaver::regions() const {
    std::vector<SavedBytes> all;
    for (const auto& stored : stored_) {
        SavedBytes& region = all.emplace_back();
        region.size = stored.size() * page_size;
        for (usize page = 0; page < stored.size(); page++)
            if (stored[page] != zero_page) append_run(region.runs, page, stored[page]);
    }
    return all;
}

}  // namespace viv
