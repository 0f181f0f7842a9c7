// One PCI function with a type 0 header: configuration space, base address registers, capability list and INTx. PCI
// Local Bus 3.0, chapter 6. Promises: reserved and read-only bits never change; BARs size and decode as the
// specification wants; a 1, 2 or 4 byte access at any offset is defined. Room is left for MSI-X: BAR 1 and the
// capability list are free for it, and set_interrupt() is the one place that raises an interrupt.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string_view>

#include "engine/dev/device.h"
#include "engine/lang/bits.h"
#include "engine/mem/bus.h"

namespace viv::pci {

// Offsets in a type 0 header.
enum ConfigOffset : u16 {
    vendor_id = 0x00,
    device_id = 0x02,
    command = 0x04,
    status = 0x06,
    revision_id = 0x08,
    class_code = 0x09,
    header_type = 0x0e,
    base_address_0 = 0x10,
    subsystem_vendor_id = 0x2c,
    subsystem_id = 0x2e,
    capabilities_pointer = 0x34,
    interrupt_line = 0x3c,
    interrupt_pin = 0x3d,
    first_capability = 0x40,
};

enum CommandBit : u16 {
    command_io_space = 1 << 0,
    command_memory_space = 1 << 1,
    command_bus_master = 1 << 2,
    command_parity_error_response = 1 << 6,
    command_serr_enable = 1 << 8,
    command_interrupt_disable = 1 << 10,
};

enum StatusBit : u16 { status_interrupt = 1 << 3, status_capabilities_list = 1 << 4 };

enum class BarKind : u8 { none, memory32, memory64, io };

struct Identity {
    u16 vendor = 0;
    u16 device = 0;
    u16 subsystem_vendor = 0;
    u16 subsystem = 0;
    u32 class_code = 0;  // base class, subclass, interface: 0xbbssii
    u8 revision = 0;
    u8 interrupt_pin = 0;  // 0: none, 1: INTA
};

// What a function needs of the bridge that it is plugged into.
class Host {
public:
    virtual ~Host() = default;
    virtual void decoding_changed() = 0;   // BARs or the command register's space bits
    virtual void interrupt_changed() = 0;  // asserts_interrupt() of some function
};

class Function : public Device {
public:
    static constexpr unsigned bar_count = 6;
    static constexpr u16 config_size = 256;  // a conventional function: extended space reads 0

    struct Bar {
        BarKind kind = BarKind::none;
        u64 size = 0;  // a power of two, at least 16
        Mmio* window = nullptr;
    };

    explicit Function(const Identity& identity);

    // The bridge's side.
    void connect(Host& host) { host_ = &host; }
    // `size` is 1, 2 or 4; `offset` is a multiple of it below 4096.
    u32 read_config(u16 offset, unsigned size);
    void write_config(u16 offset, unsigned size, u32 value);
    const Bar& bar(unsigned index) const { return bars_[index]; }
    // The address that a BAR decodes, if it is implemented and its space is enabled.
    std::optional<u64> decoded_address(unsigned index) const;
    // The level of INTA# (active is true).
    bool asserts_interrupt() const { return interrupt_ && (stored16(command) & command_interrupt_disable) == 0; }

    void reset() final;
    void state(Archive& a) final;
    void restored() final;

protected:
    // During construction. A memory64 BAR takes `index` and the next one. The window outlives the function.
    void add_bar(unsigned index, BarKind kind, u64 size, Mmio& window);
    // `body` follows the id and next bytes; where `writable` has a bit, the guest may change it (empty: nothing).
    // Returns the capability's offset.
    u16 add_capability(u8 id, std::span<const u8> body, std::span<const u8> writable = {});
    // The device's interrupt request. An output: call it again after restoring.
    void set_interrupt(bool level);
    // The stored bytes at `offset`, of a capability that this function added.
    std::span<u8> config_bytes(u16 offset, usize count) { return std::span(config_).subspan(offset, count); }
    bool bus_master() const { return (stored16(command) & command_bus_master) != 0; }

    virtual void device_reset() = 0;
    virtual void device_state(Archive& a) = 0;
    virtual void device_restored() = 0;
    // Around accesses to configuration space: before the bytes are read, after they were written.
    virtual void config_reading(u16 /*offset*/, unsigned /*size*/) {}
    virtual void config_written(u16 /*offset*/, unsigned /*size*/) {}

private:
    u16 stored16(u16 offset) const;
    u32 stored32(u16 offset) const;

    std::array<u8, config_size> config_{};  // what the guest reads, but for the interrupt status bit
    std::array<u8, config_size> power_on_{};
    std::array<u8, config_size> writable_{};
    std::array<Bar, bar_count> bars_{};
    u16 next_capability_ = first_capability;
    u16 last_capability_link_ = capabilities_pointer;
    Host* host_ = nullptr;
    bool interrupt_ = false;
};

}  // namespace viv::pci
