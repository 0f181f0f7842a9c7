// See descriptor.h.
#include "engine/block/vmdk/descriptor.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace viv::block::vmdk {

namespace {

std::string_view take_line(std::string_view& text) {
    const auto line = text.substr(0, text.find_first_of("\r\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    return line;
}

std::string_view take_word(std::string_view& line) {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    const auto word = line.substr(0, line.find_first_of(" \t"));
    line.remove_prefix(word.size());
    return word;
}

// In quotation marks, which it cannot have itself.
std::optional<std::string_view> take_quoted(std::string_view& line) {
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    if (!line.starts_with('"')) return std::nullopt;
    const auto end = line.find('"', 1);
    if (end == std::string_view::npos) return std::nullopt;
    const auto text = line.substr(1, end - 1);
    line.remove_prefix(end + 1);
    return text;
}

std::optional<u64> number(std::string_view word) {
    u64 value = 0;
    const auto parsed = std::from_chars(word.data(), word.data() + word.size(), value);
    if (parsed.ec != std::errc{} || parsed.ptr != word.data() + word.size()) return std::nullopt;
    return value;
}

std::string printable(std::string_view text) {
    std::string shown;
    for (const char letter : text.substr(0, 64))
        if (letter >= ' ' && letter <= '~') shown += letter;
    return shown;
}

// The value of `key=value`, without quotation marks.
std::string_view value_of(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const auto line = take_line(text);
        const auto equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        auto name = line.substr(0, equals), value = line.substr(equals + 1);
        while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
        if (name != key) continue;
        while (!value.empty() && (value.front() == ' ' || value.front() == '"')) value.remove_prefix(1);
        while (!value.empty() && (value.back() == ' ' || value.back() == '"')) value.remove_suffix(1);
        return value;
    }
    return {};
}

Result<ExtentLine> read_extent(std::string_view line) {
    const Error odd{fmt::format("has an extent that cannot be: {}", printable(line))};
    ExtentLine extent;
    const auto use = take_word(line);
    if (use == "NOACCESS") return Error{"has an extent that may not be read (NOACCESS)"};
    extent.use = use == "RW" ? ExtentLine::Use::read_write : ExtentLine::Use::read_only;
    const auto sectors = number(take_word(line));
    if (!sectors || *sectors == 0 || *sectors > most_sectors) return odd;
    extent.sectors = *sectors;
    const auto kind = take_word(line);
    if (kind == "ZERO") {
        extent.kind = ExtentLine::Kind::zero;
        return extent;
    }
    if (kind != "SPARSE" && kind != "FLAT")
        return Error{fmt::format("has an extent of the kind {}; SPARSE, FLAT and ZERO are supported", printable(kind))};
    extent.kind = kind == "FLAT" ? ExtentLine::Kind::flat : ExtentLine::Kind::sparse;
    const auto file = take_quoted(line);
    if (!file) return odd;
    extent.file = *file;
    if (const auto word = take_word(line); !word.empty()) {
        const auto offset = number(word);
        if (!offset || *offset > most_sectors) return odd;
        extent.offset = *offset;
    }
    return extent;
}

}  // namespace

Descriptor read_descriptor(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    Descriptor descriptor;
    descriptor.create_type = printable(value_of(text, "createType"));
    const auto parent = value_of(text, "parentCID");
    descriptor.has_parent = !parent.empty() && parent != "ffffffff" && parent != "FFFFFFFF";
    return descriptor;
}

Result<std::vector<ExtentLine>> read_extents(std::string_view text) {
    text = text.substr(0, text.find('\0'));
    std::vector<ExtentLine> extents;
    u64 total = 0;
    while (!text.empty()) {
        const auto line = take_line(text);
        if (!line.starts_with("RW ") && !line.starts_with("RDONLY ") && !line.starts_with("NOACCESS ")) continue;
        if (extents.size() == most_extents) return Error{fmt::format("has more than {} extents", most_extents)};
        TRY_SET(auto extent, read_extent(line));
        total += extent.sectors;
        if (total > most_sectors) return Error{fmt::format("has a disk of {} sectors, which cannot be", total)};
        extents.push_back(std::move(extent));
    }
    if (extents.empty()) return Error{"has no extents"};
    return extents;
}

std::string make_descriptor(u32 id, std::string_view create_type, const std::vector<ExtentLine>& extents) {
    std::string lines;
    u64 sectors = 0;
    for (const auto& extent : extents) {
        const bool flat = extent.kind == ExtentLine::Kind::flat;
        lines += fmt::format("RW {} {} \"{}\"{}\n", extent.sectors, flat ? "FLAT" : "SPARSE", extent.file,
                             flat ? fmt::format(" {}", extent.offset) : "");
        sectors += extent.sectors;
    }
    return fmt::format(
        "# Disk DescriptorFile\nversion=1\nCID={:08x}\nparentCID=ffffffff\ncreateType=\"{}\"\n\n"
        "# Extent description\n{}\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = \"4\"\n"
        "ddb.geometry.cylinders = \"{}\"\nddb.geometry.heads = \"16\"\nddb.geometry.sectors = \"63\"\n"
        "ddb.adapterType = \"ide\"\n",
        id, create_type, lines, sectors / (16 * 63));
}

}  // namespace viv::block::vmdk
