// The list of command areas, and how commands are found, named and described.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/control/commands/areas.h"

namespace viv {

std::span<const CommandArea> command_catalog() {
    static const std::array<CommandArea, 7> areas{{
        {"The machine", commands::machine_rows()},
        {"Saving and going back", commands::snapshot_rows()},
        {"CPUs", commands::cpu_rows()},
        {"Memory", commands::memory_rows()},
        {"Devices", commands::device_rows()},
        {"Translated code", commands::translator_rows()},
        {"The monitor itself", commands::monitor_rows()},
    }};
    return areas;
}

const Command* find_qmp_command(std::string_view qmp_name) {
    if (qmp_name.empty()) return nullptr;
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands)
            if (command.qmp_name == qmp_name) return &command;
    return nullptr;
}

std::string_view first_name(const Command& command) { return command.name.substr(0, command.name.find('|')); }

bool has_name(const Command& command, std::string_view word) {
    std::string_view names = command.name;
    while (!names.empty()) {
        const auto name = names.substr(0, names.find('|'));
        if (name == word) return true;
        names.remove_prefix(std::min(names.size(), name.size() + 1));
    }
    return false;
}

std::string usage(const Command& command) {
    std::string text(first_name(command));
    for (const Argument& argument : command.arguments) {
        std::string name(argument.name);
        std::transform(name.begin(), name.end(), name.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
        if (argument.type == ArgumentType::format)
            text += "[/" + name + "]";
        else if (argument.need == Need::optional)
            text += " [" + name + "]";
        else
            text += " " + name;
    }
    return text;
}

std::string commands_help() {
    std::string text;
    for (const CommandArea& area : command_catalog()) {
        text += fmt::format("{}:\n", area.title);
        for (const Command& command : area.commands)
            if (!command.name.empty()) text += fmt::format("  {:<34} {}\n", usage(command), command.help);
    }
    return text;
}

namespace {

std::string_view type_name(ArgumentType type) {
    switch (type) {
        case ArgumentType::integer: return "integer";
        case ArgumentType::address: return "address";
        case ArgumentType::boolean: return "boolean";
        case ArgumentType::text:
        case ArgumentType::rest: return "text";
        case ArgumentType::texts: return "list of texts";
        case ArgumentType::format: return "format";
    }
    return "";
}

}  // namespace

std::string commands_reference() {
    std::string text = "# Commands\n\nAt the monitor's prompt, in gdb after `monitor`, and in QMP.\n";
    for (const CommandArea& area : command_catalog()) {
        text += fmt::format("\n## {}\n\n| prompt | QMP | what it does |\n|---|---|---|\n", area.title);
        for (const Command& command : area.commands) {
            std::string names = command.name.empty() ? std::string() : fmt::format("`{}`", usage(command));
            if (const auto bar = command.name.find('|'); bar != std::string_view::npos)
                names += fmt::format(" (or `{}`)", command.name.substr(bar + 1));
            std::string help(command.help);
            for (const Argument& argument : command.arguments)
                help += fmt::format("; `{}`: {}, {}{}", argument.name, type_name(argument.type), argument.help,
                                    argument.need == Need::optional ? " (may be left out)" : "");
            text += fmt::format("| {} | {} | {} |\n", names,
                                command.qmp_name.empty() ? std::string() : fmt::format("`{}`", command.qmp_name), help);
        }
    }
    return text;
}

}  // namespace viv
