// What an opened machine fetched from afar first, kept with this user's caches by the machine's identity: the next
// opening has it at hand and asks the server only for what is new. Promises: what is kept is checked by its hash before
// it is used; what cannot be read is not there, and what cannot be written is not kept; at most `most_machines` files
// of at most `most_chunks` chunks and `most_bytes` bytes, the ones that were used last.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/state/file.h"

namespace viv::native {

// What is kept of a machine: the file of it, up to the first record that is not right; count 0: nothing.
struct KeptChunks {
    std::vector<u8> file;
    u64 count = 0;
};

class Arrival final : public state::ChunkStore {
public:
    static constexpr usize most_machines = 64, most_chunks = 1024;
    static constexpr u64 most_bytes = u64{16} << 20;
    static constexpr usize record_head = 20;  // bytes before those of each chunk in a file of them
    static constexpr u64 longest_pack = most_bytes + (most_chunks + 1) * record_head;

    // Between an opened machine and `from`. `cache` is the folder of this user's caches.
    Arrival(std::unique_ptr<state::ChunkStore> from, const std::string& cache, const Hash128& identity);
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override;
    // Nothing is at hand: neither kept, nor brought.
    bool is_first() const { return at_hand_.empty(); }
    // A pack that comes from afar: the file of KeptChunks.
    void bring(std::span<const u8> pack);
    // Writes what has been fetched so far, if the next opening would gain by it. Not while the machine runs.
    void keep() const;
    // The same as it would be kept.
    KeptChunks packed() const;

private:
    struct HashOfHash {
        usize operator()(const Hash128& hash) const { return static_cast<usize>(hash.low); }
    };
    struct Chunk {
        Hash128 hash;
        std::vector<u8> bytes;
    };
    void put_at_hand(std::span<const u8> pack);
    void make_room() const;

    std::unique_ptr<state::ChunkStore> from_;
    std::string cache_, folder_, path_;
    std::unordered_map<Hash128, std::vector<u8>, HashOfHash> at_hand_;  // kept, and not yet fetched by the machine
    std::vector<Chunk> fetched_;                                        // in this order
    u64 fetched_bytes_ = 0;
    bool has_new_ = false;  // not all of it has been kept before
};

// What is kept of this machine in `cache`.
KeptChunks kept_chunks(const std::string& cache, const Hash128& identity);

// Puts one between a source that is far and its chunks; null if the source is near.
std::shared_ptr<Arrival> remember_arrival(const std::shared_ptr<state::Source>& source, const std::string& cache,
                                          const Hash128& identity);

}  // namespace viv::native
