// Tarjan's algorithm (Depth-first search and linear graph algorithms, 1972). See components.h.
#include "engine/jit/components.h"

#include <algorithm>

namespace viv::jit {

namespace {

class Search {
public:
    Search(const std::vector<std::vector<u32>>& edges, const std::vector<bool>& among)
        : edges_(edges), among_(among), index_(edges.size(), unseen), low_(edges.size(), 0), open_(edges.size()) {
        // A component is found after all that it leads to: the order is turned round at the end. Beginning with the
        // last block keeps what has no order of its own in that of numbers.
        for (u32 block = static_cast<u32>(edges.size()); block-- > 0;)
            if (among[block] && index_[block] == unseen) visit(block);
        std::reverse(found.begin(), found.end());
    }
    std::vector<std::vector<u32>> found;

private:
    static constexpr u32 unseen = ~u32{0};

    void visit(u32 block) {
        index_[block] = low_[block] = next_++;
        stack_.push_back(block);
        open_[block] = true;
        for (const u32 to : edges_[block]) {
            if (!among_[to]) continue;
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

    const std::vector<std::vector<u32>>& edges_;
    const std::vector<bool>& among_;
    std::vector<u32> index_, low_, stack_;
    std::vector<bool> open_;
    u32 next_ = 0;
};

}  // namespace

std::vector<std::vector<u32>> components_of(const std::vector<std::vector<u32>>& edges,
                                            const std::vector<bool>& among) {
    return Search(edges, among).found;
}

}  // namespace viv::jit
