// Scripts for a POSIX shell with `ip` of iproute2 or BusyBox. See scripts.h.
#include "native/lab/scripts.h"

#include <fmt/format.h>

#include <algorithm>

namespace viv::native::lab {

bool sets_up_cards(const MachinePlan& machine) {
    return std::any_of(machine.cards.begin(), machine.cards.end(),
                       [](const CardPlan& card) { return !card.address.empty(); });
}

std::string configuration_script(const Plan& plan, const MachinePlan& machine) {
    std::string script = fmt::format("hostname {}\n", machine.name);
    for (const auto& other : plan.machines)
        for (const auto& card : other.cards)
            if (!card.address.empty())
                script += fmt::format("echo {} {} >>/etc/hosts\n", card.address.substr(0, card.address.find('/')),
                                      other.name);
    if (!sets_up_cards(machine)) return script;
    // A system with a manager of networks would undo what is done here. A card's driver may take a moment to come.
    script +=
        "command -v systemctl >/dev/null && systemctl -q stop systemd-networkd.socket systemd-networkd 2>/dev/null\n"
        "find_card() {\n"
        "    for tries in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do\n"
        "        for folder in /sys/class/net/*; do\n"
        "            read -r mac <\"$folder/address\" && [ \"$mac\" = \"$1\" ] && card=${folder##*/} && return\n"
        "        done\n"
        "        sleep 0.5\n"
        "    done\n"
        "    echo \"there is no card $1\"; exit 1\n"
        "}\n";
    for (const auto& card : machine.cards) {
        script += fmt::format("find_card {}; ip link set \"$card\" up || exit 1\n", card.mac);
        if (card.address.empty()) continue;
        const bool ipv6 = card.address.find(':') != std::string::npos;
        script += fmt::format("ip addr add {} dev \"$card\"{} || exit 1\n", card.address, ipv6 ? " nodad" : "");
        if (!card.gateway.empty())
            script += fmt::format("ip {}route add default via {} || exit 1\n",
                                  card.gateway.find(':') != std::string::npos ? "-6 " : "", card.gateway);
    }
    return script;
}

}  // namespace viv::native::lab
