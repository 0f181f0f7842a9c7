// From a graph of blocks that can be entered anywhere to what WebAssembly has: blocks and loops that one can leave, and
// enter at their top only.
// Promises: any graph works, irreducible ones too. A loop is a strongly connected component; one of its blocks is its
// header, behind which what is left falls into smaller components, and so on. Components of a level stand in an order
// in which edges go forward only, so an edge is a branch to the end of a wasm block or to the top of a loop around. A
// component entered elsewhere than at its header is entered at its top with a selector that says where to, which each
// level hands down.
#pragma once

#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::jit::wasm {

// A part of a level: one block, or a loop.
struct Component {
    u32 header = 0;           // the block, or the loop's header
    bool loop = false;        // there is a way back to the header
    std::vector<u32> blocks;  // the header included, ascending
    // Of a loop: what it consists of; first the header alone.
    std::vector<Component> inside;
};

// The components of the whole graph; edges[i] are the blocks that block i can go to.
std::vector<Component> structure_of(const std::vector<std::vector<u32>>& edges);

}  // namespace viv::jit::wasm
