// The interrupt causes of an 82574: ICR, ICS, IMS, IMC, IAM, the throttle ITR, and the timers that hold a cause back
// (RDTR and RADV, TIDV and TADV). Datasheet sections 7.4 and 10.2.4. Promises: level() is what INTA# shall be; it rises
// no more often than ITR allows, and `changed` is called whenever it may have changed.
#pragma once

#include <array>
#include <functional>

#include "engine/dev/net/e1000e_bits.h"
#include "engine/state/archive.h"
#include "engine/time/timers.h"

namespace viv::e1000e {

class Interrupts {
public:
    Interrupts(Timers& timers, std::function<void()> changed);

    bool level() const { return s_.asserted; }
    // Sets causes, as ICS does.
    void raise(u32 causes);

    // Reading clears if the interrupt is asserted or nothing is enabled; so does writing, the bits that are 1.
    u32 read_icr();
    void write_icr(u32 value);
    u32 ims() const { return s_.ims; }
    void enable(u32 causes);   // IMS
    void disable(u32 causes);  // IMC

    u32 iam = 0, itr = 0, ctrl_ext = 0;
    // Of MSI-X, which this card does not offer: they hold what is written.
    u32 ivar = 0, eiac = 0;
    std::array<u32, 5> eitr{};

    void reset();
    void state(Archive& a);
    void restored();

private:
    void update();
    void mask_automatically();

    Timers& timers_;
    std::function<void()> changed_;
    struct State {
        u32 icr = 0, ims = 0;
        bool asserted = false;
        u64 quiet_until_ns = 0;  // guest time before which the level may not rise
    } s_;
    Timer throttle_;
};

// A cause that waits for more of its kind: `delay` after the last event, but no longer than `absolute` after the first.
class DelayedCause {
public:
    static constexpr u64 unit_ns = 1024;

    DelayedCause(Timers& timers, Interrupts& interrupts);

    // Both in units; without a delay the causes are raised at once, without an absolute one it does not bound.
    void event(u32 causes, u16 delay, u16 absolute);
    // What waits is raised now.
    void flush();

    void reset();
    void state(Archive& a);
    void restored();

private:
    Timers& timers_;
    Interrupts& interrupts_;
    struct State {
        u32 causes = 0;
        u64 deadline_ns = Timers::never, latest_ns = Timers::never;
    } s_;
    Timer timer_;
};

}  // namespace viv::e1000e
