// The 82574's registers by offset: datasheet section 10.2. Everything is 32 bits wide; what there is no row for reads
// 0.
#include "engine/dev/net/e1000e.h"

#include <array>
#include <utility>

#include "engine/dev/registers.h"

namespace viv {

using namespace e1000e;

namespace {

enum Swsm : u32 { swsm_smbi = 1 << 0, swsm_swesmbi = 1 << 1 };
constexpr u32 mdio_sw_ownership = 1 << 5;
constexpr u32 eemngctl_cfg_done = 1 << 18;

// Registers side by side that only hold what is written.
struct Block {
    u32 first, size;  // bytes
};
constexpr Block mta_block{0x5200, 0x200}, ra_block{0x5400, 0x80}, vfta_block{0x5600, 0x200}, reta_block{0x5c00, 0x80},
    rssrk_block{0x5c80, 0x28}, eitr_block{0xe8, 0x14};

// A queue's registers from RDBAL0, RDBAL1, TDBAL0, TDBAL1.
constexpr u32 receive_queues = 0x2800, transmit_queues = 0x3800, queue_stride = 0x100;

u64 increment_period_ns(u32 timinca) { return (timinca >> 24) * u64{40}; }  // of a clock of 25 MHz

}  // namespace

struct E1000e::Registers {
    using Row = Register<E1000e, u32>;
    using Read = u32 (*)(E1000e&);
    using Write = void (*)(E1000e&, u32);

    static constexpr u32 everything = ~u32{0};

    // A register that holds what is written to its `writable` bits.
    template <u32 General::*field, u32 writable = everything>
    static constexpr Row general(u32 offset, const char* name) {
        return {offset, name, [](E1000e& card) { return card.g_.*field; },
                [](E1000e& card, u32 value) { card.g_.*field = value & writable; }};
    }
    template <u32 Interrupts::*field>
    static constexpr Row interrupt(u32 offset, const char* name) {
        return {offset, name, [](E1000e& card) { return card.interrupts_.*field; },
                [](E1000e& card, u32 value) { card.interrupts_.*field = value; }};
    }
    template <u32 Receiver::Registers::*field>
    static constexpr Row receiver(u32 offset, const char* name) {
        return {offset, name, [](E1000e& card) { return card.receiver_.r.*field; },
                [](E1000e& card, u32 value) { card.receiver_.r.*field = value; }};
    }
    template <u32 Transmitter::Registers::*field>
    static constexpr Row transmitter(u32 offset, const char* name) {
        return {offset, name, [](E1000e& card) { return card.transmitter_.r.*field; },
                [](E1000e& card, u32 value) { card.transmitter_.r.*field = value; }};
    }
    template <unsigned queue, u32 Ring::*field, u32 writable>
    static constexpr Row receive_ring(u32 offset, const char* name) {
        return {receive_queues + queue * queue_stride + offset, name,
                [](E1000e& card) { return card.receiver_.rings[queue].*field; },
                [](E1000e& card, u32 value) { card.receiver_.rings[queue].*field = value & writable; }};
    }
    template <unsigned queue, u32 Ring::*field, u32 writable>
    static constexpr Row transmit_ring(u32 offset, const char* name) {
        return {transmit_queues + queue * queue_stride + offset, name,
                [](E1000e& card) { return card.transmitter_.rings[queue].*field; },
                [](E1000e& card, u32 value) { card.transmitter_.rings[queue].*field = value & writable; }};
    }
    template <unsigned queue>
    static constexpr Row receive_tail(const char* name) {
        return {receive_queues + queue * queue_stride + 0x18, name,
                [](E1000e& card) { return card.receiver_.rings[queue].tail; },
                [](E1000e& card, u32 value) {
                    card.receiver_.rings[queue].tail = value & Ring::index_writable;
                    card.room_made();
                }};
    }
    template <unsigned queue>
    static constexpr Row transmit_tail(const char* name) {
        return {transmit_queues + queue * queue_stride + 0x18, name,
                [](E1000e& card) { return card.transmitter_.rings[queue].tail; },
                [](E1000e& card, u32 value) {
                    card.transmitter_.rings[queue].tail = value & Ring::index_writable;
                    card.transmitter_.run();
                }};
    }
    template <unsigned queue>
    static constexpr Row rxdctl(const char* name) {
        return {receive_queues + queue * queue_stride + 0x28, name,
                [](E1000e& card) { return card.receiver_.r.rxdctl[queue]; },
                [](E1000e& card, u32 value) { card.receiver_.r.rxdctl[queue] = value; }};
    }
    template <unsigned queue>
    static constexpr Row txdctl(const char* name) {
        return {transmit_queues + queue * queue_stride + 0x28, name,
                [](E1000e& card) { return card.transmitter_.r.txdctl[queue]; },
                [](E1000e& card, u32 value) { card.transmitter_.r.txdctl[queue] = value; }};
    }
    template <unsigned queue>
    static constexpr Row tarc(const char* name) {
        return {transmit_queues + queue * queue_stride + 0x40, name,
                [](E1000e& card) { return card.transmitter_.r.tarc[queue]; },
                [](E1000e& card, u32 value) { card.transmitter_.r.tarc[queue] = value; }};
    }

    static const Row* find(u32 offset);
    // The words of a block, or null.
    static u32* block_word(E1000e& card, u32 offset);
};

const E1000e::Registers::Row* E1000e::Registers::find(u32 offset) {
    using G = General;
    using R = Receiver::Registers;
    using T = Transmitter::Registers;
    static constexpr SparseRegisterMap map{std::to_array<Row>({
        {0x0000, "CTRL", [](E1000e& c) { return c.g_.ctrl; }, [](E1000e& c, u32 value) { c.set_ctrl(value); }},
        {0x0008, "STATUS", [](E1000e& c) { return c.status(); },
         [](E1000e& c, u32 value) { c.g_.status_phyra &= value; }},
        {0x0010, "EECD", [](E1000e& c) { return c.nvm_.eecd(); }, [](E1000e& c, u32 value) { c.nvm_.set_eecd(value); }},
        {0x0014, "EERD", [](E1000e& c) { return c.nvm_.eerd(); }, [](E1000e& c, u32 value) { c.nvm_.set_eerd(value); }},
        interrupt<&Interrupts::ctrl_ext>(0x0018, "CTRL_EXT"),
        general<&G::fla>(0x001c, "FLA"),
        {0x0020, "MDIC", [](E1000e& c) { return c.phy_.mdic(); }, [](E1000e& c, u32 value) { c.set_mdic(value); }},
        general<&G::fcal>(0x0028, "FCAL"),
        general<&G::fcah, 0xffff>(0x002c, "FCAH"),
        general<&G::fct, 0xffff>(0x0030, "FCT"),
        general<&G::vet, 0xffff>(0x0038, "VET"),
        {0x00c0, "ICR", [](E1000e& c) { return c.interrupts_.read_icr(); },
         [](E1000e& c, u32 value) { c.interrupts_.write_icr(value); }},
        interrupt<&Interrupts::itr>(0x00c4, "ITR"),
        {0x00c8, "ICS", nullptr, [](E1000e& c, u32 value) { c.interrupts_.raise(value); }},
        {0x00d0, "IMS", [](E1000e& c) { return c.interrupts_.ims(); },
         [](E1000e& c, u32 value) { c.interrupts_.enable(value); }},
        {0x00d8, "IMC", nullptr, [](E1000e& c, u32 value) { c.interrupts_.disable(value); }},
        interrupt<&Interrupts::eiac>(0x00dc, "EIAC"),
        interrupt<&Interrupts::iam>(0x00e0, "IAM"),
        interrupt<&Interrupts::ivar>(0x00e4, "IVAR"),
        {0x0100, "RCTL", [](E1000e& c) { return c.receiver_.r.rctl; },
         [](E1000e& c, u32 value) {
             c.receiver_.r.rctl = value;
             c.room_made();
         }},
        general<&G::fcttv>(0x0170, "FCTTV"),
        {0x0400, "TCTL", [](E1000e& c) { return c.transmitter_.r.tctl; },
         [](E1000e& c, u32 value) {
             c.transmitter_.r.tctl = value;
             c.transmitter_.run();
         }},
        transmitter<&T::tipg>(0x0410, "TIPG"),
        transmitter<&T::aifs>(0x0458, "AIT"),
        general<&G::ledctl>(0x0e00, "LEDCTL"),
        // No firmware wants the PHY, so whoever asks for it has it.
        general<&G::extcnf_ctrl, mdio_sw_ownership>(0x0f00, "EXTCNF_CTRL"),
        general<&G::pba>(0x1000, "PBA"),
        general<&G::pbs>(0x1008, "PBS"),
        {0x1010, "EEMNGCTL", [](E1000e&) { return eemngctl_cfg_done; }, nullptr},
        {0x102c, "EEWR", [](E1000e& c) { return c.nvm_.eewr(); }, nullptr},
        receiver<&R::fcrtl>(0x2160, "FCRTL"),
        receiver<&R::fcrth>(0x2168, "FCRTH"),
        receiver<&R::psrctl>(0x2170, "PSRCTL"),
        general<&G::fcrtv>(0x2340, "FCRTV"),
        receive_ring<0, &Ring::bal, Ring::bal_writable>(0x00, "RDBAL0"),
        receive_ring<0, &Ring::bah, everything>(0x04, "RDBAH0"),
        receive_ring<0, &Ring::len, Ring::len_writable>(0x08, "RDLEN0"),
        receive_ring<0, &Ring::head, Ring::index_writable>(0x10, "RDH0"),
        receive_tail<0>("RDT0"),
        {0x2820, "RDTR", [](E1000e& c) { return c.receiver_.r.rdtr; },
         [](E1000e& c, u32 value) { c.receiver_.set_rdtr(value); }},
        rxdctl<0>("RXDCTL0"),
        receiver<&R::radv>(0x282c, "RADV"),
        receive_ring<1, &Ring::bal, Ring::bal_writable>(0x00, "RDBAL1"),
        receive_ring<1, &Ring::bah, everything>(0x04, "RDBAH1"),
        receive_ring<1, &Ring::len, Ring::len_writable>(0x08, "RDLEN1"),
        receive_ring<1, &Ring::head, Ring::index_writable>(0x10, "RDH1"),
        receive_tail<1>("RDT1"),
        rxdctl<1>("RXDCTL1"),
        receiver<&R::rsrpd>(0x2c00, "RSRPD"),
        transmit_ring<0, &Ring::bal, Ring::bal_writable>(0x00, "TDBAL0"),
        transmit_ring<0, &Ring::bah, everything>(0x04, "TDBAH0"),
        transmit_ring<0, &Ring::len, Ring::len_writable>(0x08, "TDLEN0"),
        transmit_ring<0, &Ring::head, Ring::index_writable>(0x10, "TDH0"),
        transmit_tail<0>("TDT0"),
        {0x3820, "TIDV", [](E1000e& c) { return c.transmitter_.r.tidv; },
         [](E1000e& c, u32 value) { c.transmitter_.set_tidv(value); }},
        txdctl<0>("TXDCTL0"),
        transmitter<&T::tadv>(0x382c, "TADV"),
        tarc<0>("TARC0"),
        transmit_ring<1, &Ring::bal, Ring::bal_writable>(0x00, "TDBAL1"),
        transmit_ring<1, &Ring::bah, everything>(0x04, "TDBAH1"),
        transmit_ring<1, &Ring::len, Ring::len_writable>(0x08, "TDLEN1"),
        transmit_ring<1, &Ring::head, Ring::index_writable>(0x10, "TDH1"),
        transmit_tail<1>("TDT1"),
        txdctl<1>("TXDCTL1"),
        tarc<1>("TARC1"),
        receiver<&R::rxcsum>(0x5000, "RXCSUM"),
        receiver<&R::rfctl>(0x5008, "RFCTL"),
        general<&G::wuc>(0x5800, "WUC"),
        general<&G::wufc>(0x5808, "WUFC"),
        general<&G::wus>(0x5810, "WUS"),
        {0x5818, "MRQC", [](E1000e& c) { return c.receiver_.filter.mrqc; },
         [](E1000e& c, u32 value) { c.receiver_.filter.mrqc = value; }},
        general<&G::manc>(0x5820, "MANC"),
        general<&G::gcr>(0x5b00, "GCR"),
        // SMBI is taken by whoever reads it clear.
        {0x5b50, "SWSM",
         [](E1000e& c) {
             const u32 value = c.g_.swsm;
             c.g_.swsm |= swsm_smbi;
             return value;
         },
         [](E1000e& c, u32 value) { c.g_.swsm = value & (swsm_smbi | swsm_swesmbi); }},
        {0x5b54, "FWSM", [](E1000e&) { return u32{0}; }, nullptr},
        general<&G::swsm2, 2>(0x5b58, "SWSM2"),
        general<&G::gcr2>(0x5b64, "GCR2"),
        {0xb600, "SYSTIML", [](E1000e& c) { return static_cast<u32>(c.system_time()); },
         [](E1000e& c, u32 value) { c.set_system_time(deposit(c.system_time(), 0, 32, value)); }},
        {0xb604, "SYSTIMH", [](E1000e& c) { return static_cast<u32>(c.system_time() >> 32); },
         [](E1000e& c, u32 value) { c.set_system_time(deposit(c.system_time(), 32, 32, value)); }},
        {0xb608, "TIMINCA", [](E1000e& c) { return c.g_.timinca; },
         [](E1000e& c, u32 value) {
             c.set_system_time(c.system_time());
             c.g_.timinca = value;
         }},
    })};
    return map.find(offset);
}

u32* E1000e::Registers::block_word(E1000e& card, u32 offset) {
    Filter& filter = card.receiver_.filter;
    const std::pair<Block, u32*> blocks[] = {
        {mta_block, filter.mta.data()},     {ra_block, filter.ra.data()},
        {vfta_block, filter.vfta.data()},   {reta_block, filter.reta.data()},
        {rssrk_block, filter.rssrk.data()}, {eitr_block, card.interrupts_.eitr.data()}};
    for (const auto& [block, words] : blocks)
        if (offset >= block.first && offset - block.first < block.size) return words + (offset - block.first) / 4;
    return nullptr;
}

u32 E1000e::read_register(u32 offset) {
    if (offset >= Statistics::first && offset < Statistics::end) return statistics_.read(offset);
    if (const u32* word = Registers::block_word(*this, offset)) return *word;
    const auto* row = Registers::find(offset);
    return row == nullptr || row->read == nullptr ? 0 : row->read(*this);
}

void E1000e::write_register(u32 offset, u32 value) {
    if (u32* word = Registers::block_word(*this, offset)) {
        *word = value;
        return;
    }
    const auto* row = Registers::find(offset);
    if (row != nullptr && row->write != nullptr) row->write(*this, value);
}

u32 E1000e::status() const {
    return status_fd | status_speed_1000 | g_.status_phyra | (phy_.link() ? u32{status_lu} : 0) |
           ((g_.ctrl & ctrl_gio_master_disable) == 0 ? u32{status_gio_master_enable} : 0);
}

void E1000e::set_ctrl(u32 value) {
    if ((value & ctrl_rst) != 0) return reset_mac();
    // The PHY's reset lasts as long as the bit is set; what it does is done at its beginning.
    if ((value & ~g_.ctrl & ctrl_phy_rst) != 0) {
        phy_.reset();
        g_.status_phyra = status_phyra;
        interrupts_.raise(cause_lsc | cause_other);
    }
    g_.ctrl = value;
    transmitter_.run();
}

void E1000e::set_mdic(u32 value) {
    if (phy_.set_mdic(value) == Phy::Event::link_changed) interrupts_.raise(cause_lsc | cause_other);
    if (phy_.wants_interrupt()) interrupts_.raise(cause_mdac | cause_other);
}

// SYSTIM goes up by TIMINCA.INCVALUE each TIMINCA.INCPERIOD cycles (10.2.12).
u64 E1000e::system_time() const {
    const u64 period = increment_period_ns(g_.timinca);
    if (period == 0) return g_.time_base;
    return g_.time_base + (wiring_.timers.now_ns() - g_.time_base_ns) / period * (g_.timinca & 0xff'ffff);
}

void E1000e::set_system_time(u64 value) {
    g_.time_base = value;
    g_.time_base_ns = wiring_.timers.now_ns();
}

u64 E1000e::MemoryWindow::read(u64 offset, unsigned size) {
    if (size == 8) return card_.read_register(static_cast<u32>(offset)) | read(offset + 4, 4) << 32;
    const u32 at = static_cast<u32>(align_down(offset, 4));
    return card_.read_register(at) >> (8 * (offset - at)) & low_mask(size * 8);
}

// Byte enables are ignored by the card: a driver writes all of a register.
void E1000e::MemoryWindow::write(u64 offset, unsigned size, u64 value) {
    if (size < 4) return card_.log_.guest("a write of {} bytes to the register at {:#x} is ignored", size, offset);
    card_.write_register(static_cast<u32>(offset), static_cast<u32>(value));
    if (size == 8) card_.write_register(static_cast<u32>(offset) + 4, static_cast<u32>(value >> 32));
}

u64 E1000e::IoWindow::read(u64 offset, unsigned size) {
    if (size != 4) return low_mask(size * 8);
    if (offset == 0) return card_.g_.ioaddr;
    const bool registers = offset == 4 && card_.g_.ioaddr % 4 == 0 && card_.g_.ioaddr < memory_size;
    return registers ? card_.read_register(card_.g_.ioaddr) : 0;
}

void E1000e::IoWindow::write(u64 offset, unsigned size, u64 value) {
    if (size != 4) return;
    if (offset == 0) card_.g_.ioaddr = static_cast<u32>(value);
    if (offset == 4 && card_.g_.ioaddr % 4 == 0 && card_.g_.ioaddr < memory_size)
        card_.write_register(card_.g_.ioaddr, static_cast<u32>(value));
}

}  // namespace viv
