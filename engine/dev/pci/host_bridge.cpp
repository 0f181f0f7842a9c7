// ECAM decoding, the mapping of BARs into the bus and the rotation of INTx lines. See host_bridge.h.
#include "engine/dev/pci/host_bridge.h"

#include <fmt/core.h>

#include <charconv>

namespace viv::pci {

namespace {

constexpr Identity bridge_identity{
    .vendor = 0x1b36, .device = 0x0008, .subsystem_vendor = 0x1af4, .subsystem = 0x1100, .class_code = 0x06'00'00};

// 00:00.0: there to be found; it has nothing but a header.
class BridgeFunction final : public Function {
public:
    BridgeFunction() : Function(bridge_identity) {}
    std::string_view kind() const override { return "gpex-root"; }

protected:
    void device_reset() override {}
    void device_state(Archive&) override {}
    void device_restored() override {}
};

}  // namespace

HostBridge::HostBridge(const Windows& windows, const Wiring& wiring)
    : windows_(windows), wiring_(wiring), log_(wiring.log, "pci") {
    slots_[0] = std::make_unique<BridgeFunction>();
    slots_[0]->connect(*this);
}

HostBridge::~HostBridge() { unmap_all(); }

Result<u8> HostBridge::plug(std::unique_ptr<Function> function, std::optional<u8> slot) {
    const auto name = function->kind();
    if (!slot) {
        for (u8 i = 1; i < slot_count && !slot; i++)
            if (slots_[i] == nullptr) slot = i;
        if (!slot) return Error{fmt::format("{}: no PCI slot is free; the bus takes {} devices", name, slot_count - 1)};
    }
    if (*slot == 0 || *slot >= slot_count)
        return Error{fmt::format("{}: PCI slot {:#x} does not exist; use 0x1 to 0x1f", name, *slot)};
    if (slots_[*slot] != nullptr)
        return Error{fmt::format("{}: PCI slot {:#x} already holds {}", name, *slot, slots_[*slot]->kind())};
    function->connect(*this);
    slots_[*slot] = std::move(function);
    return *slot;
}

void HostBridge::reset() {
    slots_[0]->reset();
    decoding_changed();
    interrupt_changed();
}

void HostBridge::state(Archive& a) { a(1, "root", *slots_[0]); }

void HostBridge::restored() {
    decoding_changed();
    interrupt_changed();
}

// Bits 27:20 of an ECAM offset are the bus, 19:15 the slot, 14:12 the function.
Function* HostBridge::addressed(u64 offset) {
    if (offset >= ecam_bytes_per_bus || bits(offset, 12, 3) != 0) return nullptr;
    return at(static_cast<unsigned>(bits(offset, 15, 5)));
}

u64 HostBridge::read(u64 offset, unsigned size) {
    if (size == 8) return read(offset, 4) | read(offset + 4, 4) << 32;
    Function* function = addressed(offset);
    if (function == nullptr) return low_mask(size * 8);
    return function->read_config(static_cast<u16>(bits(offset, 0, 12)), size);
}

void HostBridge::write(u64 offset, unsigned size, u64 value) {
    if (size == 8) {
        write(offset, 4, value);
        return write(offset + 4, 4, value >> 32);
    }
    Function* function = addressed(offset);
    if (function == nullptr) return;
    function->write_config(static_cast<u16>(bits(offset, 0, 12)), size, static_cast<u32>(value));
}

void HostBridge::unmap_all() {
    for (const Mapping& mapping : mapped_) wiring_.bus.unmap(mapping.base, *mapping.window);
    mapped_.clear();
}

void HostBridge::decoding_changed() {
    std::vector<Mapping> wanted;
    for (unsigned slot = 0; slot < slot_count; slot++) {
        if (slots_[slot] == nullptr) continue;
        for (unsigned i = 0; i < Function::bar_count; i++) {
            const auto address = slots_[slot]->decoded_address(i);
            if (!address) continue;
            const auto& bar = slots_[slot]->bar(i);
            const auto inside = [&](const Window& window, u64 start) {
                return start >= window.base && range_fits(start - window.base, bar.size, window.size);
            };
            if (bar.kind == BarKind::io) {
                if (range_fits(*address, bar.size, windows_.io.size))
                    wanted.push_back({windows_.io.base + *address, bar.size, bar.window, slot});
            } else if (inside(windows_.memory32, *address) || inside(windows_.memory64, *address)) {
                wanted.push_back({*address, bar.size, bar.window, slot});
            }
        }
    }
    if (wanted == wanted_) return;
    wanted_ = std::move(wanted);
    unmap_all();
    for (const Mapping& mapping : wanted_) {
        const auto result = wiring_.bus.map(mapping.base, mapping.size, *mapping.window,
                                            fmt::format("pci {:02x} {}", mapping.slot, slots_[mapping.slot]->kind()));
        if (result.ok())
            mapped_.push_back(mapping);
        else
            log_.guest("a BAR cannot be mapped: {}", result.error().message);
    }
}

void HostBridge::interrupt_changed() {
    std::array<bool, 4> levels{};
    for (unsigned slot = 0; slot < slot_count; slot++)
        if (slots_[slot] != nullptr && slots_[slot]->asserts_interrupt()) {
            const u32 pin = slots_[slot]->read_config(interrupt_pin, 1);
            if (pin != 0) levels[(slot + pin - 1) % 4] = true;
        }
    for (unsigned i = 0; i < 4; i++) wiring_.intx[i]->set(levels[i]);
}

Result<std::optional<u8>> take_slot(DeviceSpec& spec) {
    const auto found = spec.properties.find("addr");
    if (found == spec.properties.end()) return std::optional<u8>{};
    std::string_view digits = found->second;
    if (digits.ends_with(".0")) digits.remove_suffix(2);
    if (digits.starts_with("0x") || digits.starts_with("0X")) digits.remove_prefix(2);
    unsigned slot = 0;
    const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), slot, 16);
    if (problem != std::errc{} || end != digits.data() + digits.size() || slot == 0 || slot >= HostBridge::slot_count)
        return Error{fmt::format("{}: property 'addr' is '{}', but wants a PCI slot from 0x1 to 0x1f", spec.name,
                                 found->second)};
    spec.properties.erase(found);
    return std::optional<u8>{static_cast<u8>(slot)};
}

}  // namespace viv::pci
