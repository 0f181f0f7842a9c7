// Writing and reading flattened device trees. See fdt.h.
#include "engine/firmware/fdt.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv {

namespace {

constexpr u32 magic = 0xd00d'feed, version = 17, last_compatible_version = 16;
constexpr u32 token_begin_node = 1, token_end_node = 2, token_property = 3, token_nop = 4, token_end = 9;
constexpr usize header_size = 40, reservation_size = 16;

void append_be32(std::vector<u8>& to, u32 value) {
    to.resize(to.size() + 4);
    store_be(to.data() + to.size() - 4, value);
}
void append_be64(std::vector<u8>& to, u64 value) {
    append_be32(to, static_cast<u32>(value >> 32));
    append_be32(to, static_cast<u32>(value));
}
void append_text(std::vector<u8>& to, std::string_view text) {
    to.insert(to.end(), text.begin(), text.end());
    to.push_back(0);
}
void pad(std::vector<u8>& bytes, usize alignment) { bytes.resize(align_up(bytes.size(), alignment)); }

}  // namespace

// Builder

void FdtBuilder::cell(u32 value) { append_be32(structure_, value); }

void FdtBuilder::begin_node(std::string_view name) {
    CHECK(!finished_ && (depth_ != 0 || !root_seen_), "a tree has one root");
    CHECK(name.empty() == (depth_ == 0), "only the root has no name");
    cell(token_begin_node);
    append_text(structure_, name);
    pad(structure_, 4);
    depth_++;
    root_seen_ = properties_allowed_ = true;
}

void FdtBuilder::end_node() {
    CHECK(depth_ != 0);
    cell(token_end_node);
    depth_--;
    properties_allowed_ = false;
}

u32 FdtBuilder::string_offset(std::string_view name) {
    if (const auto known = string_offsets_.find(name); known != string_offsets_.end()) return known->second;
    const auto offset = static_cast<u32>(strings_.size());
    append_text(strings_, name);
    string_offsets_.emplace(name, offset);
    return offset;
}

void FdtBuilder::property(std::string_view name, std::span<const u8> value) {
    CHECK(properties_allowed_, "properties come before subnodes");
    cell(token_property);
    cell(static_cast<u32>(value.size()));
    cell(string_offset(name));
    structure_.insert(structure_.end(), value.begin(), value.end());
    pad(structure_, 4);
}

void FdtBuilder::property_u32(std::string_view name, u32 value) { property_cells(name, {value}); }
void FdtBuilder::property_u64(std::string_view name, u64 value) { property_u64s(name, {value}); }

void FdtBuilder::property_string(std::string_view name, std::string_view value) { property_strings(name, {value}); }

void FdtBuilder::property_strings(std::string_view name, std::span<const std::string_view> values) {
    std::vector<u8> bytes;
    for (const std::string_view value : values) append_text(bytes, value);
    property(name, bytes);
}

void FdtBuilder::property_cells(std::string_view name, std::span<const u32> cells) {
    std::vector<u8> bytes;
    for (const u32 value : cells) append_be32(bytes, value);
    property(name, bytes);
}

void FdtBuilder::property_u64s(std::string_view name, std::span<const u64> values) {
    std::vector<u8> bytes;
    for (const u64 value : values) append_be64(bytes, value);
    property(name, bytes);
}

std::vector<u8> FdtBuilder::finish(u32 boot_cpu) {
    CHECK(root_seen_ && depth_ == 0 && !finished_, "a finished tree is balanced");
    finished_ = true;
    cell(token_end);

    const usize reservations_at = header_size;
    const usize structure_at = reservations_at + (reservations_.size() + 1) * reservation_size;
    const usize strings_at = structure_at + structure_.size();
    const usize total = align_up(strings_at + strings_.size(), 8);

    std::vector<u8> blob;
    blob.reserve(total);
    append_be32(blob, magic);
    append_be32(blob, static_cast<u32>(total));
    append_be32(blob, static_cast<u32>(structure_at));
    append_be32(blob, static_cast<u32>(strings_at));
    append_be32(blob, static_cast<u32>(reservations_at));
    append_be32(blob, version);
    append_be32(blob, last_compatible_version);
    append_be32(blob, boot_cpu);
    append_be32(blob, static_cast<u32>(strings_.size()));
    append_be32(blob, static_cast<u32>(structure_.size()));
    for (const auto& [address, size] : reservations_) {
        append_be64(blob, address);
        append_be64(blob, size);
    }
    append_be64(blob, 0);
    append_be64(blob, 0);
    blob.insert(blob.end(), structure_.begin(), structure_.end());
    blob.insert(blob.end(), strings_.begin(), strings_.end());
    blob.resize(total);
    return blob;
}

// Reader

namespace {

// A place in a block of the blob; every read is checked.
class Cursor {
public:
    Cursor(std::span<const u8> block, usize at) : block_(block), at_(at) {}

    bool has(usize count) const { return range_fits(at_, count, block_.size()); }
    u32 take_u32() {  // has(4)
        const u32 value = load_be<u32>(block_.data() + at_);
        at_ += 4;
        return value;
    }
    std::span<const u8> take(usize count) {  // has(count)
        const auto bytes = block_.subspan(at_, count);
        at_ += count;
        return bytes;
    }
    // A NUL-terminated text inside the block.
    std::optional<std::string_view> take_text() {
        if (at_ > block_.size()) return std::nullopt;
        const auto from = block_.begin() + static_cast<std::ptrdiff_t>(at_);
        const auto end = std::find(from, block_.end(), u8{0});
        if (end == block_.end()) return std::nullopt;
        const auto length = static_cast<usize>(end - from);
        const std::string_view text(reinterpret_cast<const char*>(block_.data() + at_), length);
        at_ += length + 1;
        return text;
    }
    void align() { at_ = align_up(at_, 4); }

private:
    std::span<const u8> block_;
    usize at_;
};

}  // namespace

Result<Fdt> Fdt::parse(std::span<const u8> blob, std::string_view what) {
    const auto broken = [&](std::string_view problem) { return Error{fmt::format("{} {}", what, problem)}; };
    if (blob.size() < header_size || load_be<u32>(blob.data()) != magic)
        return broken("is not a flattened device tree");
    const auto header = [&](usize index) { return load_be<u32>(blob.data() + 4 * index); };
    const u32 total = header(1), structure_at = header(2), strings_at = header(3), reservations_at = header(4);
    const u32 strings_size = header(8), structure_size = header(9);
    if (header(5) < 17 || header(6) > 17) return broken(fmt::format("has version {}; 17 would be right", header(5)));
    if (total > blob.size()) return broken(fmt::format("is cut short: {} of {} bytes", blob.size(), total));
    blob = blob.first(total);
    if (!range_fits(structure_at, structure_size, total) || !range_fits(strings_at, strings_size, total) ||
        reservations_at > total || structure_at % 4 != 0)
        return broken("has blocks outside itself");

    Fdt tree;
    tree.boot_cpu_ = header(7);
    for (usize at = reservations_at;; at += reservation_size) {
        if (!range_fits(at, reservation_size, total)) return broken("has no end to its memory reservations");
        const Reservation reservation{load_be<u64>(blob.data() + at), load_be<u64>(blob.data() + at + 8)};
        if (reservation.address == 0 && reservation.size == 0) break;
        tree.reservations_.push_back(reservation);
    }

    const auto strings = blob.subspan(strings_at, strings_size);
    Cursor cursor(blob.subspan(structure_at, structure_size), 0);
    std::vector<Node> open;
    while (true) {
        if (!cursor.has(4)) return broken("ends inside its structure");
        const u32 token = cursor.take_u32();
        if (token == token_nop) continue;
        if (token == token_end) break;
        if (token == token_begin_node) {
            const auto name = cursor.take_text();
            if (!name) return broken("has a node name without an end");
            cursor.align();
            if (open.empty() && !tree.nodes_.empty()) return broken("has two roots");
            if (open.size() == maximum_depth) return broken(fmt::format("nests deeper than {} nodes", maximum_depth));
            const Node parent = open.empty() ? 0 : open.back();
            open.push_back(static_cast<Node>(tree.nodes_.size()));
            tree.nodes_.push_back({*name, parent, static_cast<u32>(tree.properties_.size()), 0});
        } else if (token == token_end_node) {
            if (open.empty()) return broken("ends a node that it has not begun");
            open.pop_back();
        } else if (token == token_property) {
            if (!cursor.has(8)) return broken("ends inside a property");
            const u32 length = cursor.take_u32();
            const auto name = Cursor(strings, cursor.take_u32()).take_text();
            if (!cursor.has(length) || !name) return broken("has a property outside itself");
            // Properties of a node stand together, before its first child: that is what lets a node name a range of
            // them.
            if (open.empty() || open.back() != tree.nodes_.size() - 1) return broken("has a property after a subnode");
            tree.properties_.push_back({*name, cursor.take(length)});
            tree.nodes_.back().property_count++;
            cursor.align();
        } else {
            return broken(fmt::format("has the unknown token {:#x}", token));
        }
    }
    if (!open.empty() || tree.nodes_.empty()) return broken("has a node without an end");
    return tree;
}

std::string Fdt::path(Node node) const {
    if (node == 0) return "/";
    std::string path;
    for (; node != 0; node = nodes_[node].parent) path = fmt::format("/{}{}", nodes_[node].name, path);
    return path;
}

std::vector<Fdt::Node> Fdt::children(Node node) const {
    std::vector<Node> found;
    for (Node child = node + 1; child < nodes_.size(); child++)
        if (nodes_[child].parent == node) found.push_back(child);
    return found;
}

std::span<const Fdt::Property> Fdt::properties(Node node) const {
    return std::span(properties_).subspan(nodes_[node].first_property, nodes_[node].property_count);
}

std::optional<Fdt::Node> Fdt::find(std::string_view path) const {
    if (!path.starts_with('/')) return std::nullopt;
    Node node = 0;
    while (true) {
        path.remove_prefix(std::min(path.find_first_not_of('/'), path.size()));
        if (path.empty()) return node;
        const std::string_view component = path.substr(0, path.find('/'));
        path.remove_prefix(component.size());
        std::optional<Node> exact, by_name;
        for (const Node child : children(node)) {
            const std::string_view name = nodes_[child].name;
            if (name == component && !exact) exact = child;
            if (name.substr(0, name.find('@')) == component && !by_name) by_name = child;
        }
        if (!exact && !by_name) return std::nullopt;
        node = exact ? *exact : *by_name;
    }
}

std::optional<Fdt::Node> Fdt::find_phandle(u32 phandle) const {
    for (Node node = 0; node < nodes_.size(); node++)
        if (value_u32(node, "phandle") == phandle) return node;
    return std::nullopt;
}

std::optional<Fdt::Node> Fdt::find_compatible(std::string_view compatible) const {
    for (Node node = 0; node < nodes_.size(); node++)
        if (const auto names = value_strings(node, "compatible"))
            if (std::find(names->begin(), names->end(), compatible) != names->end()) return node;
    return std::nullopt;
}

std::optional<std::span<const u8>> Fdt::value(Node node, std::string_view property) const {
    for (const Property& candidate : properties(node))
        if (candidate.name == property) return candidate.value;
    return std::nullopt;
}

std::optional<u32> Fdt::value_u32(Node node, std::string_view property) const {
    const auto bytes = value(node, property);
    if (!bytes || bytes->size() != 4) return std::nullopt;
    return load_be<u32>(bytes->data());
}

std::optional<u64> Fdt::value_u64(Node node, std::string_view property) const {
    const auto bytes = value(node, property);
    if (!bytes || bytes->size() != 8) return value_u32(node, property);
    return load_be<u64>(bytes->data());
}

std::optional<std::vector<std::string_view>> Fdt::value_strings(Node node, std::string_view property) const {
    const auto bytes = value(node, property);
    if (!bytes || bytes->empty() || bytes->back() != 0) return std::nullopt;
    std::vector<std::string_view> texts;
    std::string_view left(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    while (!left.empty()) {
        texts.push_back(left.substr(0, left.find('\0')));
        left.remove_prefix(texts.back().size() + 1);
    }
    return texts;
}

std::optional<std::string_view> Fdt::value_string(Node node, std::string_view property) const {
    const auto texts = value_strings(node, property);
    if (!texts || texts->size() != 1) return std::nullopt;
    return texts->front();
}

std::optional<std::vector<u32>> Fdt::value_cells(Node node, std::string_view property) const {
    const auto bytes = value(node, property);
    if (!bytes || bytes->size() % 4 != 0) return std::nullopt;
    std::vector<u32> cells;
    for (usize at = 0; at < bytes->size(); at += 4) cells.push_back(load_be<u32>(bytes->data() + at));
    return cells;
}

}  // namespace viv
