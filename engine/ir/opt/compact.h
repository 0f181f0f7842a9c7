// Closes the gaps that passes leave in a block. Promises: tombstones go, everything else keeps its order; operands
// follow the new numbers; calls that no instruction names go, too. Linear time.
#pragma once

#include <vector>

#include "engine/ir/ir.h"

namespace viv::ir::opt {

class Compact {
public:
    // No tombstone may be used by an instruction that stays.
    void run(Block& block);

private:
    std::vector<ValueId> moved_;  // the new number of each instruction
    std::vector<Call> calls_;
};

}  // namespace viv::ir::opt
