// The walk behind dead.h.
#include "engine/ir/opt/dead.h"

#include <algorithm>

#include "engine/ir/effects.h"
#include "engine/ir/opt/draft.h"

namespace viv::ir::opt {

namespace {

enum class Stays : u8 { if_used, always, by_its_effects };

constexpr auto make_stays() {
    std::array<Stays, op_count> table{};
    for (usize i = 0; i < op_count; i++) {
        const Op op = static_cast<Op>(i);
        if (op == Op::call)
            table[i] = Stays::by_its_effects;
        else if (!makes_value(op) || uses_float_unit(op) || (op >= Op::load && op <= Op::physical))
            table[i] = Stays::always;
    }
    return table;
}
constexpr auto stays = make_stays();
static_assert(stays[static_cast<usize>(Op::get)] == Stays::if_used);
static_assert(stays[static_cast<usize>(Op::load)] == Stays::always);

}  // namespace

bool Dead::run(Block& block) {
    bool state = false;
    auto& code = block.code;
    const usize size = code.size();
    used_.assign(size + 1, 0);
    // Whether there is an operand is hard to predict: one that is not there counts as used, too.
    const auto use = [&](ValueId id) { used_[std::min<usize>(id, size)] = 1; };
    for (usize i = size; i-- > 0;) {
        Inst& inst = code[i];
        if (used_[i] == 0) {
            const Stays how = stays[static_cast<usize>(inst.op)];
            if (how == Stays::if_used || (how == Stays::by_its_effects && removable(block, inst))) {
                state = state || inst.op == Op::get || inst.op == Op::call || is_tombstone(inst);
                inst = tombstone;
                continue;
            }
        }
        use(inst.a);
        use(inst.b);
        use(inst.c);
        if (inst.op == Op::call)
            for (const ValueId argument : block.calls[inst.imm].arguments) use(argument);
    }
    return state;
}

}  // namespace viv::ir::opt
