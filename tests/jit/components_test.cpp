// Strongly connected components: what belongs together, in an order in which edges go forward.
#include "engine/jit/components.h"

#include <gtest/gtest.h>

#include <random>

namespace viv::jit {
namespace {

using Graph = std::vector<std::vector<u32>>;

Graph components(const Graph& edges) { return components_of(edges, std::vector<bool>(edges.size(), true)); }

TEST(Components, OfALine) { EXPECT_EQ(components({{1}, {2}, {}}), (Graph{{0}, {1}, {2}})); }

TEST(Components, OfALineThatGoesBackwards) { EXPECT_EQ(components({{}, {0}, {1}}), (Graph{{2}, {1}, {0}})); }

TEST(Components, OfWhatHasNoOrder) { EXPECT_EQ(components({{}, {1}, {}}), (Graph{{0}, {1}, {2}})); }

TEST(Components, OfTwoLoops) {
    EXPECT_EQ(components({{1}, {2, 0}, {3}, {4}, {3, 2}, {}}), (Graph{{0, 1}, {2, 3, 4}, {5}}));
}

TEST(Components, OfAPartOfTheGraph) {
    EXPECT_EQ(components_of({{1}, {2}, {0}}, {false, true, true}), (Graph{{1}, {2}}));
}

// Against the definition: two blocks are in one component if each reaches the other.
TEST(Components, OfRandomGraphs) {
    std::mt19937 generator(1);
    const auto random = [&](u32 below) { return static_cast<u32>(generator() % below); };
    for (unsigned round = 0; round < 300; round++) {
        const u32 size = 1 + random(12);
        Graph edges(size);
        std::vector<std::vector<bool>> reaches(size, std::vector<bool>(size));
        for (u32 from = 0; from < size; from++) {
            reaches[from][from] = true;
            for (u32 n = random(3); n > 0; n--) {
                edges[from].push_back(random(size));
                reaches[from][edges[from].back()] = true;
            }
        }
        for (u32 over = 0; over < size; over++)
            for (u32 from = 0; from < size; from++)
                for (u32 to = 0; to < size; to++)
                    if (reaches[from][over] && reaches[over][to]) reaches[from][to] = true;
        std::vector<u32> place(size, ~u32{0});
        const Graph found = components(edges);
        for (u32 i = 0; i < found.size(); i++)
            for (const u32 block : found[i]) {
                EXPECT_EQ(place[block], ~u32{0}) << "in one only";
                place[block] = i;
            }
        for (u32 a = 0; a < size; a++)
            for (u32 b = 0; b < size; b++) {
                EXPECT_EQ(place[a] == place[b], reaches[a][b] && reaches[b][a]);
                EXPECT_TRUE(!reaches[a][b] || place[a] <= place[b]);
            }
    }
}

}  // namespace
}  // namespace viv::jit
