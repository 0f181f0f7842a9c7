// Bits of an SD host controller's registers, as its specification names them.
#pragma once

#include "engine/lang/bits.h"

namespace viv::sdhci {

// Words of the register map.
enum Offset : u32 {
    o_sdma_address = 0x00,
    o_block = 0x04,
    o_argument = 0x08,
    o_command = 0x0c,
    o_response = 0x10,
    o_buffer_data_port = 0x20,
    o_present_state = 0x24,
    o_host_control = 0x28,
    o_clock = 0x2c,
    o_status = 0x30,
    o_status_enable = 0x34,
    o_signal_enable = 0x38,
    o_auto_command_error = 0x3c,
    o_capabilities = 0x40,
    o_capabilities_high = 0x44,
    o_force_event = 0x50,
    o_adma_error = 0x54,
    o_adma_address = 0x58,
    o_adma_address_high = 0x5c,
    o_version = 0xfc,
};

enum TransferMode : u16 {
    m_dma = 1 << 0,
    m_block_count = 1 << 1,
    m_auto_cmd12 = 1 << 2,
    m_auto_cmd23 = 1 << 3,
    m_read = 1 << 4,
    m_multiple = 1 << 5,
    m_defined = 0x3f,
};

enum NormalStatus : u16 {
    s_command_complete = 1 << 0,
    s_transfer_complete = 1 << 1,
    s_dma = 1 << 3,
    s_write_ready = 1 << 4,
    s_read_ready = 1 << 5,
    s_clearable = 0xff,
    s_error = 1 << 15,
};

enum ErrorStatus : u16 {
    e_command_timeout = 1 << 0,
    e_data_timeout = 1 << 4,
    e_data_crc = 1 << 5,
    e_auto_command = 1 << 8,
    e_adma = 1 << 9,
    e_defined = 0x3ff,
};

enum AdmaError : u8 { a_fetching = 1, a_moving = 3, a_length_mismatch = 4 };

constexpr u8 power_on = 1;
constexpr u16 clock_internal = 1, clock_stable = 2, clock_card = 4;
constexpr u8 reset_all = 1, reset_command = 2, reset_data = 4;

// 50 MHz for time-outs and 52 MHz for cards, 8-bit embedded slot at 3.3 V, high speed, SDMA, ADMA2, 64-bit addresses.
constexpr u32 capabilities =
    50 | 1u << 7 | 52u << 8 | 1u << 18 | 1u << 19 | 1u << 21 | 1u << 22 | 1u << 24 | 1u << 28 | 1u << 30;
constexpr u32 specification_3 = 2;

}  // namespace viv::sdhci
