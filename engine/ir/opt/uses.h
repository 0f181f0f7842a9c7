// How often, and where for the last time, each value of a block is used: for register allocation and for backends that
// join an instruction with its only user. Promises: linear time; buffers are kept from block to block.
#pragma once

#include <vector>

#include "engine/ir/effects.h"

namespace viv::ir::opt {

class Uses {
public:
    void find(const Block& block) {
        count_.assign(block.code.size(), 0);
        last_.resize(block.code.size());
        for (ValueId id = 0; id < block.code.size(); id++) {
            last_[id] = id;
            for_each_operand(block, block.code[id], [&](ValueId operand) {
                count_[operand]++;
                last_[operand] = id;
            });
        }
    }

    // Operands and arguments that name it; one instruction that names it twice counts twice.
    u32 count(ValueId id) const { return count_[id]; }
    // The last instruction that names it; itself if none does.
    ValueId last(ValueId id) const { return last_[id]; }

private:
    std::vector<u32> count_;
    std::vector<ValueId> last_;
};

}  // namespace viv::ir::opt
