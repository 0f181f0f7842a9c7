// A debugger's session by the GDB remote serial protocol (GDB manual, "Remote Serial Protocol"), for any transport:
// bytes in, bytes out. Harts are threads, numbered from 1; all-stop mode; `monitor` runs the rows of control/commands.
// Promises: input of any size and content costs bounded memory and never more than an error reply; a debugger that goes
// away leaves the machine running and without break- or watchpoints. One stub a machine: the points are its own.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/commands/command.h"
#include "engine/control/gdb_packets.h"
#include "engine/control/machine.h"

namespace viv {

class GdbStub final : private MachineListener {
public:
    // `send` takes bytes in order; called from receive() and wherever the machine tells events.
    using Send = std::function<void(std::string_view bytes)>;
    GdbStub(Machine& machine, CommandHost& host, Send send);
    ~GdbStub() override;  // as disconnected()
    GdbStub(const GdbStub&) = delete;
    GdbStub& operator=(const GdbStub&) = delete;

    // A debugger has connected: the machine is paused, as it expects.
    void connected();
    // The connection is gone: removes the points; the machine goes on if the debugger had stopped it.
    void disconnected();
    // Bytes from the debugger, cut anywhere. Called between slices.
    void receive(std::span<const u8> bytes);

private:
    static constexpr usize maximum_points = 1024;

    // Z packets: the type 0 to 4, the address, and for watchpoints the length.
    struct Point {
        u64 type = 0;
        u64 address = 0;
        u64 length = 0;
        bool operator==(const Point&) const = default;
    };
    struct Stop {
        unsigned signal = 5;
        unsigned cpu = 0;
        std::string reason;  // "watch:1000;"
    };
    enum class Action : u8 { none, go_on, step };

    void stopped(StopReason reason) override;
    void powered_off(int exit_code) override;
    void debug_stop(unsigned cpu, const Cpu::DebugEvent& event) override;

    void handle(std::string_view packet);
    void reply(std::string_view payload);
    void stop_reply();
    std::string stop_text() const;
    std::string stop_reason(const Cpu::DebugEvent& event) const;
    void resume_harts(const std::vector<Action>& actions);
    void resume_one_way(std::string_view rest, Action action);
    void detach();
    void apply_points();

    std::string general_query(std::string_view query);
    std::string set_query(std::string_view query);
    void verbose(std::string_view packet);
    void continue_with_actions(std::string_view actions);
    std::string transfer(std::string_view request);
    std::string choose_thread(std::string_view rest);
    std::string read_registers();
    std::string write_registers(std::string_view rest);
    std::string read_register(std::string_view rest);
    std::string write_register(std::string_view rest);
    std::string read_memory(std::string_view rest);
    enum class Encoding : u8 { hexadecimal, binary };
    std::string write_memory(std::string_view rest, Encoding encoding);
    std::string change_point(char way, std::string_view rest);
    void monitor_command(std::string_view hex);

    std::span<Cpu* const> cpus() const { return context_.machine.board().cpus(); }
    Cpu& cpu() const { return *cpus()[context_.cpu]; }
    // A thread's number: 0 for any, -1 (as max) for all; nothing if there is no such hart.
    static constexpr u64 any_thread = 0, all_threads = ~u64{0};
    std::optional<u64> take_thread(std::string_view& text) const;

    CommandContext context_;  // its CPU is the one of Hg
    Send send_;
    gdb::Framing framing_;
    std::string last_sent_;
    bool acknowledge_ = true;
    bool attached_ = false;
    bool paused_by_us_ = false;
    bool waiting_ = false;  // the debugger resumed the machine and waits for the stop
    bool tells_swbreak_ = false, tells_hwbreak_ = false;
    u64 continue_thread_ = any_thread;
    Stop stop_;
    std::vector<Point> points_;
};

}  // namespace viv
