// From options to a machine: the guest's defaults, files, disks, shares and devices, plugged together.
// Promises: everything that can be found wrong is found before anything is created or opened for writing; errors name
// the option. What a saved file must know to be restored is in MachineConfig::launch.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control/machine.h"
#include "native/arrival.h"
#include "native/guest_catalog.h"
#include "native/host_network.h"
#include "native/host_posix.h"
#include "native/options.h"

namespace viv::native {

// The engine's view of this host; outlives the machine.
struct HostServices {
    explicit HostServices(LogLevel level) : log(level) {}
    MachineHost machine_host() { return {memory, clock, entropy, log, &threads, &code_memory}; }

    PosixMemory memory;
    PosixCodeMemory code_memory;
    PosixClock clock;
    PosixEntropy entropy;
    PosixThreads threads;
    StandardErrorLog log;
};

// What the caller connects: the host's ends of serial ports and of the agent's console port.
struct Connections {
    std::vector<ByteBackend*> serials;
    ByteBackend* agent = nullptr;  // null: no such port
    std::string agent_port;        // its name
    Networks* networks = nullptr;  // null: only networks that depend on the machine alone
};

// A machine that has been described completely but not yet made.
struct Launch {
    MachineConfig config;  // devices and serials are added by make_machine()
    std::optional<Guest> guest;
    std::string agent_port;  // the console port of the guest's agent; empty: it has none
    MachineOptions options;  // as given, or as saved
    std::string restore;     // the saved machine's name, if it is one
    std::shared_ptr<state::Source> saved;
    std::shared_ptr<Arrival> arrival;  // of `saved`, if that is far
    OnOff perf_map = OnOff::off;
};

// `purpose` decides what is added to the guest's kernel command line.
enum class Purpose : u8 { console, exec };

// What can be found wrong with the options without touching more than their files: before a guest is built, which may
// take minutes.
Result<void> check_machine(const MachineOptions& options);
// Finds the built guest, reads kernel, initrd and firmware. `extra_append` is added to the kernel command line of a
// guest.
Result<Launch> prepare_launch(const MachineOptions& options, const GuestCatalog& catalog, Purpose purpose,
                              const std::string& extra_append);
// The same from a saved file's head; `options` may give disks, shares, devices and the mode of harts only.
Result<Launch> prepare_restore(const std::string& file, const MachineOptions& options, const GuestCatalog& catalog);

// Opens disks and shares and makes the machine; for a saved one, restores it (it is paused then).
Result<std::unique_ptr<Machine>> make_machine(Launch launch, const Connections& connections, HostServices& host);

// --memory against what this host has.
Result<void> check_host_memory(u64 bytes, u64 host_bytes);
u64 host_memory_bytes();

}  // namespace viv::native
