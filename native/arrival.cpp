// Kept chunks. See arrival.h. A file of them: the magic number, then for each u64 and u64 of its XXH3-128 (low half
// first), u32 size and its bytes as they are stored, little endian; what follows a record that is not right is not
// used.
#include "native/arrival.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "engine/lang/bytes.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

namespace fs = std::filesystem;

constexpr std::array<u8, 8> magic{'V', 'I', 'V', 'C', 'H', 'N', 'K', '1'};
constexpr usize record_head = 20;

std::string folder_in(const std::string& cache) { return cache + "/arrivals"; }
std::string path_in(const std::string& cache, const Hash128& identity) {
    return folder_in(cache) + "/" + identity.hex();
}

// each(hash, bytes) for what is right.
template <class Each>
KeptChunks read_chunks(const std::string& path, Each each) {
    KeptChunks kept;
    const u64 limit = magic.size() + Arrival::most_bytes + Arrival::most_chunks * record_head;
    auto file = read_file_if_present(path, limit);
    if (!file.ok() || !file.value()) return kept;
    kept.file = std::move(*file.value());
    std::span<const u8> rest(kept.file);
    if (rest.size() < magic.size() || !std::equal(magic.begin(), magic.end(), rest.begin())) return {};
    rest = rest.subspan(magic.size());
    while (rest.size() >= record_head) {
        const Hash128 hash{load_le<u64>(rest.data()), load_le<u64>(rest.data() + 8)};
        const u32 size = load_le<u32>(rest.data() + 16);
        const auto bytes = rest.subspan(record_head);
        if (size > bytes.size() || hash128(bytes.first(size)) != hash) break;
        each(hash, bytes.first(size));
        kept.count++;
        rest = bytes.subspan(size);
    }
    kept.file.resize(kept.file.size() - rest.size());
    return kept;
}

}  // namespace

KeptChunks kept_chunks(const std::string& cache, const Hash128& identity) {
    return read_chunks(path_in(cache, identity), [](const Hash128&, std::span<const u8>) {});
}

Arrival::Arrival(std::unique_ptr<state::ChunkStore> from, const std::string& cache, const Hash128& identity)
    : from_(std::move(from)), cache_(cache), folder_(folder_in(cache)), path_(path_in(cache, identity)) {
    read();
}

void Arrival::read() {
    read_chunks(path_, [this](const Hash128& hash, std::span<const u8> bytes) {
        at_hand_.emplace(hash, std::vector<u8>(bytes.begin(), bytes.end()));
    });
}

Result<void> Arrival::fetch(const Hash128& hash, std::span<u8> out) {
    const auto found = at_hand_.find(hash);
    const bool kept = found != at_hand_.end() && found->second.size() == out.size();
    if (kept)
        std::copy(found->second.begin(), found->second.end(), out.begin());
    else
        TRY(from_->fetch(hash, out));
    if (fetched_.size() == most_chunks || fetched_bytes_ + out.size() > most_bytes) return {};
    fetched_bytes_ += out.size();
    fetched_.push_back({hash, kept ? std::move(found->second) : std::vector<u8>(out.begin(), out.end())});
    if (kept)
        at_hand_.erase(found);
    else
        has_new_ = true;
    return {};
}

void Arrival::keep() const {
    if (fetched_.empty()) return;
    std::error_code ignored;
    if (!has_new_) return fs::last_write_time(path_, fs::file_time_type::clock::now(), ignored);
    fs::create_directory(cache_, ignored);
    fs::create_directory(folder_, ignored);
    std::vector<u8> bytes(magic.begin(), magic.end());
    const auto add = [&](const Hash128& hash, const std::vector<u8>& chunk) {
        std::array<u8, record_head> head;
        store_le(head.data(), hash.low);
        store_le(head.data() + 8, hash.high);
        store_le(head.data() + 16, static_cast<u32>(chunk.size()));
        bytes.insert(bytes.end(), head.begin(), head.end());
        bytes.insert(bytes.end(), chunk.begin(), chunk.end());
    };
    for (const Chunk& chunk : fetched_) add(chunk.hash, chunk.bytes);
    // What another opening wanted may be wanted again.
    usize count = fetched_.size();
    u64 size = fetched_bytes_;
    for (const auto& [hash, chunk] : at_hand_) {
        if (count == most_chunks || size + chunk.size() > most_bytes) break;
        count++;
        size += chunk.size();
        add(hash, chunk);
    }
    const auto sink = FileSink::create("", path_, FileSink::Readers::owner, FileSink::Durable::later);
    if (!sink.ok() || !(*sink)->write(bytes).ok() || !(*sink)->finish().ok()) return;
    make_room();
}

void Arrival::make_room() const {
    std::error_code ignored;
    std::vector<std::pair<fs::file_time_type, fs::path>> files;
    for (fs::directory_iterator at(folder_, ignored), end; !ignored && at != end; at.increment(ignored))
        files.emplace_back(at->last_write_time(ignored), at->path());
    if (files.size() <= most_machines) return;
    std::sort(files.begin(), files.end());
    files.resize(files.size() - most_machines);
    for (const auto& [time, path] : files) fs::remove(path, ignored);
}

std::shared_ptr<Arrival> remember_arrival(const std::shared_ptr<state::Source>& source, const std::string& cache,
                                          const Hash128& identity) {
    if (source->reach == state::Source::Reach::near) return nullptr;
    auto arrival = std::make_unique<Arrival>(std::move(source->chunks), cache, identity);
    Arrival* const made = arrival.get();
    source->chunks = std::move(arrival);
    return {source, made};  // the source owns it
}

}  // namespace viv::native
