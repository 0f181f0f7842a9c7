// The walk that all rewriting passes share, and the pipelines behind pipeline.h.
#include "engine/ir/opt/pipeline.h"

#include <algorithm>

#include "engine/ir/verify.h"
#include "engine/lang/check.h"

namespace viv::ir::opt {

namespace {

// What an instruction is to the walk.
enum class Kind : u8 { pure, get, set, floating, call, access, terminator, other };

constexpr auto make_kinds() {
    std::array<Kind, op_count> kinds{};
    for (usize i = 0; i < op_count; i++) {
        const Op op = static_cast<Op>(i);
        if (is_pure(op))
            kinds[i] = Kind::pure;
        else if (op == Op::get)
            kinds[i] = Kind::get;
        else if (op == Op::set)
            kinds[i] = Kind::set;
        else if (uses_float_unit(op))
            kinds[i] = Kind::floating;
        else if (op == Op::call)
            kinds[i] = Kind::call;
        else if (op >= Op::load && op <= Op::physical)
            kinds[i] = Kind::access;
        else
            kinds[i] = is_terminator(op) ? Kind::terminator : Kind::other;
    }
    return kinds;
}
constexpr auto kinds = make_kinds();

}  // namespace

void Passes::walk(Block& block, Stages stages) {
    const usize size = block.code.size();
    const bool forwards = (stages & forwarding) != 0, folds = (stages & folding) != 0, shares = (stages & sharing) != 0;
    // Folding makes constants, seldom more than it makes superfluous.
    draft_.begin(size + size / 2);
    if (shares) table_.begin(size);
    state_.begin();
    Fold fold(draft_, shares ? &table_ : nullptr);
    now_.resize(size + 1);
    now_[size] = no_value;
    calls_.clear();
    // Whether there is an operand is hard to predict: one that is not there is looked up, too.
    const auto follow = [&](ValueId& id) { id = now_[std::min<usize>(id, size)]; };

    for (usize i = 0; i < size; i++) {
        Inst inst = block.code[i];
        follow(inst.a);
        follow(inst.b);
        follow(inst.c);
        ValueId& now = now_[i];
        switch (kinds[static_cast<usize>(inst.op)]) {
            case Kind::pure:
                if (folds) {
                    now = fold.value(inst);
                } else {
                    now = shares ? table_.find(draft_, inst) : no_value;
                    if (now != no_value) break;
                    now = draft_.append(inst);
                    if (shares) table_.add(draft_, now);
                }
                break;
            case Kind::get:
                now = forwards || shares ? state_.get(inst, static_cast<ValueId>(draft_.code.size())) : no_value;
                if (now == no_value) now = draft_.append(inst);
                break;
            case Kind::set:
                if ((forwards || shares) &&
                    !state_.set(draft_, inst, forwards ? StateTracker::Sets::forward : StateTracker::Sets::forget))
                    break;
                draft_.append(inst);
                break;
            case Kind::floating: {
                const FloatUnit& unit = block.float_units[inst.imm];
                if (inst.rounding == Rounding::dynamic) state_.reads(unit.rounding, Type::i8);
                state_.writes(unit.flags, Type::i8);
                now = draft_.append(inst);
                break;
            }
            case Kind::call: {
                calls_.push_back(block.calls[inst.imm]);
                Call& call = calls_.back();
                for (ValueId& argument : call.arguments) follow(argument);
                inst.imm = calls_.size() - 1;
                if ((call.effects & effect_writes_state) != 0)
                    state_.writes_all();
                else if ((call.effects & (effect_may_leave | effect_ends_block)) != 0)
                    state_.reads_all();
                else if ((call.effects & effect_reads_state) != 0)
                    state_.reads_all_removably();
                now = draft_.append(inst);
                break;
            }
            case Kind::access:
                // Where it leaves the block, all state is seen.
                state_.reads_all();
                if (inst.op == Op::load_lanes)
                    for (u64 at = 0; at < transferred(inst); at += bytes_of(Type::i128))
                        state_.writes(inst.imm + at, Type::i128);
                now = draft_.append(inst);
                break;
            case Kind::terminator: draft_.append(folds ? fold.terminator(inst) : inst); break;
            case Kind::other: draft_.append(inst); break;
        }
    }
    block.code.swap(draft_.code);
    block.calls.swap(calls_);
}

void Passes::close_gaps(Block& block, const char* pass) {
    compact_.run(block);
    if (options_.verify == nullptr) return;
    const auto verified = verify(block, *options_.verify);
    if (!verified) check_failed(pass, __FILE__, __LINE__, verified.error().message);
}

void Passes::walk_and_drop(Block& block, Stages stages, const char* pass) {
    bool again = true;
    // Once, for nearly every block: a helper that only reads, for nothing, is rare, and so are overlapping slots.
    while (again) {
        walk(block, stages);
        again = dead_.run(block) && state_.perhaps_unseen();
        close_gaps(block, pass);
    }
}

void Passes::quick(Block& block) { walk_and_drop(block, forwarding | folding, "quick"); }
void Passes::full(Block& block) { walk_and_drop(block, forwarding | folding | sharing, "full"); }

void Passes::forward_state(Block& block) {
    walk(block, forwarding);
    close_gaps(block, "forward_state");
}

void Passes::fold(Block& block) {
    walk(block, folding);
    close_gaps(block, "fold");
}

void Passes::share(Block& block) {
    walk(block, sharing);
    close_gaps(block, "share");
}

void Passes::dead(Block& block) {
    dead_.run(block);
    close_gaps(block, "dead");
}

}  // namespace viv::ir::opt
