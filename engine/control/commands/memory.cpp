// Commands on memory: dumps, disassembly, the memory map, copies to files. Device registers are never read: that would
// change the guest.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "engine/control/commands/areas.h"
#include "engine/lang/bytes.h"

namespace viv::commands {

namespace {

enum class Space : u8 { virtual_memory, physical };

bool read(CommandCall& call, Space space, u64 address, std::span<u8> out) {
    if (space == Space::virtual_memory) return call.session_cpu().read_memory(address, out);
    return call.machine().board().memory().read(address, out);
}

Error unreadable(Space space, u64 address) {
    return Error{fmt::format("there is no memory at {} address {:#x}",
                             space == Space::physical ? "physical" : "virtual", address)};
}

std::string shown(char letter, u64 value, unsigned size) {
    switch (letter) {
        case 'd': return fmt::format("{:>{}}", sign_extend(value, size * 8), size == 8 ? 20 : size * 3);
        case 'u': return fmt::format("{:>{}}", value, size == 8 ? 20 : size * 3);
        case 'o': return fmt::format("0{:0{}o}", value, (size * 8 + 2) / 3);
        case 'c': {
            const char c = static_cast<char>(value);
            return c >= ' ' && c < 127 ? fmt::format("'{}'", c) : fmt::format("'\\x{:02x}'", value & 0xff);
        }
        default: return fmt::format("0x{:0{}x}", value, size * 2);
    }
}

Result<void> dump_values(CommandCall& call, Space space, const DumpFormat& format, u64 address) {
    const unsigned size = format.letter == 'c' ? 1 : format.size;
    const u64 a_line = size == 8 ? 2 : 16 / std::max(size, 2U);
    for (u64 i = 0; i < format.count; i++) {
        u8 raw[8] = {};
        const u64 at = address + i * size;
        if (!read(call, space, at, {raw, size})) {
            if (call.text.empty()) return unreadable(space, at);
            call.text += fmt::format("\n{}", unreadable(space, at).message);
            return {};
        }
        if (i % a_line == 0) call.text += fmt::format("{}{:016x}:", i == 0 ? "" : "\n", at);
        call.text += ' ' + shown(format.letter, load_le<u64>(raw), size);
    }
    return {};
}

Result<void> dump_code(CommandCall& call, u64 count, u64 address) {
    call.value = nlohmann::json::array();
    for (u64 i = 0; i < count; i++) {
        u8 first[1];
        if (!call.session_cpu().read_memory(address, first)) {
            if (call.text.empty()) return unreadable(Space::virtual_memory, address);
            call.text += unreadable(Space::virtual_memory, address).message;
            return {};
        }
        const Cpu::Disassembly code = call.session_cpu().disassemble(address);
        call.text += fmt::format("{:#018x}: {}\n", address, code.text);
        nlohmann::json row = nlohmann::json::object();
        row["address"] = address;
        row["length"] = code.length;
        row["text"] = code.text;
        call.value.push_back(std::move(row));
        address += std::max(1U, code.length);
    }
    return {};
}

Result<void> examine(CommandCall& call) {
    const DumpFormat format = call.format(0);
    if (format.letter == 'i') return dump_code(call, format.count, call.integer(1));
    return dump_values(call, Space::virtual_memory, format, call.integer(1));
}

Result<void> examine_physical(CommandCall& call) {
    const DumpFormat format = call.format(0);
    if (format.letter == 'i') return Error{"instructions are read by virtual address: x/10i"};
    return dump_values(call, Space::physical, format, call.integer(1));
}

Result<void> disassemble(CommandCall& call) {
    const u64 count = call.integer(1, 10);
    if (count > DumpFormat::maximum_count)
        return Error{fmt::format("the count must be at most {}", DumpFormat::maximum_count)};
    return dump_code(call, count, call.integer(0));
}

Result<void> translate(CommandCall& call) {
    const u64 address = call.integer(0);
    const auto physical = call.session_cpu().translate(address);
    if (!physical) return Error{fmt::format("virtual address {:#x} is not mapped", address)};
    call.value["physical"] = *physical;
    call.text = fmt::format("gpa: {:#x}", *physical);
    return {};
}

Result<void> memory_map(CommandCall& call) {
    struct Range {
        u64 base, size;
        std::string kind, name;
    };
    std::vector<Range> ranges;
    for (const auto& region : call.machine().board().memory().regions())
        ranges.push_back(
            {region->base, region->size, region->kind == GuestMemory::Kind::ram ? "ram" : "rom", region->name});
    for (const Bus::Range& range : call.machine().board().bus().ranges())
        ranges.push_back({range.base, range.size, "device", range.name});
    std::stable_sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return a.base < b.base; });
    call.value = nlohmann::json::array();
    for (const Range& range : ranges) {
        call.text += fmt::format("{:016x}-{:016x} {:<6} {}\n", range.base, range.base + (range.size - 1), range.kind,
                                 range.name);
        nlohmann::json row = nlohmann::json::object();
        row["base"] = range.base;
        row["size"] = range.size;
        row["kind"] = range.kind;
        row["name"] = range.name;
        call.value.push_back(std::move(row));
    }
    return {};
}

Result<void> copy_to_file(CommandCall& call, Space space) {
    const u64 address = call.integer(0), size = call.integer(1);
    const std::string path = call.text_argument(2);
    if (size != 0 && size - 1 > ~address) return Error{"the range goes beyond the end of the address space"};
    std::array<u8, page_size> buffer;
    // Everything is read once before the file is made, so that a hole in the range leaves no file.
    for (u64 done = 0; done < size;) {
        const u64 part = std::min(size - done, page_size - ((address + done) & page_mask));
        if (!read(call, space, address + done, std::span(buffer).first(part))) return unreadable(space, address + done);
        done += part;
    }
    TRY_SET(const auto sink, call.context.host.create_file(path));
    for (u64 done = 0; done < size;) {
        const u64 part = std::min(size - done, page_size - ((address + done) & page_mask));
        const auto bytes = std::span(buffer).first(part);
        if (!read(call, space, address + done, bytes)) return unreadable(space, address + done);
        TRY(sink->write(bytes));
        done += part;
    }
    return sink->finish();
}

Result<void> memsave(CommandCall& call) {
    if (call.has(3)) {
        TRY_SET(const Cpu* cpu, call.cpu(3));
        CommandContext other{call.machine(), call.context.host, cpu->index()};
        nlohmann::json value = nlohmann::json::object();
        CommandCall inner(other, {call.integer(0), call.integer(1), call.text_argument(2)}, value);
        return copy_to_file(inner, Space::virtual_memory);
    }
    return copy_to_file(call, Space::virtual_memory);
}

Result<void> pmemsave(CommandCall& call) { return copy_to_file(call, Space::physical); }

constexpr Argument examine_arguments[] = {
    {"format", ArgumentType::format, Need::optional, "count, one of x d u o c i, and size b h w g"},
    {"address", ArgumentType::address, Need::required, "where to begin"},
};
constexpr Argument disassemble_arguments[] = {
    {"address", ArgumentType::integer, Need::required, "virtual, of the first instruction"},
    {"count", ArgumentType::integer, Need::optional, "how many instructions, 10 if left out"},
};
constexpr Argument address_argument[] = {{"address", ArgumentType::address, Need::required, "virtual"}};
constexpr Argument memsave_arguments[] = {
    {"val", ArgumentType::integer, Need::required, "the first virtual address"},
    {"size", ArgumentType::integer, Need::required, "how many bytes"},
    {"filename", ArgumentType::text, Need::required, "where to"},
    {"cpu-index", ArgumentType::integer, Need::optional, "whose translation"},
};
constexpr Argument pmemsave_arguments[] = {
    {"val", ArgumentType::integer, Need::required, "the first physical address"},
    {"size", ArgumentType::integer, Need::required, "how many bytes"},
    {"filename", ArgumentType::text, Need::required, "where to"},
};

constexpr Command rows[] = {
    {"x", "", examine_arguments, "shows memory at a virtual address: x/8xg $sp, x/10i $pc", examine},
    {"xp", "", examine_arguments, "shows memory at a physical address", examine_physical},
    {"disassemble", "viv-disassemble", disassemble_arguments, "shows instructions", disassemble},
    {"gva2gpa", "viv-translate", address_argument, "the physical address of a virtual one", translate},
    {"info mtree", "viv-query-memory-map", {}, "the physical address space: memory and devices", memory_map},
    {"memsave", "memsave", memsave_arguments, "copies virtual memory to a file", memsave},
    {"pmemsave", "pmemsave", pmemsave_arguments, "copies physical memory to a file", pmemsave},
};

}  // namespace

std::span<const Command> memory_rows() { return rows; }

}  // namespace viv::commands
