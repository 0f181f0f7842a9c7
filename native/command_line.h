// One verb's options on top of CLI11: declares them, parses, and turns CLI11's exceptions into our one-line errors.
// Promises: no value is converted by CLI11 (that is values.h's task, which names the option); an option that takes one
// value refuses a second; unknown options get the nearest name; a single-dash long option is told to take two dashes.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::native {

class CommandLine {
public:
    CommandLine(std::string verb, std::string description, std::string program = "viv");
    ~CommandLine();
    CommandLine(const CommandLine&) = delete;
    CommandLine& operator=(const CommandLine&) = delete;

    // A name may have a short form: "-f,--format", or be one: "-f". `form` names the value in the help: "SIZE". The
    // options that follow a group() belong under its heading.
    void group(std::string heading);
    void value(std::string name, std::optional<std::string>& into, std::string form, std::string help);
    void values(std::string name, std::vector<std::string>& into, std::string form, std::string help);
    void flag(std::string name, bool& into, std::string help);
    void positional(std::string name, std::optional<std::string>& into, std::string help);
    void positionals(std::string name, std::vector<std::string>& into, std::string help);

    enum class Parsed : u8 { options, help_asked };
    Result<Parsed> parse(std::span<const std::string> arguments);
    std::string help() const;

private:
    struct Implementation;
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace viv::native
