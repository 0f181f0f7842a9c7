// See structure.h.
#include "engine/jit/wasm/structure.h"

#include <algorithm>

#include "engine/jit/components.h"

namespace viv::jit::wasm {

namespace {

using Edges = std::vector<std::vector<u32>>;

constexpr u32 none = ~u32{0};

// Of the blocks in `among`; without ways back to the header, which comes first, if there is one.
std::vector<std::vector<u32>> parts_of(const Edges& edges, std::vector<bool> among, u32 header) {
    if (header == none) return components_of(edges, among);
    among[header] = false;
    auto parts = components_of(edges, among);
    parts.insert(parts.begin(), {header});
    return parts;
}

// The one that is entered from outside, else the first.
u32 choose_header(const Edges& edges, const std::vector<u32>& blocks) {
    const auto is_inside = [&](u32 block) { return std::binary_search(blocks.begin(), blocks.end(), block); };
    u32 best = blocks.front();
    usize most = 0;
    for (const u32 block : blocks) {
        usize entered = 0;
        for (u32 from = 0; from < edges.size(); from++)
            if (!is_inside(from))
                entered += static_cast<usize>(std::count(edges[from].begin(), edges[from].end(), block));
        if (entered > most) {
            most = entered;
            best = block;
        }
    }
    return best;
}

std::vector<Component> level(const Edges& edges, const std::vector<bool>& among, u32 header) {
    std::vector<Component> all;
    for (auto& blocks : parts_of(edges, among, header)) {
        Component component;
        component.blocks = std::move(blocks);
        const u32 first = component.blocks.front();
        component.header = component.blocks.size() > 1 ? choose_header(edges, component.blocks) : first;
        component.loop =
            component.blocks.size() > 1 ||
            (first != header && std::find(edges[first].begin(), edges[first].end(), first) != edges[first].end());
        if (component.loop) {
            std::vector<bool> inside(edges.size(), false);
            for (const u32 block : component.blocks) inside[block] = true;
            component.inside = level(edges, inside, component.header);
        }
        all.push_back(std::move(component));
    }
    return all;
}

}  // namespace

std::vector<Component> structure_of(const Edges& edges) {
    return level(edges, std::vector<bool>(edges.size(), true), none);
}

}  // namespace viv::jit::wasm
