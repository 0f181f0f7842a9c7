// Levenshtein distance with one row; names are short and lists are small.
#include "engine/lang/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/lang/bits.h"

namespace viv {

namespace {

usize edit_distance(std::string_view a, std::string_view b) {
    std::vector<usize> row(b.size() + 1);
    std::iota(row.begin(), row.end(), usize{0});
    for (usize i = 1; i <= a.size(); i++) {
        usize diagonal = row[0];
        row[0] = i;
        for (usize j = 1; j <= b.size(); j++) {
            const usize substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
        }
    }
    return row[b.size()];
}

}  // namespace

std::string_view nearest_name(std::string_view word, std::span<const std::string_view> names) {
    std::string_view best;
    usize best_distance = word.size() / 2 + 1;
    for (const auto name : names) {
        const usize distance = edit_distance(word, name);
        if (distance < best_distance) {
            best_distance = distance;
            best = name;
        }
    }
    return best;
}

}  // namespace viv
