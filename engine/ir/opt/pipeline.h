// The passes over one block, and their order for each tier. Promises: a block that verify() accepts means the same
// afterwards (state, memory, helper calls, where it is left and after how many guest instructions) and is accepted
// again; every pass takes linear time, and done again it changes nothing; `guest` markers stay. Buffers are kept, so
// that a compiler that works on many blocks allocates next to nothing: one Passes a thread.
#pragma once

#include <vector>

#include "engine/ir/opt/compact.h"
#include "engine/ir/opt/dead.h"
#include "engine/ir/opt/draft.h"
#include "engine/ir/opt/fold.h"
#include "engine/ir/opt/forward_state.h"
#include "engine/ir/opt/share.h"
#include "engine/ir/slots.h"

namespace viv::ir::opt {

struct Options {
    // If there is one, verify() is run with it after every pass, and a broken rule is a failed CHECK. Outlives the
    // Passes.
    const SlotTable* verify = nullptr;
};

class Passes {
public:
    explicit Passes(Options options = {}) : options_(options) {}
    Passes(const Passes&) = delete;
    Passes& operator=(const Passes&) = delete;

    // For tier 1: forward_state and fold in one walk, then dead.
    void quick(Block& block);
    // For tier 2: as quick, and what has been computed before is not computed again.
    void full(Block& block);

    // One at a time, for tests and for looking at a block after each.
    void forward_state(Block& block);
    void fold(Block& block);
    void share(Block& block);
    void dead(Block& block);

private:
    // What one walk does, as bits.
    using Stages = u8;
    static constexpr Stages forwarding = 1, folding = 2, sharing = 4;

    void walk(Block& block, Stages stages);
    void walk_and_drop(Block& block, Stages stages, const char* pass);
    void close_gaps(Block& block, const char* pass);

    Options options_;
    Draft draft_;
    Share table_;
    StateTracker state_;
    Dead dead_;
    Compact compact_;
    std::vector<ValueId> now_;  // the value in the draft that stands for each of the block
    std::vector<Call> calls_;
};

}  // namespace viv::ir::opt
