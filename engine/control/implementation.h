// The inside of a Machine, shared by the files that implement it: machine.cpp (lifecycle), slices.cpp (harts in turn,
// debugging), snapshot.cpp. Promises: every event takes effect between two instructions, while no hart runs.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/control/machine.h"
#include "engine/control/parallel.h"
#include "engine/time/clock.h"

namespace viv {

class LazyMemory;
class Saving;
struct SavedTable;

// Where the round robin stands: part of the machine's state, so that a slice may be cut and a machine saved anywhere.
struct Turn {
    static constexpr u64 quantum =
        20'000;  // instructions; fixed, because a deterministic machine's course depends on it

    u32 hart = 0;
    u64 left = quantum;  // instructions of the quantum

    void state(Archive& a) {
        a(1, "hart", hart);
        a(2, "left", left, quantum);
    }
};

class Machine::Implementation final : public BoardEvents {
public:
    Implementation(MachineConfig config, const MachineHost& machine_host);
    ~Implementation() override;

    Result<void> build(BoardConfig board_config, const BoardKind& kind);

    // machine.cpp
    Ran run(const Slice& slice);
    void request_attention();
    void pause(StopReason why);
    void resume(std::optional<unsigned> only);
    Result<void> reset(ResetBy by);
    bool press_power_button();
    void finish(StopReason why, int code);
    u64 instructions() const;
    // While CPUs lose or load their counts, the total (and so deterministic time) stands still and goes on from there.
    void freeze_instructions(u64 total) { frozen_instructions = total; }
    void thaw_instructions();
    void power_off(int code) override;
    void reset_requested() override;
    template <class Call>
    void tell(Call call);
    void interrupt_running_cpu();
    // Lets power-off and reset requests take effect.
    void settle();

    // slices.cpp
    Ran run_in_turn(const Slice& slice);
    Ran run_parallel(const Slice& slice);
    u64 until_deadline();
    void account(unsigned hart, u64 executed);
    void debug_stop(unsigned hart);
    void run_past_breakpoint();
    Cpu::Exit step_once(Cpu& cpu);
    Cpu::DebugEvent finish_watch(Cpu& cpu);
    void step(unsigned hart, Others others);
    void debug_points_changed();
    bool runs_now(unsigned hart) const { return !only || *only == hart; }

    // snapshot.cpp
    struct Component {
        std::string kind;
        std::string name;
        std::function<void(Archive&)> state;
    };
    std::vector<Component> components();
    void turn_state(Archive& a);
    Hash128 hash(Hashed what);
    std::string listing();
    std::string schema();
    void describe(SavedHead& head) const;
    std::vector<u8> save_components();
    Result<void> load_components(std::span<const u8> bytes);
    Result<void> save(ByteSink& sink, const Moment& moment);
    Result<void> begin_save(std::unique_ptr<ByteSink> sink, Saved saved, Moment moment);
    void advance_saving();
    Result<void> restore(std::shared_ptr<state::Source> source);
    Result<void> begin_restore(std::shared_ptr<state::Source> source, const Moment& moment);
    void tell_restored();
    void bring_memory();
    void lose_memory(const Error& error);
    Result<void> fits(const SavedTable& table) const;

    MachineConfig config;
    MachineHost host;
    Log log;
    Inlet inlet;
    GuestClock clock;
    Timers timers;
    std::unique_ptr<host::Mutex> device_lock;
    std::unique_ptr<Board> board;
    std::vector<PluggedDevice> plugged;
    std::span<Cpu* const> cpus;
    std::unique_ptr<Parallel> parallel;  // null: in turn; its threads end before the board does

    RunState state = RunState::running;
    StopReason stop_reason = StopReason::none;
    int exit_code = 0;
    std::vector<MachineListener*> listeners;
    Jobs jobs;
    std::atomic<bool> attention{false};

    // Asked for by the board, under the device lock if there is one; settle() carries it out.
    enum class Pending : u8 { nothing, power_off, reset };
    Pending pending = Pending::nothing;
    int pending_code = 0;

    Turn turn;
    std::atomic<Cpu*> running_cpu{nullptr};  // in turn: the one inside Cpu::run
    u64 instruction_base = 0;  // instructions() minus what the CPUs count since their last reset, modulo 2^64

    std::optional<u64> frozen_instructions;

    std::unique_ptr<ByteSink> save_sink;
    Saved tell_saved;
    std::unique_ptr<Saving> saving;  // into save_sink

    bool memory_noted = false;  // by a saving: pages may be unchanged since then and not be zero

    std::unique_ptr<LazyMemory> lazy;  // null once all is here
    std::atomic<bool> memory_lost{false};

    DebugPoints points;
    DebugPoints only_watches;      // `points` without breakpoints: for going past one
    std::optional<unsigned> only;  // resume_one
    struct Breakpoint {
        unsigned hart = 0;
        u64 address = 0;
    };
    std::optional<Breakpoint> stopped_at;  // where resume() must go past
};

// A listener may remove itself or others while it is called.
template <class Call>
void Machine::Implementation::tell(Call call) {
    const auto present = listeners;
    for (MachineListener* listener : present)
        if (std::find(listeners.begin(), listeners.end(), listener) != listeners.end()) call(*listener);
}

}  // namespace viv
