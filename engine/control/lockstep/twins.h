// Two machines that are to do the same, side by side on one thread: run to the same instruction, given the same input
// there, compared, saved and put back together. Promises: everything is a function of what was typed at which stop:
// stops (a multiple of `every` instructions, or both waiting for ever) are the same whenever a run is done again, and
// wherever else it is cut.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/control/lockstep/port.h"
#include "engine/control/machine.h"

namespace viv::lockstep {

enum class Side : u8 { first, second };

// Makes the machines; they differ in what is to be compared and in nothing else.
class Maker {
public:
    virtual ~Maker() = default;
    virtual unsigned ports() const = 0;
    // A deterministic machine, powered on, whose ports end in `ports`. May be called again to do everything again: the
    // machines made before are gone then, and the new ones must start as those did.
    virtual Result<std::unique_ptr<Machine>> make(Side side, std::span<Port> ports) = 0;
    // The device's end; null if there is none.
    virtual ByteDevice* device(Machine& machine, unsigned port) = 0;
};

struct Checkpoint {
    u64 instructions = 0;
    u64 stops = 0;
    std::vector<u8> machine;  // as Machine::save() writes it; good for both
    std::vector<Port::State> ports;
};

class Twins {
public:
    // Nothing is there before power_on().
    Twins(Maker& maker, u64 every) : maker_(maker), every_(every) {}
    Twins(const Twins&) = delete;
    Twins& operator=(const Twins&) = delete;

    // Both machines anew, before their first instruction.
    Result<void> power_on();

    enum class At : u8 {
        cut,    // at `limit`, which is no stop
        stop,   // at a multiple of `every`: input may be typed
        idle,   // the first waits for ever, another stop: for input, or nothing more will happen
        ended,  // the first is no longer running
    };
    // Runs both to the first one's next stop, or to `limit` instructions if that comes earlier. A second that goes
    // another way is left where it is at that number of instructions, or where it cannot go on.
    At advance(u64 limit);
    // Only after a stop, and the same when it is reached again.
    void type(unsigned port, std::span<const u8> bytes);

    // Whether they are alike: what they have sent since power_on() or restore(), CPUs, devices, all but memory.
    bool same_state();
    bool same_memory();

    // Of both; they must be alike.
    Result<Checkpoint> save();
    Result<void> restore(const Checkpoint& checkpoint);

    Machine& machine(Side side) { return *machines_[static_cast<usize>(side)]; }
    std::span<Port> ports(Side side) { return ports_[static_cast<usize>(side)]; }
    u64 instructions() { return machines_[0]->instructions(); }  // the first's
    u64 stops() const { return stops_; }
    u64 every() const { return every_; }

private:
    Maker& maker_;
    u64 every_;
    std::array<std::vector<Port>, 2> ports_;
    std::array<std::unique_ptr<Machine>, 2> machines_;
    u64 stops_ = 0;
    bool same_output_ = true;
};

}  // namespace viv::lockstep
