// The loops of a region, and which pointers stay in a page for most of their turns.
// Promises: knows no guest and no host; the result depends on nothing but the region. What it says about pointers is a
// guess that costs time where it is wrong, and nothing else.
#pragma once

#include <vector>

#include "engine/jit/region.h"

namespace viv::jit {

// By block of the region.
struct Loops {
    std::vector<unsigned> depths;             // how many it lies in
    std::vector<std::vector<u32>> innermost;  // the blocks of the innermost one, itself among them, ascending
};
Loops loops_of(const Region& region);

// For each block, the slots of type i64 that in a turn of the innermost loop around it are left alone, or become what
// one of them was, but for a small constant, or the next element of a list: pointers that go through an array, or stay.
// Ascending; none outside of loops.
std::vector<std::vector<u64>> steady_slots(const Region& region, const Loops& loops);

}  // namespace viv::jit
