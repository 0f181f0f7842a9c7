// Field offsets follow the two classes' layouts; word() reads what differs in width only. See elf.h.
#include "engine/firmware/elf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/lang/bytes.h"

namespace viv {

namespace {

constexpr u8 class_32 = 1, class_64 = 2, data_little = 1, data_big = 2;
constexpr u16 type_executable = 2, type_shared = 3;
constexpr u32 segment_load = 1, section_symbols = 2, section_strings = 3;
constexpr u16 extended_count = 0xffff;
constexpr usize identification_size = 16, at_class = 4, at_data = 5, at_type = 16, at_machine = 18;

struct MachineName {
    u16 machine;
    unsigned bits;
    std::string_view name;
};
constexpr MachineName machine_names[] = {
    {2, 32, "SPARC"},          {3, 32, "i386"},        {4, 32, "m68k"},        {8, 32, "MIPS"},
    {8, 64, "MIPS 64"},        {20, 32, "PowerPC"},    {21, 64, "PowerPC 64"}, {22, 32, "s390"},
    {22, 64, "s390x"},         {40, 32, "32-bit ARM"}, {43, 64, "SPARC V9"},   {62, 64, "x86-64"},
    {62, 32, "x86-64 (x32)"},  {183, 64, "AArch64"},   {243, 32, "RISC-V 32"}, {243, 64, "RISC-V 64"},
    {258, 64, "LoongArch 64"},
};
// Machines that exist in both byte orders, so that the order is worth a word.
constexpr u16 machines_of_either_order[] = {8, 20, 21, 40, 183};

}  // namespace

std::string elf_target_name(const ElfTarget& target) {
    const auto row =
        std::find_if(std::begin(machine_names), std::end(machine_names), [&](const MachineName& candidate) {
            return candidate.machine == target.machine && candidate.bits == target.bits;
        });
    std::string name = row == std::end(machine_names)
                           ? fmt::format("{}-bit machine number {}", target.bits, target.machine)
                           : std::string(row->name);
    const bool either =
        std::count(std::begin(machines_of_either_order), std::end(machines_of_either_order), target.machine) != 0;
    const bool unusual =
        row != std::end(machine_names) && target.machine == elf_riscv64.machine && target.order == std::endian::big;
    if (either || unusual) name += target.order == std::endian::big ? " (big endian)" : " (little endian)";
    return name;
}

bool Elf::recognises(std::span<const u8> file) {
    return file.size() >= 4 && std::memcmp(file.data(),
                                           "\x7f"
                                           "ELF",
                                           4) == 0;
}

template <class T>
T Elf::field(u64 offset) const {
    const u8* at = file_.data() + offset;
    return target_.order == std::endian::big ? load_be<T>(at) : load_le<T>(at);
}

u64 Elf::word(u64 offset) const { return is64() ? field<u64>(offset) : field<u32>(offset); }

Result<Elf> Elf::open(std::string what, std::span<const u8> file, const ElfTarget& target) {
    Elf elf;
    elf.what_ = std::move(what);
    elf.file_ = file;
    if (!recognises(file)) return Error{fmt::format("{} is not an ELF file", elf.what_)};
    if (file.size() < identification_size + 4)
        return Error{fmt::format("{} is an ELF file cut short in its header", elf.what_)};
    const u8 file_class = file[at_class], data = file[at_data];
    if ((file_class != class_32 && file_class != class_64) || (data != data_little && data != data_big))
        return Error{fmt::format("{} is an ELF file with a damaged header", elf.what_)};
    elf.target_.bits = file_class == class_64 ? 64 : 32;
    elf.target_.order = data == data_big ? std::endian::big : std::endian::little;
    elf.target_.machine = elf.field<u16>(at_machine);
    if (elf.target_.machine != target.machine || elf.target_.bits != target.bits || elf.target_.order != target.order)
        return Error{fmt::format("{} is an ELF for {}; this machine is {}", elf.what_, elf_target_name(elf.target_),
                                 elf_target_name(target))};
    if (!elf.holds(0, elf.is64() ? 64 : 52))
        return Error{fmt::format("{} is an ELF file cut short in its header", elf.what_)};
    const u16 type = elf.field<u16>(at_type);
    if (type != type_executable && type != type_shared)
        return Error{fmt::format("{} is an ELF file but no executable (type {})", elf.what_, type)};
    elf.position_independent_ = type == type_shared;
    elf.entry_ = elf.word(24);
    TRY(elf.read_segments());
    return elf;
}

Result<void> Elf::read_segments() {
    const u64 table = word(is64() ? 32 : 28);
    const u64 entry_size = field<u16>(is64() ? 54 : 42), count = field<u16>(is64() ? 56 : 44);
    if (count == extended_count || (count != 0 && entry_size < (is64() ? 56u : 32u)))
        return Error{fmt::format("{} is an ELF file with a damaged program header table", what_)};
    if (!holds(table, count * entry_size))
        return Error{fmt::format("{} is an ELF file cut short in its program headers", what_)};
    const u64 virtual_entry = entry_;
    low_ = ~u64{0};
    bool entry_found = false;
    for (u64 i = 0; i < count; i++) {
        const u64 at = table + i * entry_size;
        if (field<u32>(at) != segment_load) continue;
        Segment segment;
        segment.flags = field<u32>(at + (is64() ? 4 : 24));
        segment.file_offset = word(at + (is64() ? 8 : 4));
        segment.virtual_address = word(at + (is64() ? 16 : 8));
        segment.address = word(at + (is64() ? 24 : 12));
        segment.file_size = word(at + (is64() ? 32 : 16));
        segment.memory_size = word(at + (is64() ? 40 : 20));
        if (segment.memory_size == 0) continue;
        if (!holds(segment.file_offset, segment.file_size))
            return Error{fmt::format("{} is an ELF file cut short: segment {} ends behind the file's end", what_, i)};
        if (segment.file_size > segment.memory_size || segment.memory_size - 1 > ~segment.address)
            return Error{fmt::format("{} is an ELF file whose segment {} has impossible sizes", what_, i)};
        low_ = std::min(low_, segment.address);
        high_ = std::max(high_, segment.address + (segment.memory_size - 1));
        if (!entry_found && virtual_entry - segment.virtual_address < segment.memory_size) {
            entry_ = virtual_entry - segment.virtual_address + segment.address;
            entry_found = true;
        }
        segments_.push_back(segment);
    }
    if (segments_.empty()) return Error{fmt::format("{} is an ELF file with nothing to load", what_)};
    if (high_ == ~u64{0}) return Error{fmt::format("{} is an ELF file that fills the end of the address space", what_)};
    high_++;
    return {};
}

Result<void> Elf::load(GuestMemory& memory, u64 bias) const {
    for (const Segment& segment : segments_)
        if (memory.host(segment.address + bias, segment.memory_size) == nullptr)
            return Error{fmt::format("{} wants memory from {:#x} to {:#x}, which this machine does not have", what_,
                                     segment.address + bias, segment.address + bias + segment.memory_size)};
    for (const Segment& segment : segments_) {
        u8* to = memory.host(segment.address + bias, segment.memory_size);
        if (segment.file_size != 0) std::memcpy(to, file_.data() + segment.file_offset, segment.file_size);
        std::memset(to + segment.file_size, 0, segment.memory_size - segment.file_size);
        memory.wrote(segment.address + bias, segment.memory_size);
    }
    return {};
}

u64 Elf::section_count() const { return field<u16>(is64() ? 60 : 48); }

std::optional<Elf::Section> Elf::section(u64 index) const {
    const u64 table = word(is64() ? 40 : 32);
    const u64 entry_size = field<u16>(is64() ? 58 : 46);
    if (index >= section_count() || entry_size < (is64() ? 64u : 40u)) return std::nullopt;
    if (!holds(table, (index + 1) * entry_size)) return std::nullopt;
    const u64 at = table + index * entry_size;
    Section found;
    found.type = field<u32>(at + 4);
    found.offset = word(at + (is64() ? 24 : 16));
    found.size = word(at + (is64() ? 32 : 20));
    found.link = field<u32>(at + (is64() ? 40 : 24));
    found.entry_size = word(at + (is64() ? 56 : 36));
    if (!holds(found.offset, found.size)) return std::nullopt;
    return found;
}

std::optional<u64> Elf::symbol(std::string_view name) const {
    const u64 symbol_size = is64() ? 24 : 16;
    for (u64 index = 0; index < section_count(); index++) {
        const auto symbols = section(index);
        if (!symbols || symbols->type != section_symbols || symbols->entry_size != symbol_size) continue;
        const auto strings = section(symbols->link);
        if (!strings || strings->type != section_strings) continue;
        for (u64 at = symbols->offset; at + symbol_size <= symbols->offset + symbols->size; at += symbol_size) {
            const u64 text = field<u32>(at);
            // The name and its NUL must lie whole in the string table.
            if (!range_fits(text, name.size() + 1, strings->size)) continue;
            const u8* candidate = file_.data() + strings->offset + text;
            if (std::memcmp(candidate, name.data(), name.size()) != 0 || candidate[name.size()] != 0) continue;
            return word(at + (is64() ? 8 : 4));
        }
    }
    return std::nullopt;
}

}  // namespace viv
