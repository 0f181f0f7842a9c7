// One line of the prompt: finds the row, reads the arguments that it wants, runs it.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/control/commands/command.h"
#include "engine/lang/nearest.h"

namespace viv {

namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
    return text;
}

std::string_view take_word(std::string_view& text) {
    text = trimmed(text);
    const auto word = text.substr(0, text.find_first_of(" \t"));
    text.remove_prefix(word.size());
    text = trimmed(text);
    return word;
}

Result<DumpFormat> parse_format(std::string_view text) {
    DumpFormat format;
    u64 count = 0;
    bool counted = false;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        count = std::min(count * 10 + static_cast<u64>(text.front() - '0'), DumpFormat::maximum_count + 1);
        counted = true;
        text.remove_prefix(1);
    }
    if (counted) format.count = count;
    for (const char c : text) {
        constexpr std::string_view letters = "xduoci", sizes = "bhwg";
        if (letters.find(c) != letters.npos)
            format.letter = c;
        else if (const auto size = sizes.find(c); size != sizes.npos)
            format.size = 1U << size;
        else
            return Error{fmt::format("'{}' in the format is neither one of x d u o c i nor a size (b h w g)", c)};
    }
    if (format.count == 0 || format.count > DumpFormat::maximum_count)
        return Error{fmt::format("the count in the format must be 1 to {}", DumpFormat::maximum_count)};
    return format;
}

// A word, or several in quotes with \" and \\ inside.
Result<std::string> take_text(std::string_view& text) {
    if (text.empty() || text.front() != '"') return std::string(take_word(text));
    std::string value;
    for (usize at = 1; at < text.size(); at++) {
        if (text[at] == '"') {
            text = trimmed(text.substr(at + 1));
            return value;
        }
        if (text[at] == '\\' && at + 1 < text.size()) at++;
        value += text[at];
    }
    return Error{"a quote is not closed"};
}

Result<ArgumentValue> take_argument(const Argument& argument, bool last, std::string_view& text, Cpu& cpu) {
    switch (argument.type) {
        case ArgumentType::integer:
        case ArgumentType::address: {
            const bool whole = last && argument.type == ArgumentType::address;
            TRY_SET(const u64 value, evaluate(whole ? text : take_word(text), cpu));
            if (whole) text = {};
            return ArgumentValue(value);
        }
        case ArgumentType::boolean: {
            const auto word = take_word(text);
            if (word == "on" || word == "off") return ArgumentValue(word == "on");
            return Error{fmt::format("{} must be on or off", argument.name)};
        }
        case ArgumentType::text: {
            TRY_SET(std::string value, take_text(text));
            return ArgumentValue(std::move(value));
        }
        case ArgumentType::rest: return ArgumentValue(std::string(std::exchange(text, {})));
        case ArgumentType::texts: {
            std::vector<std::string> values;
            while (!text.empty()) {
                TRY_SET(std::string value, take_text(text));
                values.push_back(std::move(value));
            }
            return ArgumentValue(std::move(values));
        }
        case ArgumentType::format: break;
    }
    return ArgumentValue();
}

Result<std::vector<ArgumentValue>> take_arguments(const Command& command, std::string_view format,
                                                  std::string_view text, Cpu& cpu) {
    std::vector<ArgumentValue> values;
    for (usize i = 0; i < command.arguments.size(); i++) {
        const Argument& argument = command.arguments[i];
        if (argument.type == ArgumentType::format) {
            TRY_SET(const DumpFormat parsed, parse_format(format));
            values.emplace_back(parsed);
            format = {};
        } else if (!text.empty()) {
            TRY_SET(ArgumentValue value, take_argument(argument, i + 1 == command.arguments.size(), text, cpu));
            values.push_back(std::move(value));
        } else if (argument.need == Need::required) {
            return Error{fmt::format("{} is missing; usage: {}", argument.name, usage(command))};
        } else {
            values.emplace_back();
        }
    }
    if (!text.empty() || !format.empty())
        return Error{fmt::format("'{}' is too much; usage: {}", text.empty() ? format : text, usage(command))};
    return values;
}

const Command* find_by_name(std::string_view name) {
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands)
            if (has_name(command, name)) return &command;
    return nullptr;
}

std::vector<std::string_view> all_names() {
    std::vector<std::string_view> names;
    for (const CommandArea& area : command_catalog())
        for (const Command& command : area.commands)
            if (!command.name.empty()) names.push_back(first_name(command));
    return names;
}

LineOutcome unknown(std::string_view name) {
    std::string text = fmt::format("there is no command '{}'", name);
    if (const auto near = nearest_name(name, all_names()); !near.empty())
        text += fmt::format("; did you mean '{}'?", near);
    return {false, text + " (help lists them)\n"};
}

}  // namespace

LineOutcome run_line(CommandContext& context, std::string_view line) {
    std::string_view rest = trimmed(line);
    if (rest.empty()) return {};
    std::string_view word = take_word(rest);
    std::string_view format;
    if (const auto slash = word.find('/'); slash != word.npos) {
        format = word.substr(slash + 1);
        word = word.substr(0, slash);
    }
    std::string name(word);
    const Command* command = nullptr;
    if (!rest.empty()) {  // names have one word or two
        std::string_view after = rest;
        const std::string longer = name + " " + std::string(take_word(after));
        command = find_by_name(longer);
        if (command != nullptr)
            rest = after;
        else if (name == "info")
            name = longer;
    }
    if (command == nullptr) command = find_by_name(name);
    if (command == nullptr) return unknown(name);

    auto arguments = take_arguments(*command, format, rest, *context.machine.board().cpus()[context.cpu]);
    if (!arguments.ok()) return {false, arguments.error().message + "\n"};
    nlohmann::json value = nlohmann::json::object();
    CommandCall call(context, std::move(arguments).value(), value);
    if (auto done = command->run(call); !done.ok()) return {false, done.error().message + "\n"};
    if (!call.text.empty() && call.text.back() != '\n') call.text += '\n';
    return {true, std::move(call.text)};
}

std::vector<std::string> complete_line(std::string_view line) {
    std::vector<std::string> words;
    for (const auto name : all_names()) {
        if (!name.starts_with(line)) continue;
        // Only up to the next word: "inf" becomes "info", not each of its subcommands.
        const auto start = line.rfind(' ') == line.npos ? 0 : line.rfind(' ') + 1;
        const auto end = name.find(' ', line.size());
        words.emplace_back(name.substr(start, end == name.npos ? name.npos : end - start));
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    return words;
}

}  // namespace viv
