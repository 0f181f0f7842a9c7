// Commands and states of the card. See emmc_card.h; its data are in emmc_data.cpp.
#include "engine/dev/storage/emmc_card.h"

#include <algorithm>
#include <utility>

namespace viv::emmc {

namespace {

enum Command : u8 {
    go_idle_state = 0,
    send_op_cond = 1,
    all_send_cid = 2,
    set_relative_addr = 3,
    set_dsr = 4,
    sleep_awake_command = 5,
    switch_command = 6,
    select_card = 7,
    send_ext_csd = 8,
    send_csd = 9,
    send_cid = 10,
    stop_transmission = 12,
    send_status = 13,
    go_inactive_state = 15,
    set_blocklen = 16,
    read_single_block = 17,
    read_multiple_block = 18,
    set_block_count = 23,
    write_block = 24,
    write_multiple_block = 25,
    erase_group_start = 35,
    erase_group_end = 36,
    erase_command = 38,
};

constexpr u32 busy_or_boot_none = 1u << 31;  // OCR: the card is ready
constexpr u32 boot_initiation = 0xffff'fffa;
constexpr u32 voltages = 0x00ff'8080;

}  // namespace

Card::Card(const Wiring& wiring, std::unique_ptr<Volume> volume, u32 serial)
    : wiring_(wiring), serial_(serial), volume_(std::move(volume)), rpmb_(*volume_) {
    const Record& kept = volume_->opened_with();
    s_.modes[x_partition_config] = kept.partition_config & 0x78;
    s_.modes[x_boot_bus_conditions] = kept.boot_bus_conditions;
    s_.modes[x_rst_n_function] = kept.rst_n_function;
}

// CMD0 and power: what lasts are the boot settings.
void Card::reset() {
    drop();
    volume_->cancel();
    work_ = false;
    Modes modes{};
    modes[x_partition_config] = s_.modes[x_partition_config] & 0x78;
    modes[x_boot_bus_conditions] = s_.modes[x_boot_bus_conditions];
    modes[x_rst_n_function] = s_.modes[x_rst_n_function];
    s_ = {};
    s_.modes = modes;
    rpmb_.reset();
}

Answer Card::answer(State before) {
    const u32 word = s_.status | static_cast<u32>(before) << 9 | (busy() ? 0 : 1u << 8);
    s_.status = 0;
    return {Answer::Kind::word, {word}};
}

// No response, and the next one tells.
Answer Card::illegal(u8 index) {
    if (s_.state >= State::standby) s_.status |= illegal_command;
    if (s_.state >= State::transfer) wiring_.log.guest("CMD{} is not possible now", index);
    return {};
}

Answer Card::command(u8 index, u32 argument) {
    if (s_.state == State::inactive) return {};
    if (index != read_multiple_block && index != write_multiple_block && index != send_status) s_.block_count = 0;
    if (index == go_idle_state) {
        if (argument != boot_initiation) reset();
        return {};
    }
    if (busy() && index != send_status && index != stop_transmission && index != go_inactive_state)
        return illegal(index);
    switch (index) {
        case send_op_cond:
        case all_send_cid:
        case set_relative_addr: return identify(index, argument);
        case set_dsr: return {};
        case sleep_awake_command: return sleep_awake(argument);
        case select_card: return select(argument);
        case send_csd:
        case send_cid:
        case send_status:
        case go_inactive_state: return addressed(index, argument);
        case stop_transmission: return stop();
        default: break;
    }
    if (s_.state != State::transfer) return illegal(index);
    return transfer_command(index, argument);
}

Answer Card::identify(u8 index, u32 argument) {
    switch (index) {
        case send_op_cond: {
            if (s_.state != State::idle && s_.state != State::ready) break;
            if ((argument & voltages) != 0) s_.state = State::ready;
            return {Answer::Kind::word, {ocr(volume_->geometry().user) | busy_or_boot_none}};
        }
        case all_send_cid:
            if (s_.state != State::ready) break;
            s_.state = State::ident;
            return {Answer::Kind::register_bits, cid(serial_)};
        default:
            if (s_.state != State::ident) break;
            s_.rca = static_cast<u16>(argument >> 16);
            s_.state = State::standby;
            return answer(State::ident);
    }
    return illegal(index);
}

Answer Card::addressed(u8 index, u32 argument) {
    if (s_.state < State::standby || argument >> 16 != s_.rca) return {};
    if (index == send_status) return s_.state == State::sleep ? Answer{} : answer(s_.state);
    if (index == go_inactive_state) {
        drop();
        s_.state = State::inactive;
        return {};
    }
    if (s_.state != State::standby) return illegal(index);
    return {Answer::Kind::register_bits,
            index == send_cid ? cid(serial_) : csd(volume_->geometry().user, volume_->read_only())};
}

Answer Card::select(u32 argument) {
    const State before = s_.state;
    if (before < State::standby || before == State::sleep) return illegal(select_card);
    if (argument >> 16 == s_.rca) {
        if (before != State::standby) return illegal(select_card);
        s_.state = State::transfer;
        return answer(before);
    }
    drop();
    s_.state = State::standby;
    return {};
}

Answer Card::sleep_awake(u32 argument) {
    constexpr u32 to_sleep = 1 << 15;
    if (s_.state < State::standby || argument >> 16 != s_.rca) return {};
    const State before = s_.state, needed = (argument & to_sleep) != 0 ? State::standby : State::sleep;
    if (before != needed) return illegal(sleep_awake_command);
    s_.state = needed == State::standby ? State::sleep : State::standby;
    return answer(before);
}

Answer Card::transfer_command(u8 index, u32 argument) {
    const bool in_rpmb = area() == Area::rpmb;
    switch (index) {
        case switch_command: return switch_mode(argument);
        case set_blocklen:
            if (in_rpmb) return illegal(index);
            if (argument != block_size) s_.status |= block_len_error;
            return answer(State::transfer);
        case set_block_count:
            if (bit(argument, 30)) return illegal(index);  // packed
            s_.block_count = argument & 0xffff;
            s_.reliable = bit(argument, 31);
            return answer(State::transfer);
        case send_ext_csd: return begin_data(Flow::to_host, Source::ext_csd, 1, 0);
        case read_single_block:
        case write_block: {
            if (in_rpmb) return illegal(index);
            s_.reliable = false;
            return begin_data(index == write_block ? Flow::to_card : Flow::to_host, Source::area, 1, argument);
        }
        case read_multiple_block:
        case write_multiple_block: {
            const u32 count = std::exchange(s_.block_count, 0);
            if (in_rpmb && count == 0) return illegal(index);
            if (count == 0) s_.reliable = false;
            return begin_data(index == write_multiple_block ? Flow::to_card : Flow::to_host,
                              in_rpmb ? Source::rpmb : Source::area, count, argument);
        }
        case erase_group_start:
        case erase_group_end:
        case erase_command: return in_rpmb ? illegal(index) : erase(index, argument);
        default: return illegal(index);
    }
}

u64 Card::address_of(u32 argument) const {
    return volume_->geometry().user > byte_addresses ? u64{argument} * block_size : argument;
}

bool Card::write_protected() const {
    const bool boot = area() == Area::boot_1 || area() == Area::boot_2;
    return volume_->read_only() || (boot && s_.modes[x_boot_wp] != 0);
}

Answer Card::switch_mode(u32 argument) {
    const u8 index = static_cast<u8>(argument >> 16), given = static_cast<u8>(argument >> 8);
    const u32 access = argument >> 24 & 3;
    const u8 old = index < x_first_property ? s_.modes[index] : u8{0};
    const u8 value = access == 1 ? static_cast<u8>(old | given) : access == 2 ? static_cast<u8>(old & ~given) : given;
    const bool fixed = (index == x_boot_wp && value < old) || (index == x_rst_n_function && old != 0 && value != old);
    const bool good = access == 0 ? (argument & 7) == 0 : may_be(index, value, volume_->geometry()) && !fixed;
    // What has gone wrong is told by the next response: this one comes before.
    const Answer answered = answer(State::transfer);
    if (!good) {
        wiring_.log.guest("EXT_CSD[{}] cannot become {}", index, value);
        s_.status |= switch_error;
    }
    if (!good || access == 0) return answered;
    s_.modes[index] = value;
    s_.modes[x_boot_wp_status] = s_.modes[x_boot_wp] != 0 ? 0b0101 : 0;
    const bool lasting = index == x_boot_bus_conditions || index == x_rst_n_function ||
                         (index == x_partition_config && (value ^ old) >> 3 != 0);
    if (lasting && !volume_->read_only()) {
        s_.keeping = true;
        s_.state = State::programming;
        keep_modes();
    } else if ((index == x_flush_cache && value == 1) || (index == x_cache_ctrl && value < old) ||
               (index == x_power_off_notification && value >= 2)) {
        s_.flushing = true;
        s_.state = State::programming;
        flush();
    }
    return answered;
}

void Card::keep_modes() {
    work_ = true;
    const auto done = [this](bool ok) {
        if (!ok) s_.status |= switch_error;
        s_.keeping = false;
        settle();
    };
    volume_->load([this, done](bool ok) {
        if (!ok) return done(false);
        Record record = volume_->record();
        record.partition_config = s_.modes[x_partition_config] & 0x78;
        record.boot_bus_conditions = s_.modes[x_boot_bus_conditions];
        record.rst_n_function = s_.modes[x_rst_n_function];
        volume_->keep(record, done);
    });
}

void Card::flush() {
    work_ = true;
    volume_->flush([this](bool ok) {
        if (!ok) s_.status |= general_error;
        s_.flushing = false;
        s_.modes[x_flush_cache] = 0;
        settle();
    });
}

Answer Card::erase(u8 index, u32 argument) {
    constexpr u32 whole_groups = 0, trim = 1, discard = 3;
    const u64 size = volume_->size_of(area());
    if (index != erase_command) {
        const bool first = index == erase_group_start;
        if (!first && s_.erase_steps != 1) {
            s_.status |= erase_seq_error;
        } else if (address_of(argument) >= size) {
            s_.status |= address_out_of_range;
        } else {
            (first ? s_.erase_start : s_.erase_end) = align_down(address_of(argument), block_size);
            s_.erase_steps = first ? 1 : 2;
            return answer(State::transfer);
        }
        s_.erase_steps = 0;
        return answer(State::transfer);
    }
    const u8 steps = s_.erase_steps;
    s_.erase_steps = 0;
    if (steps != 2) {
        s_.status |= erase_seq_error;
    } else if (s_.erase_end < s_.erase_start || (argument != whole_groups && argument != trim && argument != discard)) {
        s_.status |= erase_param;
    } else if (write_protected()) {
        s_.status |= wp_violation;
    } else {
        u64 start = s_.erase_start, end = s_.erase_end + block_size;
        if (argument == whole_groups) {
            start = align_down(start, erase_group);
            end = std::min(align_up(end, erase_group), size);
        }
        s_.clear_position = start;
        s_.clear_length = end - start;
        s_.clear_how = argument == discard ? block::Operation::discard : block::Operation::write_zeroes;
        s_.state = State::programming;
        go_on();
    }
    return answer(State::transfer);
}

// An erase of the whole card is work for many slices.
void Card::go_on() {
    constexpr u64 at_once = 32 << 20;
    if (work_ || s_.clear_length == 0) return;
    const u64 length = std::min(s_.clear_length, at_once);
    work_ = true;
    volume_->clear(area(), s_.clear_position, length, s_.clear_how, [this, length](bool ok) {
        s_.clear_position += length;
        s_.clear_length -= length;
        if (!ok) {
            s_.status |= general_error;
            s_.clear_length = 0;
        }
        if (s_.clear_length == 0) return settle();
        work_ = false;
        wiring_.later();
    });
}

void Card::settle() {
    work_ = false;
    if (s_.state == State::programming) s_.state = State::transfer;
    wiring_.settled();
}

void Card::state(Archive& a) {
    a(1, "state", s_.state, static_cast<u64>(State::sleep));
    a(2, "rca", s_.rca);
    a(3, "status", s_.status);
    a(4, "modes", s_.modes);
    a(5, "block_count", s_.block_count);
    a(6, "reliable", s_.reliable);
    a(7, "flow", s_.flow, static_cast<u64>(Flow::to_card));
    a(8, "source", s_.source, static_cast<u64>(Source::rpmb));
    a(9, "counted", s_.counted);
    a(10, "blocks_left", s_.blocks_left, 0xffff);
    a(11, "position", s_.position);
    a(12, "erase_start", s_.erase_start);
    a(13, "erase_end", s_.erase_end);
    a(14, "erase_steps", s_.erase_steps);
    a(15, "clear_position", s_.clear_position);
    a(16, "clear_length", s_.clear_length);
    a(17, "clear_how", s_.clear_how, static_cast<u64>(block::Operation::write_zeroes));
    a(18, "keeping", s_.keeping);
    a(19, "flushing", s_.flushing);
    a.bytes(20, "frames", s_.frames, usize{Rpmb::most_response_frames} * frame_size);
    a(21, "rpmb", rpmb_);
    const auto partition = s_.modes[x_partition_config] & 7;
    a.require(partition <= 3, "modes", "select no partition");
    a.require(s_.position % block_size == 0, "position", "is within a block");
    for (const u64 place : {s_.erase_start, s_.erase_end, s_.clear_position, s_.clear_length})
        a.require(place % block_size == 0, "clear_position", "is within a block");
    a.require(s_.clear_length == 0 || s_.clear_how == block::Operation::discard ||
                  s_.clear_how == block::Operation::write_zeroes,
              "clear_how", "clears nothing");
}

void Card::restored() {
    volume_->cancel();
    work_ = failed_ = false;
    if (s_.keeping) return keep_modes();
    if (s_.flushing) return flush();
    if (s_.clear_length != 0) wiring_.later();
}

}  // namespace viv::emmc
