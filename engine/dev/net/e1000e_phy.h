// The PHY inside an 82574 behind MDIC: a gigabit partner at the other end of the cable, with which negotiation takes no
// time. IEEE 802.3 clause 22 and 40; datasheet section 8. Promises: every register of every page reads something; the
// link is up if the cable is in and the PHY has power.
#pragma once

#include <array>

#include "engine/state/archive.h"

namespace viv::e1000e {

class Phy {
public:
    // What a write through MDIC means for the card.
    enum class Event : u8 { none, link_changed };

    Phy() { reset(); }

    u32 mdic() const { return s_.mdic; }
    Event set_mdic(u32 value);
    // MDIC.I of the last access: its end is a cause.
    bool wants_interrupt() const;

    bool cable() const { return s_.cable; }
    void set_cable(bool in) { s_.cable = in; }
    bool link() const;
    bool loops_back() const;

    void reset();  // PHY reset: the cable stays
    void state(Archive& a);

private:
    u16 read(unsigned index) const;
    Event write(unsigned index, u16 value);

    struct State {
        u32 mdic = 0;
        bool cable = true;
        std::array<u16, 32> registers{};  // of page 0; what follows from the link is not kept in them
    } s_;
};

}  // namespace viv::e1000e
