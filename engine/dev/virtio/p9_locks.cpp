// A flat list: guests hold a handful of locks, and the bound keeps the worst case small.
#include "engine/dev/virtio/p9_locks.h"

#include <algorithm>

namespace viv::virtio::p9 {

namespace {

bool overlap(const RecordLock& a, const RecordLock& b) { return a.first <= b.last && b.first <= a.last; }

bool touch(const RecordLock& a, const RecordLock& b) {
    return overlap(a, b) || (a.last != ~u64{0} && a.last + 1 == b.first) ||
           (b.last != ~u64{0} && b.last + 1 == a.first);
}

}  // namespace

void RecordLock::state(Archive& a) {
    a(1, "type", type, static_cast<u64>(LockType::write));
    a(2, "file", file);
    a(3, "first", first);
    a(4, "last", last);
    a(5, "process", process);
    a.text(6, "client", client, LockTable::maximum_client);
    a(7, "fid", fid);
    a.require(first <= last, "last", "lies before the first byte");
}

const RecordLock* LockTable::conflict(const RecordLock& wanted) const {
    for (const RecordLock& lock : locks_)
        if (lock.file == wanted.file && overlap(lock, wanted) && !lock.same_owner(wanted) &&
            (lock.type == LockType::write || wanted.type == LockType::write))
            return &lock;
    return nullptr;
}

LockStatus LockTable::apply(const RecordLock& wanted) {
    if (wanted.client.size() > maximum_client || wanted.first > wanted.last) return LockStatus::error;
    if (wanted.type != LockType::unlock && conflict(wanted) != nullptr) return LockStatus::blocked;
    std::vector<RecordLock> next;
    next.reserve(locks_.size() + 2);
    RecordLock merged = wanted;
    for (const RecordLock& lock : locks_) {
        const bool ours = lock.file == wanted.file && lock.same_owner(wanted);
        if (ours && lock.type == wanted.type && touch(lock, wanted)) {
            merged.first = std::min(merged.first, lock.first);
            merged.last = std::max(merged.last, lock.last);
        } else if (ours && overlap(lock, wanted)) {
            if (lock.first < wanted.first) {
                next.push_back(lock);
                next.back().last = wanted.first - 1;
            }
            if (lock.last > wanted.last) {
                next.push_back(lock);
                next.back().first = wanted.last + 1;
            }
        } else {
            next.push_back(lock);
        }
    }
    if (wanted.type != LockType::unlock) next.push_back(merged);
    if (next.size() > maximum_locks) return LockStatus::error;
    locks_ = std::move(next);
    return LockStatus::success;
}

void LockTable::release(u32 fid) {
    std::erase_if(locks_, [&](const RecordLock& lock) { return lock.fid == fid; });
}

void LockTable::state(Archive& a) { a.list(1, "locks", locks_, maximum_locks); }

}  // namespace viv::virtio::p9
