// The controller's registers and commands. See sdhci.h; data are in sdhci_transfer.cpp.
#include "engine/dev/storage/sdhci.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/dev/catalog.h"
#include "engine/dev/properties.h"
#include "engine/dev/storage/sdhci_bits.h"

namespace viv {

using namespace sdhci;

namespace {

// QEMU's `sdhci-pci`.
constexpr pci::Identity identity{.vendor = 0x1b36,
                                 .device = 0x0007,
                                 .subsystem_vendor = 0x1af4,
                                 .subsystem = 0x1100,
                                 .class_code = 0x08'05'01,
                                 .revision = 0,
                                 .interrupt_pin = 1};

template <class T>
void merge(T& into, u32 value, u32 mask, u32 writable = ~u32{0}) {
    mask &= writable;
    into = static_cast<T>((into & ~mask) | (value & mask));
}

}  // namespace

Sdhci::Sdhci(const Wiring& wiring, std::unique_ptr<emmc::Volume> volume, u32 serial)
    : pci::Function(identity),
      wiring_(wiring),
      log_(wiring.log, "emmc"),
      resume_(wiring.timers,
              [this] {
                  resume_ns_ = Timers::never;
                  card_.go_on();
                  advance();
              }),
      card_({log_, [this] { card_settled(); }, [this] { later(); }}, std::move(volume), serial) {
    add_bar(memory_bar, pci::BarKind::memory32, memory_size, window_);
}

void Sdhci::device_reset() { software_reset(reset_all); }

u64 Sdhci::Window::read(u64 offset, unsigned size) {
    if (offset == o_buffer_data_port && size <= 4) return sdhci.read_data(size);
    u64 value = sdhci.read_word(static_cast<u32>(offset & ~u64{3})) >> (8 * (offset & 3));
    if (size == 8) value |= u64{sdhci.read_word(static_cast<u32>(offset + 4))} << 32;
    return value & low_mask(8 * size);
}

void Sdhci::Window::write(u64 offset, unsigned size, u64 value) {
    if (offset == o_buffer_data_port && size <= 4) return sdhci.write_data(size, static_cast<u32>(value));
    const unsigned shift = 8 * (offset & 3);
    const u32 mask = static_cast<u32>(low_mask(8 * std::min(size, 4u)) << shift);
    sdhci.write_word(static_cast<u32>(offset & ~u64{3}), static_cast<u32>(value << shift), mask);
    if (size == 8) sdhci.write_word(static_cast<u32>(offset + 4), static_cast<u32>(value >> 32), ~u32{0});
}

u32 Sdhci::read_word(u32 offset) const {
    const auto pair = [](u32 low, u32 high) { return low | high << 16; };
    switch (offset) {
        case o_sdma_address: return r_.sdma_address;
        case o_block: return pair(r_.block_size, r_.block_count);
        case o_argument: return r_.argument;
        case o_command: return pair(r_.transfer_mode, r_.command);
        case o_response:
        case o_response + 4:
        case o_response + 8:
        case o_response + 12: return r_.response[(offset - o_response) / 4];
        case o_present_state: return present_state();
        case o_host_control: return r_.host_control | u32{r_.power} << 8 | u32{r_.wakeup} << 24;
        case o_clock: return pair(r_.clock, r_.timeout);
        case o_status: return pair(r_.status | (r_.error != 0 ? s_error : 0), r_.error);
        case o_status_enable: return pair(r_.status_enable, r_.error_enable);
        case o_signal_enable: return pair(r_.status_signal, r_.error_signal);
        case o_auto_command_error: return r_.auto_command_error;
        case o_capabilities: return capabilities;
        case o_adma_error: return r_.adma_error;
        case o_adma_address: return static_cast<u32>(r_.adma_address);
        case o_adma_address_high: return static_cast<u32>(r_.adma_address >> 32);
        case o_version: return pair(asserts_interrupt() ? 1 : 0, specification_3);
        default: return 0;
    }
}

void Sdhci::write_word(u32 offset, u32 value, u32 mask) {
    const u32 high = mask >> 16;
    switch (offset) {
        case o_sdma_address:
            merge(r_.sdma_address, value, mask);
            // Its last byte sets SDMA going again (2.2.1).
            if ((mask >> 24) != 0 && t_.paused) {
                t_.paused = false;
                advance();
            }
            return;
        case o_block:
            if (t_.active) return;
            merge(r_.block_size, value, mask, 0x7fff);
            merge(r_.block_count, value >> 16, high);
            return;
        case o_argument: merge(r_.argument, value, mask); return;
        case o_command:
            if (!t_.active) merge(r_.transfer_mode, value, mask, m_defined);
            merge(r_.command, value >> 16, high, 0x3ffb);
            if ((mask >> 24) != 0) issue();
            return;
        case o_host_control: write_control(value, mask); return;
        case o_clock: write_clock(value, mask); return;
        case o_status:
            r_.status &= static_cast<u16>(~(value & mask & s_clearable));
            r_.error &= static_cast<u16>(~(value >> 16 & high));
            break;
        case o_status_enable:
            merge(r_.status_enable, value, mask, s_clearable);
            merge(r_.error_enable, value >> 16, high, e_defined);
            r_.status &= r_.status_enable;
            r_.error &= r_.error_enable;
            break;
        case o_signal_enable:
            merge(r_.status_signal, value, mask, s_clearable);
            merge(r_.error_signal, value >> 16, high, e_defined);
            break;
        case o_force_event:
            r_.auto_command_error |= static_cast<u16>(value & mask & 0x9f);
            raise_error(static_cast<u16>(value >> 16 & high & e_defined));
            return;
        case o_adma_address: r_.adma_address = (r_.adma_address & ~u64{mask}) | (value & mask); return;
        case o_adma_address_high:
            r_.adma_address = (r_.adma_address & ~(u64{mask} << 32)) | u64{value & mask} << 32;
            return;
        default: return;  // reserved, read-only, and host control 2: there is nothing in it to choose
    }
    update_interrupt();
}

void Sdhci::write_control(u32 value, u32 mask) {
    merge(r_.host_control, value, mask, 0xff);
    merge(r_.power, value >> 8, mask >> 8, 0xf);
    merge(r_.wakeup, value >> 24, mask >> 24, 7);
    if ((r_.power & power_on) != 0) return;
    card_.reset();
    command_busy_ = false;
    if (t_.active) fail_transfer(e_data_timeout);
}

void Sdhci::write_clock(u32 value, u32 mask) {
    merge(r_.clock, value, mask, 0xffe5);
    r_.clock &= static_cast<u16>(~clock_stable);
    if ((r_.clock & clock_internal) != 0) r_.clock |= clock_stable;
    merge(r_.timeout, value >> 16, mask >> 16, 0xf);
    const u8 resets = static_cast<u8>((value & mask) >> 24);
    if (resets != 0) software_reset(resets);
}

void Sdhci::software_reset(u8 which) {
    if ((which & reset_all) != 0) {
        r_ = {};
        card_.reset();
    }
    if ((which & (reset_all | reset_data)) != 0) {
        if (t_.active) card_.drop();
        t_ = {};
        if (!card_.busy()) {
            resume_ns_ = Timers::never;
            resume_.cancel();
        }
        r_.status &= static_cast<u16>(~(s_transfer_complete | s_dma | s_write_ready | s_read_ready));
        command_busy_ = false;
    }
    if ((which & reset_command) != 0) r_.status &= static_cast<u16>(~s_command_complete);
    update_interrupt();
}

u32 Sdhci::present_state() const {
    constexpr u32 card_is_there = 0xfu << 16, lines_are_high = 0x1eu << 20;  // but DAT0
    const bool data = t_.active || command_busy_;
    const bool ready = t_.active && !t_.dma && !t_.waiting && t_.at < t_.buffer.size();
    return card_is_there | lines_are_high | (data ? 6u : 1u << 20) | (t_.active && !t_.to_host ? 1u << 8 : 0) |
           (t_.active && t_.to_host ? 1u << 9 : 0) | (ready && !t_.to_host ? 1u << 10 : 0) |
           (ready && t_.to_host ? 1u << 11 : 0);
}

bool Sdhci::card_has_clock() const {
    constexpr u16 running = clock_internal | clock_card;
    return (r_.power & power_on) != 0 && (r_.clock & running) == running;
}

// A command register that has been written whole (2.2.6).
void Sdhci::issue() {
    const u16 command = r_.command;
    const u8 index = static_cast<u8>(command >> 8 & 0x3f);
    const bool data = bit(command, 5), waits = (command & 3) == 3, aborts = (command >> 6 & 3) == 3 || index == 12;
    if ((t_.active || command_busy_) && (data || waits) && !aborts)
        return log_.guest("CMD{} while the data lines are in use", index);
    if (!card_has_clock()) return raise_error(e_command_timeout);
    calling_card_ = true;
    if (data && (r_.transfer_mode & (m_auto_cmd12 | m_auto_cmd23)) == m_auto_cmd23) {
        const auto counted = card_.command(23, r_.sdma_address);
        if (counted.kind == emmc::Answer::Kind::none) {
            calling_card_ = false;
            r_.auto_command_error = 2;  // time-out
            return raise_error(e_auto_command);
        }
        r_.response[3] = counted.words[0];
    }
    const emmc::Answer answer = card_.command(index, r_.argument);
    calling_card_ = false;
    if (aborts) t_ = {};
    // It has been reset.
    if (t_.waiting && !card_.busy()) fail_transfer(e_data_timeout);
    command_busy_ = command_busy_ && card_.busy();
    if (answer.kind == emmc::Answer::Kind::none && (command & 3) != 0) return raise_error(e_command_timeout);
    take_answer(answer, command);
    raise(s_command_complete);
    if (data) return begin_transfer();
    if (!waits) return;
    command_busy_ = card_.busy();
    if (!command_busy_) raise(s_transfer_complete);
}

// Long ones without their CRC (2.2.7).
void Sdhci::take_answer(const emmc::Answer& answer, u16 command) {
    if (answer.kind == emmc::Answer::Kind::none) return;
    if ((command & 3) != 1) {
        r_.response[0] = answer.words[0];
        return;
    }
    for (usize i = 0; i < 4; i++) r_.response[i] = answer.words[3 - i] >> 8 | (i == 3 ? 0 : answer.words[2 - i] << 24);
}

void Sdhci::raise(u16 causes) {
    r_.status |= causes & r_.status_enable;
    update_interrupt();
}

void Sdhci::raise_error(u16 causes) {
    r_.error |= causes & r_.error_enable;
    update_interrupt();
}

void Sdhci::update_interrupt() {
    set_interrupt((r_.status & r_.status_signal) != 0 || (r_.error & r_.error_signal) != 0);
}

// The driver may have allowed the use of memory.
void Sdhci::config_written(u16, unsigned) { advance(); }

void Sdhci::device_state(Archive& a) {
    a(1, "sdma_address", r_.sdma_address);
    a(2, "block_size", r_.block_size, 0x7fff);
    a(3, "block_count", r_.block_count);
    a(4, "argument", r_.argument);
    a(5, "transfer_mode", r_.transfer_mode, m_defined);
    a(6, "command", r_.command);
    a(7, "response", r_.response);
    a(8, "host_control", r_.host_control);
    a(9, "power", r_.power);
    a(10, "wakeup", r_.wakeup);
    a(11, "timeout", r_.timeout);
    a(12, "clock", r_.clock);
    a(13, "status", r_.status, s_clearable);
    a(14, "error", r_.error, e_defined);
    a(15, "status_enable", r_.status_enable, s_clearable);
    a(16, "error_enable", r_.error_enable, e_defined);
    a(17, "status_signal", r_.status_signal, s_clearable);
    a(18, "error_signal", r_.error_signal, e_defined);
    a(19, "auto_command_error", r_.auto_command_error);
    a(20, "adma_error", r_.adma_error);
    a(21, "adma_address", r_.adma_address);
    a(22, "active", t_.active);
    a(23, "to_host", t_.to_host);
    a(24, "counted", t_.counted);
    a(25, "dma", t_.dma);
    a(26, "adma", t_.adma);
    a(27, "wide", t_.wide);
    a(28, "waiting", t_.waiting);
    a(29, "paused", t_.paused);
    a(30, "list_ended", t_.list_ended);
    a(31, "blocks_left", t_.blocks_left, 0xffff);
    a(32, "at", t_.at);
    a.bytes(33, "buffer", t_.buffer, largest_buffer);
    a(34, "descriptor", t_.descriptor);
    a(35, "piece_address", t_.piece_address);
    a(36, "piece_left", t_.piece_left, 0x1'0000);
    a(37, "piece_interrupts", t_.piece_interrupts);
    a(38, "idle_descriptors", t_.idle_descriptors);
    a(39, "command_busy", command_busy_);
    a(40, "resume", resume_ns_);
    a(41, "card", card_);
    a.require(t_.at <= t_.buffer.size(), "at", "is outside the buffer");
    a.require(t_.buffer.size() % emmc::block_size == 0, "buffer", "is no whole number of blocks");
    a.require(!t_.waiting || (t_.active && !t_.buffer.empty()), "waiting", "is for nothing");
}

void Sdhci::device_restored() {
    calling_card_ = false;
    card_.restored();
    // What the card had not answered is asked again, when the machine runs.
    if (t_.waiting || command_busy_) later();
    resume_.arm(resume_ns_);
    update_interrupt();
}

Result<std::unique_ptr<pci::Function>> Sdhci::create(DeviceSpec& spec, const Wiring& wiring) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    TRY_SET(const Properties properties, Properties::check(spec, kind->properties));
    TRY_SET(const u64 boot, properties.number("boot-size-mult", 0, 0, 255));
    TRY_SET(const u64 rpmb, properties.number("rpmb-size-mult", 0, 1, 128));
    TRY_SET(const u64 serial, properties.number("serial", 1, 0, ~u32{0}));
    if (spec.disk == nullptr) return Error{fmt::format("{}: no disk is connected to it; use file=FILE", spec.name)};
    const auto given = [&](std::string_view name, u64 value) {
        return properties.text(name) ? std::optional(value * emmc::size_unit) : std::nullopt;
    };
    TRY_SET(auto volume,
            emmc::Volume::open(std::move(spec.disk), given("boot-size-mult", boot), given("rpmb-size-mult", rpmb)));
    return std::unique_ptr<pci::Function>(std::make_unique<Sdhci>(wiring, std::move(volume), static_cast<u32>(serial)));
}

}  // namespace viv
