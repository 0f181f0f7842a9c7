// See e1000e_nvm.h.
#include "engine/dev/net/e1000e_nvm.h"

#include "engine/lang/bytes.h"

namespace viv::e1000e {

namespace {

// Words of the EEPROM (6.1.1).
enum Word : u16 {
    image_version = 0x05,
    init_control_1 = 0x0a,
    subsystem_id = 0x0b,
    subsystem_vendor_id = 0x0c,
    device_id = 0x0d,
    vendor_id = 0x0e,
    init_control_2 = 0x0f,
    checksum = 0x3f,
};
constexpr u16 right_sum = 0xbaba;
// Init Control 1: loaded by the card itself. Init Control 2: no manageability, full duplex, the link comes up by
// itself.
constexpr u16 load_ids = 3 << 2, signature = 1 << 14;
constexpr u16 init_2_reserved = 1 << 0, init_2_lan_enabled = 1 << 7;

enum Eecd : u32 { eecd_req = 1 << 6, eecd_gnt = 1 << 7, eecd_pres = 1 << 8, eecd_auto_rd = 1 << 9 };
enum Eerd : u32 { eerd_start = 1 << 0, eerd_done = 1 << 1 };

}  // namespace

Nvm::Nvm(const net::MacAddress& mac) {
    for (usize i = 0; i < 3; i++) words_[i] = load_le<u16>(&mac[2 * i]);
    words_[image_version] = 0x1000;
    words_[init_control_1] = signature | load_ids;
    words_[subsystem_id] = 0x0000;
    words_[subsystem_vendor_id] = words_[vendor_id] = 0x8086;
    words_[device_id] = 0x10d3;
    words_[init_control_2] = init_2_reserved | init_2_lan_enabled;
    u16 sum = 0;
    for (const u16 word : words_) sum = static_cast<u16>(sum + word);
    words_[checksum] = static_cast<u16>(right_sum - sum);
}

// Granted at once; the size field says 64 words.
u32 Nvm::eecd() const { return eecd_pres | eecd_auto_rd | (s_.requested ? eecd_req | eecd_gnt : 0); }
void Nvm::set_eecd(u32 value) { s_.requested = (value & eecd_req) != 0; }

void Nvm::set_eerd(u32 value) {
    s_.eerd = value & 0xfffc;
    if ((value & eerd_start) == 0) return;
    const u64 address = bits(value, 2, 14);
    const u16 word = address < word_count ? words_[address] : u16{0xffff};
    s_.eerd |= eerd_done | u32{word} << 16;
}

u32 Nvm::eewr() const { return eerd_done; }

void Nvm::state(Archive& a) {
    a(1, "eerd", s_.eerd);
    a(2, "requested", s_.requested);
}

}  // namespace viv::e1000e
