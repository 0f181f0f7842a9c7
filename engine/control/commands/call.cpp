// Arguments as handlers see them: checked against the row beforehand, so that a type is never in doubt here.
#include <fmt/format.h>

#include "engine/control/commands/command.h"
#include "engine/lang/check.h"

namespace viv {

u64 CommandCall::integer(usize index, u64 otherwise) const {
    if (!has(index)) return otherwise;
    const auto* given = std::get_if<u64>(&arguments_[index]);
    CHECK(given != nullptr);
    return *given;
}

bool CommandCall::boolean(usize index, bool otherwise) const {
    if (!has(index)) return otherwise;
    const auto* given = std::get_if<bool>(&arguments_[index]);
    CHECK(given != nullptr);
    return *given;
}

std::string CommandCall::text_argument(usize index) const {
    if (!has(index)) return {};
    const auto* given = std::get_if<std::string>(&arguments_[index]);
    CHECK(given != nullptr);
    return *given;
}

std::vector<std::string> CommandCall::texts_argument(usize index) const {
    if (!has(index)) return {};
    const auto* given = std::get_if<std::vector<std::string>>(&arguments_[index]);
    CHECK(given != nullptr);
    return *given;
}

DumpFormat CommandCall::format(usize index) const {
    if (!has(index)) return {};
    const auto* given = std::get_if<DumpFormat>(&arguments_[index]);
    CHECK(given != nullptr);
    return *given;
}

Result<Cpu*> CommandCall::cpu(usize index) {
    const auto cpus = machine().board().cpus();
    const u64 number = integer(index, context.cpu);
    if (number >= cpus.size())
        return Error{fmt::format("there is no CPU {}; they are numbered 0 to {}", number, cpus.size() - 1)};
    return cpus[number];
}

Cpu& CommandCall::session_cpu() { return *machine().board().cpus()[context.cpu]; }

Result<std::unique_ptr<block::Image>> CommandHost::open_overlay(const OverlayImage& wanted) {
    return Error{fmt::format("{}: this program makes no images", wanted.path)};
}

std::string_view error_class_name(ErrorClass error_class) {
    switch (error_class) {
        case ErrorClass::generic: return "GenericError";
        case ErrorClass::command_not_found: return "CommandNotFound";
        case ErrorClass::device_not_found: return "DeviceNotFound";
    }
    return "GenericError";
}

}  // namespace viv
