// See gdb_target.h. A register type that gdb does not have of itself is described as a union of vectors over its bits.
#include "engine/control/gdb_target.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>
#include <vector>

namespace viv::gdb {

namespace {

constexpr std::array<std::string_view, 22> known_types{
    "int",      "float",       "bool",        "int8",        "int16",    "int32",    "int64",    "int128",
    "uint8",    "uint16",      "uint32",      "uint64",      "uint128",  "code_ptr", "data_ptr", "ieee_half",
    "bfloat16", "ieee_single", "ieee_double", "arm_fpa_ext", "i387_ext", ""};

bool is_known(std::string_view type) {
    return std::find(known_types.begin(), known_types.end(), type) != known_types.end();
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '"')
            out += "&quot;";
        else
            out += c;
    }
    return out;
}

std::string vector_type(const Cpu::Register& row) {
    struct Part {
        const char* field;
        const char* type;
        unsigned bits;
    };
    constexpr Part parts[] = {
        {"b", "uint8", 8}, {"s", "uint16", 16}, {"w", "uint32", 32}, {"l", "uint64", 64}, {"q", "uint128", 128}};
    const std::string name = escaped(row.type);
    std::string vectors, fields;
    for (const Part& part : parts) {
        if (row.bits % part.bits != 0) continue;
        vectors += fmt::format("<vector id=\"{}_{}\" type=\"{}\" count=\"{}\"/>", name, part.field, part.type,
                               row.bits / part.bits);
        fields += fmt::format("<field name=\"{}\" type=\"{}_{}\"/>", part.field, name, part.field);
    }
    return fmt::format("{}<union id=\"{}\">{}</union>", vectors, name, fields);
}

}  // namespace

std::string target_xml(const Cpu& cpu) {
    std::string xml = "<?xml version=\"1.0\"?><!DOCTYPE target SYSTEM \"gdb-target.dtd\"><target version=\"1.0\">";
    xml += fmt::format("<architecture>{}</architecture>", escaped(cpu.gdb_architecture()));
    std::vector<std::string_view> features;
    for (const Cpu::Register& row : cpu.registers())
        if (std::find(features.begin(), features.end(), row.feature) == features.end()) features.push_back(row.feature);
    for (const std::string_view feature : features) {
        xml += fmt::format("<feature name=\"{}\">", escaped(feature));
        std::vector<std::string_view> described;
        std::string registers;
        for (const Cpu::Register& row : cpu.registers()) {
            if (row.feature != feature) continue;
            if (!is_known(row.type) && std::find(described.begin(), described.end(), row.type) == described.end()) {
                described.push_back(row.type);
                xml += vector_type(row);
            }
            registers += fmt::format("<reg name=\"{}\" bitsize=\"{}\" regnum=\"{}\" type=\"{}\"/>", escaped(row.name),
                                     row.bits, row.number, row.type.empty() ? "int" : escaped(row.type));
        }
        xml += registers + "</feature>";
    }
    return xml + "</target>";
}

std::string thread_text(const Cpu& cpu) { return fmt::format("CPU {} ({} mode)", cpu.index(), cpu.mode_name()); }

std::string threads_xml(std::span<Cpu* const> cpus) {
    std::string xml = "<?xml version=\"1.0\"?><threads>";
    for (const Cpu* cpu : cpus)
        xml += fmt::format("<thread id=\"{:x}\" core=\"{}\">{}</thread>", cpu->index() + 1, cpu->index(),
                           escaped(thread_text(*cpu)));
    return xml + "</threads>";
}

unsigned general_registers(const Cpu& cpu) {
    std::set<unsigned> numbers;
    for (const Cpu::Register& row : cpu.registers()) numbers.insert(row.number);
    unsigned count = 0;
    while (numbers.contains(count)) count++;
    return count;
}

}  // namespace viv::gdb
