// Compresses the chunks of a saved machine on threads of its own and writes them, in the order in which they came.
// Promises: the file does not depend on who was faster; at most `most_waiting` bytes wait; after an error of the sink
// everything else is dropped, and the error is the result. Without threads each call does the work itself. All members
// are for one thread. Buffers go round, since memory that is new is slow: the host clears it page by page.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/host/threads.h"
#include "engine/state/file.h"

namespace viv {

class ChunkPipeline {
public:
    static constexpr u64 most_waiting = u64{64} << 20;
    static constexpr u64 enough_waiting = u64{16} << 20;  // bytes, more than are compressed during a slice

    // `threads` may be null. Chunks have `chunk_size` bytes, but for the last ones of a call of add().
    ChunkPipeline(state::FileWriter& writer, usize chunk_size, host::Threads* threads);
    // What has not been finished is dropped.
    ~ChunkPipeline();
    ChunkPipeline(const ChunkPipeline&) = delete;
    ChunkPipeline& operator=(const ChunkPipeline&) = delete;

    // Some chunks, one behind the other; waits while too much is waiting.
    void add(std::vector<u8> plain);
    // An empty buffer for add().
    std::vector<u8> buffer();
    // Whether the threads could soon have nothing to do: whoever can wait adds only then.
    bool wants_more() const;

    // Behind all chunks: `work` is called, on some thread, with the chunks' numbers in the file in the order of add().
    using Numbers = std::vector<u32>;
    void finish(std::function<Result<void>(const Numbers&)> work);
    // After finish(): the result, once there is one.
    std::optional<Result<void>> result() const;
    void wait();  // until there is

private:
    void work(host::Threads& threads);
    using Packed = std::vector<state::PackedChunk>;  // of one call of add()
    Packed pack(state::ChunkPacker& packer, std::span<const u8> plain) const;
    bool take(std::vector<u8>& plain, u64& number);
    void give_back(std::vector<u8> buffer);
    void write_ready();

    state::FileWriter& writer_;
    usize chunk_size_;
    std::unique_ptr<host::Mutex> mutex_;  // of all that follows; null without threads
    std::unique_ptr<host::Condition> changed_;
    std::map<u64, std::vector<u8>> waiting_;
    std::map<u64, Packed> packed_;  // until those before are written
    std::vector<std::vector<u8>> spare_;
    u64 waiting_bytes_ = 0, added_ = 0, written_ = 0;
    bool writing_ = false, stopping_ = false;
    Numbers numbers_;
    std::function<Result<void>(const Numbers&)> last_;
    std::optional<Error> problem_;
    std::optional<Result<void>> result_;
    state::ChunkPacker own_;                              // without threads
    std::vector<std::unique_ptr<host::Thread>> workers_;  // the last member: they use the others
};

}  // namespace viv
