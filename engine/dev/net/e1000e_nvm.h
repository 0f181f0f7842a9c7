// The EEPROM of an 82574 and its registers EECD and EERD: 64 words, read-only. Datasheet sections 6.1 and 10.2.2.
// Promises: the words hold the card's address and sum to 0xbaba; a read of a word that is not there gives ones.
#pragma once

#include <array>

#include "engine/net/inspect.h"
#include "engine/state/archive.h"

namespace viv::e1000e {

class Nvm {
public:
    explicit Nvm(const net::MacAddress& mac);

    u32 eecd() const;
    void set_eecd(u32 value);
    u32 eerd() const { return s_.eerd; }
    void set_eerd(u32 value);
    // EEWR: done at once, and nothing is written: the EEPROM is write-protected.
    u32 eewr() const;

    void reset() { s_ = {}; }
    void state(Archive& a);

private:
    static constexpr usize word_count = 64;
    std::array<u16, word_count> words_{};
    struct State {
        u32 eerd = 0;
        bool requested = false;  // EECD.EE_REQ
    } s_;
};

}  // namespace viv::e1000e
