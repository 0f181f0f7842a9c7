// The named slots of a vCPU's state: which byte offsets IR may get and set, with which type, and how text calls them.
// Promises: offsets are unique, so are names; what is not in the table is reached by helpers only.
// The table is injected by the guest ISA; nothing here knows one.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ir/ir.h"

namespace viv::ir {

struct Slot {
    u64 offset = 0;  // bytes from the start of the state, a multiple of the type's size
    Type type = Type::none;
    std::string name;  // letters, digits and underscores
};

class SlotTable {
public:
    SlotTable() = default;
    explicit SlotTable(std::vector<Slot> slots) : slots_(std::move(slots)) {
        std::sort(slots_.begin(), slots_.end(), [](const Slot& a, const Slot& b) { return a.offset < b.offset; });
    }

    // The slot that starts at `offset`, or null.
    const Slot* at(u64 offset) const {
        const auto found = std::lower_bound(slots_.begin(), slots_.end(), offset,
                                            [](const Slot& slot, u64 value) { return slot.offset < value; });
        return found != slots_.end() && found->offset == offset ? &*found : nullptr;
    }
    const Slot* named(std::string_view name) const {
        const auto found =
            std::find_if(slots_.begin(), slots_.end(), [&](const Slot& slot) { return slot.name == name; });
        return found != slots_.end() ? &*found : nullptr;
    }
    const std::vector<Slot>& all() const { return slots_; }

private:
    std::vector<Slot> slots_;  // by offset
};

}  // namespace viv::ir
