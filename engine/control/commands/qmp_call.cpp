// A QMP command's "arguments" checked against its row: unknown, missing and mistyped ones are refused by name.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/control/commands/command.h"
#include "engine/lang/nearest.h"

namespace viv {

namespace {

std::string_view expected(ArgumentType type) {
    switch (type) {
        case ArgumentType::integer:
        case ArgumentType::address: return "an integer that is not negative";
        case ArgumentType::boolean: return "true or false";
        case ArgumentType::text:
        case ArgumentType::rest: return "a string";
        case ArgumentType::texts: return "an array of strings";
        case ArgumentType::format: break;
    }
    return "left out";
}

ArgumentValue convert(const Argument& argument, const nlohmann::json& given) {
    switch (argument.type) {
        case ArgumentType::integer:
        case ArgumentType::address:
            if (given.is_number_unsigned()) return given.get<u64>();
            return {};
        case ArgumentType::boolean:
            if (given.is_boolean()) return given.get<bool>();
            return {};
        case ArgumentType::text:
        case ArgumentType::rest:
            if (given.is_string()) return given.get_ref<const std::string&>();
            return {};
        case ArgumentType::texts: {
            if (!given.is_array()) return {};
            std::vector<std::string> values;
            for (const auto& each : given) {
                if (!each.is_string()) return {};
                values.push_back(each.get_ref<const std::string&>());
            }
            return values;
        }
        case ArgumentType::format: break;
    }
    return {};
}

}  // namespace

QmpOutcome run_qmp(CommandContext& context, std::string_view name, const nlohmann::json& arguments,
                   nlohmann::json& result) {
    const Command* command = find_qmp_command(name);
    if (command == nullptr) {
        std::vector<std::string_view> names;
        for (const CommandArea& area : command_catalog())
            for (const Command& row : area.commands)
                if (!row.qmp_name.empty()) names.push_back(row.qmp_name);
        const auto near = nearest_name(name, names);
        return {false, ErrorClass::command_not_found,
                fmt::format("there is no command '{}'{}", name,
                            near.empty() ? std::string() : fmt::format("; did you mean '{}'?", near))};
    }
    std::vector<ArgumentValue> values;
    usize used = 0;
    for (const Argument& argument : command->arguments) {
        values.emplace_back();
        const auto given = arguments.is_object() ? arguments.find(argument.name) : arguments.end();
        if (given == arguments.end()) {
            if (argument.need == Need::required && argument.type != ArgumentType::format)
                return {false, ErrorClass::generic, fmt::format("'{}' needs the argument '{}'", name, argument.name)};
            continue;
        }
        used++;
        values.back() = convert(argument, *given);
        if (values.back().index() == 0)
            return {false, ErrorClass::generic,
                    fmt::format("the argument '{}' of '{}' must be {}", argument.name, name, expected(argument.type))};
    }
    if (arguments.is_object() && used != arguments.size()) {
        for (auto given = arguments.begin(); given != arguments.end(); ++given)
            if (std::none_of(command->arguments.begin(), command->arguments.end(),
                             [&](const Argument& argument) { return argument.name == given.key(); }))
                return {false, ErrorClass::generic, fmt::format("'{}' has no argument '{}'", name, given.key())};
    }
    result = nlohmann::json::object();
    CommandCall call(context, std::move(values), result);
    if (auto done = command->run(call); !done.ok()) return {false, call.error_class, done.error().message};
    return {};
}

}  // namespace viv
