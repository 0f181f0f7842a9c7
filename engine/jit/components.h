// The strongly connected components of a graph of blocks: what its loops are found by.
// Promises: the result depends on the graph alone. Recursion is as deep as there are blocks, so graphs must be small.
#pragma once

#include <vector>

#include "engine/lang/bits.h"

namespace viv::jit {

// edges[i] are the blocks that block i can go to. Of the blocks in `among`, a component each; the members ascend. A
// component stands before those that it leads to, and blocks without an order of their own in that of their numbers.
std::vector<std::vector<u32>> components_of(const std::vector<std::vector<u32>>& edges, const std::vector<bool>& among);

}  // namespace viv::jit
