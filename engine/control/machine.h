// A machine from power-on to the end: the only door by which hosts (CLI, page, monitor, gdb stub) reach the engine.
// Promises: run() never blocks and returns within its budget; between two calls no hart runs, whether harts are run in
// turn or on parallel threads, so everything else here may be called then and from that thread only. Deterministic: how
// run() is sliced never changes what happens. Errors are Result; a guest can end none of this.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/board/board.h"
#include "engine/control/jobs.h"
#include "engine/host/threads.h"
#include "engine/lang/hash.h"
#include "engine/state/file.h"
#include "engine/time/replay.h"

namespace viv {

enum class Harts : u8 {
    in_turn,   // round robin on the caller's thread; deterministic if time is
    parallel,  // one thread a hart
};

// What a reset does, by whomever it is asked for.
enum class OnReset : u8 {
    start_again,
    power_off,  // with exit code 0
};

// How a new machine begins.
enum class Start : u8 {
    power_on,
    empty,  // paused, with nothing loaded: restore() or open() follows
};

struct MachineConfig {
    BoardConfig board;
    Start start = Start::power_on;
    Determinism determinism = Determinism::live;
    u64 seed = 1;  // of the deterministic entropy
    Harts harts = Harts::in_turn;
    OnReset on_reset = OnReset::start_again;  // the host's wish, not the machine's: no part of a saved file
    // Opaque to the engine: kept in saved files, so that the host can plug the same things in again.
    std::string launch;
};

struct MachineHost {
    host::Memory& memory;
    host::Clock& clock;
    host::Entropy& entropy;
    LogSink& log;
    host::Threads* threads = nullptr;         // needed for Harts::parallel
    host::CodeMemory* code_memory = nullptr;  // needed for Jit other than off
};

enum class RunState : u8 { running, paused, powered_off };

// Why the machine is in its state, with QMP's names in mind.
// guest_reset, host_reset: a reset with OnReset::power_off. host_error: the host has lost a part of the machine.
enum class StopReason : u8 { none, user, debug, guest_power_off, quit, restored, guest_reset, host_reset, host_error };

enum class ResetBy : u8 { guest, host };

// Upward events, delivered while no hart runs, on the thread that calls run() and the other members; a listener may
// call any of them but run() and step().
class MachineListener {
public:
    virtual ~MachineListener() = default;
    virtual void stopped(StopReason) {}
    virtual void resumed() {}
    virtual void was_reset(ResetBy) {}
    virtual void power_button_pressed() {}
    virtual void powered_off(int /*exit_code*/) {}
    virtual void job_changed(const Job&) {}
    // A break- or watchpoint, or the end of a single step, on this CPU.
    virtual void debug_stop(unsigned /*cpu*/, const Cpu::DebugEvent&) {}
};

// What was plugged in at the start, for "info block" and its like, and for whoever has to plug in the same again.
struct PluggedDevice {
    std::string id;  // the property "id", or the kind's name and a number: "virtio-blk-pci.0"
    std::string kind;
    std::map<std::string, std::string> properties;
    std::vector<std::string> ports;  // their names, of a console device
    // What it is connected to.
    enum class BackEnd : u8 { none, disk, net, folder } back_end = BackEnd::none;
    block::Disk* disk = nullptr;     // the device's own; null: none
    net::NetBackend* net = nullptr;  // the same
};

class Machine {
public:
    // A board of the catalogue, powered on and running (before its first instruction).
    static Result<std::unique_ptr<Machine>> create(MachineConfig config, const MachineHost& host);
    // The same with a board that the caller provides; `config.board.machine` is not looked at.
    static Result<std::unique_ptr<Machine>> create(MachineConfig config, const MachineHost& host,
                                                   const BoardKind& kind);
    ~Machine();

    struct Slice {
        u64 instructions = 4'000'000;  // in total over all harts, at most (in turn)
        u64 host_ns = 2'000'000;       // give up the thread after about this long (live time only)
    };
    struct Ran {
        RunState state = RunState::running;
        bool idle = false;  // every hart waits for an interrupt
        u64 idle_ns = 0;    // idle: nothing happens for so long unless the host brings input; ~0: for ever
    };
    // Not running: returns at once, as idle for ever.
    Ran run(const Slice& slice);
    // Makes a run() in progress, or else the next one, return soon. Callable from any thread and from signal handlers.
    void request_attention();

    RunState state() const;
    StopReason stop_reason() const;
    int exit_code() const;  // of powered_off

    void pause(StopReason reason = StopReason::user);
    // Goes on; past the breakpoint it stopped at, if that is where it is. Powered off: nothing happens.
    void resume();
    // As resume(), for one CPU; the others stand still until the next pause().
    void resume_one(unsigned cpu);
    // Power-on again: running or paused stays so, powered off becomes running. With OnReset::power_off: the end.
    Result<void> reset();
    // Asks the guest to power off by its power button; false if the board has none.
    bool press_power_button();
    void quit();  // powered_off at once, exit code 0

    Board& board();
    Timers& timers();
    // As given to create(), without what moved into the board (blobs, devices, serials: see Board::config).
    const MachineConfig& config() const;
    std::span<const PluggedDevice> plugged() const;
    // The host's number of the thread that executes this CPU: its own, or the caller's of run(). 0: the host has none.
    u64 thread_id(unsigned cpu) const;
    u64 instructions() const;  // over all harts since power-on, resets included
    // What this CPU's translator has done, with at most the `most` hottest translations; none: it only interprets.
    std::optional<exec::TranslatorReport> translator_report(unsigned cpu, usize most) const;

    // Listeners are called in order of addition and must outlive the machine or be removed.
    void add_listener(MachineListener& listener);
    void remove_listener(MachineListener& listener);

    enum class Hashed : u8 { everything, all_but_memory };
    // XXH3 over the state of CPUs, devices, board, clock, inlet and all of RAM.
    Hash128 hash(Hashed what = Hashed::everything);
    // What hash() sees but memory, as lines "component.field value".
    std::string listing();
    // A text schema of every state field ("device.field tag type") and of a saved file's head: tests/golden has the
    // one of each board.
    std::string schema();

    // Called at the moment whose state is taken or put in, while nothing runs and nothing of the machine has changed
    // yet: for what lies beside the machine and must be of the same moment. An error ends the whole undertaking.
    using Moment = std::function<Result<void>()>;
    // As it is now, at once.
    Result<void> save(ByteSink& sink, const Moment& moment = {});
    // As it is soon: it goes on meanwhile, and stands still for milliseconds. `saved` is called from run(), on its
    // thread, when the file is complete or cannot be; never, if the machine ends before. One at a time.
    using Saved = std::function<void(const Result<void>&)>;
    Result<void> begin_save(std::unique_ptr<ByteSink> sink, Saved saved, Moment moment = {});
    // Into a machine created with the same configuration (sizes, CPUs, devices, blobs), which is then paused with
    // StopReason::restored. On failure it is as it was; but restore() may find at last that the file cannot be read to
    // its end, and then it is to be dropped.
    Result<void> restore(std::shared_ptr<state::Source> source);
    // The same at once: memory comes when it is touched and, if the source is near, while the guest has nothing to do.
    // Should the source become unreadable before all is there, the machine ends with StopReason::host_error.
    Result<void> open(std::shared_ptr<state::Source> source, const Moment& moment = {});
    // The host has lost a part of the machine: it ends, with StopReason::host_error.
    void give_up();
    // What is under way for clients, whichever has asked for it; carried on by run().
    Jobs& jobs();
    // What is needed before restore() and open().
    struct SavedHead {
        std::string launch;
        std::string machine, cpu;
        u64 memory = 0;
        unsigned cpus = 0;
        bool deterministic = false;
        u64 seed = 0;
        Harts harts = Harts::in_turn;
        std::string append;
        // As plugged(), for hosts that do not understand `launch`; empty, too, in files of before this was written.
        std::vector<PluggedDevice> devices;
        std::optional<Blob> kernel, initrd, bios;  // what the guest's next reset loads; the source is kept open for it
        Hash128 identity;                          // of all that is in the file
    };
    static Result<SavedHead> read_head(std::shared_ptr<state::Source> source);

    enum class Others : u8 { stand_still, go_on };
    // One instruction on one CPU; then paused with StopReason::debug, and MachineListener::debug_stop has been called.
    // Breakpoints do not hinder it, watchpoints count. A CPU that waits is given the next timers; if that does not wake
    // it, it has not moved. The others: stand still, or execute some hundred instructions, so that locks are released.
    void step(unsigned cpu, Others others = Others::stand_still);
    DebugPoints& debug_points();  // after changing: debug_points_changed()
    void debug_points_changed();

    class Implementation;

private:
    explicit Machine(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace viv
