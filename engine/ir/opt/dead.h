// Dead-code elimination: drops what nobody uses and nobody sees. Promises: one walk from the last instruction to the
// first finds everything; what may leave the block, writes, or marks a guest instruction stays.
#pragma once

#include <vector>

#include "engine/ir/ir.h"

namespace viv::ir::opt {

class Dead {
public:
    // Makes tombstones; compact() is the caller's. Whether an instruction that reads or writes state is among
    // them, also of those that were tombstones already.
    bool run(Block& block);

private:
    std::vector<u8> used_;
};

}  // namespace viv::ir::opt
