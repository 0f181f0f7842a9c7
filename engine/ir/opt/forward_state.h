// What is known of the state's slots at a place in a block, and which writes nobody has seen yet: behind it, a get
// becomes the value, a set of what is there already is dropped, and so is a set that another one overwrites unseen.
// Promises: whatever may leave the block sees all state as of the start of its guest instruction, helpers see what
// their effects say, floating-point operations their unit's slots, the block's end everything. Slots of other types or
// offsets may overlap: then nothing is forwarded between them. All steps are constant time.
#pragma once

#include <vector>

#include "engine/ir/opt/draft.h"

namespace viv::ir::opt {

class StateTracker {
public:
    void begin();

    // What the slot holds. If that is not known, the caller appends the get as `next`, which it holds from now on, and
    // no_value is the answer.
    ValueId get(const Inst& get, ValueId next);

    enum class Sets : u8 {
        forward,  // a later get is the value
        forget,   // a later get reads it anew
    };
    // Whether the set (its value is one of the draft) is needed. If so the caller appends it next. A set before it that
    // nobody has seen becomes a tombstone.
    bool set(Draft& draft, const Inst& set, Sets sets);

    // The rest of the state is not touched.
    void reads(u64 offset, Type type);
    void writes(u64 offset, Type type);
    // Of any slot.
    void reads_all() { observed_++; }
    // As reads_all(), by a call that might turn out to be dead.
    void reads_all_removably() {
        observed_++;
        perhaps_unseen_ = true;
    }
    void writes_all() {
        knowledge_++;
        observed_++;
    }

    // Whether a set that otherwise would have gone may have stayed for an instruction that reads or writes state and
    // that has gone or can still go.
    bool perhaps_unseen() const { return perhaps_unseen_; }

private:
    static constexpr u32 none = ~u32{0};
    // Slots are found by the 16 bytes that they lie in. Those further up are not followed.
    static constexpr u64 line_bits = 4, lines_limit = u64{1} << 16;

    struct Entry {
        u32 offset = 0, next = none;
        Type type = Type::none;
        ValueId known = no_value;  // what the slot holds, if known_at is knowledge_
        u32 known_at = 0;
        // The last set of it, if nobody has seen its effect (pending_at is observed_), and what the slot holds without
        // it.
        ValueId pending = no_value, beneath = no_value;
        u32 pending_at = 0;
    };
    struct Line {
        u32 block = 0, first = none;
    };

    static bool followed(u64 offset, Type type) {
        return offset >> line_bits < lines_limit && (offset & 15) + bytes_of(type) <= 16;
    }
    // The head of the line's list, where there is one.
    u32* first_of(u64 line) {
        if (line >= lines_.size()) return nullptr;
        Line& found = lines_[line];
        if (found.block != block_) found = {block_, none};
        return &found.first;
    }
    // The entry of a slot that is followed, made if it is not there; visits all others that overlap it.
    template <class Visit>
    Entry& entry_of(u64 offset, Type type, Visit&& visit);
    Entry& add(u64 offset, Type type);
    template <class Visit>
    void overlapping(u64 offset, Type type, Visit&& visit);

    std::vector<Line> lines_;
    std::vector<Entry> entries_;
    u32 block_ = 0, knowledge_ = 1, observed_ = 1;
    bool perhaps_unseen_ = false;
};

}  // namespace viv::ir::opt
