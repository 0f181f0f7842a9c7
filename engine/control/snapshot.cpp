// Saving, restoring, hashing and describing a machine at rest. The file is state/file.h's: a head, the blobs that the
// guest's next reset loads, one section a component (engine, CPUs, devices, board), RAM by the mebibyte without its
// zero pages. Promises: a file that is cut, altered or made for another machine is refused with one line; hash() sees
// exactly what save() writes.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/control/implementation.h"
#include "engine/lang/bytes.h"

namespace viv {

namespace {

enum SectionType : u32 {
    section_head = 1,
    section_kernel = 2,
    section_initrd = 3,
    section_bios = 4,
    section_component = 5,
    section_memory = 6,
};

constexpr u64 head_maximum = 16 << 20;
constexpr u64 blob_maximum = u64{1} << 30;
constexpr u64 component_maximum = u64{512} << 20;
constexpr usize text_maximum = 1 << 20;

// A section of memory: u32 region, u32 number of pages described, u64 offset in the region, a bit a page (set:
// present), then the pages that are present.
constexpr u64 chunk_pages = 256;
constexpr usize chunk_header_size = 16 + chunk_pages / 8;
constexpr usize chunk_maximum = chunk_header_size + chunk_pages * page_size;

bool is_zero(const u8* page) {
    return load_host<u64>(page) == 0 && std::memcmp(page, page + sizeof(u64), page_size - sizeof(u64)) == 0;
}

struct BlobSlot {
    SectionType type;
    const char* what;
    std::optional<Blob> BoardConfig::*in_config;
    std::optional<Blob> Machine::SavedHead::*in_head;
};
constexpr std::array<BlobSlot, 3> blob_slots{{
    {section_kernel, "kernel", &BoardConfig::kernel, &Machine::SavedHead::kernel},
    {section_initrd, "initrd", &BoardConfig::initrd, &Machine::SavedHead::initrd},
    {section_bios, "bios", &BoardConfig::bios, &Machine::SavedHead::bios},
}};

// The head section; the blobs' bytes follow in sections of their own.
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
        if (blob) blob->name = name;
        tag = static_cast<u16>(tag + 2);
    }
}

// Reads the head section; blobs are there but empty.
Result<Machine::SavedHead> load_head(state::FileReader& reader) {
    TRY(reader.begin());
    TRY_SET(const auto section, reader.next());
    if (section.end || section.type != section_head) return Error{"the saved machine does not begin with its head"};
    TRY_SET(const auto bytes, reader.content(head_maximum));
    Machine::SavedHead head;
    Archive archive = Archive::loader(bytes);
    head_state(archive, head);
    if (auto done = archive.finish(); !done.ok())
        return Error{fmt::format("the head of the saved machine is broken: {}", done.error().message)};
    return head;
}

Result<void> expect(state::FileReader& reader, SectionType type, const char* what) {
    TRY_SET(const auto section, reader.next());
    if (section.end || section.type != type) return Error{fmt::format("the saved machine lacks its {}", what)};
    return {};
}

Error differs(const char* what, const std::string& saved, const std::string& present) {
    return Error{fmt::format("the saved machine has {} {}, this one has {}: create it as it was saved", what,
                             saved.empty() ? "none" : saved, present.empty() ? "none" : present)};
}

}  // namespace

void Machine::Implementation::turn_state(Archive& a) {
    u64 total = instructions();
    a(1, "instructions", total);
    a(2, "turn", turn);
    a.require(turn.hart < cpus.size(), "turn", "names a hart that is not there");
    if (a.loading()) freeze_instructions(total);
}

std::vector<Machine::Implementation::Component> Machine::Implementation::components() {
    std::vector<Component> all;
    all.push_back({"machine", "turn", [this](Archive& a) { turn_state(a); }});
    all.push_back({"machine", "clock", [this](Archive& a) { clock.state(a); }});
    all.push_back({"machine", "inlet", [this](Archive& a) { inlet.state(a); }});
    for (Cpu* cpu : cpus)
        all.push_back({"cpu", fmt::format("cpu{}", cpu->index()), [cpu](Archive& a) { cpu->state(a); }});
    for (const NamedDevice& device : board->devices())
        all.push_back({std::string(device.device->kind()), device.name,
                       [target = device.device](Archive& a) { target->state(a); }});
    all.push_back({"board", std::string(board->machine()), [this](Archive& a) { board->state(a); }});
    return all;
}

namespace {

// One component as save() writes it and restore() reads it.
template <class Visit>
void component_state(Archive& a, std::string& kind, std::string& name, Visit visit) {
    a.text(1, "kind", kind, text_maximum);
    a.text(2, "name", name, text_maximum);
    a.section(3, "state", visit);
}

}  // namespace

Hash128 Machine::Implementation::hash(Hashed what) {
    Hasher hasher;
    for (Component& component : components()) {
        std::vector<u8> bytes;
        Archive archive = Archive::saver(bytes);
        component_state(archive, component.kind, component.name, component.state);
        hasher.add(bytes);
    }
    if (what == Hashed::all_but_memory) return hasher.finish();
    for (const auto& region : board->memory().regions()) {
        std::array<u8, 16> place;
        store_le(place.data(), region->base);
        store_le(place.data() + 8, region->size);
        hasher.add(place);
        hasher.add({region->host, static_cast<usize>(region->size)});
    }
    return hasher.finish();
}

std::string Machine::Implementation::listing() {
    std::string text;
    for (Component& component : components()) {
        Archive archive = Archive::lister(text, component.name);
        component.state(archive);
    }
    return text;
}

std::string Machine::Implementation::schema() {
    std::string text;
    SavedHead head;
    Archive head_archive = Archive::describer(text, "head");
    head_state(head_archive, head);
    std::vector<std::string> done;  // devices of one kind have one schema, and so have all CPUs
    for (Component& component : components()) {
        const std::string& name = component.kind == "machine" ? component.name : component.kind;
        if (std::find(done.begin(), done.end(), name) != done.end()) continue;
        done.push_back(name);
        Archive archive = Archive::describer(text, name);
        component.state(archive);
    }
    return text;
}

Result<void> Machine::Implementation::save(ByteSink& sink) {
    const BoardConfig& made_with = board->config();
    SavedHead head;
    head.launch = config.launch;
    head.machine = board->machine();
    head.cpu = config.board.cpu;
    head.memory = config.board.memory;
    head.cpus = config.board.cpus;
    head.deterministic = clock.deterministic();
    head.seed = config.seed;
    head.harts = config.harts;
    head.append = config.board.append;
    for (const BlobSlot& slot : blob_slots)
        if (const auto& blob = made_with.*slot.in_config) head.*slot.in_head = Blob{blob->name, {}};

    state::FileWriter writer(sink);
    TRY(writer.begin());
    std::vector<u8> bytes;
    Archive head_archive = Archive::saver(bytes);
    head_state(head_archive, head);
    TRY(writer.section(section_head, bytes));
    for (const BlobSlot& slot : blob_slots)
        if (const auto& blob = made_with.*slot.in_config) TRY(writer.section(slot.type, blob->bytes));

    for (Component& component : components()) {
        bytes.clear();
        Archive archive = Archive::saver(bytes);
        component_state(archive, component.kind, component.name, component.state);
        TRY(writer.section(section_component, bytes));
    }

    u32 index = 0;
    for (const auto& region : board->memory().regions()) {
        for (u64 offset = 0; offset < region->size; offset += chunk_pages * page_size) {
            const u64 pages = std::min(chunk_pages, (region->size - offset) / page_size);
            bytes.assign(chunk_header_size, 0);
            store_le(bytes.data(), index);
            store_le(bytes.data() + 4, static_cast<u32>(pages));
            store_le(bytes.data() + 8, offset);
            for (u64 page = 0; page < pages; page++) {
                const u8* from = region->host + offset + page * page_size;
                if (is_zero(from)) continue;
                bytes[16 + page / 8] = static_cast<u8>(bytes[16 + page / 8] | 1 << page % 8);
                bytes.insert(bytes.end(), from, from + page_size);
            }
            if (bytes.size() != chunk_header_size) TRY(writer.section(section_memory, bytes));
        }
        index++;
    }
    return writer.finish();
}

namespace {

// Copies the pages of one section of memory to their places; everything else has been zeroed before.
Result<void> load_pages(GuestMemory& memory, std::span<const u8> bytes) {
    const Error broken{"a section of memory in the saved machine does not fit this machine's memory"};
    if (bytes.size() < chunk_header_size) return broken;
    const u32 index = load_le<u32>(bytes.data());
    const u32 pages = load_le<u32>(bytes.data() + 4);
    const u64 offset = load_le<u64>(bytes.data() + 8);
    if (index >= memory.regions().size() || pages > chunk_pages) return broken;
    const auto& region = *memory.regions()[index];
    if (offset % page_size != 0 || !range_fits(offset, pages * page_size, region.size)) return broken;
    usize at = chunk_header_size;
    for (u32 page = 0; page < chunk_pages; page++) {
        if (!bit(bytes[16 + page / 8], page % 8)) continue;
        if (page >= pages || bytes.size() - at < page_size) return broken;
        if (!memory.load(region.base + offset + page * page_size, bytes.subspan(at, page_size))) return broken;
        at += page_size;
    }
    return at == bytes.size() ? Result<void>() : broken;
}

}  // namespace

Result<void> Machine::Implementation::restore(ByteSource& source) {
    clock.pause();
    state = RunState::paused;
    stop_reason = StopReason::restored;
    stopped_at.reset();
    only.reset();
    pending = Pending::nothing;
    auto done = restore_parts(source);
    if (frozen_instructions) thaw_instructions();
    if (parallel) parallel->try_all();
    return done;
}

Result<void> Machine::Implementation::restore_parts(ByteSource& source) {
    state::FileReader reader(source);
    TRY_SET(const SavedHead head, load_head(reader));
    const BoardConfig& made_with = board->config();
    if (head.machine != board->machine()) return differs("machine", head.machine, std::string(board->machine()));
    if (head.cpu != config.board.cpu) return differs("CPU", head.cpu, config.board.cpu);
    if (head.memory != config.board.memory)
        return differs("memory of", fmt::format("{} bytes", head.memory), fmt::format("{}", config.board.memory));
    if (head.cpus != config.board.cpus)
        return differs("CPUs:", fmt::format("{}", head.cpus), fmt::format("{}", config.board.cpus));
    if (head.deterministic != clock.deterministic())
        return Error{"the saved machine and this one differ in being deterministic: create it as it was saved"};

    for (const BlobSlot& slot : blob_slots) {
        const auto& present = made_with.*slot.in_config;
        const auto& saved = head.*slot.in_head;
        if (present.has_value() != saved.has_value())
            return differs(slot.what, saved ? saved->name : "", present ? present->name : "");
        if (!saved) continue;
        TRY(expect(reader, slot.type, slot.what));
        usize at = 0;
        bool same = true;
        TRY(reader.content(blob_maximum, [&](std::span<const u8> piece) -> Result<void> {
            same = same && piece.size() <= present->bytes.size() - at &&
                   std::equal(piece.begin(), piece.end(), present->bytes.begin() + static_cast<std::ptrdiff_t>(at));
            if (same) at += piece.size();
            return {};
        }));
        if (!same || at != present->bytes.size())
            return Error{
                fmt::format("the saved machine was started with another {} than {}", slot.what, present->name)};
    }

    for (Component& component : components()) {
        TRY(expect(reader, section_component, component.name.c_str()));
        TRY_SET(const auto bytes, reader.content(component_maximum));
        Archive archive = Archive::loader(bytes);
        std::string kind, name;
        bool visited = false;
        component_state(archive, kind, name, [&](Archive& inner) {
            visited = true;
            // The parts of another component are nothing for this one; the names are compared below.
            if (kind == component.kind && name == component.name) component.state(inner);
        });
        if (kind != component.kind || name != component.name)
            return differs("component", fmt::format("{} ({})", name, kind),
                           fmt::format("{} ({}) in its place", component.name, component.kind));
        auto done = archive.finish();
        if (done.ok() && !visited) done = Error{"it has no state"};
        if (!done.ok()) return Error{fmt::format("'{}' in the saved machine: {}", name, done.error().message)};
    }

    GuestMemory& memory = board->memory();
    for (const auto& region : memory.regions()) {
        region->block->discard(0, region->size);
        memory.wrote(region->base, region->size);
    }
    for (;;) {
        TRY_SET(const auto section, reader.next());
        if (section.end) break;
        if (section.type != section_memory) return Error{"the saved machine has a section of an unknown type"};
        TRY_SET(const auto bytes, reader.content(chunk_maximum));
        TRY(load_pages(memory, bytes));
    }

    clock.set_wall_clock();
    for (Cpu* cpu : cpus) cpu->restored();
    for (const NamedDevice& device : board->devices()) device.device->restored();
    board->restored();
    return {};
}

Result<Machine::SavedHead> Machine::read_head(ByteSource& source) {
    state::FileReader reader(source);
    TRY_SET(SavedHead head, load_head(reader));
    for (const BlobSlot& slot : blob_slots) {
        auto& blob = head.*slot.in_head;
        if (!blob) continue;
        TRY(expect(reader, slot.type, slot.what));
        TRY_SET(blob->bytes, reader.content(blob_maximum));
    }
    return head;
}

}  // namespace viv
