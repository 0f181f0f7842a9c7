// See saved_table.h.
#include "engine/control/saved_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace viv {

namespace {

constexpr usize text_maximum = 1 << 20, region_maximum = 64, chunk_maximum = usize{1} << 28;
constexpr usize overlay_maximum = 256, device_maximum = 256, property_maximum = 64, port_maximum = 64;
// Bytes that are mostly zero are small in a file and large in memory.
constexpr u64 zero_pages_for_each = 16, zero_pages_always = 4096;

struct SavedText {
    std::string value;
    void state(Archive& a) { a.text(1, "text", value, text_maximum); }
};

struct SavedProperty {
    std::string key, value;
    void state(Archive& a) {
        a.text(1, "key", key, text_maximum);
        a.text(2, "value", value, text_maximum);
    }
};

struct SavedDevice {
    PluggedDevice device;
    void state(Archive& a) {
        a.text(1, "id", device.id, text_maximum);
        a.text(2, "kind", device.kind, text_maximum);
        std::vector<SavedProperty> properties;
        for (const auto& [key, value] : device.properties) properties.push_back({key, value});
        a.list(3, "properties", properties, property_maximum);
        std::vector<SavedText> ports;
        for (const auto& port : device.ports) ports.push_back({port});
        a.list(4, "ports", ports, port_maximum);
        a(5, "back_end", device.back_end, static_cast<u64>(PluggedDevice::BackEnd::folder));
        if (!a.loading()) return;
        for (auto& [key, value] : properties) device.properties.emplace(std::move(key), std::move(value));
        for (auto& port : ports) device.ports.push_back(std::move(port.value));
    }
};

void head_state(Archive& a, Machine::SavedHead& head) {
    a.text(1, "launch", head.launch, text_maximum);
    a.text(2, "machine", head.machine, text_maximum);
    a.text(3, "cpu", head.cpu, text_maximum);
    a(4, "memory", head.memory);
    a(5, "cpus", head.cpus);
    a(6, "deterministic", head.deterministic);
    a(7, "seed", head.seed);
    a(8, "harts", head.harts, static_cast<u64>(Harts::parallel));
    a.text(9, "append", head.append, text_maximum);
    u16 tag = 10;
    for (const BlobSlot& slot : blob_slots) {
        std::optional<Blob>& blob = head.*slot.in_head;
        bool present = blob.has_value();
        a(tag, slot.what, present);
        if (a.loading() && present) blob.emplace();
        std::string name = blob ? blob->name : std::string();
        a.text(static_cast<u16>(tag + 1), "name", name, text_maximum);
        Hash128 hash = blob ? blob->hash : Hash128{};
        a(static_cast<u16>(tag + 2), "hash_low", hash.low);
        a(static_cast<u16>(tag + 3), "hash_high", hash.high);
        if (blob) blob->name = name, blob->hash = hash;
        tag = static_cast<u16>(tag + 4);
    }
    std::vector<SavedDevice> devices;
    for (const PluggedDevice& device : head.devices) devices.push_back({device});
    a.list(tag, "devices", devices, device_maximum);
    if (!a.loading()) return;
    head.devices.clear();
    for (SavedDevice& each : devices) head.devices.push_back(std::move(each.device));
}

}  // namespace

void SavedTable::state(Archive& a) {
    a.section(1, "head", [this](Archive& inner) { head_state(inner, head); });
    a(2, "blobs", blobs);
    a(3, "components", components);
    a.list(4, "regions", regions, region_maximum);
    a.numbers(5, "chunks", chunks, chunk_maximum);
    a(6, "pages_in_chunk", pages_in_chunk);
    a.list(7, "overlays", overlays, overlay_maximum);
    a.require(std::has_single_bit(pages_in_chunk) && pages_in_chunk <= state::chunk_limit / page_size, "pages_in_chunk",
              "is no power of two that a chunk can hold");
}

Result<SavedTable> SavedTable::of(const state::FileReader& reader) {
    SavedTable table;
    Archive archive = Archive::loader(reader.table());
    table.state(archive);
    if (auto done = archive.finish(); !done.ok())
        return Error{fmt::format("the table of the saved machine is broken: {}", done.error().message)};
    return table;
}

Result<SavedPages> SavedPages::open(state::FileReader& reader, const SavedTable& table) {
    const auto& chunks = table.chunks;
    const u64 whole_size = table.pages_in_chunk * page_size;
    u64 pages = 0;
    for (usize i = 0; i < chunks.size(); i++) {
        const u64 size = chunks[i] < reader.chunks() ? reader.size_of(chunks[i]) : 0;
        const bool whole = size == whole_size;
        const bool last = i + 1 == chunks.size() && size % page_size == 0 && size <= whole_size;
        if (!whole && !last) return Error{"the saved machine is damaged: a chunk of pages has an impossible size"};
        pages += size / page_size;
    }
    return SavedPages(reader, table, pages);
}

Result<void> SavedPages::check(const SavedBytes& saved, const char* what, Bases bases) const {
    const u64 pages = saved.pages();
    const auto good = [&](const std::vector<u32>& runs) {
        u64 next = 0;
        for (usize i = 0; i < runs.size(); i += SavedBytes::numbers_in_run) {
            const u64 first = runs[i], count = runs[i + 1], stored = runs[i + 2];
            if (first < next || count == 0 || first + count > pages || stored + count > stored_) return false;
            next = first + count;
        }
        return true;
    };
    if (good(saved.runs) && good(saved.bases) && (bases == Bases::some || saved.bases.empty())) return {};
    return Error{fmt::format("the saved machine is damaged: where its {} lies is not as it should be", what)};
}

Result<std::span<const u8>> SavedPages::page(u32 stored) {
    const u32 chunk = stored / table_.pages_in_chunk;
    if (chunk != in_hand_) {
        in_hand_ = ~u32{0};
        TRY_SET(bytes_, reader_.read(table_.chunks[chunk]));
        in_hand_ = chunk;
    }
    return bytes_.subspan(usize{stored % table_.pages_in_chunk} * page_size, page_size);
}

template <class Each>
Result<void> SavedPages::read_runs(const std::vector<u32>& runs, Each each) {
    // A chunk is read once: what is stored once, and is in many places, would make it be read for each.
    std::vector<usize> order;
    for (usize i = 0; i < runs.size(); i += SavedBytes::numbers_in_run) order.push_back(i);
    std::sort(order.begin(), order.end(), [&](usize a, usize b) { return runs[a + 2] < runs[b + 2]; });
    for (const usize i : order) {
        for (u32 at = 0; at < runs[i + 1]; at++) {
            TRY_SET(const auto bytes, page(runs[i + 2] + at));
            each(u64{runs[i]} + at, bytes);
        }
    }
    return {};
}

Result<void> SavedPages::each(const SavedBytes& saved,
                              const std::function<void(u64 page, std::span<const u8> bytes)>& use) {
    return read_runs(saved.runs, use);
}

Result<std::vector<u8>> SavedPages::read(const SavedBytes& saved) {
    if (saved.pages() > zero_pages_always + zero_pages_for_each * stored_)
        return Error{"the saved machine is damaged: a part of it is larger than the whole"};
    std::vector<u8> all(static_cast<usize>(saved.size));
    const auto add = [&](u64 number, std::span<const u8> bytes) {
        const usize at = static_cast<usize>(number * page_size), size = std::min<usize>(page_size, all.size() - at);
        for (usize i = 0; i < size; i++) all[at + i] ^= bytes[i];
    };
    TRY(read_runs(saved.runs, add));
    TRY(read_runs(saved.bases, add));
    return all;
}

}  // namespace viv
