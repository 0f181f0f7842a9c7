// The words of SCSI that devices and their transports share: operation codes, status, sense, a command with its data.
// SPC-4, SBC-3 and MMC-6. Promises: no state; a command's data are spans that stay valid until its answer.
#pragma once

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::scsi {

enum Opcode : u8 {
    test_unit_ready = 0x00,
    request_sense = 0x03,
    read_6 = 0x08,
    write_6 = 0x0a,
    inquiry = 0x12,
    mode_select_6 = 0x15,
    mode_sense_6 = 0x1a,
    start_stop_unit = 0x1b,
    prevent_allow_medium_removal = 0x1e,
    read_capacity_10 = 0x25,
    read_10 = 0x28,
    write_10 = 0x2a,
    verify_10 = 0x2f,
    synchronize_cache_10 = 0x35,
    write_same_10 = 0x41,
    unmap = 0x42,
    read_toc = 0x43,
    get_configuration = 0x46,
    get_event_status_notification = 0x4a,
    read_disc_information = 0x51,
    mode_select_10 = 0x55,
    mode_sense_10 = 0x5a,
    read_16 = 0x88,
    write_16 = 0x8a,
    verify_16 = 0x8f,
    synchronize_cache_16 = 0x91,
    write_same_16 = 0x93,
    service_action_in_16 = 0x9e,  // READ CAPACITY (16)
    report_luns = 0xa0,
    read_12 = 0xa8,
    write_12 = 0xaa,
    verify_12 = 0xaf,
    mechanism_status = 0xbd,
};

enum class Status : u8 { good = 0x00, check_condition = 0x02, task_aborted = 0x40 };

struct Sense {
    u8 key = 0, code = 0, qualifier = 0;  // all zero: nothing to report
    bool operator==(const Sense&) const = default;
};

namespace sense {
constexpr Sense none{}, tray_open{2, 0x3a, 0x02}, no_medium{2, 0x3a, 0x01}, write_error{3, 0x0c, 0x00},
    read_error{3, 0x11, 0x00}, list_length{5, 0x1a, 0x00}, unknown_command{5, 0x20, 0x00}, out_of_range{5, 0x21, 0x00},
    bad_field{5, 0x24, 0x00}, no_such_unit{5, 0x25, 0x00}, bad_parameter{5, 0x26, 0x00},
    saving_unsupported{5, 0x39, 0x00}, removal_prevented{5, 0x53, 0x02}, medium_changed{6, 0x28, 0x00},
    power_on{6, 0x29, 0x00}, bus_reset{6, 0x29, 0x02}, unit_reset{6, 0x29, 0x03}, write_protected{7, 0x27, 0x00},
    miscompare{14, 0x1d, 0x00};
}

constexpr usize sense_size = 18;
// Fixed format, of the current command.
constexpr std::array<u8, sense_size> sense_data(const Sense& sense) {
    std::array<u8, sense_size> data{0x70};
    data[2] = sense.key;
    data[7] = sense_size - 8;
    data[12] = sense.code;
    data[13] = sense.qualifier;
    return data;
}

struct Answer {
    // overrun: the command moves more than there is room or data for; nothing was done.
    enum class Delivery : u8 { carried_out, overrun, aborted } delivery = Delivery::carried_out;
    Status status = Status::good;
    Sense sense;    // with check_condition
    u64 moved = 0;  // bytes of data, in the one direction that the command has
};

struct Command {
    std::array<u8, 16> cdb{};                 // zeros after a shorter one
    std::vector<std::span<u8>> data_out;      // for the device
    std::vector<std::span<u8>> data_in;       // room for its answer
    std::function<void(const Answer&)> done;  // called once, perhaps within submit(); not after abandon()
};

inline u64 room_of(const std::vector<std::span<u8>>& data) {
    u64 bytes = 0;
    for (const auto& piece : data) bytes += piece.size();
    return bytes;
}

// Parameter data as far as the command's allocation length goes: the bytes that were given, or nothing if the
// initiator has less room than it has allocated, which is an overrun.
inline std::optional<u64> give_data(const Command& command, std::span<const u8> bytes, u64 allocated) {
    if (allocated > room_of(command.data_in)) return std::nullopt;
    bytes = bytes.first(static_cast<usize>(std::min<u64>(allocated, bytes.size())));
    const u64 given = bytes.size();
    for (const auto& piece : command.data_in) {
        const usize part = std::min(piece.size(), bytes.size());
        std::copy_n(bytes.begin(), part, piece.begin());
        bytes = bytes.subspan(part);
    }
    return given;
}

}  // namespace viv::scsi
