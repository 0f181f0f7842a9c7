// The tracking behind forward_state.h.
#include "engine/ir/opt/forward_state.h"

#include <algorithm>

namespace viv::ir::opt {

void StateTracker::begin() {
    entries_.clear();
    knowledge_ = observed_ = 1;
    perhaps_unseen_ = false;
    if (++block_ != 0) return;
    // Lines of 2^32 blocks ago would seem to be of this one.
    lines_.clear();
    block_ = 1;
}

StateTracker::Entry& StateTracker::add(u64 offset, Type type) {
    const u64 line = offset >> line_bits;
    if (line >= lines_.size()) lines_.resize(std::max<usize>(line + 1, lines_.size() * 2));
    u32& first = *first_of(line);
    entries_.push_back({.offset = static_cast<u32>(offset), .next = first, .type = type});
    first = static_cast<u32>(entries_.size() - 1);
    return entries_.back();
}

template <class Visit>
StateTracker::Entry& StateTracker::entry_of(u64 offset, Type type, Visit&& visit) {
    const u32* first = first_of(offset >> line_bits);
    Entry* found = nullptr;
    const u64 end = offset + bytes_of(type);
    for (u32 at = first != nullptr ? *first : none; at != none; at = entries_[at].next) {
        Entry& entry = entries_[at];
        if (entry.offset == offset && entry.type == type)
            found = &entry;
        else if (entry.offset < end && offset < entry.offset + bytes_of(entry.type))
            visit(entry);
    }
    return found != nullptr ? *found : add(offset, type);
}

template <class Visit>
void StateTracker::overlapping(u64 offset, Type type, Visit&& visit) {
    // One that lies in two lines, which no table should have, meets what is in both.
    const u64 end = offset + bytes_of(type);
    for (u64 line = offset >> line_bits; line <= (end - 1) >> line_bits && line < lines_limit; line++) {
        const u32* first = first_of(line);
        if (first == nullptr) return;
        for (u32 at = *first; at != none; at = entries_[at].next) {
            Entry& entry = entries_[at];
            if (entry.offset < end && offset < entry.offset + bytes_of(entry.type)) visit(entry);
        }
    }
}

ValueId StateTracker::get(const Inst& get, ValueId next) {
    if (!followed(get.imm, get.type)) {
        reads(get.imm, get.type);
        perhaps_unseen_ = true;
        return no_value;
    }
    // A slot that overlaps others keeps their sets by being there; see set().
    Entry& entry = entry_of(get.imm, get.type, [](Entry&) {});
    if (entry.known_at == knowledge_) return entry.known;
    entry.known = next;
    entry.known_at = knowledge_;
    return no_value;
}

bool StateTracker::set(Draft& draft, const Inst& set, Sets sets) {
    if (sets == Sets::forget || !followed(set.imm, set.type)) {
        writes(set.imm, set.type);
        return true;
    }
    bool alone = true;
    Entry& entry = entry_of(set.imm, set.type, [&](Entry&) { alone = false; });
    const ValueId before = entry.known_at == knowledge_ ? entry.known : no_value;
    if (before == set.a) return false;
    const bool pending = entry.pending_at == observed_;
    if (!alone) writes(set.imm, set.type);
    // Among overlapping slots the set before stays: what it made unknown would be known again without it.
    const bool unseen = alone && pending;
    perhaps_unseen_ = perhaps_unseen_ || (!alone && pending);
    const ValueId beneath = unseen ? entry.beneath : before;
    if (unseen) draft.code[entry.pending] = tombstone;
    entry.known = set.a;
    entry.known_at = knowledge_;
    entry.pending_at = 0;
    if (beneath == set.a) return false;
    entry.pending = static_cast<ValueId>(draft.code.size());
    entry.pending_at = observed_;
    entry.beneath = beneath;
    return true;
}

void StateTracker::reads(u64 offset, Type type) {
    overlapping(offset, type, [](Entry& entry) { entry.pending_at = 0; });
}

void StateTracker::writes(u64 offset, Type type) {
    overlapping(offset, type, [](Entry& entry) {
        entry.known_at = 0;
        entry.pending_at = 0;
    });
}

}  // namespace viv::ir::opt
