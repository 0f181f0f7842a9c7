// See e1000e_interrupts.h.
#include "engine/dev/net/e1000e_interrupts.h"

#include <algorithm>
#include <utility>

namespace viv::e1000e {

namespace {

constexpr u64 itr_unit_ns = 256;
constexpr u32 itr_interval = 0xffff;

}  // namespace

Interrupts::Interrupts(Timers& timers, std::function<void()> changed)
    : timers_(timers), changed_(std::move(changed)), throttle_(timers, [this] { update(); }) {}

void Interrupts::update() {
    if ((s_.icr & s_.ims) == 0) {
        s_.asserted = false;
        throttle_.cancel();
    } else if (!s_.asserted) {
        const u64 now = timers_.now_ns();
        if (now < s_.quiet_until_ns) {
            throttle_.arm(s_.quiet_until_ns);
        } else {
            s_.asserted = true;
            s_.quiet_until_ns = now + u64{itr & itr_interval} * itr_unit_ns;
        }
    }
    changed_();
}

void Interrupts::raise(u32 causes) {
    s_.icr |= causes & all_causes;
    update();
}

// With CTRL_EXT.IAME, acknowledging an interrupt masks what IAM says (10.2.4.6).
void Interrupts::mask_automatically() {
    if ((ctrl_ext & ctrl_ext_iame) != 0) s_.ims &= ~iam;
}

u32 Interrupts::read_icr() {
    const u32 value = s_.icr | (s_.asserted ? u32{int_asserted} : 0);
    if (s_.asserted) mask_automatically();
    if (s_.asserted || s_.ims == 0) s_.icr = 0;
    update();
    return value;
}

void Interrupts::write_icr(u32 value) {
    if (s_.asserted) mask_automatically();
    s_.icr &= ~value;
    update();
}

void Interrupts::enable(u32 causes) {
    s_.ims |= causes & all_causes;
    update();
}

void Interrupts::disable(u32 causes) {
    s_.ims &= ~causes;
    update();
}

void Interrupts::reset() {
    s_ = {};
    iam = itr = ctrl_ext = ivar = eiac = 0;
    eitr = {};
    update();
}

void Interrupts::state(Archive& a) {
    a(1, "icr", s_.icr);
    a(2, "ims", s_.ims);
    a(3, "asserted", s_.asserted);
    a(4, "quiet_until_ns", s_.quiet_until_ns);
    a(5, "iam", iam);
    a(6, "itr", itr);
    a(7, "ctrl_ext", ctrl_ext);
    a(8, "ivar", ivar);
    a(9, "eiac", eiac);
    a(10, "eitr", eitr);
    if (a.loading()) s_.icr &= all_causes, s_.ims &= all_causes;
}

void Interrupts::restored() { update(); }

DelayedCause::DelayedCause(Timers& timers, Interrupts& interrupts)
    : timers_(timers), interrupts_(interrupts), timer_(timers, [this] { flush(); }) {}

void DelayedCause::event(u32 causes, u16 delay, u16 absolute) {
    s_.causes |= causes;
    if (delay == 0) return flush();
    const u64 now = timers_.now_ns();
    if (s_.latest_ns == Timers::never && absolute != 0) s_.latest_ns = now + absolute * unit_ns;
    s_.deadline_ns = std::min(now + delay * unit_ns, s_.latest_ns);
    timer_.arm(s_.deadline_ns);
}

void DelayedCause::flush() {
    timer_.cancel();
    s_.deadline_ns = s_.latest_ns = Timers::never;
    if (const u32 causes = std::exchange(s_.causes, 0); causes != 0) interrupts_.raise(causes);
}

void DelayedCause::reset() {
    s_ = {};
    timer_.cancel();
}

void DelayedCause::state(Archive& a) {
    a(1, "causes", s_.causes);
    a(2, "deadline_ns", s_.deadline_ns);
    a(3, "latest_ns", s_.latest_ns);
}

void DelayedCause::restored() { timer_.arm(s_.deadline_ns); }

}  // namespace viv::e1000e
