// The network card Intel 82574L, QEMU's `e1000e`: a PCI function with registers, receive and transmit rings. Intel
// 82574 GbE Controller Family datasheet. Promises: frames of 14 to 16,379 bytes in and 65,550 out; a frame that finds
// no room is refused whole, and the back end hears when there is room again. Interrupts are INTA#; MSI and MSI-X are
// not offered.
#pragma once

#include <memory>

#include "engine/dev/cards.h"
#include "engine/dev/net/e1000e_interrupts.h"
#include "engine/dev/net/e1000e_nvm.h"
#include "engine/dev/net/e1000e_phy.h"
#include "engine/dev/net/e1000e_receive.h"
#include "engine/dev/net/e1000e_statistics.h"
#include "engine/dev/net/e1000e_transmit.h"
#include "engine/dev/pci/function.h"

namespace viv {

class E1000e final : public pci::Function, public net::NetDevice, private e1000e::Outlet {
public:
    static constexpr unsigned memory_bar = 0, flash_bar = 1, io_bar = 2;
    static constexpr u64 memory_size = 128 << 10, flash_size = 128 << 10, io_size = 32;

    using Wiring = CardWiring;

    E1000e(const Wiring& wiring, std::unique_ptr<net::NetBackend> backend, const net::MacAddress& mac);

    // From a DeviceSpec, whose back end is taken if nothing is wrong; errors name the property.
    static Result<std::unique_ptr<pci::Function>> create(DeviceSpec& spec, const Wiring& wiring);

    std::string_view kind() const override { return "e1000e"; }

    bool receive(std::span<const u8> frame) override { return receive_offloaded(frame, {}); }
    Takes takes() const override;
    bool receive_offloaded(std::span<const u8> frame, const net::Offload& offload) override;
    void set_link(bool up) override;
    bool link_up() const override { return phy_.cable(); }

protected:
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;
    void config_written(u16 offset, unsigned size) override;

private:
    // The register map, in e1000e_registers.cpp.
    struct Registers;

    class MemoryWindow final : public Mmio {
    public:
        explicit MemoryWindow(E1000e& card) : card_(card) {}
        u64 read(u64 offset, unsigned size) override;
        void write(u64 offset, unsigned size, u64 value) override;

    private:
        E1000e& card_;
    };
    // IOADDR names a register, IODATA is it.
    class IoWindow final : public Mmio {
    public:
        explicit IoWindow(E1000e& card) : card_(card) {}
        u64 read(u64 offset, unsigned size) override;
        void write(u64 offset, unsigned size, u64 value) override;

    private:
        E1000e& card_;
    };
    // No flash is fitted: nothing drives the bus.
    class FlashWindow final : public Mmio {
    public:
        u64 read(u64, unsigned size) override { return low_mask(size * 8); }
        void write(u64, unsigned, u64) override {}
    };

    u32 read_register(u32 offset);
    void write_register(u32 offset, u32 value);
    u32 status() const;
    void set_ctrl(u32 value);
    void set_mdic(u32 value);
    void reset_mac();
    void room_made();
    u64 system_time() const;
    void set_system_time(u64 value);

    void carry(std::span<const u8> frame, const net::Offload& offload) override;
    e1000e::Tagging tagging() const override;
    bool may_use_memory() const override;

    Wiring wiring_;
    Log log_;
    net::MacAddress mac_;
    // What only the driver writes, and what has a reader here.
    struct General {
        u32 ctrl = 0, status_phyra = 0, vet = 0;
        u32 fla = 0, fcal = 0, fcah = 0, fct = 0, fcttv = 0, fcrtv = 0, ledctl = 0, extcnf_ctrl = 0, pba = 0, pbs = 0;
        u32 wuc = 0, wufc = 0, wus = 0, manc = 0, gcr = 0, gcr2 = 0, swsm = 0, swsm2 = 0;
        u32 timinca = 0;
        u64 time_base = 0, time_base_ns = 0;  // SYSTIM, and the guest time at which it had that value
        u32 ioaddr = 0;
    } g_;
    bool refused_ = false;  // a frame found no room: the back end waits to hear of some
    e1000e::Interrupts interrupts_;
    e1000e::Statistics statistics_;
    e1000e::Nvm nvm_;
    e1000e::Phy phy_;
    e1000e::Receiver receiver_;
    e1000e::Transmitter transmitter_;
    MemoryWindow memory_{*this};
    IoWindow io_{*this};
    FlashWindow flash_;
    std::unique_ptr<net::NetBackend> backend_;
};

}  // namespace viv
