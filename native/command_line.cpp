// The only file that sees CLI11, and the only one of the program that catches exceptions. See command_line.h.
#include "native/command_line.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "native/values.h"

namespace viv::native {

struct CommandLine::Implementation {
    Implementation(std::string name, std::string about, const std::string& program)
        : verb(std::move(name)), app(std::move(about), program + " " + verb) {
        app.set_help_flag("-h,--help", "This text");
        app.get_formatter()->column_width(34);
    }

    std::vector<std::string_view> option_names() const {
        std::vector<std::string_view> names;
        for (const CLI::Option* option : app.get_options())
            for (const auto& name : option->get_lnames()) names.push_back(longs.emplace_back("--" + name));
        return names;
    }

    Error unknown(const std::string& word) const {
        longs.clear();
        longs.reserve(app.get_options().size() * 2);
        const auto names = option_names();
        const auto name = word.substr(0, word.find('='));
        if (!name.starts_with('-')) return Error{fmt::format("{}: one word too many: {}", verb, word)};
        if (name.size() > 2 && name[1] != '-' && std::find(names.begin(), names.end(), "-" + name) != names.end())
            return Error{fmt::format("{}: {}: options take two dashes: -{}", verb, word, name)};
        return Error{fmt::format("{}: unknown option {}{}", verb, name,
                                 suggestion(name.starts_with("--") ? name : "-" + name, names))};
    }

    Error translate(const CLI::ParseError& problem) const {
        const std::string text = problem.what();
        // "--memory: 1 required SIZE missing"
        if (const auto colon = text.find(": "); colon != std::string::npos && text.starts_with('-')) {
            const auto name = text.substr(0, colon);
            const CLI::Option* option = app.get_option_no_throw(name);
            if (option != nullptr && option->count() > 1 && option->get_expected_max() == 1)
                return Error{fmt::format("{}: {}: is given twice", verb, name)};
            if (option != nullptr && text.find("missing") != std::string::npos)
                return Error{
                    fmt::format("{}: {}: a value is missing: {} {}", verb, name, name, option->get_type_name())};
        }
        return Error{fmt::format("{}: {}", verb, text)};
    }

    std::string verb;
    CLI::App app;
    std::string heading = "Options";
    mutable std::vector<std::string> longs;  // what the views in option_names() point to
};

CommandLine::CommandLine(std::string verb, std::string description, std::string program)
    : implementation_(std::make_unique<Implementation>(std::move(verb), std::move(description), program)) {}
CommandLine::~CommandLine() = default;

void CommandLine::group(std::string heading) { implementation_->heading = std::move(heading); }

void CommandLine::value(std::string name, std::optional<std::string>& into, std::string form, std::string help) {
    auto* option = implementation_->app.add_option_function<std::string>(
        name, [&into](const std::string& text) { into = text; }, help);
    option->type_name(form)
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::Throw)
        ->group(implementation_->heading);
}

void CommandLine::values(std::string name, std::vector<std::string>& into, std::string form, std::string help) {
    auto* option = implementation_->app.add_option(name, into, help);
    option->type_name(form)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->group(implementation_->heading);
}

void CommandLine::flag(std::string name, bool& into, std::string help) {
    implementation_->app
        .add_flag_callback(
            name, [&into] { into = true; }, help)
        ->group(implementation_->heading);
}

void CommandLine::positional(std::string name, std::optional<std::string>& into, std::string help) {
    auto* option = implementation_->app.add_option_function<std::string>(
        name, [&into](const std::string& text) { into = text; }, help);
    option->type_name("");
}

void CommandLine::positionals(std::string name, std::vector<std::string>& into, std::string help) {
    implementation_->app.add_option(name, into, help)->type_name("");
}

Result<CommandLine::Parsed> CommandLine::parse(std::span<const std::string> arguments) {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // CLI11 takes them from the back
    try {
        implementation_->app.parse(reversed);
    } catch (const CLI::CallForHelp&) {
        return Parsed::help_asked;
    } catch (const CLI::ExtrasError&) {
        return implementation_->unknown(implementation_->app.remaining().front());
    } catch (const CLI::ParseError& problem) {
        return implementation_->translate(problem);
    }
    return Parsed::options;
}

std::string CommandLine::help() const {
    auto text = implementation_->app.help();
    for (usize at = 0; (at = text.find("\n\n\n")) != std::string::npos;) text.erase(at, 1);
    return text;
}

}  // namespace viv::native
