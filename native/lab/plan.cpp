// Reading a lab's file with toml++ (TOML 1.0). See plan.h.
#include "native/lab/plan.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>

#include "native/host_posix.h"
#include "native/lab/quality.h"
#include "native/net_options.h"
#include "native/toml.h"
#include "native/user_files.h"
#include "native/values.h"

namespace viv::native::lab {

namespace {

constexpr usize most_mistakes = 20;
constexpr i64 known_format = 1;

// What a line typed at a running lab may begin with instead of a machine.
constexpr std::string_view reserved[] = {"help", "link", "quit", "status"};

bool is_name(std::string_view name) {
    if (std::find(std::begin(reserved), std::end(reserved), name) != std::end(reserved)) return false;
    if (name.empty() || name.size() > 32 || name.front() == '-') return false;
    return std::all_of(name.begin(), name.end(),
                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::optional<std::string> mac_of(std::string_view text) {
    std::array<unsigned, 6> bytes{};
    if (text.size() != 17) return std::nullopt;
    for (usize i = 0; i < bytes.size(); i++) {
        const char* digits = text.data() + 3 * i;
        const auto [end, problem] = std::from_chars(digits, digits + 2, bytes[i], 16);
        if (problem != std::errc{} || end != digits + 2 || (i + 1 < bytes.size() && *end != ':')) return std::nullopt;
    }
    if ((bytes[0] & 1) != 0) return std::nullopt;
    return fmt::format("{:02x}", fmt::join(bytes, ":"));
}

bool is_address(const std::string& text) {
    in6_addr into{};
    return inet_pton(AF_INET, text.c_str(), &into) == 1 || inet_pton(AF_INET6, text.c_str(), &into) == 1;
}

// ADDRESS/BITS
bool is_network_address(const std::string& text) {
    const auto slash = text.find('/');
    if (slash == std::string::npos) return false;
    in6_addr into{};
    const auto host = text.substr(0, slash);
    const u64 most = inet_pton(AF_INET, host.c_str(), &into) == 1    ? 32
                     : inet_pton(AF_INET6, host.c_str(), &into) == 1 ? 128
                                                                     : 0;
    return most != 0 && parse_count("", text.substr(slash + 1), 1, most).ok();
}

class Reader {
public:
    explicit Reader(std::string name) : name_(std::move(name)) {}

    Plan read(const toml::table& file);
    const std::vector<std::string>& mistakes() const { return mistakes_; }

private:
    void mistake(const toml::node& at, std::string_view what) {
        if (mistakes_.size() < most_mistakes)
            mistakes_.push_back(fmt::format("{}:{}: {}", name_, at.source().begin.line, what));
    }
    // Every key of `table` is one of `known`.
    void check_keys(const toml::table& table, std::string_view what, std::span<const std::string_view> known) {
        for (const auto& [key, value] : table)
            if (std::find(known.begin(), known.end(), key.str()) == known.end())
                mistake(value, fmt::format("{} is not known; {} has {}{}", key.str(), what, fmt::join(known, ", "),
                                           suggestion(key.str(), known)));
    }
    std::string text(const toml::table& table, std::string_view key) {
        const auto* node = table.get(key);
        if (node == nullptr) return {};
        const auto value = node->value_exact<std::string>();
        if (!value) mistake(*node, fmt::format("{} is a text, in quotes", key));
        return value.value_or("");
    }
    std::vector<std::string> texts(const toml::table& table, std::string_view key) {
        std::vector<std::string> found;
        const auto* node = table.get(key);
        if (node == nullptr) return found;
        if (const auto one = node->value_exact<std::string>()) return {*one};
        if (const auto* array = node->as_array())
            for (const auto& element : *array)
                if (const auto one = element.value_exact<std::string>()) found.push_back(*one);
        if (!node->is_array() || found.size() != node->as_array()->size())
            mistake(*node, fmt::format("{} is a list of texts, as in [\"a\", \"b\"]", key));
        return found;
    }
    // The tables of [key.NAME], in the order of their names.
    template <class F>
    void each_named(const toml::table& file, std::string_view key, usize most, F&& read_one) {
        const auto* node = file.get(key);
        if (node == nullptr) return;
        const auto* tables = node->as_table();
        if (tables == nullptr) return mistake(*node, fmt::format("{0} is written [{0}.NAME], one for each", key));
        if (tables->size() > most) mistake(*node, fmt::format("a lab has at most {} of {}", most, key));
        for (const auto& [name, value] : *tables) {
            if (!is_name(name.str()))
                mistake(value, fmt::format("\"{}\" is no name; up to 32 of a-z, 0-9 and - make one, and {} are taken",
                                           name.str(), fmt::join(reserved, ", ")));
            if (const auto* table = value.as_table())
                read_one(std::string(name.str()), *table);
            else
                mistake(value, fmt::format("{} is written [{}.{}]", name.str(), key, name.str()));
        }
    }
    // The tables of [[key]].
    template <class F>
    void each(const toml::table& table, std::string_view key, F&& read_one) {
        const auto* node = table.get(key);
        if (node == nullptr) return;
        const auto* array = node->as_array();
        bool good = array != nullptr;
        for (usize i = 0; good && i < array->size(); i++) {
            const auto* one = (*array)[i].as_table();
            good = one != nullptr;
            if (good) read_one(*one);
        }
        if (!good) mistake(*node, fmt::format("{} is a list of tables, as in [[{}]]", key, key));
    }
    net::LinkQuality quality_of(const toml::table& table) {
        net::LinkQuality quality;
        for (const auto& [key, value] : table) {
            if (!is_quality_key(key.str())) continue;
            const auto said = value.value_exact<std::string>();
            if (!said) {
                mistake(value, fmt::format("{} is a text, in quotes", key.str()));
                continue;
            }
            if (auto set = set_quality(quality, key.str(), *said); !set.ok()) mistake(value, set.error().message);
        }
        return quality;
    }

    MachinePlan machine(std::string name, const toml::table& table);
    CardPlan card(const toml::table& table);
    SwitchPlan a_switch(std::string name, const toml::table& table);
    void give_macs(Plan& plan);
    void check_switch(const Plan& plan, const toml::node& at, const std::string& name);
    void check_loops(const Plan& plan, const toml::table& file);
    void check_unique(const toml::node& at, std::string_view what, const std::string& value);

    std::string name_;
    std::vector<std::string> mistakes_;
    std::set<std::string> addresses_, macs_;
    std::vector<std::pair<const toml::node*, std::string>> wanted_switches_;
};

void Reader::check_unique(const toml::node& at, std::string_view what, const std::string& value) {
    if (!(what == "mac" ? macs_ : addresses_).insert(value).second)
        mistake(at, fmt::format("{} = \"{}\": another card of this lab has it", what, value));
}

CardPlan Reader::card(const toml::table& table) {
    constexpr std::array<std::string_view, 9> known{"to",     "address", "gateway", "mac",  "latency",
                                                    "jitter", "loss",    "rate",    "queue"};
    check_keys(table, "a link", known);
    CardPlan card;
    card.to = text(table, "to");
    if (card.to.empty())
        mistake(table, "to is missing: the switch that the link leads to");
    else
        wanted_switches_.emplace_back(table.get("to"), card.to);
    card.address = text(table, "address");
    if (!card.address.empty()) {
        if (!is_network_address(card.address))
            mistake(*table.get("address"),
                    fmt::format("address = \"{}\": an address with its network's bits is needed, as in "
                                "\"10.0.0.1/24\" or \"fd00::1/64\"",
                                card.address));
        else
            check_unique(*table.get("address"), "address", card.address.substr(0, card.address.find('/')));
    }
    card.gateway = text(table, "gateway");
    if (!card.gateway.empty() && !is_address(card.gateway))
        mistake(*table.get("gateway"), fmt::format("gateway = \"{}\": is no IP address", card.gateway));
    if (const auto said = text(table, "mac"); !said.empty()) {
        if (const auto mac = mac_of(said)) {
            card.mac = *mac;
            check_unique(*table.get("mac"), "mac", card.mac);
        } else {
            mistake(
                *table.get("mac"),
                fmt::format("mac = \"{}\": six bytes are needed, the first of them even, as in \"52:54:00:00:00:01\"",
                            said));
        }
    }
    card.quality = quality_of(table);
    return card;
}

MachinePlan Reader::machine(std::string name, const toml::table& table) {
    constexpr std::array<std::string_view, 8> known{"guest", "memory",  "cpus",  "append",
                                                    "disks", "options", "setup", "link"};
    check_keys(table, "a machine", known);
    MachinePlan plan;
    plan.name = std::move(name);
    plan.guest = text(table, "guest");
    if (plan.guest.empty())
        mistake(table, fmt::format("machine {}: guest is missing; viv list guests shows them", plan.name));
    if (const auto* cpus = table.get("cpus")) {
        const auto number = cpus->value_exact<i64>();
        if (!number || *number < 1)
            mistake(*cpus, "cpus is a number from 1 on");
        else
            plan.options.insert(plan.options.end(), {"--cpus", std::to_string(*number)});
    }
    for (const char* key : {"memory", "append"})
        if (auto value = text(table, key); !value.empty())
            plan.options.insert(plan.options.end(), {fmt::format("--{}", key), std::move(value)});
    for (auto& disk : texts(table, "disks")) plan.options.insert(plan.options.end(), {"--disk", std::move(disk)});
    for (auto& option : texts(table, "options")) plan.options.push_back(std::move(option));
    plan.setup = text(table, "setup");
    each(table, "link", [&](const toml::table& one) { plan.cards.push_back(card(one)); });
    if (plan.cards.size() > most_links) mistake(table, fmt::format("a machine has at most {} links", most_links));
    return plan;
}

SwitchPlan Reader::a_switch(std::string name, const toml::table& table) {
    constexpr std::array<std::string_view, 1> known{"outside"};
    check_keys(table, "a switch", known);
    SwitchPlan plan{std::move(name), texts(table, "outside")};
    for (const auto& outside : plan.outside) {
        const auto option = parse_net("outside", outside);
        if (!option.ok())
            mistake(*table.get("outside"), option.error().message);
        else if (!*option)
            mistake(*table.get("outside"), "outside none: leave it out");
        else if (!(*option)->card_properties.empty() || !(*option)->model.empty() || !(*option)->hub.empty())
            mistake(*table.get("outside"),
                    fmt::format("outside {}: has no card: mac, model, hub and their like belong to machines", outside));
    }
    return plan;
}

void Reader::check_switch(const Plan& plan, const toml::node& at, const std::string& name) {
    std::vector<std::string_view> names;
    for (const auto& one : plan.switches) names.push_back(one.name);
    if (std::find(names.begin(), names.end(), name) == names.end())
        mistake(at, fmt::format("there is no switch {}; write [switch.{}]{}", name, name, suggestion(name, names)));
}

// Switches learn, and know of no spanning tree.
void Reader::check_loops(const Plan& plan, const toml::table& file) {
    std::map<std::string, std::string> joined;  // towards a name that stands for all that are connected
    const auto root_of = [&](std::string name) {
        for (auto next = joined.find(name); next != joined.end(); next = joined.find(name)) name = next->second;
        return name;
    };
    for (const auto& trunk : plan.trunks) {
        const auto from = root_of(trunk.from), to = root_of(trunk.to);
        if (from == to)
            return mistake(
                *file.get("trunk"),
                fmt::format("the trunk {} closes a loop, in which frames would go round for ever", trunk.name));
        joined.emplace(from, to);
    }
}

// Locally administered, by the numbers of machine and card.
void Reader::give_macs(Plan& plan) {
    for (usize m = 0; m < plan.machines.size(); m++)
        for (usize c = 0; c < plan.machines[m].cards.size(); c++) {
            auto& mac = plan.machines[m].cards[c].mac;
            for (unsigned turn = 0; mac.empty() && turn < 256; turn++)
                if (auto next = fmt::format("52:54:00:{:02x}:{:02x}:{:02x}", turn, m + 1, c + 1);
                    macs_.insert(next).second)
                    mac = std::move(next);
        }
}

Plan Reader::read(const toml::table& file) {
    constexpr std::array<std::string_view, 7> known{"format", "title", "seed", "switch", "machine", "trunk", "test"};
    check_keys(file, "a lab", known);
    Plan plan;
    if (const auto* format = file.get("format"); format != nullptr && format->value_exact<i64>() != known_format)
        mistake(*format, fmt::format("this version of viv reads format = {}", known_format));
    plan.title = text(file, "title");
    if (const auto* seed = file.get("seed")) {
        const auto number = seed->value_exact<i64>();
        if (!number || *number < 0) mistake(*seed, "seed is a whole number");
        plan.seed = static_cast<u64>(number.value_or(1));
    }
    each_named(file, "switch", most_switches, [&](std::string name, const toml::table& table) {
        plan.switches.push_back(a_switch(std::move(name), table));
    });
    each_named(file, "machine", most_machines, [&](std::string name, const toml::table& table) {
        plan.machines.push_back(machine(std::move(name), table));
    });
    each(file, "trunk", [&](const toml::table& table) {
        constexpr std::array<std::string_view, 6> trunk_keys{"between", "latency", "jitter", "loss", "rate", "queue"};
        check_keys(table, "a trunk", trunk_keys);
        const auto between = texts(table, "between");
        if (between.size() != 2 || between[0] == between[1])
            return mistake(table, "a trunk is between two switches: between = [\"a\", \"b\"]");
        for (const auto& end : between) wanted_switches_.emplace_back(table.get("between"), end);
        plan.trunks.push_back(
            {fmt::format("{}-{}", between[0], between[1]), between[0], between[1], quality_of(table)});
    });
    each(file, "test", [&](const toml::table& table) {
        constexpr std::array<std::string_view, 3> test_keys{"name", "machine", "run"};
        check_keys(table, "a test", test_keys);
        TestPlan test{text(table, "name"), text(table, "machine"), text(table, "run")};
        if (test.run.empty()) mistake(table, "run is missing: the command that is to succeed");
        if (test.name.empty()) test.name = test.run;
        std::vector<std::string_view> names;
        for (const auto& one : plan.machines) names.push_back(one.name);
        if (std::find(names.begin(), names.end(), test.machine) == names.end())
            mistake(table, test.machine.empty() ? std::string("machine is missing: where the test runs")
                                                : fmt::format("there is no machine {}{}", test.machine,
                                                              suggestion(test.machine, names)));
        plan.tests.push_back(std::move(test));
    });
    for (const auto& [node, name] : wanted_switches_) check_switch(plan, *node, name);
    check_loops(plan, file);
    if (plan.machines.empty()) mistake(file, "a lab needs a machine: [machine.NAME] with guest = \"linux-riscv64\"");
    give_macs(plan);
    return plan;
}

}  // namespace

Result<Plan> read_plan_file(const std::string& path) {
    constexpr u64 longest = 1 << 20;
    TRY_SET(const auto file, read_blob("lab", path, longest));
    return read_plan({reinterpret_cast<const char*>(file.bytes.data()), file.bytes.size()}, path);
}

Result<Plan> read_plan(std::string_view text, const std::string& name) {
    const auto parsed = toml::parse(text);
    if (!parsed) {
        const auto& error = parsed.error();
        return Error{fmt::format("{}:{}: {}", name, error.source().begin.line, error.description())};
    }
    Reader reader(name);
    Plan plan = reader.read(parsed.table());
    if (!reader.mistakes().empty()) return Error{fmt::format("{}", fmt::join(reader.mistakes(), "\n"))};
    return plan;
}

}  // namespace viv::native::lab
