// See operand_order.h.
#include "tests/golden/operand_order.h"

#include <algorithm>
#include <tuple>

#include "engine/ir/effects.h"

namespace viv::golden {

namespace {

class Reordering {
public:
    explicit Reordering(const ir::Block& from) : from_(from), moved_(from.code.size(), ir::no_value) {}

    ir::Block run() {
        to_ = from_;
        to_.code.clear();
        to_.calls.clear();
        for (ir::ValueId id = 0; id < from_.code.size(); id++) {
            const ir::Inst& inst = from_.code[id];
            const ir::Effects effects = ir::effects_of(from_, inst);
            const bool ends = inst.op == ir::Op::guest || ir::is_terminator(inst.op);
            const bool get = inst.op == ir::Op::get;
            if (get || (effects == ir::effect_none && !ends)) {
                (get ? gets_ : pure_).push_back(id);
                continue;
            }
            place_operands(inst);
            if (ends || (effects & ir::effect_writes_state) != 0) place_all(gets_);
            if (ends) place_all(pure_);
            place(id);
        }
        return std::move(to_);
    }

private:
    void place_operands(const ir::Inst& inst) {
        ir::for_each_operand(from_, inst, [&](ir::ValueId operand) { place(operand); });
    }
    void place(ir::ValueId id) {
        if (moved_[id] != ir::no_value) return;
        ir::Inst inst = from_.code[id];
        place_operands(inst);
        if (inst.op == ir::Op::call) {
            to_.calls.push_back(from_.calls[inst.imm]);
            inst.imm = to_.calls.size() - 1;
        }
        ir::for_each_operand(to_, inst, [&](ir::ValueId& operand) { operand = moved_[operand]; });
        moved_[id] = static_cast<ir::ValueId>(to_.code.size());
        to_.code.push_back(inst);
    }
    // What nothing has asked for yet, in an order of its own.
    void place_all(std::vector<ir::ValueId>& waiting) {
        std::stable_sort(waiting.begin(), waiting.end(), [&](ir::ValueId x, ir::ValueId y) {
            const ir::Inst &a = from_.code[x], &b = from_.code[y];
            return std::tie(a.op, a.type, a.imm) < std::tie(b.op, b.type, b.imm);
        });
        for (const ir::ValueId id : waiting) place(id);
        waiting.clear();
    }

    const ir::Block& from_;
    ir::Block to_;
    std::vector<ir::ValueId> moved_;
    std::vector<ir::ValueId> gets_, pure_;  // that may not have been placed yet
};

}  // namespace

ir::Block in_operand_order(const ir::Block& block) { return Reordering(block).run(); }

}  // namespace viv::golden
