// A machine in a worker: made from a description in JSON and files that the page has fetched, run in slices between
// turns of the event loop. Promises: run() returns within its time; nothing else runs while it does not; what is wrong
// with a description is one line that names the field.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/commands/command.h"
#include "engine/control/machine.h"
#include "web/worker/controls_web.h"
#include "web/worker/description.h"
#include "web/worker/disk_web.h"
#include "web/worker/host_web.h"
#include "web/worker/net_web.h"
#include "web/worker/saved_web.h"
#include "web/worker/serial_web.h"

namespace viv::web {

class Session final : public CommandHost {
public:
    Session();
    ~Session() override;
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Room for the file that the description calls by this name; null if there is no memory for it. Before start().
    u8* make_file(std::string name, u64 size);
    // The description: an object with any of
    //   board, cpu, append: strings; memory (bytes), cpus, seed: numbers; deterministic: boolean;
    //   jit: "off", the default, "quick" or "full"; jitCache: bytes for translations of each CPU, a multiple of 4096;
    //   kernel, initrd, bios: names of files given to make_file(), which are then used up;
    //   ports: names of console ports (virtio-serial) that JavaScript is at;
    //   display: boolean; the machine has a display, a keyboard and a pointer;
    //   disks: objects with source (a number that JavaScript has put something down for), url, kept and readOnly, as
    //   WebDisks has them;
    //   net: an object; the machine has a network card, and JavaScript is at its cable. mac: the card's address.
    Result<void> start(std::string_view description);

    // The saved machine behind this number (open_source); what JavaScript has put down there stays until the session
    // ends. Returns the identity of all that is in it. Then open() makes the machine, which goes on at once; `wishes`
    // is an object with any of jit, jitCache, ports and net, as above: of ports those that the machine was saved with,
    // and its first network card.
    Result<Hash128> look(u32 number);
    bool is_published() const { return source_ != nullptr && source_->reach == state::Source::Reach::far; }
    Result<void> open(std::string_view wishes);

    // The machine is written to saved() while it runs, if it is not being saved already.
    Result<void> begin_save();
    SavedOutput& saved() { return saved_; }

    // Runs for about so long. Returns after how many milliseconds there is something to do again, infinite if only
    // input can bring that, negative when the machine is off. No instruction past `last_instruction` is executed.
    double run(double milliseconds, u64 last_instruction);

    bool started() const { return machine_ != nullptr; }
    Machine& machine() { return *machine_; }
    // 0: the first serial port; from 1 on the ports asked for, in their order. Null: there are not so many.
    WebSerial* stream(unsigned number);
    WebNetwork& network() { return network_; }
    WebDisks& disks() { return disks_; }
    // A client of the machine's, for WebControls::open().
    Result<u32> open_control(std::string_view protocol) { return controls_.open(protocol, *machine_, *this); }
    WebControls& controls() { return controls_; }

    // Of a machine that ended because the page has lost a part of it: why.
    const std::string& problem() const { return log_.last_error(); }

    std::string_view version() override;
    std::string_view machine_name() override { return name_; }
    u64 realtime_ns() override { return clock_.realtime_ns(); }
    Result<std::unique_ptr<ByteSink>> create_file(std::string_view path) override;

private:
    Result<void> make(MachineConfig config);
    void connect();

    WebMemory memory_;
    WebCodeMemory code_memory_{memory_};
    WebClock clock_;
    WebEntropy entropy_;
    ConsoleLog log_{LogLevel::warning};
    WebSerial serial_;
    std::vector<Port> ports_;
    std::map<std::string, std::vector<u8>> files_;
    std::string name_;
    std::shared_ptr<state::Source> source_;  // between look() and open()
    std::optional<Machine::SavedHead> head_;
    SavedOutput saved_;
    WebNetwork network_;
    WebDisks disks_{entropy_};
    std::unique_ptr<Machine> machine_;
    WebControls controls_;
};

}  // namespace viv::web
