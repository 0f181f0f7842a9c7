// What `viv run` and `viv exec` share around a machine: host services, events, monitor and debugger endpoints, the last
// output. Promises: members are destroyed in the order that their references need; nothing here prints to standard
// output.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/control/machine.h"
#include "native/control_port.h"
#include "native/guest_catalog.h"
#include "native/host_network.h"
#include "native/launch.h"
#include "native/machine_loop.h"
#include "native/program_host.h"

namespace viv::native {

// Exit codes of the program besides the guest's own.
constexpr int exit_failed = 1, exit_bad_input = 2, exit_timeout = 124, exit_exec_failed = 125;

// One line on standard error; returns `code`.
int complain(const Error& error, int code);

// Builds the guest if it is known and not yet built. Otherwise 0; a failure has been told, and this is its exit code.
int ensure_guest(const GuestCatalog& catalog, const std::string& name);

struct ControlEndpoint {
    std::string option;
    Endpoint endpoint;
    ControlProtocol protocol = ControlProtocol::monitor;
};

class Session {
public:
    Session(LogLevel level, std::string machine_name) : host(level), program(std::move(machine_name)) {}
    ~Session() { drop_machine(); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    HostServices host;
    EventLoop events;
    ProgramHost program;
    Networks networks{events, host.log};

    void adopt(std::unique_ptr<Machine> machine);
    Machine& machine() { return *machine_; }
    MachineLoop& loop() { return *loop_; }
    // Ends the machine and the sessions that listen to it.
    void drop_machine();

    static Result<void> check_controls(const std::vector<ControlEndpoint>& controls);
    // After adopt(). Each is served by loop().
    Result<void> open_controls(const std::vector<ControlEndpoint>& controls);
    // The client on standard input and output has gone.
    bool controls_ended() const;

    u64 now_ns() { return host.clock.monotonic_ns(); }
    // Serves and waits while `pending` is not 0, at most `patience_ns`, and while `go_on` says so.
    void drain(const std::function<usize()>& pending, const std::function<bool()>& go_on, u64 patience_ns);
    // The same for what control clients have not read yet.
    void drain_controls(const std::function<bool()>& go_on);

private:
    std::unique_ptr<Machine> machine_;
    std::unique_ptr<MachineLoop> loop_;
    std::vector<std::unique_ptr<ControlPort>> controls_;
};

}  // namespace viv::native
