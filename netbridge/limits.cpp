// Buckets and the table of addresses. See limits.h.
#include "netbridge/limits.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include "engine/lang/check.h"

namespace viv::netbridge {

void TokenBucket::fill(u64 now_ns) {
    if (now_ns <= filled_at_ns_) return;
    level_ += static_cast<double>(now_ns - filled_at_ns_) * 1e-9 * static_cast<double>(rate_.per_second);
    level_ = std::min(level_, static_cast<double>(rate_.burst));
    filled_at_ns_ = now_ns;
}

void TokenBucket::take(u64 amount, u64 now_ns) {
    if (rate_.per_second == 0) return;
    fill(now_ns);
    level_ -= static_cast<double>(amount);
}

bool TokenBucket::try_take(u64 amount, u64 now_ns) {
    if (rate_.per_second == 0) return true;
    fill(now_ns);
    if (level_ < static_cast<double>(amount)) return false;
    level_ -= static_cast<double>(amount);
    return true;
}

u64 TokenBucket::wait_ns(u64 now_ns) {
    if (rate_.per_second == 0) return 0;
    fill(now_ns);
    if (level_ >= 0) return 0;
    return static_cast<u64>(std::ceil(-level_ * 1e9 / static_cast<double>(rate_.per_second)));
}

bool TokenBucket::full(u64 now_ns) {
    if (rate_.per_second == 0) return true;
    fill(now_ns);
    return level_ >= static_cast<double>(rate_.burst);
}

AddressTable::Answer AddressTable::enter(const Address& from, u64 now_ns, Usage*& usage) {
    if (connections_ >= limits_.connections) return Answer::too_many;
    const auto place = from.place();
    auto found = table_.find(place);
    if (found == table_.end()) {
        if (table_.size() >= most_addresses) tidy(now_ns);
        if (table_.size() >= most_addresses) return Answer::too_many;
        found = table_.try_emplace(place, limits_, now_ns).first;
    }
    if (found->second.connections >= limits_.connections_per_address) return Answer::too_many_here;
    if (!found->second.attempts.try_take(1, now_ns)) return Answer::too_often;
    found->second.connections++;
    connections_++;
    usage = &found->second;
    return Answer::welcome;
}

void AddressTable::leave(const Address& from) {
    const auto found = table_.find(from.place());
    CHECK(found != table_.end() && found->second.connections > 0 && connections_ > 0);
    found->second.connections--;
    connections_--;
}

void AddressTable::tidy(u64 now_ns) {
    for (auto each = table_.begin(); each != table_.end();) {
        auto& usage = each->second;
        const bool quiet = usage.connections == 0 && usage.attempts.full(now_ns) && usage.frames.full(now_ns) &&
                           usage.bytes.full(now_ns);
        each = quiet ? table_.erase(each) : std::next(each);
    }
}

}  // namespace viv::netbridge
