// Commands on translators of guest code: how much they have made, why generated code comes back, what is hot.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"

namespace viv::commands {

namespace {

using Report = exec::TranslatorReport;

nlohmann::json as_json(const Report::Tier& tier) {
    nlohmann::json row = nlohmann::json::object();
    row["name"] = tier.name;
    row["made"] = tier.made;
    row["held"] = tier.held;
    row["dropped"] = tier.dropped;
    row["host-bytes"] = tier.host_bytes;
    return row;
}

nlohmann::json as_json(const Report::Exit& exit) {
    nlohmann::json row = nlohmann::json::object();
    row["cause"] = exit.cause;
    row["count"] = exit.count;
    return row;
}

nlohmann::json as_json(const Report::Translation& translation) {
    nlohmann::json row = nlohmann::json::object();
    row["pc"] = translation.pc;
    row["mode"] = translation.mode;
    row["physical-page"] = translation.physical_page;
    row["tier"] = translation.tier;
    row["blocks"] = translation.blocks;
    row["guest-bytes"] = translation.guest_bytes;
    row["host-bytes"] = translation.host_bytes;
    row["samples"] = translation.samples;
    row["exits"] = translation.exits;
    return row;
}

template <class Row>
nlohmann::json as_json(const std::vector<Row>& rows) {
    nlohmann::json list = nlohmann::json::array();
    for (const Row& row : rows) list.push_back(as_json(row));
    return list;
}

nlohmann::json as_json(unsigned cpu, const Report& report) {
    nlohmann::json row = nlohmann::json::object();
    row["cpu-index"] = cpu;
    row["backend"] = report.backend;
    row["cache-capacity"] = report.cache_capacity;
    row["cache-used"] = report.cache_used;
    row["host-bytes-made"] = report.host_bytes_made;
    row["tiers"] = as_json(report.tiers);
    row["entries"] = report.entries;
    row["exits"] = as_json(report.exits);
    row["interpreted-blocks"] = report.interpreted_blocks;
    row["waiting"] = report.waiting;
    row["outdated"] = report.outdated;
    row["samples"] = report.samples;
    row["hottest"] = as_json(report.hottest);
    return row;
}

double percent(u64 part, u64 whole) {
    return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

std::string as_text(unsigned cpu, const Report& report) {
    std::string text =
        fmt::format("CPU {}: to {} code, {} KiB of {} KiB in use, {} KiB made since the start\n", cpu, report.backend,
                    report.cache_used >> 10, report.cache_capacity >> 10, report.host_bytes_made >> 10);
    text += fmt::format("  {:<10} {:>10} {:>10} {:>10} {:>12}\n", "tier", "made", "held", "dropped", "host bytes");
    for (const Report::Tier& tier : report.tiers)
        text += fmt::format("  {:<10} {:>10} {:>10} {:>10} {:>12}\n", tier.name, tier.made, tier.held, tier.dropped,
                            tier.host_bytes);
    text +=
        fmt::format("\n  entered {} times; the interpreter ran {} blocks\n", report.entries, report.interpreted_blocks);
    text += fmt::format("  {} translations are being made, {} came too late: their code had changed\n", report.waiting,
                        report.outdated);
    text += fmt::format("  {:<10} {:>12} {:>7}\n", "exit", "count", "%");
    for (const Report::Exit& exit : report.exits)
        text += fmt::format("  {:<10} {:>12} {:>7.2f}  {}\n", exit.cause, exit.count,
                            percent(exit.count, report.entries), exit.meaning);
    text += fmt::format("\n  the hottest, of {} samples\n", report.samples);
    text += fmt::format("  {:>8} {:>6} {:>10}  {:<5} {:>6} {:>7} {:>7} {:>6}  {:<12} {}\n", "samples", "%", "exits",
                        "tier", "blocks", "guest B", "host B", "mode", "page", "pc");
    for (const Report::Translation& hot : report.hottest)
        text += fmt::format("  {:>8} {:>6.2f} {:>10}  {:<5} {:>6} {:>7} {:>7} {:>6x}  {:<12x} {:#018x}\n", hot.samples,
                            percent(hot.samples, report.samples), hot.exits, hot.tier, hot.blocks, hot.guest_bytes,
                            hot.host_bytes, hot.mode, hot.physical_page, hot.pc);
    return text;
}

Result<void> query_jit(CommandCall& call) {
    const u64 most = call.integer(0, HottestLimit::usual);
    if (most > HottestLimit::maximum)
        return Error{fmt::format("most is {}, but at most {} translations can be shown", most, HottestLimit::maximum)};
    nlohmann::json cpus = nlohmann::json::array();
    for (const Cpu* cpu : call.machine().board().cpus()) {
        const auto report = call.machine().translator_report(cpu->index(), most);
        if (!report) continue;
        cpus.push_back(as_json(cpu->index(), *report));
        if (!call.text.empty()) call.text += '\n';
        call.text += as_text(cpu->index(), *report);
    }
    const Jit jit = call.machine().config().board.jit;
    call.value["jit"] = jit_names[static_cast<usize>(jit)];
    call.value["cpus"] = std::move(cpus);
    if (call.text.empty())
        call.text = jit == Jit::off ? "nothing is translated, the interpreter does it all: --jit off"
                                    : "nothing is translated, the interpreter does it all: this host has no backend";
    return {};
}

constexpr Argument arguments[] = {
    {"most", ArgumentType::integer, Need::optional, "how many translations of each CPU, the hottest first"}};

constexpr Command rows[] = {
    {"info jit", "query-jit", arguments, "what has been translated, why it was left, and what is hot", query_jit},
};

}  // namespace

std::span<const Command> translator_rows() { return rows; }

}  // namespace viv::commands
