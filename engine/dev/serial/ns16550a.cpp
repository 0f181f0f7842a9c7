// The 16550A's registers and its two FIFOs. See ns16550a.h. Transmission takes no time: a byte written is offered to
// the back end at once, and THRE says whether the FIFO is empty again.
#include "engine/dev/serial/ns16550a.h"

#include <algorithm>

namespace viv {

namespace {

constexpr u8 ier_received_data = 0x01, ier_thr_empty = 0x02, ier_line_status = 0x04, ier_modem_status = 0x08;
constexpr u8 iir_none = 0x01, iir_modem_status = 0x00, iir_thr_empty = 0x02, iir_received_data = 0x04,
             iir_line_status = 0x06, iir_timeout = 0x0c, iir_fifos = 0xc0;
constexpr u8 fcr_enable = 0x01, fcr_clear_receiver = 0x02, fcr_clear_transmitter = 0x04, fcr_kept = 0xc9;
constexpr u8 mcr_dtr = 0x01, mcr_rts = 0x02, mcr_out1 = 0x04, mcr_out2 = 0x08, mcr_mask = 0x1f;
constexpr u8 lsr_data_ready = 0x01, lsr_overrun = 0x02, lsr_errors = 0x1e, lsr_break = 0x10, lsr_thr_empty = 0x20,
             lsr_transmitter_empty = 0x40, lsr_fifo_error = 0x80;
constexpr u8 msr_cts = 0x10, msr_dsr = 0x20, msr_ri = 0x40, msr_dcd = 0x80, msr_lines = 0xf0, msr_teri = 0x04;
constexpr u8 power_on_divisor = 0x0c;  // the chip leaves it undefined; this is QEMU's
constexpr u64 second_ns = 1'000'000'000;

}  // namespace

void Ns16550a::Fifo::push(u8 byte, u8 error) {
    const usize at = (head + count) % fifo_depth;
    bytes[at] = byte;
    errors[at] = error;
    count++;
}

void Ns16550a::Fifo::pop() {
    head = (head + 1) % fifo_depth;
    count--;
}

void Ns16550a::Fifo::state(Archive& a) {
    // Saved from its head on, so that equal contents save as equal bytes.
    if (a.saving()) {
        std::rotate(bytes.begin(), bytes.begin() + head, bytes.end());
        std::rotate(errors.begin(), errors.begin() + head, errors.end());
        head = 0;
        std::fill(bytes.begin() + count, bytes.end(), u8{0});
        std::fill(errors.begin() + count, errors.end(), u8{0});
    }
    a(1, "bytes", bytes);
    a(2, "errors", errors);
    a(3, "count", count, fifo_depth);
    if (a.loading()) head = 0;
}

Ns16550a::Ns16550a(const Config& config, Wiring wiring)
    : config_(config), wire_(std::move(wiring)), timeout_(wire_.timers, [this] {
          s_.timeout_at_ns = Timers::never;
          s_.timeout_interrupt = true;
          sync();
      }) {
    if (config_.clock_hz == 0) config_.clock_hz = Config{}.clock_hz;
    s_.dll = power_on_divisor;
}

void Ns16550a::reset() {
    // What was written before the reset has left the chip as far as the guest could tell.
    drain();
    s_ = State{};
    s_.dll = power_on_divisor;
    sync();
    offer_room();
}

void Ns16550a::state(Archive& a) {
    a(1, "ier", s_.ier, 0x0f);
    a(2, "fcr", s_.fcr);
    a(3, "lcr", s_.lcr);
    a(4, "mcr", s_.mcr, mcr_mask);
    a(5, "scr", s_.scr);
    a(6, "dll", s_.dll);
    a(7, "dlm", s_.dlm);
    a(8, "line_errors", s_.line_errors, lsr_errors);
    a(9, "msr_delta", s_.msr_delta, 0x0f);
    a(10, "thre_interrupt", s_.thre_interrupt);
    a(11, "timeout_interrupt", s_.timeout_interrupt);
    a(12, "timeout_at_ns", s_.timeout_at_ns);
    a(13, "receiver_buffer", s_.receiver_buffer);
    a(14, "receiver", s_.receiver);
    a(15, "transmitter", s_.transmitter);
}

void Ns16550a::restored() {
    drain();
    sync();
    input_refused_ = true;
    offer_room();
}

const RegisterMap<Ns16550a, u8, 8>& Ns16550a::registers() {
    using Uart = Ns16550a;
    static constexpr RegisterMap<Uart, u8, 8> map{
        {0, "RBR/THR/DLL", [](Uart& u) { return u.dlab() ? u.s_.dll : u.read_rbr(); },
         [](Uart& u, u8 value) { u.dlab() ? void(u.s_.dll = value) : u.write_thr(value); }},
        {1, "IER/DLM", [](Uart& u) { return u.dlab() ? u.s_.dlm : u.s_.ier; },
         [](Uart& u, u8 value) { u.dlab() ? void(u.s_.dlm = value) : u.write_ier(value); }},
        {2, "IIR/FCR", [](Uart& u) { return u.read_iir(); }, [](Uart& u, u8 value) { u.write_fcr(value); }},
        {3, "LCR", [](Uart& u) { return u.s_.lcr; }, [](Uart& u, u8 value) { u.s_.lcr = value; }},
        {4, "MCR", [](Uart& u) { return u.s_.mcr; }, [](Uart& u, u8 value) { u.write_mcr(value); }},
        {5, "LSR", [](Uart& u) { return u.read_lsr(); }, nullptr},
        {6, "MSR", [](Uart& u) { return u.read_msr(); }, nullptr},
        {7, "SCR", [](Uart& u) { return u.s_.scr; }, [](Uart& u, u8 value) { u.s_.scr = value; }},
    };
    return map;
}

u64 Ns16550a::read(u64 offset, unsigned) {
    const auto* row = registers().find(offset);
    if (row == nullptr) {
        wire_.log.guest("read at {:#x}, where there is no register", offset);
        return 0;
    }
    const u8 value = row->read(*this);
    sync();
    offer_room();
    return value;
}

void Ns16550a::write(u64 offset, unsigned, u64 value) {
    const auto* row = registers().find(offset);
    if (row == nullptr || row->write == nullptr) {
        wire_.log.guest("write of {:#x} at {:#x} ({}) has no effect", value, offset, row ? row->name : "no register");
        return;
    }
    row->write(*this, static_cast<u8>(value));
    sync();
    offer_room();
}

// Receiver

u8 Ns16550a::trigger_level() const {
    constexpr u8 levels[4] = {1, 4, 8, 14};
    return fifos_on() ? levels[s_.fcr >> 6] : 1;
}

u64 Ns16550a::character_ns() const {
    const u64 divisor = std::max<u64>(1, u64{s_.dlm} << 8 | s_.dll);
    const u64 data_bits = 5 + (s_.lcr & 3), parity_bits = s_.lcr >> 3 & 1, stop_bits = s_.lcr & 4 ? 2 : 1;
    return (1 + data_bits + parity_bits + stop_bits) * 16 * divisor * second_ns / config_.clock_hz;
}

void Ns16550a::receive(u8 byte, u8 error) {
    Fifo& fifo = s_.receiver;
    if (fifo.count >= capacity()) {
        s_.line_errors |= lsr_overrun;
        if (fifos_on()) return;  // the byte is lost in the shift register; without FIFOs it replaces the one before
        fifo.clear();
    }
    fifo.push(byte, error);
    if (fifo.count == 1) show_errors_of_next();
    restart_timeout();
}

// Errors belong to a byte and show in LSR once it is the next to be read.
void Ns16550a::show_errors_of_next() {
    if (s_.receiver.count == 0) return;
    u8& errors = s_.receiver.errors[s_.receiver.head];
    s_.line_errors |= errors;
    errors = 0;
}

void Ns16550a::restart_timeout() {
    s_.timeout_interrupt = false;
    const bool waiting = fifos_on() && s_.receiver.count != 0;
    s_.timeout_at_ns = waiting ? wire_.timers.now_ns() + 4 * character_ns() : Timers::never;
}

u8 Ns16550a::read_rbr() {
    if (s_.receiver.count == 0) return s_.receiver_buffer;
    s_.receiver_buffer = s_.receiver.bytes[s_.receiver.head];
    s_.receiver.pop();
    show_errors_of_next();
    restart_timeout();
    return s_.receiver_buffer;
}

usize Ns16550a::put(std::span<const u8> bytes) {
    // In loopback SIN is disconnected: the input stays with the host rather than being lost.
    usize taken = 0;
    if (!loopback())
        for (; taken < bytes.size() && s_.receiver.count < capacity(); taken++) receive(bytes[taken], 0);
    if (taken < bytes.size()) input_refused_ = true;
    sync();
    return taken;
}

void Ns16550a::receive_break() {
    if (loopback()) return;
    receive(0, lsr_break);
    sync();
}

// Half a FIFO at a time, so that the host is not called for each byte the guest reads.
void Ns16550a::offer_room() {
    if (!input_refused_ || loopback() || s_.receiver.count > capacity() / 2) return;
    input_refused_ = false;
    wire_.backend.input_wanted();
}

// Transmitter

void Ns16550a::write_thr(u8 value) {
    s_.thre_interrupt = false;
    if (loopback()) {
        receive(value, 0);
        s_.thre_interrupt = s_.transmitter.count == 0;
        return;
    }
    if (s_.transmitter.count >= capacity()) {
        wire_.log.guest("THR written while the transmitter is full; the byte {:#x} is lost", value);
        return;
    }
    s_.transmitter.push(value, 0);
    drain();
}

void Ns16550a::drain() {
    Fifo& fifo = s_.transmitter;
    if (fifo.count == 0) return;
    while (fifo.count != 0) {
        const usize run = std::min<usize>(fifo.count, fifo_depth - fifo.head);
        const usize taken = std::min(run, wire_.backend.put(std::span<const u8>(fifo.bytes).subspan(fifo.head, run)));
        fifo.head = static_cast<u8>((fifo.head + taken) % fifo_depth);
        fifo.count = static_cast<u8>(fifo.count - taken);
        if (taken < run) return;
    }
    s_.thre_interrupt = true;
}

void Ns16550a::room_for_output() {
    drain();
    sync();
}

// Interrupts and control

void Ns16550a::write_ier(u8 value) {
    value &= 0x0f;
    // Enabling the interrupt with an empty transmitter raises it; drivers start sending that way.
    if ((value & ~s_.ier & ier_thr_empty) && s_.transmitter.count == 0) s_.thre_interrupt = true;
    s_.ier = value;
}

u8 Ns16550a::identify_interrupt() const {
    if ((s_.ier & ier_line_status) && s_.line_errors) return iir_line_status;
    if (s_.ier & ier_received_data) {
        if (s_.timeout_interrupt) return iir_timeout;
        if (s_.receiver.count >= trigger_level()) return iir_received_data;
    }
    if ((s_.ier & ier_thr_empty) && s_.thre_interrupt) return iir_thr_empty;
    if ((s_.ier & ier_modem_status) && s_.msr_delta) return iir_modem_status;
    return iir_none;
}

u8 Ns16550a::read_iir() {
    const u8 cause = identify_interrupt();
    if (cause == iir_thr_empty) s_.thre_interrupt = false;
    return cause | (fifos_on() ? iir_fifos : 0);
}

void Ns16550a::write_fcr(u8 value) {
    const bool toggled = (value ^ s_.fcr) & fcr_enable;
    if (toggled || (value & fcr_enable && value & fcr_clear_receiver)) {
        s_.receiver.clear();
        restart_timeout();
    }
    if (toggled || (value & fcr_enable && value & fcr_clear_transmitter)) {
        if (s_.transmitter.count != 0) s_.thre_interrupt = true;
        s_.transmitter.clear();
    }
    // The other bits are programmed only together with the enable bit.
    s_.fcr = value & fcr_enable ? value & fcr_kept : 0;
}

u8 Ns16550a::modem_lines() const {
    if (!loopback()) return msr_cts | msr_dsr | msr_dcd;  // a peer that is always ready
    u8 lines = 0;
    if (s_.mcr & mcr_rts) lines |= msr_cts;
    if (s_.mcr & mcr_dtr) lines |= msr_dsr;
    if (s_.mcr & mcr_out1) lines |= msr_ri;
    if (s_.mcr & mcr_out2) lines |= msr_dcd;
    return lines;
}

void Ns16550a::write_mcr(u8 value) {
    const u8 before = modem_lines();
    s_.mcr = value & mcr_mask;
    const u8 after = modem_lines();
    const u8 changed = before ^ after;
    // Of the ring indicator only the trailing edge counts.
    s_.msr_delta |= static_cast<u8>((changed & ~msr_ri) >> 4);
    if (before & ~after & msr_ri) s_.msr_delta |= msr_teri;
}

u8 Ns16550a::line_status() const {
    u8 lsr = s_.line_errors & lsr_errors;
    if (s_.receiver.count != 0) lsr |= lsr_data_ready;
    if (s_.transmitter.count == 0) lsr |= lsr_thr_empty | lsr_transmitter_empty;
    if (!fifos_on()) return lsr;
    bool error = s_.line_errors & ~lsr_overrun & lsr_errors;
    for (usize i = 0; i < s_.receiver.count; i++) error |= s_.receiver.errors[(s_.receiver.head + i) % fifo_depth] != 0;
    return error ? lsr | lsr_fifo_error : lsr;
}

u8 Ns16550a::read_lsr() {
    const u8 lsr = line_status();
    s_.line_errors = 0;
    return lsr;
}

u8 Ns16550a::read_msr() {
    const u8 msr = (modem_lines() & msr_lines) | s_.msr_delta;
    s_.msr_delta = 0;
    return msr;
}

void Ns16550a::sync() {
    timeout_.arm(s_.timeout_at_ns);
    wire_.irq.set(identify_interrupt() != iir_none);
}

}  // namespace viv
