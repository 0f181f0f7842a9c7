// What the tiers tell of themselves: exec::TranslatorReport from the dispatcher's counts and the cache's translations.
// Promises: looks only; costs time in proportion to what is held, and nothing while code runs.
#include <algorithm>
#include <tuple>

#include "engine/jit/tiers.h"

namespace viv::jit {

namespace {

exec::TranslatorReport::Translation describe(const Translation& made) {
    exec::TranslatorReport::Translation row;
    row.pc = made.first_pc;
    row.mode = made.mode;
    row.physical_page = made.physical_page;
    row.tier = tier_names[static_cast<usize>(made.tier)];
    row.blocks = made.ranges.size();
    for (const Translation::Range& range : made.ranges) row.guest_bytes += u64{range.last} - range.first + 1;
    row.host_bytes = made.size;
    row.samples = made.samples;
    row.exits = made.exits_taken;
    return row;
}

// The place in the cache decides where nothing else does, so that the order is one.
bool hotter(const Translation* a, const Translation* b) {
    return std::tie(a->samples, a->exits_taken, b->offset) > std::tie(b->samples, b->exits_taken, a->offset);
}

}  // namespace

void CodeCache::report(usize most, exec::TranslatorReport& into) const {
    into.cache_capacity = capacity();
    into.cache_used = bytes_used();
    for (usize tier = 0; tier < std::size(tier_names); tier++)
        into.tiers.push_back({.name = std::string(tier_names[tier]), .made = made_[tier]});
    std::vector<const Translation*> all;
    all.reserve(by_offset_.size());
    for (const auto& [offset, number] : by_offset_) {
        const Translation* held = translations_[number].get();
        auto& tier = into.tiers[static_cast<usize>(held->tier)];
        tier.held++;
        tier.host_bytes += held->size;
        all.push_back(held);
    }
    for (auto& tier : into.tiers) tier.dropped = tier.made - tier.held;
    const usize count = std::min(most, all.size());
    std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(count), all.end(), hotter);
    for (usize i = 0; i < count; i++) into.hottest.push_back(describe(*all[i]));
}

exec::TranslatorReport Tiers::report(usize most) const {
    exec::TranslatorReport made;
    made.backend = backend_->name();
    cache_.report(most, made);
    made.host_bytes_made = statistics_.host_bytes;
    made.entries = statistics_.entries;
    for (usize kind = 0; kind < exit_kinds; kind++)
        made.exits.push_back(
            {std::string(exit_names[kind].name), std::string(exit_names[kind].meaning), statistics_.exits[kind]});
    made.samples = statistics_.exits[static_cast<usize>(ExitKind::budget)];
    made.interpreted_blocks = statistics_.interpreted_blocks;
    made.waiting = jobs_.size();
    made.outdated = statistics_.outdated;
    return made;
}

}  // namespace viv::jit
