// Commands about commands: help, the list, and QMP's door to the prompt.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"

namespace viv::commands {

namespace {

Result<void> help(CommandCall& call) {
    if (!call.has(0)) {
        call.text = commands_help();
        return {};
    }
    const std::string wanted = call.text_argument(0);
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands) {
            // "help info" shows all that begins so.
            const bool begins = first_name(command).starts_with(wanted + " ");
            if (!has_name(command, wanted) && !begins) continue;
            call.text += fmt::format("{}\n    {}\n", usage(command), command.help);
            if (begins) continue;
            for (const Argument& argument : command.arguments)
                call.text += fmt::format("    {:<12} {}\n", argument.name, argument.help);
        }
    if (call.text.empty()) return Error{fmt::format("there is no command '{}'; help lists them", wanted)};
    return {};
}

Result<void> info(CommandCall& call) {
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands)
            if (command.name.starts_with("info "))
                call.text += fmt::format("{:<24} {}\n", usage(command), command.help);
    return {};
}

Result<void> query_commands(CommandCall& call) {
    call.value = nlohmann::json::array();
    nlohmann::json capabilities = nlohmann::json::object();
    capabilities["name"] = "qmp_capabilities";
    call.value.push_back(std::move(capabilities));
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands) {
            if (command.qmp_name.empty()) continue;
            nlohmann::json row = nlohmann::json::object();
            row["name"] = command.qmp_name;
            call.value.push_back(std::move(row));
        }
    return {};
}

Result<void> human_monitor_command(CommandCall& call) {
    TRY_SET(const Cpu* cpu, call.cpu(1));
    CommandContext session{call.machine(), call.context.host, cpu->index()};
    // As with QEMU, an error at the prompt is text for the human and no error of the protocol.
    call.value = run_line(session, call.text_argument(0)).text;
    return {};
}

constexpr Argument help_arguments[] = {{"command", ArgumentType::rest, Need::optional, "only this one, in full"}};
constexpr Argument human_arguments[] = {
    {"command-line", ArgumentType::text, Need::required, "what one would type at the prompt"},
    {"cpu-index", ArgumentType::integer, Need::optional, "the CPU that it means"},
};

constexpr Command rows[] = {
    {"help|?", "", help_arguments, "lists the commands", help},
    {"info", "", {}, "lists what info can show", info},
    {"", "query-commands", {}, "lists the commands of QMP", query_commands},
    {"", "human-monitor-command", human_arguments, "runs a line of the prompt, returns its text",
     human_monitor_command},
};

}  // namespace

std::span<const Command> monitor_rows() { return rows; }

}  // namespace viv::commands
