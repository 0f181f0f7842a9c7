// The walk over a region's blocks, their entries and exits. See compiler.h.
#include <cstddef>

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
// Return addresses that a return within a region is compared with before it asks the jump table.
constexpr usize most_return_points = 4;

bool narrow(Type type) { return type == Type::i1 || type == Type::i8 || type == Type::i16; }

}  // namespace

// Decided before a guest instruction begins, since none can be given up after its first access to memory.
bool Compiler::supported(const ir::Inst& inst) const {
    const Type type = inst.type;
    if (is_vector(inst)) return vector_supported(inst);
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
        case Shape::fetch_op: return word(type) && ir::is_fetch_operation(static_cast<Op>(inst.imm));
        case Shape::constant:
        case Shape::address:
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
    out_->exits.push_back({.kind = kind, .rest = rest, .offset = static_cast<u32>(pc & page_mask)});
    return static_cast<u32>(out_->exits.size() - 1);
}

Label Compiler::give_up() {
    if (!has_give_up_) {
        has_give_up_ = true;
        give_up_ = a_.make_label();
        pending_exits_.push_back(
            {give_up_, add_exit(ExitKind::interpret, guest_pc_, guest_count_ - guest_index_), Homes::to_write_back});
    }
    return give_up_;
}

void Compiler::leave_to_interpreter() {
    a_.jmp(give_up());
    done_ = true;
}

void Compiler::leave_by(u32 exit, Homes homes) {
    a_.mov(Width::b32, Gpr::rax, static_cast<i64>(first_exit_ + exit));
    if (homes == Homes::written_back || homes_.empty()) {
        a_.jmp(at(Gpr::rsp, frame::exit));
        return;
    }
    if (!has_write_back_) write_back_ = a_.make_label();
    has_write_back_ = true;
    a_.jmp(write_back_);
}

// A jump that goes on behind itself, to the dispatcher, until it is linked.
void Compiler::jump_site(u64 pc) {
    store_homes();
    if (((pc ^ region_->virtual_page) & ~page_mask) != 0) return probe(pc);
    const u32 exit = add_exit(ExitKind::jump, pc, 0);
    out_->exits[exit].site = static_cast<u32>(a_.jmp_rel32_placeholder());
    out_->exits[exit].stub = static_cast<u32>(a_.size());
    leave_by(exit, Homes::written_back);
}

void Compiler::go_to(u64 pc, u32 next) {
    const u32 block = region_->block_at(pc);
    if (block == Region::no_block)
        jump_site(pc);
    else if (block != next)
        a_.jmp(labels_[block]);
}

void Compiler::go_to_if(Condition condition, u64 pc) {
    if (const u32 block = region_->block_at(pc); block != Region::no_block) {
        a_.jcc(condition, labels_[block]);
    } else if (homes_.empty() && ((pc ^ region_->virtual_page) & ~page_mask) == 0) {
        const u32 exit = add_exit(ExitKind::jump, pc, 0);
        out_->exits[exit].site = static_cast<u32>(a_.jcc_rel32_placeholder(condition));
        pending_branches_.push_back(exit);
    } else {
        pending_jumps_.push_back({a_.make_label(), pc});
        a_.jcc(condition, pending_jumps_.back().label);
    }
}

void Compiler::go_to_indirect(const ir::Inst& inst) {
    take(Gpr::rcx);
    load_to(Gpr::rcx, inst.a);
    use(inst.a);
    if (inst.hint == ir::JumpHint::return_) {
        if (!return_points_.empty()) {
            a_.mov(Width::b64, Gpr::rax, Gpr::rcx);
            a_.sub(Width::b64, Gpr::rax, at(Gpr::rsp, frame::page));
        }
        for (const u64 pc : return_points_) {
            a_.cmp(Width::b64, Gpr::rax, static_cast<i64>(pc & page_mask));
            a_.jcc(Condition::e, labels_[region_->block_at(pc)]);
        }
    }
    store_homes();
    probe_at_rcx();
}

// On at the address in rcx: by a look at the jump table here, so that the host predicts each such jump for itself.
void Compiler::probe_at_rcx() {
    static_assert(sizeof(exec::JumpTable::Entry) == 16);
    a_.mov(Width::b32, Gpr::rax, Gpr::rcx);
    a_.and_(Width::b32, Gpr::rax, i64{(exec::JumpTable::size - 1) << exec::JumpTable::index_shift});
    a_.shl(Width::b32, Gpr::rax, 4 - exec::JumpTable::index_shift);
    a_.add(Width::b64, Gpr::rax, state(layout_.jumps));
    a_.cmp(Width::b64, Gpr::rcx, at(Gpr::rax));
    a_.jcc(Condition::ne, miss());
    a_.jmp(at(Gpr::rax, 8));
}

// The same for an address of another page: what is there may change without this page's knowing, so it is not linked.
void Compiler::probe(u64 pc) {
    load_address(Gpr::rcx, pc);
    probe_at_rcx();
}

// A guest address as far from the page that the code runs in as `pc` is from the page that it was built for.
void Compiler::load_address(Gpr to, u64 pc) {
    const i64 distance = sign_extend(pc - region_->virtual_page, layout_.address_bits);
    const Mem page = at(Gpr::rsp, frame::page);
    if (distance == static_cast<i32>(distance)) {
        a_.mov(Width::b64, to, page);
        if (distance != 0) a_.add(Width::b64, to, distance);
    } else {
        a_.mov(Width::b64, to, distance);
        a_.add(Width::b64, to, page);
    }
    if (layout_.address_bits == 32) a_.mov(Width::b32, to, to);
}

void Compiler::address(const ir::Inst& inst) {
    const Gpr to = result_register();
    load_address(to, inst.imm);
    give(at_, to, true);
}

Label Compiler::miss() {
    if (!has_miss_) miss_ = a_.make_label();
    has_miss_ = true;
    return miss_;
}

void Compiler::terminator(const ir::Inst& inst) {
    const u32 next = static_cast<u32>(block_ - region_->blocks.data()) + 1;
    switch (inst.op) {
        case Op::jump: go_to(inst.imm, next); break;
        case Op::branch: {
            const Condition condition = condition_of(inst.a);
            if (const u32 block = region_->block_at(inst.imm); block != Region::no_block && block == next) {
                go_to_if(invert(condition), inst.imm2);
            } else {
                go_to_if(condition, inst.imm);
                go_to(inst.imm2, next);
            }
            break;
        }
        case Op::jump_indirect: go_to_indirect(inst); break;
        default: leave_by(add_exit(ExitKind::left, 0, 0), Homes::to_write_back); break;
    }
}

void Compiler::instruction(const ir::Inst& inst) {
    if (value(at_).uses == 0 && ir::effects_of(*block_, inst) == ir::effect_none && ir::makes_value(inst.op)) {
        ir::for_each_operand(*block_, inst, [&](ir::ValueId id) { use(id); });
        return;
    }
    if (is_vector(inst)) return vector(inst);
    switch (ir::info_of(inst.op).shape) {
        case Shape::unary: unary(inst); break;
        case Shape::binary: binary(inst); break;
        case Shape::compare: compare_value(inst); break;
        case Shape::constant: break;
        case Shape::address: address(inst); break;
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
    if (at_ >= supported_size_) return leave_to_interpreter();
    if (region_->next_page != nullptr) check_next_page();
}

ir::ValueId Compiler::supported_size(const ir::Block& block) {
    block_ = &block;
    ir::ValueId start = 0;
    for (ir::ValueId id = 0; id < block.code.size(); id++) {
        if (block.code[id].op == Op::guest) start = id;
        if (!supported(block.code[id])) return start;
    }
    return static_cast<ir::ValueId>(block.code.size());
}

void Compiler::count_uses() {
    supported_size_ = supported_size(*block_);
    for (const ir::Inst& inst : block_->code) guest_count_ += inst.op == Op::guest;
    for (ir::ValueId id = 0; id < supported_size_; id++)
        ir::for_each_operand(*block_, block_->code[id], [&](ir::ValueId operand) { values_[operand].uses++; });
}

void Compiler::block(u32 index) {
    const ir::Block& block = region_->blocks[index];
    block_ = &block;
    values_.assign(block.code.size(), Value{});
    in_slots_.clear();
    backed_.clear();
    for (Home& home : homes_) home.readers.clear();
    std::fill(std::begin(owner_), std::end(owner_), ir::no_value);
    std::fill(std::begin(xmm_owner_), std::end(xmm_owner_), ir::no_value);
    spill_places_ = 0;
    guest_count_ = 0;
    done_ = false;
    float_active_ = gathers_throughout_;
    count_uses();
    choose_windows();
    choose_targets();

    a_.bind(labels_[index]);
    if (index == 0 && region_->heat != Region::not_counted) {
        const Label hot = a_.make_label();
        pending_exits_.push_back({hot, add_exit(ExitKind::hot, block.pc, 0), Homes::to_write_back});
        a_.sub(Width::b32, state(layout_.heat + 4 * static_cast<i32>(region_->heat)), 1);
        a_.jcc(Condition::b, hot);
    }
    const Label no_budget = a_.make_label();
    pending_exits_.push_back({no_budget, add_exit(ExitKind::budget, block.pc, guest_count_), Homes::to_write_back});
    // Less than what is taken off it; the host makes one operation of the two.
    a_.sub(Width::b64, Gpr::r12, i64{guest_count_});
    a_.jcc(Condition::l, no_budget);

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
    for (const PendingJump& pending : pending_jumps_) {
        a_.bind(pending.label);
        jump_site(pending.pc);
    }
    for (const PendingExit& pending : pending_exits_) {
        a_.bind(pending.label);
        leave_by(pending.exit, pending.homes);
    }
    for (const u32 exit : pending_branches_) {
        out_->exits[exit].stub = static_cast<u32>(a_.size());
        leave_by(exit, Homes::written_back);
    }
    if (has_miss_) {
        a_.bind(miss_);
        a_.jmp(at(Gpr::rsp, frame::miss));
    }
    if (!has_write_back_) return;
    a_.bind(write_back_);
    store_homes();
    a_.jmp(at(Gpr::rsp, frame::exit));
}

// Where code is entered by the jump table: the guest's address is in rcx.
void Compiler::note_page() {
    a_.and_(Width::b64, Gpr::rcx, static_cast<i64>(~page_mask));
    a_.mov(Width::b64, at(Gpr::rsp, frame::page), Gpr::rcx);
}

// Whether the next page is still the one that the instruction was taken from.
void Compiler::check_next_page() {
    using exec::FetchEntry;
    using exec::FetchTable;
    static_assert(sizeof(FetchEntry) == 24);
    a_.mov(Width::b64, Gpr::rcx, at(Gpr::rsp, frame::page));
    a_.add(Width::b64, Gpr::rcx, i64{page_size});
    a_.mov(Width::b64, Gpr::rax, Gpr::rcx);
    a_.shr(Width::b64, Gpr::rax, page_bits);
    a_.and_(Width::b32, Gpr::rax, i64{FetchTable::size - 1});
    a_.lea(Width::b64, Gpr::rax, at(Gpr::rax, Gpr::rax, 2));
    a_.shl(Width::b64, Gpr::rax, 3);
    a_.add(Width::b64, Gpr::rax, state(layout_.fetch));
    a_.cmp(Width::b64, Gpr::rcx, at(Gpr::rax, i32{offsetof(FetchEntry, page)}));
    a_.jcc(Condition::ne, give_up());
    a_.mov(Width::b64, Gpr::rcx, static_cast<i64>(reinterpret_cast<u64>(region_->next_page)));
    a_.cmp(Width::b64, Gpr::rcx, at(Gpr::rax, i32{offsetof(FetchEntry, code)}));
    a_.jcc(Condition::ne, give_up());
}

void Compiler::entries() {
    for (u32 i = 0; i < labels_.size(); i++) {
        Compiled::Entry entry{.guest = static_cast<u32>(region_->blocks[i].pc & page_mask)};
        if (entered_at_start()) {
            entry.link = block_offsets_[i];
        } else {
            entry.entry = static_cast<u32>(a_.size());
            note_page();
            entry.link = homes_.empty() ? block_offsets_[i] : static_cast<u32>(a_.size());
            load_homes();
            if (gathers_throughout_) gather_flags();
            a_.jmp(labels_[i]);
        }
        out_->entries.push_back(entry);
    }
}

bool Compiler::compile(const Region& region, u32 first_exit, Compiled& out) {
    out_ = &out;
    region_ = &region;
    first_exit_ = first_exit;
    choose_homes(region);
    gathers_throughout_ = gathers_throughout();
    for (const ir::Block& each : region.blocks) {
        labels_.push_back(a_.make_label());
        const ir::Inst& last = each.code.back();
        if (last.op == Op::jump && last.hint == ir::JumpHint::call && region.block_at(last.imm) != Region::no_block &&
            region.block_at(each.pc + each.size) != Region::no_block && return_points_.size() < most_return_points)
            return_points_.push_back(each.pc + each.size);
    }
    if (entered_at_start()) note_page();
    for (u32 i = 0; i < region.blocks.size(); i++) {
        block_offsets_.push_back(static_cast<u32>(a_.size()));
        block(i);
    }
    missed_sites();
    slow_accesses();
    slow_windows();
    slow_transfers();
    slow_floats();
    canonical_nans();
    exit_stubs();
    entries();
    vector_constants();
    a_.finish();
    if (failed_ || out.exits.size() > exit_word::maximum_exits) return false;
    out.code.assign(a_.code().begin(), a_.code().end());
    for (const u32 exit : pending_branches_)
        Assembler::patch_rel32(out.code.data() + out.exits[exit].site,
                               i64{out.exits[exit].stub} - (i64{out.exits[exit].site} + 4));
    return true;
}

}  // namespace viv::jit::x64
