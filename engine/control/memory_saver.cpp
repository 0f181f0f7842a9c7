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
constexpr usize usual_pages = 1 << 16;  // that differ
constexpr usize chunks_at_once = 2;     // so that handing them over costs little

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
    known_.reserve(usual_pages);
    for (const auto& region : memory_.regions()) stored_.emplace_back(static_cast<usize>(pages_of(*region)), zero_page);
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
    return is_zero(bytes) ? zero_page : store(bytes, hash128({bytes, page_size}));
}

u32 MemorySaver::store(const u8* bytes, const Hash128& hash) {
    const auto [known, fresh] = known_.emplace(hash, next_stored_);
    if (!fresh) return known->second;
    pages_.insert(pages_.end(), bytes, bytes + page_size);
    if (pages_.size() == chunks_at_once * saved_chunk_size) flush();
    return next_stored_++;
}

void MemorySaver::flush() {
    pipeline_.add(std::move(pages_));
    pages_ = pipeline_.buffer();
    pages_.reserve(chunks_at_once * saved_chunk_size);
}

void MemorySaver::finish() {
    if (!pages_.empty()) flush();
}

namespace {

// A page of a file; the last one is filled up with zeroes.
class PageOf {
public:
    PageOf(std::span<const u8> file, u64 page) {
        const auto from = file.subspan(static_cast<usize>(page * page_size));
        bytes_ = from.data();
        if (from.size() >= page_size) return;
        std::copy(from.begin(), from.end(), last_.begin());
        bytes_ = last_.data();
    }
    PageOf(const PageOf&) = delete;
    PageOf& operator=(const PageOf&) = delete;
    const u8* bytes() const { return bytes_; }

private:
    std::array<u8, page_size> last_{};
    const u8* bytes_;
};

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
    for (u64 page = 0; page < saved.pages(); page++) add_page(saved, page, PageOf(bytes, page).bytes());
    return saved;
}

void MemorySaver::add_page(SavedBytes& saved, u64 page, const u8* bytes) {
    if (const u32 stored = store(bytes); stored != zero_page) append_run(saved.runs, page, stored);
}

bool MemorySaver::step_loaded(Loaded& loaded, u64 most) {
    loaded.saved.size = loaded.file.size();
    const u64 pages = loaded.saved.pages();
    if (loaded.hashes.size() < pages) {
        for (; most != 0 && loaded.hashes.size() < pages; most--)
            loaded.hashes.push_back(hash128({PageOf(loaded.file, loaded.hashes.size()).bytes(), page_size}));
        if (loaded.hashes.size() == pages) find(loaded);
        return true;
    }
    for (; most != 0 && loaded.next < pages; most--, loaded.next++) {
        const PageOf page(loaded.file, loaded.next);
        if (is_zero(page.bytes())) continue;
        const Hash128& hash = loaded.hashes[static_cast<usize>(loaded.next)];
        const u8* base = known_.contains(hash) ? nullptr : as_loaded(loaded, loaded.next);
        if (base == nullptr || !alike(page.bytes(), base)) {
            append_run(loaded.saved.runs, loaded.next, store(page.bytes(), hash));
            continue;
        }
        std::array<u8, page_size> difference;
        for (usize i = 0; i < page_size; i++) difference[i] = page.bytes()[i] ^ base[i];
        append_run(loaded.saved.runs, loaded.next, store(difference.data()));
        append_run(loaded.saved.bases, loaded.next, store(base));
    }
    return loaded.next < pages;
}

// Where most of its pages are that are in memory as they are in the file.
void MemorySaver::find(Loaded& loaded) const {
    std::unordered_map<u32, u32> pages;  // of the file, by what is stored; of equal ones the last
    for (u32 page = 0; page < loaded.hashes.size(); page++)
        if (const auto found = known_.find(loaded.hashes[page]); found != known_.end()) pages[found->second] = page;
    u32 most = 0;
    for (const auto& region : memory_.regions()) {
        const auto& stored = stored_[region->index];
        std::unordered_map<i64, u32> votes;
        for (usize page = 0; page < stored.size(); page++) {
            if (stored[page] == zero_page) continue;
            const auto found = pages.find(stored[page]);
            if (found == pages.end()) continue;
            const i64 distance = static_cast<i64>(page) - i64{found->second};
            if (++votes[distance] <= most) continue;
            most = votes[distance];
            loaded.region = region.get();
            loaded.distance = distance;
        }
    }
}

// The page of memory that was this one of the file, if it is still as it has been stored.
const u8* MemorySaver::as_loaded(const Loaded& loaded, u64 page) const {
    if (loaded.region == nullptr) return nullptr;
    const i64 at = static_cast<i64>(page) + loaded.distance;
    if (at < 0 || static_cast<u64>(at) >= pages_of(*loaded.region)) return nullptr;
    const bool as_stored = stored_[loaded.region->index][static_cast<usize>(at)] != zero_page &&
                           GuestMemory::unchanged(*loaded.region, static_cast<u64>(at));
    return as_stored ? loaded.region->host + at * static_cast<i64>(page_size) : nullptr;
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
