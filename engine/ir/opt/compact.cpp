// The renumbering behind compact.h.
#include "engine/ir/opt/compact.h"

#include <algorithm>

#include "engine/ir/op_info.h"
#include "engine/ir/opt/draft.h"

namespace viv::ir::opt {

void Compact::run(Block& block) {
    auto& code = block.code;
    const usize first = static_cast<usize>(std::find_if(code.begin(), code.end(), is_tombstone) - code.begin());
    if (first == code.size()) return;
    const usize size = code.size();
    moved_.resize(size + 1);
    moved_[size] = no_value;
    for (usize i = 0; i < first; i++) moved_[i] = static_cast<ValueId>(i);
    // Whether there is an operand is hard to predict: one that is not there is looked up, too.
    const auto follow = [&](ValueId& id) { id = moved_[std::min<usize>(id, size)]; };
    usize to = first;
    for (usize i = first; i < size; i++) {
        if (is_tombstone(code[i])) continue;
        Inst& inst = code[to] = code[i];
        follow(inst.a);
        follow(inst.b);
        follow(inst.c);
        moved_[i] = static_cast<ValueId>(to++);
    }
    code.resize(to);
    if (block.calls.empty()) return;
    calls_.clear();
    for (Inst& inst : code) {
        if (inst.op != Op::call) continue;
        calls_.push_back(block.calls[inst.imm]);
        for (ValueId& argument : calls_.back().arguments) follow(argument);
        inst.imm = calls_.size() - 1;
    }
    block.calls.swap(calls_);
}

}  // namespace viv::ir::opt
