// The commands of a machine, one row each: QMP, the monitor's prompt, gdb's `monitor`, the command line's help and the
// reference all derive from the rows in this folder.
// Promises: arguments are checked against the row before its handler runs; a handler runs while no hart does.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/block/image.h"
#include "engine/control/machine.h"

namespace viv {

class PointStore;

// An image to be put over a disk's present one.
struct OverlayImage {
    std::string path, format;
    enum class File : u8 { made, existing } file = File::made;
    std::string below, below_format;  // the present one: its file and what it is
    u64 size = 0;                     // of the disk
};

// What commands need from the program around the engine.
class CommandHost {
public:
    virtual ~CommandHost() = default;
    virtual std::string_view version() = 0;       // of the program: "0.1.0"
    virtual std::string_view machine_name() = 0;  // as the user named it; may be empty
    virtual u64 realtime_ns() = 0;                // for the time stamps of events, nanoseconds since 1970
    // A file for a command's output. The error names the path.
    virtual Result<std::unique_ptr<ByteSink>> create_file(std::string_view path) = 0;
    // Where the machine's points are. The error says how to get them.
    virtual Result<PointStore*> points() { return Error{"this program keeps no points of its machine"}; }
    // Open for writing, and without what it names as the image below it, which is the present one.
    virtual Result<std::unique_ptr<block::Image>> open_overlay(const OverlayImage& wanted);
};

// One session's view: which machine, and the CPU that commands mean when they name none.
struct CommandContext {
    Machine& machine;
    CommandHost& host;
    unsigned cpu = 0;  // always below the number of CPUs
    // For what takes long: the command has been begun, and its result is told by calling what this returns, between two
    // slices. Empty: whoever asks waits.
    using Told = std::function<void(const Result<void>&)>;
    std::function<Told()> defer;
};

enum class ArgumentType : u8 {
    integer,  // not negative
    address,  // at the prompt an expression: 0x80000000, $sp + 16
    boolean,  // at the prompt on or off
    text,     // at the prompt one word, or "several in quotes"
    rest,     // text to the end of the line
    texts,    // several of them; at the prompt the words to the end of the line
    format,   // at the prompt only, after a slash: x/8xg
};
enum class Need : u8 { required, optional };

struct Argument {
    std::string_view name;
    ArgumentType type = ArgumentType::text;
    Need need = Need::required;
    std::string_view help;
};

// How `x` shows memory.
struct DumpFormat {
    static constexpr u64 maximum_count = 16'384;
    u64 count = 1;
    char letter = 'x';  // x d u o c i
    unsigned size = 4;  // bytes: 1 2 4 8
};

// How many translations `info jit` shows.
struct HottestLimit {
    static constexpr u64 usual = 20;
    static constexpr u64 maximum = 1'000;
};

using ArgumentValue = std::variant<std::monostate, u64, bool, std::string, std::vector<std::string>, DumpFormat>;

enum class ErrorClass : u8 { generic, command_not_found, device_not_found };

// One call of a command in progress.
class CommandCall {
public:
    CommandCall(CommandContext& session, std::vector<ArgumentValue> checked, nlohmann::json& result)
        : context(session), value(result), arguments_(std::move(checked)) {}

    CommandContext& context;
    nlohmann::json& value;  // QMP's result; an empty object to begin with
    std::string text;       // the prompt's
    ErrorClass error_class = ErrorClass::generic;

    Machine& machine() { return context.machine; }
    bool has(usize index) const { return arguments_[index].index() != 0; }
    // The argument of that index in the row, of the type that the row gives it; the default if it was left out.
    u64 integer(usize index, u64 otherwise = 0) const;
    bool boolean(usize index, bool otherwise = false) const;
    std::string text_argument(usize index) const;
    std::vector<std::string> texts_argument(usize index) const;
    DumpFormat format(usize index) const;
    // Argument `index` as the number of a CPU, or the session's.
    Result<Cpu*> cpu(usize index);
    Cpu& session_cpu();

private:
    std::vector<ArgumentValue> arguments_;
};

struct Command {
    std::string_view name;      // at the prompt: "info cpus", "quit|q"; empty: QMP only
    std::string_view qmp_name;  // empty: not in QMP
    std::span<const Argument> arguments;
    std::string_view help;  // one line, no full stop
    Result<void> (*run)(CommandCall& call);
};

struct CommandArea {
    std::string_view title;
    std::span<const Command> commands;
};

// Every command there is, by area (commands/catalog.cpp).
std::span<const CommandArea> command_catalog();
const Command* find_qmp_command(std::string_view qmp_name);

// The prompt's first name of a command ("quit" of "quit|q"), and whether `word` is one of its names.
std::string_view first_name(const Command& command);
bool has_name(const Command& command, std::string_view word);
// "save FILE", "x[/FORMAT] ADDRESS": how it is used at the prompt.
std::string usage(const Command& command);

// Runs one line of the prompt. The text ends with a newline unless it is empty; errors are text too.
struct LineOutcome {
    bool ok = true;
    std::string text;
};
LineOutcome run_line(CommandContext& context, std::string_view line);
// The words that can stand at the end of `line`, for completion.
std::vector<std::string> complete_line(std::string_view line);

// Runs a QMP command with its "arguments" (an object, or null).
struct QmpOutcome {
    bool ok = true;
    ErrorClass error_class = ErrorClass::generic;
    std::string description;
};
QmpOutcome run_qmp(CommandContext& context, std::string_view name, const nlohmann::json& arguments,
                   nlohmann::json& result);
std::string_view error_class_name(ErrorClass error_class);

// `0x80000000 + $sp - 8`: numbers and registers of `cpu`, added and subtracted modulo 2^64.
Result<u64> evaluate(std::string_view expression, Cpu& cpu);

// All commands as text for `viv help`, and as Markdown for the reference.
std::string commands_help();
std::string commands_reference();

}  // namespace viv
