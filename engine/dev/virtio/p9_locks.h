// POSIX record locks of one share, granted among the processes of its guest. The host's own locks are neither taken nor
// seen. Promises: fcntl(2) semantics for an owner (client, process): its new lock replaces, splits or joins its old
// ones; two owners conflict where ranges overlap and one of them writes. The number of locks is bounded; beyond it the
// answer is an error, never a lost lock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/state/archive.h"

namespace viv::virtio::p9 {

enum class LockType : u8 { read = 0, write = 1, unlock = 2 };
enum class LockStatus : u8 { success = 0, blocked = 1, error = 2 };

struct RecordLock {
    LockType type = LockType::read;
    u64 file = 0;   // the qid's path
    u64 first = 0;  // byte range, both ends included; `last` is ~0 for "to the end"
    u64 last = ~u64{0};
    u32 process = 0;
    std::string client;
    u32 fid = 0;  // the one it was made through
    bool same_owner(const RecordLock& other) const { return process == other.process && client == other.client; }
    void state(Archive& a);
};

class LockTable {
public:
    static constexpr usize maximum_locks = 4096;
    static constexpr usize maximum_client = 255;

    // Takes, changes or gives back a lock.
    LockStatus apply(const RecordLock& wanted);
    // The first lock of somebody else that `wanted` would have to wait for, or null.
    const RecordLock* conflict(const RecordLock& wanted) const;
    // The fid is gone, and with it what was locked through it.
    void release(u32 fid);
    void clear() { locks_.clear(); }
    usize size() const { return locks_.size(); }
    void state(Archive& a);

private:
    std::vector<RecordLock> locks_;
};

}  // namespace viv::virtio::p9
