// The backend's interface: translations wait until there are enough of them for a module, or until they are wanted
// much. See backend.h and frame.h.
#include "engine/jit/wasm/backend.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"
#include "engine/jit/fused.h"
#include "engine/jit/soft_call.h"
#include "engine/jit/wasm/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::wasm {

u32 resolve(Frame* frame, u64 address, u32 what) {
    const unsigned size = what & resolve_bits::size;
    const bool store = (what & resolve_bits::store) != 0;
    if ((address & page_mask) + size > page_size) return 0;
    if ((what & resolve_bits::aligned) != 0 && (address & (size - 1)) != 0) return 0;
    const u64 page = address & ~page_mask;
    const auto find = [&]() -> u32 {
        auto* const entries = *reinterpret_cast<TlbEntry**>(frame->state + frame->tlb);
        const TlbEntry& entry = Tlb::at(entries, address);
        if ((store ? entry.write : entry.read) != page) return 0;
        return static_cast<u32>(address) + static_cast<u32>(entry.addend);
    };
    if (const u32 host = find(); host != 0) return host;
    if (!frame->guest->fill_tlb(address, size, store ? ir::MemoryAccess::store : ir::MemoryAccess::load)) return 0;
    return find();
}

u64 compute_integer(u64 a, u64 b, u64, u32 what, u32) {
    const auto op = static_cast<ir::Op>(what & 0xff);
    const auto type = static_cast<ir::Type>(what >> 8);
    if (ir::info_of(op).shape == ir::Shape::unary) return static_cast<u64>(ir::evaluate_unary(op, type, a));
    return static_cast<u64>(ir::evaluate_binary(op, type, a, b));
}

u64 compute_float(u64 a, u64 b, u64 c, u32 what, u32 flags) {
    u8 nowhere = 0;
    return compute(SoftCall::unpack(what), a, b, c,
                   flags != 0 ? *reinterpret_cast<u8*>(std::uintptr_t{flags}) : nowhere);
}

u64 compute_fused(u64 a, u64 b, u64 c, u32 what, u32 flags) {
    if ((*reinterpret_cast<const u8*>(std::uintptr_t{flags}) & soft::inexact) != 0)
        if (const auto result = fused_mul_add(a, b, c)) return *result;
    return compute_float(a, b, c, what, flags);
}

u32 leave(u8* state, Frame* frame, const Record* record, u64 page, i64 budget) {
    frame->page = page;
    std::memcpy(state + frame->budget, &budget, sizeof budget);
    return record->block;
}

namespace {

// What a module costs beside its functions is worth the interpretation of some hundred blocks.
constexpr u32 patience = 6;  // refusals, for each translation of a full batch

class WasmBackend final : public Backend {
public:
    WasmBackend(exec::Translatable& guest, host::WasmModules& modules, unsigned batch)
        : modules_(modules), batch_(batch), layout_(guest.layout()) {
        frame_.state = layout_.state;
        frame_.guest = &guest;
        frame_.tlb = layout_.tlb;
        frame_.budget = layout_.budget;
    }
    ~WasmBackend() override {
        for (const u32 place : places_) modules_.give_place(place);
    }

    std::string_view name() const override { return "wasm"; }
    // There is one way in and out, a call; but the memory's first bytes are no translation's.
    std::vector<u8> make_thunks() override { return std::vector<u8>(16); }
    // The host compiles again what it is given, which a block that hardly ever runs does not pay back.
    u32 quick_after() const override { return 16; }
    usize supported(const ir::Block& block) const override { return Compiler::supported_size(block); }
    bool compile(const Region& region, u32 first_exit, Compiled& out) const override {
        return Compiler(layout_).compile(region, first_exit, out);
    }

    bool ready(const u8* code) override;
    void dropped(const u8* code) override;
    Left enter(const u8* thunks, void* state, const u8* code, u64 pc) override;
    // The four bytes are the address of the record that the jump goes to.
    void link(u8* site, i64 distance) override {
        const u32 target = static_cast<u32>(reinterpret_cast<std::uintptr_t>(site)) + static_cast<u32>(distance);
        std::memcpy(site, &target, sizeof target);
    }

private:
    static Header& header_of(const Record& record) {
        return *reinterpret_cast<Header*>(reinterpret_cast<std::uintptr_t>(&record) - record.distance);
    }
    void install_waiting();
    void place(Header& header, u32 place);
    void give_dropped();

    host::WasmModules& modules_;
    const unsigned batch_;
    const exec::CpuLayout layout_;
    Frame frame_;
    std::vector<Header*> waiting_;
    u32 refused_ = 0;                 // since something has been waiting
    std::unordered_set<u32> places_;  // in use
    std::vector<u32> given_up_;       // no longer, once no code runs
};

bool WasmBackend::ready(const u8* code) {
    const Record& record = *reinterpret_cast<const Record*>(code);
    if (record.place != 0) return true;
    Header& header = header_of(record);
    if (header.state == Header::fresh) {
        header.state = Header::waiting;
        waiting_.push_back(&header);
        // A region is hot already, and has taken the place of what ran until now.
        if (header.region != 0) refused_ = patience * batch_;
    }
    if (++refused_ < patience * batch_ && waiting_.size() < batch_) return false;
    install_waiting();
    return true;
}

void WasmBackend::install_waiting() {
    std::vector<Function> functions;
    for (const Header* header : waiting_) {
        const u8* const start = reinterpret_cast<const u8*>(header);
        functions.push_back({modules_.take_place(), {start + header->body, header->body_size}});
    }
    CHECK(modules_.instantiate(make_module(functions)), "the host refuses a module of generated code");
    for (usize i = 0; i < functions.size(); i++) place(*waiting_[i], functions[i].place);
    waiting_.clear();
    refused_ = 0;
}

// What depends on where the translation lies.
void WasmBackend::place(Header& header, u32 place) {
    header.state = Header::installed;
    header.place = place;
    places_.insert(place);
    u8* const start = reinterpret_cast<u8*>(&header);
    const u32 base = static_cast<u32>(reinterpret_cast<std::uintptr_t>(start));
    for (u32 i = 0; i < header.entries; i++) {
        Record& record = *reinterpret_cast<Record*>(start + record_at(i));
        record.place = place;
        record.base = base;
    }
    for (u32 i = 0; i < header.links; i++) {
        Link& link = *reinterpret_cast<Link*>(start + link_at(header.entries, i));
        link.leave.place = place_of(&leave);
        link.target = base + link.leave.distance;
    }
}

void WasmBackend::dropped(const u8* code) {
    const Header& header = *reinterpret_cast<const Header*>(code);
    if (header.state == Header::waiting) std::erase(waiting_, &header);
    if (header.state == Header::installed) given_up_.push_back(header.place);
}

// Not before generated code has been left, which may still jump there.
void WasmBackend::give_dropped() {
    for (const u32 place : given_up_) {
        modules_.give_place(place);
        places_.erase(place);
    }
    given_up_.clear();
}

Left WasmBackend::enter(const u8*, void* state, const u8* code, u64 pc) {
    if (!given_up_.empty()) give_dropped();
    const Record* const record = reinterpret_cast<const Record*>(code);
    using Region = u32 (*)(void* state, Frame* frame, const Record* record, u64 page, i64 budget);
    const auto region = reinterpret_cast<Region>(std::uintptr_t{record->place});
    i64 budget = 0;
    std::memcpy(&budget, layout_.state + layout_.budget, sizeof budget);
    const u32 word = region(state, &frame_, record, pc & ~page_mask, budget);
    return {word, frame_.page};
}

}  // namespace

std::unique_ptr<Backend> make_backend(exec::Translatable& guest, host::WasmModules& modules, unsigned batch) {
    return std::make_unique<WasmBackend>(guest, modules, batch);
}

}  // namespace viv::jit::wasm
