// Loops as components of a region's graph, and what they write. See loops.h.
#include "engine/jit/loops.h"

#include <algorithm>
#include <iterator>

#include "engine/ir/effects.h"
#include "engine/jit/components.h"

namespace viv::jit {

namespace {

using ir::Op;

std::vector<std::vector<u32>> edges_of(const Region& region) {
    std::vector<std::vector<u32>> edges(region.blocks.size());
    for (u32 block = 0; block < edges.size(); block++) {
        const Successors next = successors_of(region, block);
        for (const u32 to : {next.target, next.other, next.returned})
            if (to != Successors::none) edges[block].push_back(to);
    }
    return edges;
}

constexpr u64 no_slot = ~u64{0};

// A slot that becomes what `from` was, but for a small constant.
struct Change {
    u64 slot, from;
    bool loaded;  // instead: what lies where that points
};

Change change_of(const ir::Block& block, const ir::Inst& set) {
    // As many bytes as let a page do for some turns.
    constexpr u64 largest_step = page_size / 4;
    const ir::Inst* made = &block.code[set.a];
    const bool loaded = made->op == Op::load && made->type == ir::Type::i64;
    if (loaded) made = &block.code[made->a];
    if (made->op == Op::add && block.code[made->b].op == Op::constant &&
        block.code[made->b].imm + largest_step <= 2 * largest_step)
        made = &block.code[made->a];
    const bool of_slot = made->op == Op::get && made->type == ir::Type::i64;
    return {set.imm, of_slot ? made->imm : no_slot, loaded};
}

std::vector<u64> steady_slots_of(const Region& region, const std::vector<u32>& loop) {
    std::vector<u64> slots;
    std::vector<Change> changes;
    for (const u32 member : loop) {
        const ir::Block& block = region.blocks[member];
        for (const ir::Inst& inst : block.code) {
            if (inst.op == Op::get && inst.type == ir::Type::i64) slots.push_back(inst.imm);
            if (inst.op == Op::set) changes.push_back(change_of(block, inst));
            // What it writes is not known.
            if (inst.op == Op::call && (block.calls[inst.imm].effects & ir::effect_writes_state) != 0) return {};
        }
    }
    std::sort(slots.begin(), slots.end());
    slots.erase(std::unique(slots.begin(), slots.end()), slots.end());
    const auto by_slot = [](const Change& a, const Change& b) { return a.slot < b.slot; };
    std::sort(changes.begin(), changes.end(), by_slot);
    const auto any_change = [&](u64 slot, const auto& is_so) {
        const auto [first, last] = std::equal_range(changes.begin(), changes.end(), Change{slot, 0, false}, by_slot);
        return std::any_of(first, last, is_so);
    };
    // The next element of a list is often near; what an array of pointers points to is anywhere.
    const auto is_list = [&](const Change& load) {
        return load.from == load.slot ||
               any_change(load.from, [&](const Change& change) { return change.from == load.slot; });
    };
    // What becomes something else is none of them, nor what becomes that.
    const auto lost = [&](u64 slot) {
        return any_change(slot, [&](const Change& change) {
            return !std::binary_search(slots.begin(), slots.end(), change.from) || (change.loaded && !is_list(change));
        });
    };
    for (usize before = 0; before != slots.size();) {
        before = slots.size();
        std::vector<u64> left;
        std::remove_copy_if(slots.begin(), slots.end(), std::back_inserter(left), lost);
        slots = std::move(left);
    }
    return slots;
}

}  // namespace

Loops loops_of(const Region& region) {
    const auto edges = edges_of(region);
    Loops loops{.depths = std::vector<unsigned>(edges.size(), 0),
                .innermost = std::vector<std::vector<u32>>(edges.size())};
    // A component is a loop; without its first block, by address, what is left of it are the loops within.
    std::vector<std::vector<bool>> work{std::vector<bool>(edges.size(), true)};
    while (!work.empty()) {
        const std::vector<bool> among = std::move(work.back());
        work.pop_back();
        for (const auto& component : components_of(edges, among)) {
            const std::vector<u32>& next = edges[component.front()];
            if (component.size() == 1 && std::find(next.begin(), next.end(), component.front()) == next.end()) continue;
            std::vector<bool> inner(edges.size(), false);
            for (const u32 block : component) {
                loops.depths[block]++;
                loops.innermost[block] = component;
                inner[block] = true;
            }
            inner[component.front()] = false;
            work.push_back(std::move(inner));
        }
    }
    return loops;
}

std::vector<std::vector<u64>> steady_slots(const Region& region, const Loops& loops) {
    std::vector<std::vector<u64>> steady(region.blocks.size());
    for (u32 block = 0; block < steady.size(); block++) {
        const std::vector<u32>& loop = loops.innermost[block];
        if (loop.empty()) continue;
        // The blocks of a loop share them.
        const u32 first = loop.front();
        steady[block] = first < block && loops.innermost[first] == loop ? steady[first] : steady_slots_of(region, loop);
    }
    return steady;
}

}  // namespace viv::jit
