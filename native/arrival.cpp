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
constexpr usize record_head = Arrival::record_head;

std::string folder_in(const std::string& cache) { return cache + "/arrivals"; }
std::string path_in(const std::string& cache, const Hash128& identity) {
    return folder_in(cache) + "/" + identity.hex();
}

// each(hash, bytes) for what is right. Returns how many bytes of the file that is.
template <class Each>
usize read_chunks(std::span<const u8> file, Each each) {
    if (file.size() < magic.size() || !std::equal(magic.begin(), magic.end(), file.begin())) return 0;
    auto rest = file.subspan(magic.size());
    while (rest.size() >= record_head) {
        const Hash128 hash{load_le<u64>(rest.data()), load_le<u64>(rest.data() + 8)};
        const u32 size = load_le<u32>(rest.data() + 16);
        const auto bytes = rest.subspan(record_head);
        if (size > bytes.size() || hash128(bytes.first(size)) != hash) break;
        each(hash, bytes.first(size));
        rest = bytes.subspan(size);
    }
    return file.size() - rest.size();
}

}  // namespace

KeptChunks kept_chunks(const std::string& cache, const Hash128& identity) {
    KeptChunks kept;
    auto file = read_file_if_present(path_in(cache, identity), Arrival::longest_pack);
    if (!file.ok() || !file.value()) return kept;
    kept.file = std::move(*file.value());
    kept.file.resize(read_chunks(kept.file, [&](const Hash128&, std::span<const u8>) { kept.count++; }));
    return kept;
}

Arrival::Arrival(std::unique_ptr<state::ChunkStore> from, const std::string& cache, const Hash128& identity)
    : from_(std::move(from)), cache_(cache), folder_(folder_in(cache)), path_(path_in(cache, identity)) {
    if (auto file = read_file_if_present(path_, longest_pack); file.ok() && file.value()) put_at_hand(*file.value());
}

void Arrival::put_at_hand(std::span<const u8> pack) {
    read_chunks(pack, [this](const Hash128& hash, std::span<const u8> bytes) {
        at_hand_.emplace(hash, std::vector<u8>(bytes.begin(), bytes.end()));
    });
}

void Arrival::bring(std::span<const u8> pack) {
    put_at_hand(pack);
    has_new_ = true;
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

KeptChunks Arrival::packed() const {
    KeptChunks all{{magic.begin(), magic.end()}, 0};
    const auto add = [&](const Hash128& hash, const std::vector<u8>& chunk) {
        std::array<u8, record_head> head;
        store_le(head.data(), hash.low);
        store_le(head.data() + 8, hash.high);
        store_le(head.data() + 16, static_cast<u32>(chunk.size()));
        all.file.insert(all.file.end(), head.begin(), head.end());
        all.file.insert(all.file.end(), chunk.begin(), chunk.end());
        all.count++;
    };
    for (const Chunk& chunk : fetched_) add(chunk.hash, chunk.bytes);
    // What another opening wanted may be wanted again.
    u64 size = fetched_bytes_;
    for (const auto& [hash, chunk] : at_hand_) {
        if (all.count == most_chunks || size + chunk.size() > most_bytes) break;
        size += chunk.size();
        add(hash, chunk);
    }
    return all;
}

void Arrival::keep() const {
    if (fetched_.empty()) return;
    std::error_code ignored;
    if (!has_new_) return fs::last_write_time(path_, fs::file_time_type::clock::now(), ignored);
    fs::create_directory(cache_, ignored);
    fs::create_directory(folder_, ignored);
    const auto sink = FileSink::create("", path_, FileSink::Readers::owner, FileSink::Durable::later);
    if (!sink.ok() || !(*sink)->write(packed().file).ok() || !(*sink)->finish().ok()) return;
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
