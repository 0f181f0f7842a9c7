// Registers, opcodes and status of NVM Express, by the names of its base specification 1.4.
#pragma once

#include "engine/lang/bits.h"

namespace viv::nvme {

enum Offset : u32 {
    o_cap = 0x00,
    o_vs = 0x08,
    o_intms = 0x0c,
    o_intmc = 0x10,
    o_cc = 0x14,
    o_csts = 0x1c,
    o_aqa = 0x24,
    o_asq = 0x28,
    o_acq = 0x30,
    o_doorbells = 0x1000,
};

constexpr u32 version = 0x0001'0400;
enum Control : u32 { cc_en = 1, cc_css_mps_ams = 0x3ff0, cc_shn = 3 << 14, cc_writable = 0x00ff'fff1 };
enum Ready : u32 { csts_rdy = 1, csts_cfs = 2, csts_shst = 3 << 2, csts_shutting = 1 << 2, csts_shut = 2 << 2 };

enum Admin : u8 {
    a_delete_sq = 0x00,
    a_create_sq = 0x01,
    a_get_log = 0x02,
    a_delete_cq = 0x04,
    a_create_cq = 0x05,
    a_identify = 0x06,
    a_abort = 0x08,
    a_set_features = 0x09,
    a_get_features = 0x0a,
    a_event_request = 0x0c,
};
enum Io : u8 {
    i_flush = 0x00,
    i_write = 0x01,
    i_read = 0x02,
    i_compare = 0x05,
    i_write_zeroes = 0x08,
    i_dataset_management = 0x09,
};

enum StatusCode : u16 {
    s_success = 0x000,
    s_invalid_opcode = 0x001,
    s_invalid_field = 0x002,
    s_data_transfer_error = 0x004,
    s_abort_requested = 0x007,
    s_invalid_namespace = 0x00b,
    s_sequence_error = 0x00c,
    s_invalid_prp_offset = 0x013,
    s_lba_out_of_range = 0x080,
    s_invalid_completion_queue = 0x100,
    s_invalid_queue_id = 0x101,
    s_invalid_queue_size = 0x102,
    s_event_limit = 0x105,
    s_invalid_vector = 0x108,
    s_invalid_log = 0x109,
    s_invalid_queue_deletion = 0x10c,
    s_not_saveable = 0x10d,
    s_read_only = 0x182,
    s_write_fault = 0x280,
    s_read_error = 0x281,
    s_compare_failure = 0x285,
};

constexpr u16 most_event_requests = 4;
constexpr u32 all_namespaces = ~u32{0};

}  // namespace viv::nvme
