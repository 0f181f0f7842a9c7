// A PCI host bridge with ECAM, as QEMU's `gpex` on the `virt` boards: bus 0 only, the bridge itself at 00:00.0, one
// function in each of slots 1 to 31, four INTx lines that rotate with the slot. PCI Express Base 4.0, section 7.2.2;
// PCI Firmware 3.2, section 4.1. Promises: configuration space of absent functions reads all ones; a BAR is mapped into
// the bus while it is enabled, lies whole in a window of its kind and overlaps nothing; which BARs are mapped is a
// function of the configuration spaces alone.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "engine/dev/device_spec.h"
#include "engine/dev/pci/function.h"
#include "engine/dev/pin.h"
#include "engine/lang/log.h"
#include "engine/lang/result.h"
#include "engine/mem/bus.h"

namespace viv::pci {

class HostBridge final : public Device, public Mmio, public Host {
public:
    static constexpr unsigned slot_count = 32;
    static constexpr u64 ecam_bytes_per_bus = u64{1} << 20;

    struct Window {
        u64 base = 0;  // address on the CPU's bus
        u64 size = 0;  // 0: no such window
    };
    // Memory windows show PCI addresses as they are; the I/O window shows PCI I/O address 0 at its base.
    struct Windows {
        Window memory32, memory64, io;
    };
    struct Wiring {
        Bus& bus;                  // BARs appear here
        std::array<Pin*, 4> intx;  // INTA to INTD after rotation: slot s, pin p drives line (s + p - 1) mod 4
        LogSink& log;
    };

    HostBridge(const Windows& windows, const Wiring& wiring);
    ~HostBridge() override;

    // Puts a function into a slot (1 to 31), or the lowest free one; the bridge owns it. An occupied slot or a full bus
    // is an error.
    Result<u8> plug(std::unique_ptr<Function> function, std::optional<u8> slot);
    Function* at(unsigned slot) { return slots_[slot].get(); }  // slot < slot_count; null if empty

    // The bridge's own state; the functions are devices of their own.
    std::string_view kind() const override { return "gpex-pcihost"; }
    void reset() override;
    void state(Archive& a) override;
    void restored() override;

    // The ECAM window: the board maps as much of it as it has buses.
    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

    void decoding_changed() override;
    void interrupt_changed() override;

private:
    struct Mapping {
        u64 base;
        u64 size;
        Mmio* window;
        unsigned slot;
        bool operator==(const Mapping&) const = default;
    };
    Function* addressed(u64 offset);
    void unmap_all();

    Windows windows_;
    Wiring wiring_;
    Log log_;
    std::array<std::unique_ptr<Function>, slot_count> slots_;
    std::vector<Mapping> wanted_;  // what decoding_changed() last asked for
    std::vector<Mapping> mapped_;  // and what of it the bus had room for
};

// Takes the property `addr` out of a PCI device's spec: the slot as QEMU writes it ("0x3", "3" or "3.0", hexadecimal),
// 1 to 31.
Result<std::optional<u8>> take_slot(DeviceSpec& spec);

}  // namespace viv::pci
