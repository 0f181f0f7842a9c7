// What the command line says, parsed and checked as far as that is possible without looking at the host.
// Promises: every error is one line that names the option or word at fault and what would be right, with the nearest
// name for a misspelling; nothing is opened, created or started here. Everything about a machine that a saved file must
// remember can be written back as options (machine_arguments).
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/board/board.h"
#include "engine/control/commands/command.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "native/endpoint.h"
#include "native/net_options.h"

namespace viv::native {

enum class OnOff : u8 { off, on };

// --disk [file=]F,format=qcow2,snapshot=on,readonly=on,backing=off,data-file=D,key-file=K; what remains are
// properties of the device (serial=...).
struct DiskOption {
    std::string file;
    std::string format;  // of engine/block/catalog.h; empty: by content
    OnOff snapshot = OnOff::off;
    OnOff read_only = OnOff::off;
    // What an image may name below it: nothing, files, or URLs as well.
    enum class Below : u8 { nothing, files, web } below = Below::files;
    std::string overlay;    // the qcow2 image over `file` that takes all writes; made if it is missing. Empty: none
    std::string data_file;  // where the image's data is; empty: as the image says
    std::string key_file;   // where the passphrase is (ciphers.h); empty: it is not encrypted
    std::map<std::string, std::string> device_properties;
};

// --share DIR:TAG[:ro]
struct ShareOption {
    std::string folder, tag;
    OnOff read_only = OnOff::off;
};

// --device NAME,key=value. `file` and its companions, `folder` and `net` say what is connected to it.
struct DeviceOption {
    std::string text, name;
    std::map<std::string, std::string> properties;
    std::optional<DiskOption> disk;
    std::optional<ShareOption> share;
    std::optional<NetOption> net;
};

// What makes the machine. Fields that were not given are empty: a guest's recipe or the board has defaults.
struct MachineOptions {
    std::string guest;
    std::string machine, cpu, kernel, initrd, bios;
    std::optional<std::string> append;
    std::optional<u64> memory;  // bytes
    std::optional<unsigned> cpus;
    std::vector<DiskOption> disks;
    std::optional<std::vector<NetOption>> nets;  // one card each; empty: none is wanted
    std::vector<ShareOption> shares;
    std::vector<DeviceOption> devices;
    OnOff display = OnOff::off;  // one is there, with keyboard and pointer, if `devices` has none
    OnOff deterministic = OnOff::off;
    std::optional<u64> seed;
    OnOff parallel_harts = OnOff::off;
    Jit jit = Jit::full;           // where the host has a backend
    std::optional<u64> jit_cache;  // bytes a CPU
    OnOff perf_map = OnOff::off;
};

struct RunOptions {
    MachineOptions machine;
    std::vector<Endpoint> serials;  // none given: standard input and output
    std::optional<Endpoint> monitor, qmp, gdb, vnc;
    OnOff paused = OnOff::off;
    OnOff no_reboot = OnOff::off;
    std::string restore, save_at_end;  // files; restore may be a folder or a URL
    std::string snapshots, point;      // the folder of points, and the one to start from
    std::optional<u64> maximum_instructions;
    OnOff print_hash = OnOff::off;
    std::optional<u64> timeout_ns;
    OnOff verbose = OnOff::off;
};

struct CopyOption {
    std::string from, to;
};

struct ExecOptions {
    MachineOptions machine;
    std::vector<std::string> command;
    std::vector<CopyOption> copy_in, copy_out;
    std::vector<std::string> environment;  // NAME=value
    std::string folder;                    // --cwd
    OnOff terminal = OnOff::off;           // --tty
    std::optional<u64> timeout_ns;
    std::optional<Endpoint> gdb, qmp;
    OnOff verbose = OnOff::off;
};

// Two machines that differ in their tier only, side by side.
struct LockstepOptions {
    MachineOptions machine;
    std::array<Jit, 2> tiers{};
    u64 every = 1'000'000;             // instructions between comparisons
    u64 memory_every = 256;            // comparisons between those of memory
    u64 maximum = ~u64{0};             // instructions
    std::string input;                 // --input: a file, "-" for standard input; empty: no input
    std::vector<std::string> command;  // in the guest; none: its console
    std::vector<CopyOption> copy_in;
    std::vector<std::string> environment;
    std::string folder;
    OnOff verbose = OnOff::off;
};

// Asks a running viv to save its machine.
struct SaveOptions {
    Endpoint from;
    std::string file;
};

// The points of a machine: asks a running viv, or looks into their folder.
struct SnapshotOptions {
    enum class What : u8 { create, restore, remove, list } what = What::list;
    std::optional<Endpoint> from;
    std::string folder;              // instead
    std::string name;                // but for list
    std::vector<std::string> disks;  // remove, in a folder: images whose snapshots go too
    OnOff json = OnOff::off;
};

// Makes a folder for a web server of a saved machine.
struct PublishOptions {
    std::string from, folder, name;
    OnOff rehearse = OnOff::on;
    std::string typed;  // in the rehearsal
};

// Machines, switches and links of one file.
struct LabOptions {
    std::string file, logs;
    OnOff check = OnOff::off;  // the file only
    OnOff test = OnOff::off;
    OnOff input = OnOff::on;  // lines for the machines, from standard input
    std::optional<u64> timeout_ns;
};

struct ListOptions {
    enum class What : u8 { machines, guests, devices } what = What::machines;
};

// About this host, or asks a running viv about its machine.
struct InfoOptions {
    enum class What : u8 { host, jit } what = What::host;
    Endpoint from;  // jit
    u64 most = HottestLimit::usual;
    OnOff json = OnOff::off;
};
inline constexpr std::array<std::string_view, 2> info_names{"host", "jit"};  // by InfoOptions::What

struct VersionOptions {};
struct HelpOptions {
    std::string text;  // to print
};

using Command = std::variant<RunOptions, ExecOptions, LockstepOptions, SaveOptions, SnapshotOptions, PublishOptions,
                             LabOptions, ListOptions, InfoOptions, VersionOptions, HelpOptions>;

// `arguments` without the program's name.
Result<Command> parse_command_line(std::span<const std::string> arguments);

// The machine's options as arguments that parse to the same again.
std::vector<std::string> machine_arguments(const MachineOptions& options);
Result<MachineOptions> parse_machine_arguments(std::span<const std::string> arguments);

}  // namespace viv::native
