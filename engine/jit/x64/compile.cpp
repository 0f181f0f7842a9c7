// The walk over a region's blocks, their entries and exits. See compiler.h.
#include "engine/ir/effects.h"
#include "engine/ir/op_info.h"
#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/lang/check.h"

namespace viv::jit::x64 {

namespace {

using ir::Op;
using ir::Shape;
using ir::Type;

bool word(Type type) { return type == Type::i32 || type == Type::i64; }
bool narrow(Type type) { return type == Type::i1 || type == Type::i8 || type == Type::i16; }

}  // namespace

// Decided before a guest instruction begins, since none can be given up after its first access to memory.
bool Compiler::supported(const ir::Inst& inst) const {
    const Type type = inst.type;
    if (type == Type::i128) return false;
    switch (ir::info_of(inst.op).shape) {
        case Shape::unary:
            if (inst.op == Op::not_) return true;
            if (!word(type)) return inst.op == Op::neg && !narrow(type);
            if (inst.op == Op::clz) return features_.lzcnt;
            if (inst.op == Op::ctz) return features_.bmi1;
            if (inst.op == Op::popcount) return features_.popcnt;
            return true;
        case Shape::binary:
            switch (inst.op) {
                case Op::and_:
                case Op::or_:
                case Op::xor_: return true;
                case Op::add:
                case Op::sub:
                case Op::mul: return type != Type::i1;
                case Op::mulhu:
                case Op::mulhs:
                case Op::mulhsu: return type == Type::i64;
                case Op::clmul:
                case Op::clmulh: return false;
                default: return word(type);
            }
        case Shape::compare: return word(type) || inst.op == Op::eq || inst.op == Op::ne;
        case Shape::convert: return inst.op != Op::sext || type_of(inst.a) != Type::i1;
        case Shape::float_unary:
        case Shape::float_binary:
        case Shape::float_ternary:
        case Shape::float_compare:
        case Shape::float_convert: return inst.rounding != ir::Rounding::dynamic;
        case Shape::exchange:
        case Shape::compare_exchange: return word(type);
        case Shape::fetch_op: return word(type) && static_cast<Op>(inst.imm) == Op::add;
        case Shape::constant:
        case Shape::select:
        case Shape::get:
        case Shape::set:
        case Shape::load:
        case Shape::store:
        case Shape::physical:
        case Shape::fence:
        case Shape::call:
        case Shape::guest:
        case Shape::jump:
        case Shape::branch:
        case Shape::jump_indirect:
        case Shape::leave: return true;
        default: return false;
    }
}

u32 Compiler::add_exit(ExitKind kind, u64 pc, u32 rest) {
    out_->exits.push_back({kind, rest, pc});
    return static_cast<u32>(out_->exits.size() - 1);
}

Label Compiler::give_up() {
    if (!has_give_up_) {
        has_give_up_ = true;
        give_up_ = a_.make_label();
        pending_exits_.push_back({give_up_, add_exit(ExitKind::interpret, guest_pc_, guest_count_ - guest_index_)});
    }
    return give_up_;
}

void Compiler::leave_to_interpreter() {
    a_.jmp(give_up());
    done_ = true;
}

void Compiler::leave_by(u32 exit) {
    a_.mov(Width::b32, Gpr::rax, static_cast<i64>(first_exit_ + exit));
    a_.jmp(at(Gpr::rsp, frame::exit));
}

// A jump that goes on behind itself, to the dispatcher, until it is linked.
void Compiler::jump_site(u64 pc) {
    const u32 exit = add_exit(ExitKind::jump, pc, 0);
    out_->exits[exit].site = static_cast<u32>(a_.jmp_rel32_placeholder());
    out_->exits[exit].stub = static_cast<u32>(a_.size());
    leave_by(exit);
}

void Compiler::terminator(const ir::Inst& inst) {
    switch (inst.op) {
        case Op::jump: jump_site(inst.imm); break;
        case Op::branch: {
            const Condition condition = condition_of(inst.a);
            const u32 exit = add_exit(ExitKind::jump, inst.imm, 0);
            out_->exits[exit].site = static_cast<u32>(a_.jcc_rel32_placeholder(condition));
            pending_branches_.push_back(exit);
            jump_site(inst.imm2);
            break;
        }
        case Op::jump_indirect:
            take(Gpr::rcx);
            load_to(Gpr::rcx, inst.a);
            use(inst.a);
            a_.jmp(at(Gpr::rsp, frame::probe));
            break;
        default: leave_by(add_exit(ExitKind::left, 0, 0)); break;
    }
}

void Compiler::instruction(const ir::Inst& inst) {
    switch (ir::info_of(inst.op).shape) {
        case Shape::unary: unary(inst); break;
        case Shape::binary: binary(inst); break;
        case Shape::compare: compare_value(inst); break;
        case Shape::constant: break;
        case Shape::convert: convert(inst); break;
        case Shape::select: select(inst); break;
        case Shape::get: get(inst); break;
        case Shape::set: set(inst); break;
        case Shape::load: load(inst); break;
        case Shape::store: store(inst); break;
        case Shape::exchange:
        case Shape::fetch_op:
        case Shape::compare_exchange: atomic(inst); break;
        case Shape::physical: physical(inst); break;
        case Shape::fence: a_.mfence(); break;
        case Shape::float_unary:
        case Shape::float_binary:
        case Shape::float_ternary:
        case Shape::float_compare:
        case Shape::float_convert: float_operation(inst); break;
        case Shape::call: call(inst); break;
        default: terminator(inst); break;
    }
}

void Compiler::begin_guest_instruction() {
    guest_pc_ = block_->code[at_].imm;
    has_give_up_ = false;
    for (usize next = at_ + 1; next < block_->code.size() && block_->code[next].op != Op::guest; next++)
        if (!supported(block_->code[next])) return leave_to_interpreter();
}

void Compiler::block(const ir::Block& block) {
    block_ = &block;
    values_.assign(block.code.size(), Value{});
    in_slots_.clear();
    std::fill(std::begin(owner_), std::end(owner_), ir::no_value);
    spill_places_ = 0;
    guest_count_ = 0;
    done_ = false;
    float_active_ = false;
    for (const ir::Inst& inst : block.code) {
        guest_count_ += inst.op == Op::guest;
        ir::for_each_operand(block, inst, [&](ir::ValueId id) { values_[id].uses++; });
    }

    out_->entries.push_back({block.pc, static_cast<u32>(a_.size())});
    const Label no_budget = a_.make_label();
    pending_exits_.push_back({no_budget, add_exit(ExitKind::budget, block.pc, guest_count_)});
    a_.sub(Width::b64, Gpr::r12, i64{guest_count_});
    a_.jcc(Condition::s, no_budget);

    guest_index_ = ~u32{0};
    for (at_ = 0; at_ < block.code.size() && !done_; at_++) {
        if (block.code[at_].op == Op::guest) {
            guest_index_++;
            begin_guest_instruction();
        } else {
            instruction(block.code[at_]);
        }
        release();
    }
}

void Compiler::slow_accesses() {
    for (const SlowAccess& access : slow_) {
        a_.bind(access.slow);
        if (access.alignment > 1) {
            a_.test(Width::b32, access.address, i64{access.alignment} - 1);
            a_.jcc(Condition::ne, access.give_up);
        }
        a_.mov(Width::b64, at(Gpr::rsp, frame::address), access.address);
        a_.call(at(Gpr::rsp, frame::fill + 8 * static_cast<i32>(access.thunk)));
        a_.jcc(Condition::ne, access.retry);
        a_.jmp(access.give_up);
    }
}

void Compiler::exit_stubs() {
    for (const PendingExit& pending : pending_exits_) {
        a_.bind(pending.label);
        leave_by(pending.exit);
    }
    for (const u32 exit : pending_branches_) {
        out_->exits[exit].stub = static_cast<u32>(a_.size());
        leave_by(exit);
    }
}

bool Compiler::compile(const Region& region, u32 first_exit, Compiled& out) {
    out_ = &out;
    first_exit_ = first_exit;
    for (const ir::Block& each : region.blocks) block(each);
    slow_accesses();
    slow_floats();
    exit_stubs();
    a_.finish();
    if (failed_ || out.exits.size() > exit_word::maximum_exits) return false;
    out.code.assign(a_.code().begin(), a_.code().end());
    for (const u32 exit : pending_branches_)
        Assembler::patch_rel32(out.code.data() + out.exits[exit].site,
                               i64{out.exits[exit].stub} - (i64{out.exits[exit].site} + 4));
    return true;
}

}  // namespace viv::jit::x64
