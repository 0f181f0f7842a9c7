// Which guest code is compiled as one piece by tier 2, and which state slots are worth a register across all of it.
// Promises: knows no guest and no host; the result depends on nothing but the arguments, so it can be made on any
// thread. A region lies within one page; blocks in it do not overlap, unless a jump goes into the middle of an
// instruction.
#pragma once

#include <bitset>
#include <functional>
#include <span>

#include "engine/exec/translation.h"
#include "engine/ir/opt/pipeline.h"
#include "engine/jit/backend.h"

namespace viv::jit {

struct RegionLimits {
    unsigned blocks = 48;
    unsigned instructions = 400;
};

// Addresses of a page's code that have been executed, by their offset within the page.
using SeenCode = std::bitset<page_size>;

class RegionBuilder {
public:
    RegionBuilder(const exec::Translatable& guest, const Backend& backend);

    // The blocks that can be reached from `pc`, which lies in the page, by jumps, branches, calls and returns within
    // it, as far as they have been seen. No blocks: there is no instruction at `pc` that lies within the page whole.
    Region build(std::span<const u8> page, u64 physical_page, u64 virtual_page, u64 mode, u64 pc, const SeenCode& seen,
                 const RegionLimits& limits);

private:
    void discover(std::span<const u8> page, u64 pc, const SeenCode& seen, const RegionLimits& limits, Region& region);
    void promote(Region& region);

    // Runs the passes over a block; what the backend cannot translate is left out of it.
    void optimize(ir::Block& block);

    const exec::Translatable& guest_;
    const Backend& backend_;
    const ir::SlotTable slots_;
    ir::opt::Passes passes_;
};

// Where execution can go on within the region behind a block, as indices of blocks: targets of the terminator, and
// where a call returns to. At most three.
struct Successors {
    static constexpr u32 none = Region::no_block;
    u32 target = none;    // of a jump; where a branch goes if its condition holds
    u32 other = none;     // where a branch goes otherwise
    u32 returned = none;  // behind a call
};
Successors successors_of(const Region& region, u32 block);

}  // namespace viv::jit
