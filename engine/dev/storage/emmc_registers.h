// The registers of an eMMC: OCR, CID, CSD and EXT_CSD. JESD84-B51, chapter 7. Promises: EXT_CSD's properties tell what
// this card does; of its modes only those listed in may_be() ever have another value.
#pragma once

#include "engine/dev/storage/emmc_volume.h"

namespace viv::emmc {

// Bytes of EXT_CSD.
enum ExtCsd : u8 {
    x_flush_cache = 32,
    x_cache_ctrl = 33,
    x_power_off_notification = 34,
    x_rst_n_function = 162,
    x_wr_rel_param = 166,
    x_rpmb_size_mult = 168,
    x_boot_wp = 173,
    x_boot_wp_status = 174,
    x_erase_group_def = 175,
    x_boot_bus_conditions = 177,
    x_partition_config = 179,
    x_bus_width = 183,
    x_hs_timing = 185,
    x_power_class = 187,
    x_cmd_set = 191,
    x_first_property = 192,
};

constexpr u64 erase_group = 512 << 10;        // bytes; with and without ERASE_GROUP_DEF
constexpr u64 byte_addresses = u64{2} << 30;  // the largest user area whose commands count bytes

using Words = std::array<u32, 4>;  // 128 bits, the most significant first
using Modes = std::array<u8, x_first_property>;

u32 ocr(u64 user);
Words cid(u32 serial);
Words csd(u64 user, bool read_only);
// What a mode may become by CMD6.
bool may_be(u8 index, u8 value, const Geometry& geometry);
// All 512 bytes.
std::array<u8, 512> ext_csd(const Modes& modes, const Geometry& geometry);

}  // namespace viv::emmc
