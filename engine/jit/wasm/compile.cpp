// The walk over a region: its structure, its blocks, the function around them. See compiler.h.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "engine/ir/effects.h"
#include "engine/jit/wasm/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::wasm {

namespace {

using ir::Op;
using ir::Shape;
using ir::Type;

// Return addresses that a return within a region is compared with before it asks the jump table.
constexpr usize most_return_points = 4;

bool is_whole(Type type) { return type == Type::i32 || type == Type::i64; }

// Decided before a guest instruction begins, since none can be given up after its first access to memory.
bool supported(const ir::Block& block, const ir::Inst& inst) {
    if (inst.type == Type::i128) return false;
    bool vectors = false;
    ir::for_each_operand(block, inst,
                         [&](ir::ValueId id) { vectors = vectors || ir::result_type(block.code[id]) == Type::i128; });
    if (vectors) return false;
    switch (ir::info_of(inst.op).shape) {
        case Shape::float_unary:
        case Shape::float_binary:
        case Shape::float_ternary:
        case Shape::float_compare:
        case Shape::float_convert: return inst.rounding != ir::Rounding::dynamic;
        case Shape::exchange:
        case Shape::compare_exchange: return is_whole(inst.type);
        case Shape::fetch_op: return is_whole(inst.type) && ir::is_fetch_operation(static_cast<Op>(inst.imm));
        case Shape::lanes:
        case Shape::splat:
        case Shape::lane_mask:
        case Shape::expand_bits:
        case Shape::insert_bits:
        case Shape::transfer_lanes: return false;
        default: return true;
    }
}

}  // namespace

usize Compiler::supported_size(const ir::Block& block) {
    usize start = 0;
    for (usize id = 0; id < block.code.size(); id++) {
        if (block.code[id].op == Op::guest) start = id;
        if (!supported(block, block.code[id])) return start;
    }
    return block.code.size();
}

void Compiler::open(Code code, Open what) {
    w_.begin(code);
    open_.push_back(what);
}

void Compiler::close() {
    w_.op(Code::end);
    open_.pop_back();
}

u32 Compiler::depth(Target target, u32 level, u32 number) const {
    for (usize i = open_.size(); i-- > 0;) {
        const Open& each = open_[i];
        if (each.target == target && each.level == level && each.number == number)
            return static_cast<u32>(open_.size() - 1 - i);
    }
    CHECK(false, "a branch to what is not open");
    return 0;
}

void Compiler::branch(Code code, Target target, u32 level, u32 number) { w_.op(code, depth(target, level, number)); }

std::vector<std::vector<u32>> Compiler::find_edges() {
    std::vector<std::vector<u32>> edges(region_->blocks.size());
    for (const ir::Block& each : region_->blocks) {
        const ir::Inst& last = each.code.back();
        if (last.op == Op::jump && last.hint == ir::JumpHint::call && region_->block_at(last.imm) != no_block &&
            region_->block_at(each.pc + each.size) != no_block && return_points_.size() < most_return_points)
            return_points_.push_back(each.pc + each.size);
    }
    for (u32 from = 0; from < edges.size(); from++) {
        const ir::Inst& last = region_->blocks[from].code.back();
        const auto add = [&](u64 pc) {
            const u32 to = region_->block_at(pc);
            if (to != no_block && std::find(edges[from].begin(), edges[from].end(), to) == edges[from].end())
                edges[from].push_back(to);
        };
        if (last.op == Op::jump || last.op == Op::branch) add(last.imm);
        if (last.op == Op::branch) add(last.imm2);
        if (last.op == Op::jump_indirect && last.hint == ir::JumpHint::return_)
            for (const u64 pc : return_points_) add(pc);
    }
    return edges;
}

// To the component that holds the block that the selector names; the first one if that is 0.
void Compiler::dispatch(const std::vector<Component>& components) {
    const u32 here = static_cast<u32>(levels_.size() - 1);
    const u32 first = depth(Target::component, here, 0);
    std::vector<u32> depths(region_->blocks.size() + 1, first);
    for (u32 i = 0; i < components.size(); i++)
        for (const u32 index : components[i].blocks) depths[index + 1] = depth(Target::component, here, i);
    w_.get(selector_);
    w_.op(Code::br_table, depths.size());
    for (const u32 each : depths) w_.number(each);
    w_.number(first);
}

void Compiler::level(const std::vector<Component>& components, u32 header) {
    const u32 here = static_cast<u32>(levels_.size());
    levels_.push_back({&components, header, 0});
    const u32 count = static_cast<u32>(components.size());
    for (u32 i = count; i-- > 0;) open(Code::block, {Target::component, here, i});
    if (header != no_block && count > 1) {
        w_.get(selector_);
        w_.op(Code::i32_eqz);
        branch(Code::br_if, Target::component, here, 0);
    }
    if (count > 1) dispatch(components);
    for (u32 i = 0; i < count; i++) {
        close();
        levels_[here].current = i;
        const Component& component = components[i];
        if (!component.loop) {
            block(component.header);
            continue;
        }
        open(Code::loop, {Target::top, here + 1, 0});
        level(component.inside, component.header);
        close();
        w_.op(Code::unreachable);
    }
    levels_.pop_back();
}

void Compiler::begin_guest_instruction() {
    guest_pc_ = block_->code[at_].imm;
    guest_index_++;
    give_up_exit_.reset();
    if (at_ >= supported_) {
        give_up();
        done_ = true;
        return;
    }
    if (region_->next_page != nullptr) check_next_page();
}

// Whether the next page is still the one that the instruction was taken from.
void Compiler::check_next_page() {
    using exec::FetchEntry;
    using exec::FetchTable;
    w_.get(page_);
    w_.i64_const(page_size);
    w_.op(Code::i64_add);
    w_.tee(wide_);
    w_.i64_const(page_bits);
    w_.op(Code::i64_shr_u);
    w_.op(Code::i32_wrap_i64);
    w_.i32_const(FetchTable::size - 1);
    w_.op(Code::i32_and);
    w_.i32_const(sizeof(FetchEntry));
    w_.op(Code::i32_mul);
    const u32 offset = state_base(layout_.fetch);
    w_.memory(Code::i32_load, offset);
    w_.op(Code::i32_add);
    w_.tee(entry_);
    w_.memory(Code::i64_load, offsetof(FetchEntry, page));
    w_.get(wide_);
    w_.op(Code::i64_ne);
    w_.get(entry_);
    w_.memory(Code::i32_load, offsetof(FetchEntry, code));
    w_.i32_const(place_of(region_->next_page));
    w_.op(Code::i32_ne);
    w_.op(Code::i32_or);
    open(Code::if_);
    give_up();
    close();
}

void Compiler::instruction(const ir::Inst& inst) {
    if (values_[at_].uses == 0 && ir::effects_of(*block_, inst) == ir::effect_none && ir::makes_value(inst.op)) {
        ir::for_each_operand(*block_, inst, [&](ir::ValueId id) { use(id); });
        return;
    }
    switch (ir::info_of(inst.op).shape) {
        case Shape::unary: unary(inst); break;
        case Shape::binary: binary(inst); break;
        case Shape::compare: compare(inst); break;
        case Shape::constant: values_[at_].where = Where::constant; break;
        case Shape::address:
            push_address(inst.imm);
            give();
            break;
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
        case Shape::fence: break;  // harts are run in turn
        case Shape::float_unary:
        case Shape::float_binary:
        case Shape::float_ternary:
        case Shape::float_compare:
        case Shape::float_convert: float_operation(inst); break;
        case Shape::call: call(inst); break;
        default: terminator(inst); break;
    }
}

void Compiler::block(u32 index) {
    const ir::Block& block = region_->blocks[index];
    block_ = &block;
    values_.assign(block.code.size(), Value{});
    home_readers_.clear();
    for (auto& each : free_locals_) each.clear();
    for (u32 i = static_cast<u32>(locals_.size()); i-- > homes_.size();)
        if (locals_[i] == ValueType::i64 || locals_[i] == ValueType::i32)
            free_locals_[locals_[i] == ValueType::i64].push_back(first_free_local + i);
    supported_ = static_cast<ir::ValueId>(supported_size(block));
    guest_count_ = 0;
    for (const ir::Inst& inst : block.code) guest_count_ += inst.op == Op::guest;
    for (ir::ValueId id = 0; id < supported_; id++)
        ir::for_each_operand(block, block.code[id], [&](ir::ValueId operand) { values_[operand].uses++; });
    done_ = false;

    if (selects_) {
        w_.i32_const(0);
        w_.set(selector_);
    }
    if (index == 0 && region_->heat != Region::not_counted) {
        const i64 counter = layout_.heat + 4 * i64{region_->heat};
        const u32 offset = state_base(counter);
        state_base(counter);
        w_.memory(Code::i32_load, offset);
        w_.tee(entry_);
        w_.i32_const(1);
        w_.op(Code::i32_sub);
        w_.memory(Code::i32_store, offset);
        w_.get(entry_);
        w_.op(Code::i32_eqz);
        open(Code::if_);
        leave_by(add_exit(ExitKind::hot, block.pc, 0), Target::exit);
        close();
    }
    w_.get(budget_);
    w_.i64_const(guest_count_);
    w_.op(Code::i64_sub);
    w_.tee(budget_);
    w_.i64_const(0);
    w_.op(Code::i64_lt_s);
    open(Code::if_);
    leave_by(add_exit(ExitKind::budget, block.pc, guest_count_), Target::exit);
    close();

    guest_index_ = ~u32{0};
    for (at_ = 0; at_ < block.code.size() && !done_; at_++) {
        if (block.code[at_].op == Op::guest)
            begin_guest_instruction();
        else
            instruction(block.code[at_]);
    }
}

// Behind all blocks, none of which falls out of its end.
void Compiler::finish() {
    w_.op(Code::unreachable);
    close();  // Target::exit
    write_back();
    close();  // Target::plain
    w_.get(frame_);
    w_.get(page_);
    w_.memory(Code::i64_store, offsetof(Frame, page));
    const u32 offset = state_base(layout_.budget);
    w_.get(budget_);
    w_.memory(Code::i64_store, offset);
    w_.get(word_);
    w_.op(Code::return_);
    close();  // Target::tail
    write_back();
    for (const u32 each : {state_, frame_, word_, page_, budget_}) w_.get(each);
    w_.get(word_);
    w_.memory(Code::i32_load, offsetof(Record, place));
    w_.return_call_indirect(type_region);
    w_.op(Code::end);
}

bool Compiler::compile(const Region& region, u32 first_exit, Compiled& out) {
    out_ = &out;
    region_ = &region;
    first_exit_ = first_exit;
    const u32 blocks = static_cast<u32>(region.blocks.size());
    const auto components = structure_of(find_edges());
    const auto has_dispatch = [](const auto& self, const std::vector<Component>& all) -> bool {
        return std::any_of(all.begin(), all.end(), [&](const Component& each) {
            return each.loop && (each.inside.size() > 1 || self(self, each.inside));
        });
    };
    selects_ = has_dispatch(has_dispatch, components);
    for (const Promotion& promotion : region.promoted) {
        homes_.push_back({promotion.slot, declare(ValueType::i64), promotion.written});
    }

    open(Code::block, {Target::tail, 0, 0});
    open(Code::block, {Target::plain, 0, 0});
    open(Code::block, {Target::exit, 0, 0});
    if (components.size() > 1 || selects_) {
        w_.get(record_);
        w_.memory(Code::i32_load, offsetof(Record, block));
        w_.set(selector_);
    }
    w_.get(record_);
    w_.memory(Code::i32_load, offsetof(Record, base));
    w_.set(record_);
    load_tlb();
    read_homes();
    level(components, no_block);
    finish();

    // Runs of locals of one type. The first are those that every function has.
    Writer head;
    std::vector<std::pair<u32, ValueType>> runs{{5, ValueType::i32}, {1, ValueType::i64}};
    for (const ValueType type : locals_) {
        if (runs.back().second == type)
            runs.back().first++;
        else
            runs.push_back({1, type});
    }
    head.number(runs.size());
    for (const auto& [count, type] : runs) {
        head.number(count);
        head.byte(static_cast<u8>(type));
    }
    head.append(w_.bytes());
    if (out.exits.size() > exit_word::maximum_exits) return false;

    Header header{.state = Header::fresh,
                  .entries = blocks,
                  .links = links_,
                  .body = link_at(blocks, links_),
                  .body_size = static_cast<u32>(head.size()),
                  .region = region.blocks.size() > 1};
    out.code.assign(header.body, 0);
    std::memcpy(out.code.data(), &header, sizeof header);
    for (u32 i = 0; i < blocks; i++) {
        const Record record{.place = 0, .block = i + 1, .base = 0, .distance = record_at(i)};
        std::memcpy(out.code.data() + record.distance, &record, sizeof record);
        out.entries.push_back({static_cast<u32>(region.blocks[i].pc & page_mask), record.distance, record.distance});
    }
    for (u32 i = 0; i < links_; i++) {
        Link link{.target = 0, .word = first_exit + link_exits_[i], .unused = {}, .leave = {}};
        link.leave.block = link.word;
        link.leave.distance = link_at(blocks, i) + static_cast<u32>(offsetof(Link, leave));
        std::memcpy(out.code.data() + link_at(blocks, i), &link, sizeof link);
    }
    out.code.insert(out.code.end(), head.bytes().begin(), head.bytes().end());
    return true;
}

}  // namespace viv::jit::wasm
