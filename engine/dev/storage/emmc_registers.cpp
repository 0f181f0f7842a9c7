// See emmc_registers.h.
#include "engine/dev/storage/emmc_registers.h"

#include <algorithm>

#include "engine/lang/bytes.h"

namespace viv::emmc {

namespace {

// Bit `low` of the 128-bit register and the `count` above it.
void put(Words& words, unsigned low, unsigned count, u64 value) {
    for (unsigned i = 0; i < count; i++)
        if (bit(value, i)) words[3 - (low + i) / 32] |= 1u << (low + i) % 32;
}

// x^7 + x^3 + 1 over bits 127 to 8.
void add_crc(Words& words) {
    u32 crc = 0;
    for (unsigned i = 127; i >= 8; i--) {
        const u32 next = bit(words[3 - i / 32], i % 32) ^ bit(crc, 6);
        crc = (crc << 1 & 0x7f) ^ (next != 0 ? 0x09 : 0);
    }
    put(words, 0, 8, crc << 1 | 1);
}

}  // namespace

u32 ocr(u64 user) { return 0x00ff'8080u | (user > byte_addresses ? 1u << 30 : 0); }

Words cid(u32 serial) {
    Words words{};
    put(words, 120, 8, 0xfe);  // manufacturers' ids are JEDEC's to give; this one is nobody's
    put(words, 112, 2, 1);     // embedded, BGA
    constexpr std::array<u8, 6> name{'V', 'I', 'V', 'M', 'M', 'C'};
    for (unsigned i = 0; i < name.size(); i++) put(words, 96 - 8 * i, 8, name[i]);
    put(words, 48, 8, 0x10);  // revision 1.0
    put(words, 16, 32, serial);
    put(words, 8, 8, 0x1c);  // January; with EXT_CSD_REV above 4 the years begin at 2013: 2025
    add_crc(words);
    return words;
}

Words csd(u64 user, bool read_only) {
    Words words{};
    unsigned block_length = 9, multiplier = 7;
    u64 size = 0xfff;
    if (user <= byte_addresses) {
        if (user > byte_addresses / 2) block_length = 10;
        u64 blocks = user >> block_length;
        multiplier = 0;
        while (blocks >> (multiplier + 2) > 4096) multiplier++;
        size = (blocks >> (multiplier + 2)) - 1;
    }
    const u32 no_writes = 1 << 0 | 1 << 2 | 1 << 7, classes = no_writes | 1 << 4 | 1 << 5;
    put(words, 126, 2, 3);     // CSD_STRUCTURE: in EXT_CSD
    put(words, 122, 4, 4);     // SPEC_VERS: 4 and above
    put(words, 112, 8, 0x27);  // TAAC: 1.5 ms
    put(words, 104, 8, 1);     // NSAC
    put(words, 96, 8, 0x32);   // TRAN_SPEED: 26 MHz
    put(words, 84, 12, (read_only ? no_writes : classes) & ~(1u << 7));
    put(words, 80, 4, block_length);
    put(words, 62, 12, size);
    put(words, 50, 12, 0xfff);  // currents: the largest
    put(words, 47, 3, multiplier);
    put(words, 42, 5, 31);  // erase group: (31 + 1) * (31 + 1) blocks
    put(words, 37, 5, 31);
    put(words, 26, 3, 2);             // R2W_FACTOR
    put(words, 22, 4, block_length);  // WRITE_BL_LEN
    put(words, 12, 1, read_only ? 1 : 0);
    add_crc(words);
    return words;
}

bool may_be(u8 index, u8 value, const Geometry& geometry) {
    switch (index) {
        case x_flush_cache:
        case x_cache_ctrl:
        case x_boot_wp:  // until the next reset; permanently it is not offered
        case x_erase_group_def: return value <= 1;
        case x_power_off_notification: return value <= 3;
        case x_rst_n_function: return value <= 2;
        case x_boot_bus_conditions: return value <= 0x1f && (value & 3) != 3 && value >> 3 != 3;
        case x_partition_config:
            return bit(value, 7) == 0 && (value & 7) <= 3 &&
                   ((value & 7) == 0 || (value & 7) == 3 || geometry.boot != 0);
        case x_bus_width: return value <= 2;  // one data rate
        case x_hs_timing: return value <= 1;
        case x_power_class: return true;
        case x_cmd_set: return value == 0;
        default: return false;
    }
}

std::array<u8, 512> ext_csd(const Modes& modes, const Geometry& geometry) {
    std::array<u8, 512> bytes{};
    std::copy(modes.begin(), modes.end(), bytes.begin());
    bytes[x_flush_cache] = 0;      // write-only
    bytes[x_wr_rel_param] = 0x14;  // reliable writes of any sector; of 8 KiB in the RPMB partition
    bytes[x_rpmb_size_mult] = static_cast<u8>(geometry.rpmb / size_unit);
    bytes[192] = 8;     // EXT_CSD_REV: 5.1
    bytes[194] = 2;     // CSD_STRUCTURE
    bytes[196] = 0x03;  // DEVICE_TYPE: 26 and 52 MHz
    bytes[197] = 1;     // DRIVER_STRENGTH
    bytes[198] = 10;    // OUT_OF_INTERRUPT_TIME
    bytes[199] = 10;    // PARTITION_SWITCH_TIME: 100 ms
    store_le<u32>(&bytes[212], static_cast<u32>(geometry.user / 512));
    bytes[217] = 0x11;  // S_A_TIMEOUT
    bytes[221] = 1;     // HC_WP_GRP_SIZE
    bytes[222] = 1;     // REL_WR_SEC_C
    bytes[223] = 1;     // ERASE_TIMEOUT_MULT: 300 ms
    bytes[224] = static_cast<u8>(erase_group / (512 << 10));
    bytes[226] = static_cast<u8>(geometry.boot / size_unit);
    bytes[231] = 0x10;                 // SEC_FEATURE_SUPPORT: trim; erased bytes are 0
    bytes[232] = 1;                    // TRIM_MULT
    bytes[247] = 10;                   // POWER_OFF_LONG_TIME
    bytes[248] = 10;                   // GENERIC_CMD6_TIME
    store_le<u32>(&bytes[249], 4096);  // CACHE_SIZE: 4096 Kibit
    constexpr std::array<u8, 8> firmware{'V', 'i', 'v', 'a', 'r', 'i', 'u', 'm'};
    std::copy(firmware.begin(), firmware.end(), &bytes[254]);
    bytes[264] = 1;  // OPTIMAL_TRIM_UNIT_SIZE: 4 KiB
    bytes[265] = 1, bytes[266] = 1;
    bytes[267] = 1;                  // PRE_EOL_INFO: normal
    bytes[268] = 1, bytes[269] = 1;  // DEVICE_LIFE_TIME_EST: under a tenth
    bytes[504] = 1;                  // S_CMD_SET
    return bytes;
}

}  // namespace viv::emmc
