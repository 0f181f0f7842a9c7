// Saving, restoring, hashing and describing a machine at rest. The file is state/file.h's, its table saved_table.h's;
// the components (clock, CPUs, devices, board) are one archive. Promises: a file that is cut, altered or made for
// another machine is refused with one line before anything of this one is changed; hash() sees exactly what save()
// writes.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine/control/lazy_memory.h"
#include "engine/control/saving.h"
#include "engine/lang/bytes.h"

namespace viv {

namespace {

constexpr usize text_maximum = 1 << 20;

Hash128 hash_of(const Blob& blob) { return blob.source ? blob.hash : hash128(blob.bytes); }

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
        board->memory().make_present(*region, 0, region->size);
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
    SavedTable table;
    Archive table_archive = Archive::describer(text, "file");
    table.state(table_archive);
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

void Machine::Implementation::describe(SavedHead& head) const {
    const BoardConfig& made_with = board->config();
    head.launch = config.launch;
    head.machine = board->machine();
    head.cpu = config.board.cpu;
    head.memory = config.board.memory;
    head.cpus = config.board.cpus;
    head.deterministic = clock.deterministic();
    head.seed = config.seed;
    head.harts = config.harts;
    head.append = config.board.append;
    head.devices = plugged;
    for (PluggedDevice& device : head.devices) {
        device.disk = nullptr;
        device.net = nullptr;
    }
    for (const BlobSlot& slot : blob_slots)
        if (const auto& blob = made_with.*slot.in_config)
            head.*slot.in_head = Blob{.name = blob->name, .bytes = {}, .hash = hash_of(*blob)};
}

std::vector<u8> Machine::Implementation::save_components() {
    std::vector<u8> bytes;
    Archive archive = Archive::saver(bytes);
    u16 tag = 0;
    for (Component& component : components())
        archive.section(++tag, "component", [&](Archive& inner) {
            component_state(inner, component.kind, component.name, component.state);
        });
    return bytes;
}

Result<void> Machine::Implementation::load_components(std::span<const u8> bytes) {
    Archive archive = Archive::loader(bytes);
    u16 tag = 0;
    for (Component& component : components()) {
        std::string kind, name;
        bool visited = false;
        Result<void> done;
        archive.section(++tag, "component", [&](Archive& outer) {
            component_state(outer, kind, name, [&](Archive& inner) {
                visited = true;
                // The parts of another component are nothing for this one; the names are compared below.
                if (kind == component.kind && name == component.name) component.state(inner);
            });
            done = outer.finish();
        });
        if (kind != component.kind || name != component.name)
            return differs("component", kind.empty() ? "" : fmt::format("{} ({})", name, kind),
                           fmt::format("{} ({}) in its place", component.name, component.kind));
        if (done.ok() && !visited) done = Error{"it has no state"};
        if (!done.ok()) return Error{fmt::format("'{}' in the saved machine: {}", name, done.error().message)};
    }
    return {};
}

Result<void> Machine::Implementation::save(ByteSink& sink, const Moment& moment) {
    if (saving) return Error{"the machine is being saved already"};
    memory_noted = true;
    return Saving(*this, sink, moment).finish();
}

Result<void> Machine::Implementation::begin_save(std::unique_ptr<ByteSink> sink, Saved saved, Moment moment) {
    if (saving) return Error{"the machine is being saved already"};
    memory_noted = true;
    save_sink = std::move(sink);
    tell_saved = std::move(saved);
    saving = std::make_unique<Saving>(*this, *save_sink, std::move(moment));
    return {};
}

void Machine::Implementation::advance_saving() {
    const auto result = saving->advance();
    if (!result) return;
    saving.reset();
    save_sink.reset();
    const auto tell_result = std::exchange(tell_saved, {});
    tell_result(*result);
}

Result<void> Machine::Implementation::restore(std::shared_ptr<state::Source> source) {
    TRY(begin_restore(std::move(source), {}));
    while (lazy->fetch_more()) {}
    lazy.reset();
    if (memory_lost) return Error{"the saved machine cannot be read to its end"};
    return {};
}

namespace {

struct SavedMachine {
    state::FileReader reader;
    SavedTable table;

    static Result<SavedMachine> open(std::shared_ptr<state::Source> source) {
        TRY_SET(auto reader, state::FileReader::open(std::move(source)));
        TRY_SET(auto table, SavedTable::of(reader));
        SavedMachine saved{std::move(reader), std::move(table)};
        TRY_SET(const auto pages, SavedPages::open(saved.reader, saved.table));
        for (const SavedBytes& blob : saved.table.blobs) TRY(pages.check(blob, "files", SavedPages::Bases::some));
        for (const SavedBytes& region : saved.table.regions)
            TRY(pages.check(region, "memory", SavedPages::Bases::none));
        TRY(pages.check(saved.table.components, "state", SavedPages::Bases::none));
        for (const SavedOverlay& overlay : saved.table.overlays) {
            TRY(overlay.check());
            TRY(pages.check(overlay.bytes, "temporary disk", SavedPages::Bases::none));
        }
        return saved;
    }
};

}  // namespace

Result<void> Machine::Implementation::fits(const SavedTable& table) const {
    const SavedHead& head = table.head;
    const BoardConfig& made_with = board->config();
    if (head.machine != board->machine()) return differs("machine", head.machine, std::string(board->machine()));
    if (head.cpu != config.board.cpu) return differs("CPU", head.cpu, config.board.cpu);
    if (head.memory != config.board.memory)
        return differs("memory of", fmt::format("{} bytes", head.memory), fmt::format("{}", config.board.memory));
    if (head.cpus != config.board.cpus)
        return differs("CPUs:", fmt::format("{}", head.cpus), fmt::format("{}", config.board.cpus));
    if (head.deterministic != clock.deterministic())
        return Error{"the saved machine and this one differ in being deterministic: create it as it was saved"};
    for (usize i = 0; i < blob_slots.size(); i++) {
        const BlobSlot& slot = blob_slots[i];
        const auto& present = made_with.*slot.in_config;
        const auto& saved = head.*slot.in_head;
        if (present.has_value() != saved.has_value())
            return differs(slot.what, saved ? saved->name : "", present ? present->name : "");
        if (!saved) continue;
        if (saved->hash != hash_of(*present))
            return Error{
                fmt::format("the saved machine was started with another {} than {}", slot.what, present->name)};
    }
    const auto& regions = board->memory().regions();
    bool same = regions.size() == table.regions.size();
    for (usize i = 0; same && i < regions.size(); i++) same = regions[i]->size == table.regions[i].size;
    if (!same)
        return Error{"the memory of the saved machine lies elsewhere than this one's: create it as it was saved"};
    return {};
}

// What everything makes of its state and of memory anew.
void Machine::Implementation::tell_restored() {
    for (Cpu* cpu : cpus) cpu->restored();
    for (const NamedDevice& device : board->devices()) device.device->restored();
    board->restored();
    if (frozen_instructions) thaw_instructions();
    if (parallel) parallel->try_all();
}

Result<void> Machine::Implementation::begin_restore(std::shared_ptr<state::Source> source, const Moment& moment) {
    if (saving) return Error{"the machine is being saved; wait for that to end"};
    TRY_SET(auto saved, SavedMachine::open(std::move(source)));
    TRY(saved.reader.verify());
    std::vector<u8> state_bytes;
    OverlayContents overlays;
    {
        TRY_SET(auto pages, SavedPages::open(saved.reader, saved.table));
        TRY(fits(saved.table));
        TRY_SET(state_bytes, pages.read(saved.table.components));
        TRY_SET(overlays, read_overlays(pages, saved.table.overlays, plugged));
    }
    clock.pause();
    const auto before = save_components();
    auto done = load_components(state_bytes);
    if (done.ok() && moment) done = moment();
    if (!done.ok()) {
        const auto back = load_components(before);
        tell_restored();
        if (!back.ok()) {
            log.error("the machine cannot be put back: {}; it is ended", back.error().message);
            finish(StopReason::host_error, 1);
        }
        if (state == RunState::running) clock.resume();
        return done;
    }
    for (auto& [overlay, content] : overlays) overlay->replace(std::move(content));
    const bool was_running = state == RunState::running;
    state = RunState::paused;
    stop_reason = StopReason::restored;
    stopped_at.reset();
    only.reset();
    pending = Pending::nothing;
    lazy.reset();
    const auto before_that = memory_noted ? LazyMemory::Before::anything : LazyMemory::Before::zero_where_unchanged;
    lazy = std::make_unique<LazyMemory>(board->memory(), std::move(saved.reader), std::move(saved.table), host.threads,
                                        before_that, [this](const Error& error) { lose_memory(error); });
    memory_noted = false;
    clock.set_wall_clock();
    tell_restored();
    if (was_running) tell([](MachineListener& listener) { listener.stopped(StopReason::restored); });
    return {};
}

// While the machine has nothing else to do. Without the file's last page the file is not needed any more.
void Machine::Implementation::bring_memory() {
    constexpr unsigned chunks_at_once = 16;  // about a millisecond
    for (unsigned i = 0; i < chunks_at_once; i++) {
        if (lazy->fetch_more()) continue;
        lazy.reset();
        return;
    }
}

// Comes from any CPU's thread, between any two of its accesses.
void Machine::Implementation::lose_memory(const Error& error) {
    log.error("the saved machine that runs here cannot be read any more: {}; it is ended", error.message);
    memory_lost = true;
    request_attention();
}

Result<Machine::SavedHead> Machine::read_head(std::shared_ptr<state::Source> source) {
    TRY_SET(auto opened, SavedMachine::open(std::move(source)));
    const auto saved = std::make_shared<SavedMachine>(std::move(opened));
    SavedHead head = saved->table.head;
    head.identity = saved->reader.identity();
    for (usize i = 0; i < blob_slots.size(); i++)
        if (auto& blob = head.*blob_slots[i].in_head)
            blob->source = [saved, i]() -> Result<std::vector<u8>> {
                TRY_SET(auto pages, SavedPages::open(saved->reader, saved->table));
                return pages.read(saved->table.blobs[i]);
            };
    return head;
}

}  // namespace viv
