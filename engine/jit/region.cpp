// Finding blocks, and slots worth a register. See region.h.
#include "engine/jit/region.h"

#include <algorithm>
#include <map>

#include "engine/ir/effects.h"
#include "engine/ir/op_info.h"
#include "engine/jit/loops.h"
#include "engine/lang/check.h"

namespace viv::jit {

namespace {

using ir::Op;

// Builds for development verify a block after every pass; the release trusts them.
#ifdef VIV_VERIFY_IR
constexpr bool verifies = true;
#else
constexpr bool verifies = false;
#endif

unsigned guest_instructions(const ir::Block& block) {
    return static_cast<unsigned>(
        std::count_if(block.code.begin(), block.code.end(), [](const ir::Inst& inst) { return inst.op == Op::guest; }));
}

// Ends the block before the instruction at `pc`, if it has one that is not its first.
void cut(ir::Block& block, u64 pc) {
    if (pc <= block.pc || pc - block.pc >= block.size) return;
    const auto at = std::find_if(block.code.begin(), block.code.end(),
                                 [&](const ir::Inst& inst) { return inst.op == Op::guest && inst.imm == pc; });
    if (at == block.code.end()) return;
    block.code.erase(at, block.code.end());
    block.code.push_back({.op = Op::jump, .imm = pc});
    block.size = pc - block.pc;
}

bool is_call(const ir::Inst& inst) {
    return (inst.op == Op::jump || inst.op == Op::jump_indirect) && inst.hint == ir::JumpHint::call;
}

}  // namespace

RegionBuilder::RegionBuilder(const exec::Translatable& guest, const Backend& backend)
    : guest_(guest), backend_(backend), slots_(guest.slots()), passes_({.verify = verifies ? &slots_ : nullptr}) {}

Successors successors_of(const Region& region, u32 block) {
    const ir::Block& from = region.blocks[block];
    const ir::Inst& last = from.code.back();
    Successors next;
    if (last.op == Op::jump || last.op == Op::branch) next.target = region.block_at(last.imm);
    if (last.op == Op::branch) next.other = region.block_at(last.imm2);
    if (is_call(last)) next.returned = region.block_at(from.pc + from.size);
    return next;
}

void RegionBuilder::discover(std::span<const u8> page, u64 pc, const SeenCode& seen, const RegionLimits& limits,
                             Region& region) {
    std::map<u64, ir::Block> blocks;
    std::vector<u64> work{pc};
    unsigned instructions = 0;
    const auto want = [&](u64 target) {
        const u64 offset = target - region.virtual_page;
        if (offset < page_size && seen[static_cast<usize>(offset)]) work.push_back(target);
    };
    for (usize next = 0; next < work.size() && blocks.size() < limits.blocks; next++) {
        const u64 at = work[next];
        if (blocks.contains(at)) continue;
        // What is executed as part of a longer block ends that one there.
        for (auto& [start, block] : blocks) cut(block, at);
        ir::Block block = guest_.translate_block(page, region.virtual_page, at, region.mode, limits.instructions);
        if (block.code.empty()) continue;
        for (const auto& [start, known] : blocks) cut(block, start);
        instructions += guest_instructions(block);
        const ir::Inst last = block.code.back();
        const u64 behind = at + block.size;
        blocks.emplace(at, std::move(block));
        if (instructions >= limits.instructions) break;
        if (last.op == Op::jump || last.op == Op::branch) want(last.imm);
        if (last.op == Op::branch) want(last.imm2);
        if (is_call(last)) want(behind);
    }
    for (auto& [start, block] : blocks) region.blocks.push_back(std::move(block));
}

void RegionBuilder::optimize(ir::Block& block) {
    if (const usize supported = backend_.supported(block); supported < block.code.size()) {
        // A block that begins with such an instruction stays as it is: nothing of it is translated.
        if (supported == 0) return;
        cut(block, block.code[supported].imm);
    }
    ir::Block before = block;
    passes_.full(block);
    // Folding may find a form that the backend lacks.
    if (backend_.supported(block) < block.code.size()) block = std::move(before);
}

void RegionBuilder::promote(Region& region) {
    struct Use {
        u64 weight = 0;
        i64 floating = 0;  // more than 0: floating-point units have more to do with it than integer ones
        bool usable = true;
        bool written = false;
    };
    std::map<u64, Use> uses;
    const Loops loops = loops_of(region);
    region.steady = steady_slots(region, loops);
    for (usize i = 0; i < region.blocks.size(); i++) {
        const ir::Block& block = region.blocks[i];
        const i64 weight = i64{1} << (3 * std::min(loops.depths[i], 6u));
        // What is done with each value: more than 0 for floating-point units. Where it is loaded from and stored to
        // does not matter.
        std::vector<i64> floating(block.code.size(), 0);
        for (ir::ValueId id = 0; id < block.code.size(); id++) {
            const ir::Inst& inst = block.code[id];
            if (inst.op == Op::set) continue;
            const i64 kind = ir::is_float(inst.op) ? weight : -weight;
            if (ir::makes_value(inst.op) && inst.op != Op::get && inst.op != Op::load) floating[id] += kind;
            ir::for_each_operand(block, inst, [&](ir::ValueId operand) {
                if (inst.op != Op::store || operand != inst.b) floating[operand] += kind;
            });
        }
        for (ir::ValueId id = 0; id < block.code.size(); id++) {
            const ir::Inst& inst = block.code[id];
            if (inst.op != Op::get && inst.op != Op::set) continue;
            Use& use = uses[inst.imm];
            use.weight += static_cast<u64>(weight);
            use.usable = use.usable && inst.type == ir::Type::i64;
            use.written = use.written || inst.op == Op::set;
            use.floating += floating[inst.op == Op::set ? inst.a : id];
        }
        // Rounding modes and flags are reached by other ways, too.
        for (const ir::FloatUnit& unit : block.float_units)
            uses[unit.flags].usable = uses[unit.rounding].usable = false;
    }
    for (const auto& [slot, use] : uses)
        if (use.usable && use.weight > 1)
            region.promoted.push_back({slot, use.floating > 0 ? Promotion::Kind::floating : Promotion::Kind::integer,
                                       use.written, use.weight});
    // Slots that overlap another one stay where they are.
    std::erase_if(region.promoted, [&](const Promotion& promotion) {
        return std::any_of(uses.begin(), uses.end(), [&](const auto& use) {
            const u64 slot = use.first;
            return promotion.slot != slot && promotion.slot < slot + 8 && slot < promotion.slot + 8;
        });
    });
    std::stable_sort(region.promoted.begin(), region.promoted.end(),
                     [](const Promotion& a, const Promotion& b) { return a.weight > b.weight; });
}

Region RegionBuilder::build(std::span<const u8> page, u64 physical_page, u64 virtual_page, u64 mode, u64 pc,
                            const SeenCode& seen, const RegionLimits& limits) {
    Region region{.physical_page = physical_page,
                  .virtual_page = virtual_page,
                  .mode = mode,
                  .blocks = {},
                  .promoted = {},
                  .steady = {}};
    discover(page, pc, seen, limits, region);
    for (ir::Block& block : region.blocks) optimize(block);
    promote(region);
    return region;
}

}  // namespace viv::jit
