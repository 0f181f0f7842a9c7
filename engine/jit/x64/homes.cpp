// Promoted slots: which register each has throughout the region, and the ways in, out and across calls. See compiler.h.
// Promises: wherever the code can be left, a home holds what its slot held at the start of the guest instruction in
// progress. A result is made in its home at once only if nothing can leave between it and the set.
#include <algorithm>
#include <array>

#include "engine/ir/effects.h"
#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

using Kind = Promotion::Kind;

// rax, rcx, rdx and rsi are left for values: as many as a store to memory takes.
constexpr Gpr integer_homes[] = {Gpr::rbx, Gpr::rdi, Gpr::r8, Gpr::r9, Gpr::r10, Gpr::r11, Gpr::r13, Gpr::r14};
// xmm0 to xmm3 are what floating-point and vector operations work in. Vectors are left four.
constexpr unsigned first_floating_home = 4, floating_homes = 12, vector_registers = 4;

bool swaps(ir::Op op) {
    return op == ir::Op::add || op == ir::Op::mul || op == ir::Op::and_ || op == ir::Op::or_ || op == ir::Op::xor_;
}

// Operands whose register an operation can turn into that of its result.
std::array<ir::ValueId, 2> made_in_place_of(const ir::Inst& inst) {
    switch (ir::info_of(inst.op).shape) {
        case ir::Shape::unary:
        case ir::Shape::convert: return {inst.a, ir::no_value};
        case ir::Shape::binary: return {inst.a, swaps(inst.op) ? inst.b : ir::no_value};
        case ir::Shape::select: return {inst.c, ir::no_value};
        default: return {ir::no_value, ir::no_value};
    }
}

bool is_made_step_by_step(const ir::Inst& inst) {
    const ir::Shape shape = ir::info_of(inst.op).shape;
    return shape == ir::Shape::unary || shape == ir::Shape::binary || shape == ir::Shape::convert ||
           shape == ir::Shape::select || shape == ir::Shape::load;
}

bool callee_saved(Gpr gpr) { return gpr == Gpr::rbx || gpr == Gpr::r13 || gpr == Gpr::r14; }

}  // namespace

void Compiler::choose_homes(const Region& region) {
    usize integers = 0;
    unsigned floats = 0;
    const unsigned most_floats = floating_homes - (has_vectors(region) ? vector_registers : 0);
    for (const Promotion& promotion : region.promoted) {
        Home home{.slot = static_cast<i32>(promotion.slot),
                  .kind = promotion.kind,
                  .written = promotion.written,
                  .readers = {}};
        if (promotion.kind == Kind::integer && integers < std::size(integer_homes)) {
            home.gpr = integer_homes[integers++];
            reserved_ |= 1u << number(home.gpr);
        } else if (promotion.kind == Kind::floating && floats < most_floats) {
            home.xmm = static_cast<Xmm>(first_floating_home + floats++);
            reserved_xmms_ |= 1u << number(home.xmm);
        } else {
            continue;
        }
        homes_.push_back(std::move(home));
    }
}

i32 Compiler::home_of(u64 slot) const {
    for (usize i = 0; i < homes_.size(); i++)
        if (static_cast<u64>(i64{homes_[i].slot}) == slot) return static_cast<i32>(i);
    return no_home;
}

// Whether an instruction in [first, last) has as an operand what was read from the slot.
bool Compiler::uses_slot(u64 slot, ir::ValueId first, ir::ValueId last) const {
    bool found = false;
    for (ir::ValueId id = first; id < last && !found; id++)
        ir::for_each_operand(*block_, block_->code[id], [&](ir::ValueId operand) {
            found = found || (block_->code[operand].op == ir::Op::get && block_->code[operand].imm == slot);
        });
    return found;
}

// A value becomes its home's at once if nothing between it and the set leaves, or reads what was there.
void Compiler::choose_targets() {
    if (homes_.empty()) return;
    for (ir::ValueId at = 0; at < supported_size_; at++) {
        const ir::Inst& inst = block_->code[at];
        if (inst.op != ir::Op::set) continue;
        const i32 home = home_of(inst.imm);
        const ir::Inst& made = block_->code[inst.a];
        if (home == no_home || made.op == ir::Op::constant || made.op == ir::Op::get) continue;
        const auto passable = [&](ir::ValueId from) {
            for (ir::ValueId id = at - 1; id > from; id--) {
                const ir::Inst& between = block_->code[id];
                if ((ir::effects_of(*block_, between) & ir::effect_may_leave) != 0 || between.op == ir::Op::call ||
                    ((between.op == ir::Op::get || between.op == ir::Op::set) && between.imm == inst.imm))
                    return false;
            }
            return true;
        };
        if (values_[inst.a].target != no_home || !passable(inst.a)) continue;
        values_[inst.a].target = home;
        // What is loaded for a floating-point operation alone is loaded there, too.
        if (const ir::Shape shape = ir::info_of(made.op).shape;
            shape == ir::Shape::float_unary || shape == ir::Shape::float_binary) {
            for (const ir::ValueId operand : {made.a, made.b}) {
                if (operand == ir::no_value || block_->code[operand].op != ir::Op::load) continue;
                if (values_[operand].uses != 1 || values_[operand].target != no_home || !passable(operand)) continue;
                // What the slot held before is still wanted: then that stays.
                if (uses_slot(inst.imm, operand + 1, inst.a + 1)) continue;
                values_[operand].target = home;
                break;
            }
        }
        // What it is made of step by step, and nothing else uses, is made there, too.
        for (ir::ValueId step = inst.a, before = step; step != ir::no_value; step = before) {
            before = ir::no_value;
            for (const ir::ValueId operand : made_in_place_of(block_->code[step])) {
                if (operand == ir::no_value || values_[operand].uses != 1 || values_[operand].target != no_home ||
                    !is_made_step_by_step(block_->code[operand]) || !passable(operand) ||
                    uses_slot(inst.imm, operand + 1, step + 1))
                    continue;
                values_[operand].target = home;
                before = operand;
                break;
            }
        }
    }
}

void Compiler::load_homes() {
    for (const Home& home : homes_) {
        if (home.kind == Kind::integer)
            a_.mov(Width::b64, home.gpr, state(home.slot));
        else
            a_.movsd(home.xmm, state(home.slot));
    }
}

void Compiler::store_homes() {
    for (const Home& home : homes_) {
        if (!home.written) continue;
        if (home.kind == Kind::integer)
            a_.mov(Width::b64, state(home.slot), home.gpr);
        else
            a_.movsd(state(home.slot), home.xmm);
    }
}

bool Compiler::lies_in(ir::ValueId id, const Home& home) const {
    return values_[id].where == Where::home && &homes_[static_cast<usize>(values_[id].place)] == &home;
}

bool Compiler::in_home(ir::ValueId id, Kind kind) const {
    return values_[id].where == Where::home && homes_[static_cast<usize>(values_[id].place)].kind == kind;
}

Compiler::Home* Compiler::target(ir::ValueId id, Kind kind) {
    const i32 wanted = value(id).target;
    if (wanted == no_home || homes_[static_cast<usize>(wanted)].kind != kind) return nullptr;
    return &homes_[static_cast<usize>(wanted)];
}

void Compiler::evict_readers(Home& home) {
    for (const ir::ValueId id : home.readers) {
        Value& v = value(id);
        if (v.uses == 0 || !lies_in(id, home)) continue;
        const Gpr gpr = allocate();
        if (home.kind == Kind::integer)
            a_.mov(Width::b64, gpr, home.gpr);
        else
            a_.movq(gpr, home.xmm);
        unlock(gpr);
        v.where = Where::gpr;
        v.gpr = gpr;
        owner_[number(gpr)] = id;
    }
    home.readers.clear();
}

void Compiler::read_home(ir::ValueId id, i32 home, bool clean) {
    Value& v = value(id);
    if (v.uses == 0) return;
    v.where = Where::home;
    v.place = home;
    v.clean = clean;
    homes_[static_cast<usize>(home)].readers.push_back(id);
}

void Compiler::set_home(i32 index, ir::ValueId id) {
    Home& home = homes_[static_cast<usize>(index)];
    if (lies_in(id, home)) return use(id);
    evict_readers(home);
    if (home.kind == Kind::integer)
        load_to(home.gpr, id);
    else
        load_float(home.xmm, id);
    use(id);
    // From now on it is there; the register that it was in is free.
    Value& v = value(id);
    if (v.where != Where::gpr) return;
    owner_[number(v.gpr)] = ir::no_value;
    read_home(id, index, v.clean);
}

Gpr Compiler::result_register(ir::ValueId id) {
    Home* const home = target(id, Kind::integer);
    if (home == nullptr) return allocate();
    evict_readers(*home);
    return home->gpr;
}

void Compiler::save_homes_across_call(ir::Effects effects) {
    if ((effects & ir::effect_writes_state) != 0)
        for (Home& home : homes_) evict_readers(home);
    store_homes();
}

void Compiler::restore_homes_after_call(ir::Effects effects) {
    const bool all = (effects & ir::effect_writes_state) != 0;
    for (const Home& home : homes_) {
        if (home.kind == Kind::floating)
            a_.movsd(home.xmm, state(home.slot));
        else if (all || !callee_saved(home.gpr))
            a_.mov(Width::b64, home.gpr, state(home.slot));
    }
}

}  // namespace viv::jit::x64
