// What `viv run` and `viv exec` share around a machine: host services, events, signals, monitor and debugger endpoints, the end.
// Promises: members are destroyed in the order that their references need; nothing here prints to standard output.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control/gdbstub.h"
#include "engine/control/machine.h"
#include "native/control_port.h"
#include "native/guest_catalog.h"
#include "native/launch.h"
#include "native/machine_loop.h"
#include "native/program_host.h"
#include "native/terminal.h"

namespace viv::native {

// Exit codes of the program besides the guest's own.
constexpr int exit_failed = 1, exit_bad_input = 2, exit_timeout = 124, exit_exec_failed = 125;

// One line on standard error; returns `code`.
int complain(const Error& error, int code);

enum class Protocol : u8 { prompt, qmp, gdb };
struct ControlEndpoint {
    std::string option;
    Endpoint endpoint;
    Protocol protocol = Protocol::prompt;
};

// Builds the guest if it is named, known and not yet built. The result is an exit code: 0, or the failure has been told.
int ensure_guest(const GuestCatalog& catalog, const std::string& name);

class Session {
public:
    Session(LogLevel level, std::string machine_name);
    ~Session();

    HostServices host;
    EventLoop events;
    ProgramHost program;

    // The machine, once it is made. `loop` serves the controls.
    void adopt(std::unique_ptr<Machine> machine);
    Machine& machine() { return *machine_; }
    MachineLoop& loop() { return *loop_; }
    // Before the ports and streams that the machine's devices hold go.
    void drop_machine();

    static Result<void> check_controls(const std::vector<ControlEndpoint>& controls);
    Result<void> open_controls(const std::vector<ControlEndpoint>& controls);
    // A stdio client has gone.
    bool controls_ended() const;

    // Host time, for --timeout.
    u64 now_ns() { return host.clock.monotonic_ns(); }

    // Writes what waits for clients and standard streams, as long as somebody takes it within the patience.
    // `pending` says how much there is.
    void drain(const std::function<usize()>& pending, u64 patience_ns);

private:
    std::unique_ptr<ControlSession> accept(Protocol protocol, ControlPort::Send send);

    std::unique_ptr<Machine> machine_;
    std::unique_ptr<MachineLoop> loop_;
    std::vector<std::unique_ptr<ControlPort>> controls_;
};

}  // namespace viv::native
