// Configuration space as bytes with a mask of what the guest may change: the header, BAR sizing and capabilities all
// follow from that. See function.h.
#include "engine/dev/pci/function.h"

#include <algorithm>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::pci {

namespace {

constexpr u32 bar_io = 1, bar_memory64 = 4;
constexpr u32 bar_io_flags = 3, bar_memory_flags = 0xf;

u16 bar_offset(unsigned index) { return static_cast<u16>(base_address_0 + 4 * index); }

}  // namespace

Function::Function(const Identity& identity) {
    store_le<u16>(&power_on_[vendor_id], identity.vendor);
    store_le<u16>(&power_on_[device_id], identity.device);
    power_on_[revision_id] = identity.revision;
    for (unsigned i = 0; i < 3; i++) power_on_[class_code + i] = static_cast<u8>(identity.class_code >> (8 * i));
    store_le<u16>(&power_on_[subsystem_vendor_id], identity.subsystem_vendor);
    store_le<u16>(&power_on_[subsystem_id], identity.subsystem);
    power_on_[interrupt_pin] = identity.interrupt_pin;
    store_le<u16>(&writable_[command],
                  command_bus_master | command_parity_error_response | command_serr_enable | command_interrupt_disable);
    writable_[interrupt_line] = 0xff;
    config_ = power_on_;
}

void Function::add_bar(unsigned index, BarKind kind, u64 size, Mmio& window) {
    CHECK(index < bar_count && bars_[index].kind == BarKind::none && kind != BarKind::none);
    CHECK(is_power_of_two(size) && size >= 16 && (kind == BarKind::memory64 || size <= u64{1} << 31));
    CHECK(kind != BarKind::memory64 || (index + 1 < bar_count && bars_[index + 1].kind == BarKind::none));
    bars_[index] = Bar{kind, size, &window};
    const u64 mask = ~(size - 1);
    const u32 flags = kind == BarKind::io ? bar_io : kind == BarKind::memory64 ? bar_memory64 : 0;
    store_le<u32>(&power_on_[bar_offset(index)], flags);
    store_le<u32>(&writable_[bar_offset(index)], static_cast<u32>(mask));
    if (kind == BarKind::memory64) store_le<u32>(&writable_[bar_offset(index + 1)], static_cast<u32>(mask >> 32));
    writable_[command] |= kind == BarKind::io ? command_io_space : command_memory_space;
    config_ = power_on_;
}

u16 Function::add_capability(u8 id, std::span<const u8> body, std::span<const u8> writable) {
    const u16 at = next_capability_;
    CHECK(at + 2 + body.size() <= config_size && writable.size() <= body.size());
    power_on_[last_capability_link_] = static_cast<u8>(at);
    power_on_[status] |= status_capabilities_list;
    power_on_[at] = id;
    std::copy(body.begin(), body.end(), power_on_.begin() + at + 2);
    std::copy(writable.begin(), writable.end(), writable_.begin() + at + 2);
    last_capability_link_ = static_cast<u16>(at + 1);
    next_capability_ = static_cast<u16>(align_up(at + 2 + body.size(), 4));
    config_ = power_on_;
    return at;
}

u16 Function::stored16(u16 offset) const { return load_le<u16>(&config_[offset]); }
u32 Function::stored32(u16 offset) const { return load_le<u32>(&config_[offset]); }

u32 Function::read_config(u16 offset, unsigned size) {
    if (!range_fits(offset, size, config_size)) return 0;
    config_reading(offset, size);
    u32 value = 0;
    for (unsigned i = 0; i < size; i++) {
        u8 byte = config_[offset + i];
        if (offset + i == status && interrupt_) byte |= status_interrupt;
        value |= u32{byte} << (8 * i);
    }
    return value;
}

void Function::write_config(u16 offset, unsigned size, u32 value) {
    if (!range_fits(offset, size, config_size)) return;
    for (unsigned i = 0; i < size; i++) {
        const u8 mask = writable_[offset + i];
        config_[offset + i] =
            static_cast<u8>((config_[offset + i] & ~mask) | (static_cast<u8>(value >> (8 * i)) & mask));
    }
    config_written(offset, size);
    if (host_ == nullptr) return;
    const bool in_command = offset < status && offset + size > command;
    const bool in_bars = offset < bar_offset(bar_count) && offset + size > base_address_0;
    if (in_command || in_bars) host_->decoding_changed();
    if (in_command) host_->interrupt_changed();
}

std::optional<u64> Function::decoded_address(unsigned index) const {
    const Bar& bar = bars_[index];
    if (bar.kind == BarKind::none) return std::nullopt;
    const bool io = bar.kind == BarKind::io;
    if ((stored16(command) & (io ? command_io_space : command_memory_space)) == 0) return std::nullopt;
    u64 address = stored32(bar_offset(index)) & ~(io ? bar_io_flags : bar_memory_flags);
    if (bar.kind == BarKind::memory64) address |= u64{stored32(bar_offset(index + 1))} << 32;
    return address;
}

void Function::set_interrupt(bool level) {
    if (level == interrupt_) return;
    interrupt_ = level;
    if (host_ != nullptr) host_->interrupt_changed();
}

void Function::reset() {
    config_ = power_on_;
    device_reset();
    if (host_ != nullptr) host_->decoding_changed();
    if (host_ != nullptr) host_->interrupt_changed();
}

void Function::state(Archive& a) {
    a(1, "config", std::span<u8>(config_));
    if (a.loading())
        for (usize i = 0; i < config_size; i++)
            config_[i] = static_cast<u8>((config_[i] & writable_[i]) | (power_on_[i] & ~writable_[i]));
    a.section(2, "device", [&](Archive& inner) { device_state(inner); });
}

void Function::restored() {
    device_restored();
    if (host_ != nullptr) host_->decoding_changed();
    if (host_ != nullptr) host_->interrupt_changed();
}

}  // namespace viv::pci
