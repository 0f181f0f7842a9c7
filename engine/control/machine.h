// A machine from power-on to the end: the only door through which hosts (CLI, page, monitor, gdb stub) reach the engine.
// Promises: run() never blocks and returns within its budget; between two calls no hart runs, whether harts are run in turn or on parallel
// threads, so everything else here may be called then and from that thread only. Errors are Result; a guest can end none of this.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/board/board.h"
#include "engine/host/threads.h"
#include "engine/lang/hash.h"
#include "engine/time/replay.h"

namespace viv {

enum class Harts : u8 {
    in_turn,   // round robin on the caller's thread; deterministic if time is
    parallel,  // one thread a hart
};

struct MachineConfig {
    BoardConfig board;
    Determinism determinism = Determinism::live;
    u64 seed = 1;             // of the deterministic entropy
    Harts harts = Harts::in_turn;
    std::string launch;       // opaque to the engine: kept in saved files, so that the host can plug the same things in again
};

struct MachineHost {
    host::Memory& memory;
    host::Clock& clock;
    host::Entropy& entropy;
    LogSink& log;
    host::Threads* threads = nullptr;  // needed for Harts::parallel
};

enum class RunState : u8 { running, paused, powered_off };

// Why the machine is in its state, with QMP's names in mind.
enum class StopReason : u8 { none, user, debug, guest_power_off, quit, restored };

// Upward events, delivered between slices on the thread that calls run().
class MachineListener {
public:
    virtual ~MachineListener() = default;
    virtual void stopped(StopReason) {}
    virtual void resumed() {}
    virtual void was_reset() {}
    virtual void powered_off(int /*exit_code*/) {}
    // A break- or watchpoint, or the end of a single step, on this CPU.
    virtual void debug_stop(unsigned /*cpu*/, const Cpu::DebugEvent&) {}
};

// Where saved files go to and come from; the host opens and closes them.
class ByteSink {
public:
    virtual ~ByteSink() = default;
    virtual Result<void> write(std::span<const u8> bytes) = 0;
};
class ByteSource {
public:
    virtual ~ByteSource() = default;
    // All of `out` or an error (also at the end of the file).
    virtual Result<void> read(std::span<u8> out) = 0;
};

class Machine {
public:
    static Result<std::unique_ptr<Machine>> create(MachineConfig config, const MachineHost& host);
    ~Machine();

    struct Slice {
        u64 instructions = 4'000'000;  // in total over all harts, at most (in turn)
        u64 host_ns = 2'000'000;       // give up the thread after about this long (live time only)
    };
    struct Ran {
        RunState state = RunState::running;
        bool idle = false;             // every hart waits for an interrupt
        u64 idle_ns = 0;               // idle: nothing will happen for so long unless the host brings input; ~0: for ever
    };
    Ran run(const Slice& slice);
    // Makes a run() in progress return soon. Callable from any thread and from signal handlers.
    void request_attention();

    RunState state() const;
    StopReason stop_reason() const;
    int exit_code() const;             // of powered_off

    void pause(StopReason reason = StopReason::user);
    void resume();
    Result<void> reset();
    // Asks the guest to power off by its power button; false if the board has none.
    bool press_power_button();
    void quit();                       // powered_off at once, exit code 0

    Board& board();
    Timers& timers();
    const MachineConfig& config() const;
    u64 instructions() const;          // over all harts since power-on

    // Listeners are called in order of addition and must outlive the machine or be removed.
    void add_listener(MachineListener& listener);
    void remove_listener(MachineListener& listener);

    // XXH3 over the state of CPUs, devices, board, clock, inlet and all of RAM.
    Hash128 hash();
    // A text schema of every state field ("device.field tag type"), for the golden schema.
    std::string schema();

    Result<void> save(ByteSink& sink);
    // Into a machine created with the same configuration (sizes, CPUs, devices); on failure the machine is unusable and must be dropped.
    Result<void> restore(ByteSource& source);
    // What is needed before restore(): reads the head of a saved file.
    struct SavedHead {
        std::string launch;
        std::string machine, cpu;
        u64 memory = 0;
        unsigned cpus = 0;
        bool deterministic = false;
    };
    static Result<SavedHead> read_head(ByteSource& source);

    // One instruction on one CPU, the others standing still; then paused with StopReason::debug.
    void step(unsigned cpu);
    DebugPoints& debug_points();       // after changing: debug_points_changed()
    void debug_points_changed();

private:
    class Implementation;
    explicit Machine(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace viv
