// How often, and where for the last time, each value of a block is used: for register allocation and for backends that
// join an instruction with its only user. Promises: linear time; buffers are kept from block to block.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/ir/ir.h"

namespace viv::ir::opt {

class Uses {
public:
    void find(const Block& block) {
        const usize size = block.code.size();
        count_.assign(size + 1, 0);
        last_.resize(size + 1);
        // Whether there is an operand is hard to predict: one that is not there is counted, too, in a place of its own.
        const auto use = [&](ValueId operand, ValueId by) {
            const usize at = std::min<usize>(operand, size);
            count_[at]++;
            last_[at] = by;
        };
        for (ValueId id = 0; id < size; id++) {
            const Inst& inst = block.code[id];
            last_[id] = id;
            use(inst.a, id);
            use(inst.b, id);
            use(inst.c, id);
            if (inst.op == Op::call)
                for (const ValueId argument : block.calls[inst.imm].arguments) use(argument, id);
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
