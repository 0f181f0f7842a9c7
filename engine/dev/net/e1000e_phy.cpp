// See e1000e_phy.h.
#include "engine/dev/net/e1000e_phy.h"

#include "engine/lang/bits.h"

namespace viv::e1000e {

namespace {

enum Mdic : u32 { mdic_ready = 1 << 28, mdic_interrupt = 1 << 29, mdic_error = 1 << 30 };
constexpr u64 op_write = 1, op_read = 2, phy_address = 1;

enum Index : unsigned {
    control = 0,
    status = 1,
    phy_id_1 = 2,
    phy_id_2 = 3,
    advertised = 4,
    partner = 5,
    expansion = 6,
    gigabit_control = 9,
    gigabit_status = 10,
    extended_status = 15,
    specific_status = 17,
    page_select = 22,
};

enum Control : u16 {
    control_restart = 1 << 9,
    control_power_down = 1 << 11,
    control_negotiate = 1 << 12,
    control_loopback = 1 << 14,
    control_reset = 1 << 15,
    control_gigabit_full = 0x0140,
};
enum StatusBit : u16 { status_link = 1 << 2, status_negotiated = 1 << 5 };
// 10 and 100 Mb/s in both duplexes, extended status, no preamble needed, can negotiate, extended registers.
constexpr u16 abilities = 0x7949;
constexpr u16 advertised_default = 0x0de1, gigabit_full = 1 << 9;
// Acknowledged, both pauses, 10 and 100 Mb/s in both duplexes.
constexpr u16 partner_abilities = 0x4de1;
constexpr u16 partner_negotiates = 1 << 0;
// Both receivers are well, and the partner can do 1000 Mb/s.
constexpr u16 gigabit_partner = 0x3c00;
constexpr u16 gigabit_possible = 0x3000;
// 1000 Mb/s, full duplex, resolved, link.
constexpr u16 specific_up = 0xac00;

}  // namespace

void Phy::reset() {
    s_.registers = {};
    s_.registers[control] = control_negotiate | control_gigabit_full;
    s_.registers[advertised] = advertised_default;
    s_.registers[gigabit_control] = gigabit_full;
}

bool Phy::link() const { return s_.cable && (s_.registers[control] & control_power_down) == 0; }
bool Phy::loops_back() const { return (s_.registers[control] & control_loopback) != 0; }

u16 Phy::read(unsigned index) const {
    if (index != page_select && s_.registers[page_select] != 0 && index > extended_status) return 0;
    switch (index) {
        case status: return abilities | (link() ? status_link | status_negotiated : 0);
        case phy_id_1: return 0x0141;
        case phy_id_2: return 0x0cb1;
        case partner: return link() ? partner_abilities : 0;
        case expansion: return link() ? partner_negotiates : 0;
        case gigabit_status: return link() ? gigabit_partner : 0;
        case extended_status: return gigabit_possible;
        case specific_status: return link() ? specific_up : 0;
        default: return s_.registers[index];
    }
}

Phy::Event Phy::write(unsigned index, u16 value) {
    if (index != page_select && s_.registers[page_select] != 0 && index > extended_status) return Event::none;
    if (index != control) {
        s_.registers[index] = value;
        return Event::none;
    }
    if ((value & control_reset) != 0) {
        reset();
        return Event::link_changed;
    }
    const bool before = link();
    s_.registers[control] = value & static_cast<u16>(~control_restart);
    return before != link() || (value & control_restart) != 0 ? Event::link_changed : Event::none;
}

Phy::Event Phy::set_mdic(u32 value) {
    const u64 operation = bits(value, 26, 2);
    const unsigned index = static_cast<unsigned>(bits(value, 16, 5));
    s_.mdic = (value & ~(mdic_error | mdic_ready)) | mdic_ready;
    if (bits(value, 21, 5) != phy_address || (operation != op_read && operation != op_write)) {
        s_.mdic |= mdic_error;
        return Event::none;
    }
    if (operation == op_write) return write(index, static_cast<u16>(value));
    s_.mdic = static_cast<u32>(deposit(s_.mdic, 0, 16, read(index)));
    return Event::none;
}

bool Phy::wants_interrupt() const { return (s_.mdic & mdic_interrupt) != 0; }

void Phy::state(Archive& a) {
    a(1, "mdic", s_.mdic);
    a(2, "cable", s_.cable);
    a(3, "registers", s_.registers);
}

}  // namespace viv::e1000e
