// The card as a PCI function and as one end of a cable. See e1000e.h; the registers are in e1000e_registers.cpp.
#include "engine/dev/net/e1000e.h"

#include <fmt/core.h>

#include <utility>
#include <vector>

#include "engine/dev/catalog.h"
#include "engine/dev/mac_addresses.h"
#include "engine/dev/properties.h"
#include "engine/lang/bytes.h"
#include "engine/net/segments.h"

namespace viv {

using namespace e1000e;

namespace {

constexpr pci::Identity identity{.vendor = 0x8086,
                                 .device = 0x10d3,
                                 .subsystem_vendor = 0x8086,
                                 .subsystem = 0x0000,
                                 .class_code = 0x02'00'00,
                                 .revision = 0,
                                 .interrupt_pin = 1};
constexpr u16 ether_vlan_tag = 0x8100;
constexpr u64 mac_loopback = 1;  // RCTL.LBM

}  // namespace

E1000e::E1000e(const Wiring& wiring, std::unique_ptr<net::NetBackend> backend, const net::MacAddress& mac)
    : pci::Function(identity),
      wiring_(wiring),
      log_(wiring.log, "e1000e"),
      mac_(mac),
      interrupts_(wiring.timers, [this] { set_interrupt(interrupts_.level()); }),
      nvm_(mac),
      receiver_({wiring_.dma, log_, wiring_.timers, interrupts_, statistics_}),
      transmitter_({wiring_.dma, log_, wiring_.timers, interrupts_, statistics_, *this}),
      backend_(std::move(backend)) {
    add_bar(memory_bar, pci::BarKind::memory32, memory_size, memory_);
    add_bar(flash_bar, pci::BarKind::memory32, flash_size, flash_);
    add_bar(io_bar, pci::BarKind::io, io_size, io_);
    reset_mac();
    backend_->connect(this);
}

// What CTRL.RST resets: all but the PHY and the PCI function.
void E1000e::reset_mac() {
    g_ = General{.ctrl = ctrl_fd | ctrl_slu | ctrl_speed_1000, .vet = ether_vlan_tag, .ioaddr = g_.ioaddr};
    g_.pba = 0x0014'0014;  // KiB of packet memory for sending and for receiving
    g_.time_base_ns = wiring_.timers.now_ns();
    interrupts_.reset();
    statistics_.reset();
    nvm_.reset();
    receiver_.reset();
    transmitter_.reset();
    // From the EEPROM into RAL0 and RAH0 (5.2).
    receiver_.filter.ra[0] = load_le<u32>(&mac_[0]);
    receiver_.filter.ra[1] = load_le<u16>(&mac_[4]) | rah_av;
}

void E1000e::device_reset() {
    g_.ioaddr = 0;
    reset_mac();
    phy_.reset();
}

void E1000e::device_state(Archive& a) {
    a(1, "ctrl", g_.ctrl);
    a(2, "status_phyra", g_.status_phyra, status_phyra);
    a(3, "vet", g_.vet);
    a(4, "fla", g_.fla);
    a(5, "fcal", g_.fcal);
    a(6, "fcah", g_.fcah);
    a(7, "fct", g_.fct);
    a(8, "fcttv", g_.fcttv);
    a(9, "fcrtv", g_.fcrtv);
    a(10, "ledctl", g_.ledctl);
    a(11, "extcnf_ctrl", g_.extcnf_ctrl);
    a(12, "pba", g_.pba);
    a(13, "pbs", g_.pbs);
    a(14, "wuc", g_.wuc);
    a(15, "wufc", g_.wufc);
    a(16, "wus", g_.wus);
    a(17, "manc", g_.manc);
    a(18, "gcr", g_.gcr);
    a(19, "gcr2", g_.gcr2);
    a(20, "swsm", g_.swsm);
    a(21, "swsm2", g_.swsm2);
    a(22, "timinca", g_.timinca);
    a(23, "time_base", g_.time_base);
    a(24, "time_base_ns", g_.time_base_ns);
    a(25, "ioaddr", g_.ioaddr);
    a(26, "interrupts", interrupts_);
    a(27, "statistics", statistics_);
    a(28, "nvm", nvm_);
    a(29, "phy", phy_);
    a(30, "receiver", receiver_);
    a(31, "transmitter", transmitter_);
}

void E1000e::device_restored() {
    refused_ = true;  // whatever the back end waits for
    interrupts_.restored();
    receiver_.restored();
    transmitter_.restored();
}

void E1000e::config_written(u16, unsigned) { transmitter_.run(); }

bool E1000e::may_use_memory() const { return bus_master() && (g_.ctrl & ctrl_gio_master_disable) == 0; }

Tagging E1000e::tagging() const { return {.on = (g_.ctrl & ctrl_vme) != 0, .type = static_cast<u16>(g_.vet)}; }

// Of sums that are known to be right or are lacking; joined segments would be longer than the card's frames.
net::NetDevice::Takes E1000e::takes() const {
    return {.checked = receiver_.enabled() && (receiver_.r.rxcsum & rxcsum_tuofl) != 0};
}

bool E1000e::receive_offloaded(std::span<const u8> frame, const net::Offload& offload) {
    if (!phy_.link() || !net::good_size(frame.size()) || !may_use_memory()) return true;
    if (receiver_.receive(frame, offload, tagging())) return true;
    refused_ = true;
    return false;
}

void E1000e::carry(std::span<const u8> frame, const net::Offload& offload) {
    if (phy_.loops_back() || bits(receiver_.r.rctl, rctl_lbm, 2) == mac_loopback) {
        std::vector<u8> own(frame.begin(), frame.end());
        net::finish_frame(own, offload, [&](std::span<const u8> each) { receiver_.receive(each, {}, tagging()); });
        return;
    }
    if (!phy_.link()) return;
    if (offload.is_finished()) return backend_->send(frame);
    backend_->send_offloaded(frame, offload);
}

void E1000e::set_link(bool up) {
    if (phy_.cable() == up) return;
    phy_.set_cable(up);
    interrupts_.raise(cause_lsc | cause_other);
}

// A tail has moved, or receiving has been enabled.
void E1000e::room_made() {
    if (std::exchange(refused_, false)) backend_->receive_ready();
}

Result<std::unique_ptr<pci::Function>> E1000e::create(DeviceSpec& spec, const Wiring& wiring) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    TRY_SET(const Properties properties, Properties::check(spec, kind->properties));
    TRY_SET(const net::MacAddress mac, mac_address(properties));
    if (spec.net == nullptr) return Error{fmt::format("{}: no network is connected to it; use --net", spec.name)};
    return std::unique_ptr<pci::Function>(std::make_unique<E1000e>(wiring, std::move(spec.net), mac));
}

}  // namespace viv
