// Flattened device trees: a builder for the trees that boards hand to their guests, and a reader for any blob,
// hostile ones included.
// Promises: the builder writes version 17 blobs, properties before subnodes, strings shared; the reader checks the
// whole structure once in parse() and never looks outside the blob.
// Specification: Devicetree Specification v0.4, chapter 5.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

// Use: begin_node(""), properties and nested nodes, end_node(), finish(). Misuse (properties after a child,
// unbalanced nodes) is our own bug and CHECKed; values may be anything.
class FdtBuilder {
public:
    void begin_node(std::string_view name);  // the root's name is empty; others "name" or "name@unit-address"
    void end_node();

    void property(std::string_view name, std::span<const u8> value);
    void property_empty(std::string_view name) { property(name, {}); }
    void property_u32(std::string_view name, u32 value);
    void property_u64(std::string_view name, u64 value);
    void property_string(std::string_view name, std::string_view value);
    void property_strings(std::string_view name, std::span<const std::string_view> values);
    void property_strings(std::string_view name, std::initializer_list<std::string_view> values) {
        property_strings(name, std::span(values.begin(), values.size()));
    }
    void property_cells(std::string_view name, std::span<const u32> cells);
    void property_cells(std::string_view name, std::initializer_list<u32> cells) {
        property_cells(name, std::span(cells.begin(), cells.size()));
    }
    // Numbers of two cells each: a `reg` of addresses and sizes where #address-cells and #size-cells are 2.
    void property_u64s(std::string_view name, std::span<const u64> values);
    void property_u64s(std::string_view name, std::initializer_list<u64> values) {
        property_u64s(name, std::span(values.begin(), values.size()));
    }

    // A number no node has yet, to be given to one by property_phandle() and to others in their cells, in any order.
    u32 new_phandle() { return ++last_phandle_; }
    void property_phandle(u32 phandle) { property_u32("phandle", phandle); }

    // Memory that the guest must not use.
    void reserve(u64 address, u64 size) { reservations_.emplace_back(address, size); }

    // The blob; a multiple of 8 bytes. Nothing can be added afterwards.
    std::vector<u8> finish(u32 boot_cpu = 0);

private:
    void cell(u32 value);
    u32 string_offset(std::string_view name);

    std::vector<u8> structure_;
    std::vector<u8> strings_;
    std::map<std::string, u32, std::less<>> string_offsets_;
    std::vector<std::pair<u64, u64>> reservations_;
    unsigned depth_ = 0;
    bool properties_allowed_ = false;
    bool root_seen_ = false;
    bool finished_ = false;
    u32 last_phandle_ = 0;
};

class Fdt {
public:
    using Node = u32;  // 0 is the root
    static constexpr unsigned maximum_depth = 64;

    struct Property {
        std::string_view name;
        std::span<const u8> value;
    };
    struct Reservation {
        u64 address = 0;
        u64 size = 0;
    };

    // `what` names the blob in errors ("device tree 'x.dtb'"). The blob must outlive the tree, whose views point into
    // it.
    static Result<Fdt> parse(std::span<const u8> blob, std::string_view what);

    usize node_count() const { return nodes_.size(); }
    std::string_view name(Node node) const { return nodes_[node].name; }  // with its unit address
    std::string path(Node node) const;                                    // "/soc/serial@10000000"
    std::vector<Node> children(Node node) const;
    std::span<const Property> properties(Node node) const;
    std::span<const Reservation> reservations() const { return reservations_; }
    u32 boot_cpu() const { return boot_cpu_; }

    // By absolute path; a component without a unit address also finds the first node that has one.
    std::optional<Node> find(std::string_view path) const;
    std::optional<Node> find_phandle(u32 phandle) const;
    // The first node whose "compatible" holds `compatible`.
    std::optional<Node> find_compatible(std::string_view compatible) const;

    // Values; nothing if the property is missing or has another shape.
    std::optional<std::span<const u8>> value(Node node, std::string_view property) const;
    std::optional<u32> value_u32(Node node, std::string_view property) const;
    std::optional<u64> value_u64(Node node, std::string_view property) const;  // of two cells, or of one
    std::optional<std::string_view> value_string(Node node, std::string_view property) const;
    std::optional<std::vector<std::string_view>> value_strings(Node node, std::string_view property) const;
    std::optional<std::vector<u32>> value_cells(Node node, std::string_view property) const;

private:
    struct Entry {
        std::string_view name;
        Node parent = 0;
        u32 first_property = 0;
        u32 property_count = 0;
    };

    std::vector<Entry> nodes_;  // in document order, so children follow their parent
    std::vector<Property> properties_;
    std::vector<Reservation> reservations_;
    u32 boot_cpu_ = 0;
};

}  // namespace viv
