// Ways out of a block: to another of the region, to other translations, to the dispatcher. See compiler.h.
#include <algorithm>
#include <cstddef>

#include "engine/jit/wasm/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::wasm {

using ir::Op;
using ir::Type;

u32 Compiler::add_exit(ExitKind kind, u64 pc, u32 rest) {
    out_->exits.push_back({.kind = kind, .rest = rest, .offset = static_cast<u32>(pc & page_mask)});
    return static_cast<u32>(out_->exits.size() - 1);
}

void Compiler::leave_by(u32 exit, Target by) {
    w_.i32_const(first_exit_ + exit);
    w_.set(word_);
    branch(Code::br, by);
}

void Compiler::give_up() {
    if (!give_up_exit_) give_up_exit_ = add_exit(ExitKind::interpret, guest_pc_, guest_count_ - guest_index_);
    leave_by(*give_up_exit_, Target::exit);
}

void Compiler::write_back() {
    for (const Home& home : homes_) {
        if (!home.written) continue;
        const u32 offset = state_base(static_cast<i64>(home.slot));
        w_.get(home.local);
        w_.memory(Code::i64_store, offset);
    }
}

void Compiler::read_homes() {
    for (const Home& home : homes_) {
        load_state(Type::i64, static_cast<i64>(home.slot));
        w_.set(home.local);
    }
}

// A guest address as far from the page that the code runs in as `pc` is from the page that it was built for.
void Compiler::push_address(u64 pc) {
    w_.get(page_);
    if (pc != region_->virtual_page) {
        w_.i64_const(pc - region_->virtual_page);
        w_.op(Code::i64_add);
    }
    if (layout_.address_bits == 32) {
        w_.i64_const(0xffff'ffff);
        w_.op(Code::i64_and);
    }
}

// To where the link says: at first back to the dispatcher.
void Compiler::jump_site(u64 pc) {
    if (((pc ^ region_->virtual_page) & ~page_mask) != 0) {
        push_address(pc);
        w_.set(wide_);
        return probe();
    }
    const u32 exit = add_exit(ExitKind::jump, pc, 0);
    const u32 link = link_at(static_cast<u32>(region_->blocks.size()), links_++);
    link_exits_.push_back(exit);
    out_->exits[exit].site = link + static_cast<u32>(offsetof(Link, target));
    out_->exits[exit].stub = link + static_cast<u32>(offsetof(Link, leave));
    w_.get(record_);
    w_.memory(Code::i32_load, out_->exits[exit].site);
    w_.set(word_);
    branch(Code::br, Target::tail);
}

// By the jump table: an address is in its own place or in that of its neighbour.
void Compiler::probe() {
    using exec::JumpTable;
    using Entry = JumpTable::Entry;
    constexpr unsigned entry_bits = 4;
    static_assert(sizeof(Entry) == 1 << entry_bits);
    w_.get(wide_);
    w_.op(Code::i32_wrap_i64);
    w_.i32_const(entry_bits - JumpTable::index_shift);
    w_.op(Code::i32_shl);
    w_.i32_const((JumpTable::size - 1) << entry_bits);
    w_.op(Code::i32_and);
    const u32 offset = state_base(layout_.jumps);
    w_.memory(Code::i32_load, offset);
    w_.op(Code::i32_add);
    w_.tee(entry_);
    w_.memory(Code::i64_load, offsetof(Entry, pc));
    w_.get(wide_);
    w_.op(Code::i64_ne);
    open(Code::if_);
    w_.get(entry_);
    w_.i32_const(sizeof(Entry));
    w_.op(Code::i32_xor);
    w_.tee(entry_);
    w_.memory(Code::i64_load, offsetof(Entry, pc));
    w_.get(wide_);
    w_.op(Code::i64_ne);
    open(Code::if_);
    {
        const u32 pc = state_base(layout_.pc);
        w_.get(wide_);
        w_.memory(Code::i64_store, pc);
        w_.i32_const(exit_word::no_code);
        w_.set(word_);
        branch(Code::br, Target::exit);
    }
    close();
    close();
    w_.get(wide_);
    w_.i64_const(~page_mask);
    w_.op(Code::i64_and);
    w_.set(page_);
    w_.get(entry_);
    w_.memory(Code::i32_load, offsetof(Entry, code));
    w_.set(word_);
    branch(Code::br, Target::tail);
}

void Compiler::go_to_indirect(const ir::Inst& inst) {
    push(inst.a);
    w_.set(wide_);
    if (inst.hint == ir::JumpHint::return_) {
        for (const u64 pc : return_points_) {
            push_address(pc);
            w_.get(wide_);
            w_.op(Code::i64_eq);
            open(Code::if_);
            go_to_block(region_->block_at(pc));
            close();
        }
    }
    probe();
}

void Compiler::go_to(u64 pc) {
    const u32 index = region_->block_at(pc);
    if (index == no_block)
        jump_site(pc);
    else
        go_to_block(index);
}

// The innermost level that knows the block as its loop's header, or in a component behind the one in progress.
void Compiler::go_to_block(u32 index) {
    for (u32 here = static_cast<u32>(levels_.size()); here-- > 0;) {
        const Level& each = levels_[here];
        if (each.header == index) return branch(Code::br, Target::top, here);
        for (u32 i = each.current + 1; i < each.components->size(); i++) {
            const Component& component = (*each.components)[i];
            if (!std::binary_search(component.blocks.begin(), component.blocks.end(), index)) continue;
            if (component.header != index) {
                w_.i32_const(index + 1);
                w_.set(selector_);
            }
            return branch(Code::br, Target::component, here, i);
        }
    }
    CHECK(false, "an edge that goes nowhere");
}

void Compiler::terminator(const ir::Inst& inst) {
    switch (inst.op) {
        case Op::jump: go_to(inst.imm); break;
        case Op::branch:
            push(inst.a);
            open(Code::if_);
            go_to(inst.imm);
            close();
            go_to(inst.imm2);
            break;
        case Op::jump_indirect: go_to_indirect(inst); break;
        default: leave_by(add_exit(ExitKind::left, 0, 0), Target::exit); break;
    }
    done_ = true;
}

}  // namespace viv::jit::wasm
