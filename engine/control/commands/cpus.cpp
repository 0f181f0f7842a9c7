// Commands on CPUs: which there are, their registers, single steps.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"

namespace viv::commands {

namespace {

// "riscv:rv64" is gdb's name; QMP says "riscv64".
std::string target_name(const Cpu& cpu) {
    const auto name = cpu.gdb_architecture();
    if (name == "riscv:rv64") return "riscv64";
    if (name == "riscv:rv32") return "riscv32";
    return std::string(name.substr(0, name.find(':')));
}

Result<void> query_cpus(CommandCall& call) {
    call.value = nlohmann::json::array();
    for (const Cpu* cpu : call.machine().board().cpus()) {
        nlohmann::json row = nlohmann::json::object();
        row["cpu-index"] = cpu->index();
        row["qom-path"] = fmt::format("/machine/cpu[{}]", cpu->index());
        row["thread-id"] = call.machine().thread_id(cpu->index());
        row["target"] = target_name(*cpu);
        call.value.push_back(std::move(row));
        call.text +=
            fmt::format("{} CPU {}: pc={:#018x} {} {} instructions\n", cpu->index() == call.context.cpu ? '*' : ' ',
                        cpu->index(), cpu->pc(), cpu->mode_name(), cpu->instructions());
    }
    return {};
}

std::string hexadecimal(const std::vector<u8>& little_endian) {
    std::string text;
    for (auto byte = little_endian.rbegin(); byte != little_endian.rend(); ++byte) text += fmt::format("{:02x}", *byte);
    return text;
}

Result<void> query_registers(CommandCall& call) {
    TRY_SET(Cpu * cpu, call.cpu(0));
    call.text = fmt::format("CPU {}\n", cpu->index());
    usize column = 0;
    for (const Cpu::Register& row : cpu->registers()) {
        const auto bytes = cpu->read_register(row.number);
        if (bytes.empty()) continue;
        const std::string digits = hexadecimal(bytes);
        call.value[row.name] = "0x" + digits;
        const std::string cell = fmt::format("{:>10} {}", row.name, digits);
        if (column != 0 && column + cell.size() > 116) {
            call.text += '\n';
            column = 0;
        }
        call.text += cell;
        column += cell.size();
    }
    return {};
}

Result<void> choose_cpu(CommandCall& call) {
    TRY_SET(const Cpu* cpu, call.cpu(0));
    call.context.cpu = cpu->index();
    return {};
}

Result<void> step(CommandCall& call) {
    TRY_SET(Cpu * cpu, call.cpu(0));
    if (call.machine().state() == RunState::powered_off) return Error{"the machine is powered off"};
    call.machine().step(cpu->index());
    call.value["pc"] = cpu->pc();
    call.text = fmt::format("CPU {}: {:#018x}: {}", cpu->index(), cpu->pc(), cpu->disassemble(cpu->pc()).text);
    return {};
}

constexpr Argument optional_cpu[] = {{"cpu", ArgumentType::integer, Need::optional, "its number"}};
constexpr Argument required_cpu[] = {{"cpu", ArgumentType::integer, Need::required, "its number"}};

constexpr Command rows[] = {
    {"info cpus", "query-cpus-fast", {}, "the CPUs and where they are", query_cpus},
    {"info registers", "viv-query-registers", optional_cpu, "the registers of a CPU", query_registers},
    {"cpu", "", required_cpu, "makes this the CPU that commands mean", choose_cpu},
    {"step", "viv-step", optional_cpu, "executes one instruction on a CPU, the others stand still; then pauses", step},
};

}  // namespace

std::span<const Command> cpu_rows() { return rows; }

}  // namespace viv::commands
