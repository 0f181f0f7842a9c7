// See structure.h.
#include "engine/jit/wasm/structure.h"

#include <algorithm>

namespace viv::jit::wasm {

namespace {

using Edges = std::vector<std::vector<u32>>;

// Tarjan's algorithm. Regions are small, so recursion is bounded by their number of blocks.
class Search {
public:
    // Of the blocks in `among`, without edges to `header` (or none_).
    Search(const Edges& edges, const std::vector<bool>& among, u32 header)
        : edges_(edges),
          among_(among),
          header_(header),
          index_(edges.size(), unseen),
          low_(edges.size(), 0),
          open_(edges.size()) {
        // A component is found after all that it leads to: the order is turned round at the end. Beginning with the
        // last block keeps what has no order of its own in that of addresses.
        for (u32 block = static_cast<u32>(edges.size()); block-- > 0;)
            if (among[block] && block != header && index_[block] == unseen) visit(block);
        if (header != none) visit(header);
        std::reverse(found.begin(), found.end());
    }
    static constexpr u32 none = ~u32{0};
    std::vector<std::vector<u32>> found;

private:
    static constexpr u32 unseen = ~u32{0};

    void visit(u32 block) {
        index_[block] = low_[block] = next_++;
        stack_.push_back(block);
        open_[block] = true;
        for (const u32 to : edges_[block]) {
            if (!among_[to] || to == header_) continue;
            if (index_[to] == unseen) {
                visit(to);
                low_[block] = std::min(low_[block], low_[to]);
            } else if (open_[to]) {
                low_[block] = std::min(low_[block], index_[to]);
            }
        }
        if (low_[block] != index_[block]) return;
        std::vector<u32> component;
        u32 member = unseen;
        while (member != block) {
            member = stack_.back();
            stack_.pop_back();
            open_[member] = false;
            component.push_back(member);
        }
        std::sort(component.begin(), component.end());
        found.push_back(std::move(component));
    }

    const Edges& edges_;
    const std::vector<bool>& among_;
    const u32 header_;
    std::vector<u32> index_, low_, stack_;
    std::vector<bool> open_;
    u32 next_ = 0;
};

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
    for (auto& blocks : Search(edges, among, header).found) {
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
    return level(edges, std::vector<bool>(edges.size(), true), Search::none);
}

}  // namespace viv::jit::wasm
