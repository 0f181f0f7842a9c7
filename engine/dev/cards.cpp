// See cards.h.
#include "engine/dev/cards.h"

#include <array>

#include "engine/dev/net/e1000e.h"
#include "engine/dev/storage/nvme.h"
#include "engine/dev/storage/sdhci.h"

namespace viv {

namespace {

struct Row {
    std::string_view name;
    CardMaker make;
};

constexpr std::array cards{Row{"e1000e", E1000e::create}, Row{"emmc", Sdhci::create}, Row{"nvme", Nvme::create}};

}  // namespace

CardMaker find_card(std::string_view name) {
    for (const Row& row : cards)
        if (row.name == name) return row.make;
    return nullptr;
}

}  // namespace viv
