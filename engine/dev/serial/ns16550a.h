// A 16550A UART: 16-byte FIFOs, line errors, loopback, prioritised interrupts, receive time-out.
// Promises: output is handed to the back end as it is written and never lost while the guest heeds LSR.THRE: what the
// back end does not take waits in the transmit FIFO. Input beyond the receive FIFO stays with the host. No access to
// any offset with any size and value has an undefined result.
// Specification: National Semiconductor PC16550D data sheet (June 1995), registers in section 8. One register a byte
// (register shift 0); a wider access is an access to the register at its offset with the low byte, as on QEMU's
// boards.
#pragma once

#include <array>
#include <string_view>

#include "engine/dev/device.h"
#include "engine/dev/pin.h"
#include "engine/dev/ports.h"
#include "engine/dev/registers.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"
#include "engine/time/timers.h"

namespace viv {

class Ns16550a final : public Device, public Mmio, public ByteDevice {
public:
    static constexpr u64 mmio_size = 8;
    static constexpr usize fifo_depth = 16;

    struct Config {
        // Input clock: 16 times the baud rate at divisor 1. The device tree must say the same.
        u32 clock_hz = 3'686'400;
    };
    struct Wiring {
        Pin& irq;
        // put() is called for each byte as it is written; one that is dear to call should collect until the slice ends.
        ByteBackend& backend;
        Timers& timers;
        Log log;
    };

    Ns16550a(const Config& config, Wiring wiring);

    std::string_view kind() const override { return "ns16550a"; }
    void reset() override;
    void state(Archive& a) override;
    void restored() override;

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

    usize put(std::span<const u8> bytes) override;
    void room_for_output() override;
    // The host sends a break condition: a zero byte with LSR.BI. Dropped, with LSR.OE, when the FIFO is full.
    void receive_break();

private:
    struct Fifo {
        std::array<u8, fifo_depth> bytes{};
        std::array<u8, fifo_depth> errors{};  // LSR bits that came with each byte
        u8 head = 0;
        u8 count = 0;
        void push(u8 byte, u8 error);
        void pop();
        void clear() { head = count = 0; }
        void state(Archive& a);
    };
    struct State {
        u8 ier = 0, fcr = 0, lcr = 0, mcr = 0, scr = 0, dll = 0, dlm = 0;
        u8 line_errors = 0;  // LSR bits 1 to 4 not yet read
        u8 msr_delta = 0;    // MSR bits 0 to 3 not yet read
        bool thre_interrupt = false;
        bool timeout_interrupt = false;
        u64 timeout_at_ns = Timers::never;
        u8 receiver_buffer = 0;  // what RBR shows while the FIFO is empty: the last byte read
        Fifo receiver, transmitter;
    };

    static const RegisterMap<Ns16550a, u8, 8>& registers();
    bool dlab() const { return s_.lcr & 0x80; }
    bool loopback() const { return s_.mcr & 0x10; }
    bool fifos_on() const { return s_.fcr & 0x01; }
    usize capacity() const { return fifos_on() ? fifo_depth : 1; }
    u8 trigger_level() const;
    u64 character_ns() const;

    u8 read_rbr();
    void write_thr(u8 value);
    void write_ier(u8 value);
    u8 identify_interrupt() const;
    u8 read_iir();
    void write_fcr(u8 value);
    void write_mcr(u8 value);
    u8 line_status() const;
    u8 read_lsr();
    u8 modem_lines() const;
    u8 read_msr();

    void receive(u8 byte, u8 error);
    void show_errors_of_next();
    void restart_timeout();
    void drain();
    void offer_room();
    void sync();

    Config config_;
    Wiring wire_;
    Timer timeout_;
    bool input_refused_ = false;  // the host is waiting for input_wanted(); told again after a restore, so not state
    State s_;
};

}  // namespace viv
