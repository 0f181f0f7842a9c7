// Chunks that came from a web server, kept with this user's caches: what has been fetched once need not be fetched
// again. Promises: what is found has its hash; what cannot be read is not there, and what cannot be written is not
// kept. Chunks of one server's folder are not given for those of another: XXH3 does not protect against somebody who
// makes chunks with equal hashes on purpose. All folders together hold at most about `limit` bytes, those that were
// used last.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/lang/hash.h"
#include "engine/lang/result.h"

namespace viv::native {

// All calls may come from any thread.
class ChunkCache {
public:
    static constexpr u64 usual_limit = u64{2} << 30;  // bytes

    // `cache`: the folder of this user's caches, empty: nothing is kept; `origin`: the URL of the folder of chunks.
    ChunkCache(const std::string& cache, const std::string& origin, u64 limit = usual_limit);

    std::optional<std::vector<u8>> find(const Hash128& hash, usize size) const;
    void keep(const Hash128& hash, const std::vector<u8>& bytes);

private:
    void make_room();

    std::string all_, folder_;  // folder_ empty: nothing is kept
    u64 limit_;
    std::mutex mutex_;
    u64 kept_ = 0;  // bytes since make_room()
};

}  // namespace viv::native
