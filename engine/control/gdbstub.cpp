// The debugger's session: packets in and out, running and stopping. Requests about registers, memory and the like are
// in gdb_requests.cpp. See gdbstub.h.
#include "engine/control/gdbstub.h"

#include <fmt/format.h>

#include <algorithm>

namespace viv {

namespace {

constexpr unsigned signal_interrupt = 2, signal_trap = 5;

}  // namespace

GdbStub::GdbStub(Machine& machine, CommandHost& host, Send send) : context_{machine, host}, send_(std::move(send)) {
    machine.add_listener(*this);
}

GdbStub::~GdbStub() {
    disconnected();
    context_.machine.remove_listener(*this);
}

void GdbStub::connected() {
    framing_ = {};
    last_sent_.clear();
    acknowledge_ = true;
    attached_ = true;
    waiting_ = false;
    tells_swbreak_ = tells_hwbreak_ = false;
    continue_thread_ = any_thread;
    context_.cpu = 0;
    stop_ = {};
    paused_by_us_ = context_.machine.state() == RunState::running;
    context_.machine.pause(StopReason::debug);
}

void GdbStub::disconnected() {
    if (attached_) detach();
}

void GdbStub::detach() {
    attached_ = false;
    waiting_ = false;
    points_.clear();
    apply_points();
    if (paused_by_us_ && context_.machine.state() == RunState::paused) context_.machine.resume();
}

void GdbStub::receive(std::span<const u8> bytes) {
    using Event = gdb::Framing::Event;
    for (const u8 byte : bytes) {
        switch (framing_.take(byte)) {
            case Event::nothing:
            case Event::acknowledged: break;
            case Event::refused:
                if (acknowledge_ && !last_sent_.empty()) send_(last_sent_);
                break;
            case Event::interrupt:
                context_.machine.pause(StopReason::user);
                paused_by_us_ = true;
                break;
            case Event::bad_checksum:
                if (acknowledge_) send_("-");
                break;
            case Event::too_large:
                if (acknowledge_) send_("+");
                reply("E22");
                break;
            case Event::packet: {
                if (acknowledge_) send_("+");
                const std::string payload = framing_.payload();
                handle(payload);
                break;
            }
        }
    }
}

void GdbStub::reply(std::string_view payload) {
    last_sent_ = gdb::packet(payload);
    send_(last_sent_);
}

std::string GdbStub::stop_text() const {
    if (context_.machine.state() == RunState::powered_off)
        return fmt::format("W{:02x}", context_.machine.exit_code() & 0xff);
    return fmt::format("T{:02x}thread:{:x};{}", stop_.signal, stop_.cpu + 1, stop_.reason);
}

void GdbStub::stop_reply() {
    if (!waiting_) return;
    waiting_ = false;
    context_.cpu = stop_.cpu;
    reply(stop_text());
}

std::string GdbStub::stop_reason(const Cpu::DebugEvent& event) const {
    if (event.kind == Cpu::DebugEvent::Kind::step) return {};
    if (event.kind == Cpu::DebugEvent::Kind::breakpoint) {
        const auto here = [&](u64 type) {
            return std::any_of(points_.begin(), points_.end(), [&](const Point& point) {
                return point.type == type && point.address == event.address;
            });
        };
        if (tells_hwbreak_ && here(1)) return "hwbreak:;";
        if (tells_swbreak_ && here(0)) return "swbreak:;";
        return {};
    }
    // gdb knows its watchpoint by an address inside it, but the access may begin before it.
    constexpr u64 widest_access = 64;
    const bool wrote = event.access == DebugPoints::Access::write;
    const Point* best = nullptr;
    for (const Point& point : points_) {
        const bool inside = event.address - point.address < point.length;
        const bool reached = point.address - event.address < widest_access;
        if (point.type < 2 || !(inside || reached) || point.type == (wrote ? 3U : 2U)) continue;
        if (best == nullptr || inside) best = &point;
    }
    if (best == nullptr) return {};
    constexpr const char* names[] = {"watch", "rwatch", "awatch"};
    const u64 address = event.address - best->address < best->length ? event.address : best->address;
    return fmt::format("{}:{:x};", names[best->type - 2], address);
}

void GdbStub::debug_stop(unsigned cpu, const Cpu::DebugEvent& event) {
    if (!attached_) return;
    stop_ = {signal_trap, cpu, stop_reason(event)};
    paused_by_us_ = true;
    stop_reply();
}

void GdbStub::stopped(StopReason reason) {
    if (reason == StopReason::debug) return;  // debug_stop() has told, or connected() will
    stop_.signal = signal_interrupt;
    stop_.reason.clear();
    stop_.cpu = context_.cpu;
    stop_reply();
}

void GdbStub::powered_off(int) { stop_reply(); }

void GdbStub::handle(std::string_view packet) {
    const char kind = packet.empty() ? '\0' : packet.front();
    const std::string_view rest = packet.empty() ? packet : packet.substr(1);
    switch (kind) {
        case '?': return reply(stop_text());
        case 'q':
            if (rest.starts_with("Rcmd,")) return monitor_command(rest.substr(5));
            return reply(general_query(rest));
        case 'Q': {
            const std::string answer = set_query(rest);
            reply(answer);
            if (rest == "StartNoAckMode") acknowledge_ = false;
            return;
        }
        case 'v': return verbose(rest);
        case 'H': return reply(choose_thread(rest));
        case 'T': {
            std::string_view text = rest;
            const auto thread = take_thread(text);
            return reply(thread && *thread != any_thread && *thread != all_threads && text.empty() ? "OK" : "E22");
        }
        case 'g': return reply(read_registers());
        case 'G': return reply(write_registers(rest));
        case 'p': return reply(read_register(rest));
        case 'P': return reply(write_register(rest));
        case 'm': return reply(read_memory(rest));
        case 'M': return reply(write_memory(rest, Encoding::hexadecimal));
        case 'X': return reply(write_memory(rest, Encoding::binary));
        case 'Z':
        case 'z': return reply(change_point(kind, rest));
        case 'c': return resume_one_way(rest, Action::go_on);
        case 's': return resume_one_way(rest, Action::step);
        case 'C':
        case 'S': {  // signals mean nothing to a machine: "C sig[;address]"
            std::string_view address = rest;
            if (!gdb::take_hex(address)) return reply("E22");
            gdb::take_char(address, ';');
            return resume_one_way(address, kind == 'C' ? Action::go_on : Action::step);
        }
        case 'D':
            reply("OK");
            if (attached_) {
                paused_by_us_ = true;  // detaching means letting it go
                detach();
            }
            return;
        case 'k': return context_.machine.quit();
        default: return reply({});
    }
}

// The old forms, with an address to go on from.
void GdbStub::resume_one_way(std::string_view address, Action action) {
    const u64 thread =
        continue_thread_ == any_thread || continue_thread_ == all_threads ? context_.cpu + 1 : continue_thread_;
    if (!address.empty()) {
        const auto pc = gdb::take_hex(address);
        Cpu& target = *cpus()[thread - 1];
        const auto row = std::find_if(target.registers().begin(), target.registers().end(),
                                      [](const Cpu::Register& candidate) { return candidate.name == "pc"; });
        if (!pc || !address.empty() || row == target.registers().end()) return reply("E22");
        std::vector<u8> bytes(row->bits / 8);
        for (usize i = 0; i < bytes.size(); i++) bytes[i] = i < 8 ? static_cast<u8>(*pc >> (8 * i)) : u8{0};
        if (!target.write_register(row->number, bytes)) return reply("E22");
    }
    std::vector<Action> actions(cpus().size(), Action::go_on);
    if (action == Action::step || (continue_thread_ != any_thread && continue_thread_ != all_threads)) {
        if (action == Action::go_on) std::fill(actions.begin(), actions.end(), Action::none);
        actions[thread - 1] = action;
    }
    resume_harts(actions);
}

void GdbStub::verbose(std::string_view packet) {
    if (packet == "Cont?") return reply("vCont;c;C;s;S");
    if (packet.starts_with("Cont;")) return continue_with_actions(packet.substr(5));
    if (packet.starts_with("Kill;")) {
        reply("OK");
        return context_.machine.quit();
    }
    reply({});  // vMustReplyEmpty and all that is not offered
}

// "s:1;c": the first action that fits a thread is its own.
void GdbStub::continue_with_actions(std::string_view text) {
    std::vector<Action> actions(cpus().size(), Action::none);
    for (;;) {
        const char kind = text.empty() ? '\0' : text.front();
        if (kind == '\0' || std::string_view("cCsS").find(kind) == std::string_view::npos) return reply("E22");
        text.remove_prefix(1);
        if ((kind == 'C' || kind == 'S') && !gdb::take_hex(text)) return reply("E22");
        const Action action = kind == 'c' || kind == 'C' ? Action::go_on : Action::step;
        u64 thread = all_threads;
        if (gdb::take_char(text, ':')) {
            const auto given = take_thread(text);
            if (!given) return reply("E22");
            thread = *given == any_thread ? context_.cpu + 1 : *given;
        }
        for (u64 i = 0; i < actions.size(); i++)
            if (actions[i] == Action::none && (thread == all_threads || thread == i + 1)) actions[i] = action;
        if (text.empty()) break;
        if (!gdb::take_char(text, ';')) return reply("E22");
    }
    resume_harts(actions);
}

void GdbStub::resume_harts(const std::vector<Action>& actions) {
    Machine& machine = context_.machine;
    waiting_ = true;
    stop_.reason.clear();
    if (machine.state() == RunState::powered_off) return stop_reply();
    const auto count = [&](Action action) { return std::count(actions.begin(), actions.end(), action); };
    const auto first = [&](Action action) {
        return static_cast<unsigned>(std::find(actions.begin(), actions.end(), action) - actions.begin());
    };
    if (count(Action::step) != 0) {
        // One thread steps; where several should, the chosen one does, and the others make some way beside it.
        const bool chosen_steps = actions[context_.cpu] == Action::step;
        const bool others = count(Action::step) + count(Action::go_on) > 1;
        return machine.step(chosen_steps ? context_.cpu : first(Action::step),
                            others ? Machine::Others::go_on : Machine::Others::stand_still);
    }
    if (count(Action::go_on) == 1 && actions.size() > 1)
        machine.resume_one(first(Action::go_on));
    else
        machine.resume();
}

void GdbStub::monitor_command(std::string_view hex) {
    const auto bytes = gdb::from_hex(hex);
    if (!bytes) return reply("E22");
    const std::string text = run_line(context_, {reinterpret_cast<const char*>(bytes->data()), bytes->size()}).text;
    constexpr usize at_once = gdb::packet_size / 4;
    for (usize at = 0; at < text.size(); at += at_once)
        reply("O" + gdb::to_hex(std::string_view(text).substr(at, at_once)));
    reply("OK");
}

}  // namespace viv
