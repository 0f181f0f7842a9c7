// The engine's own supervisor binary interface, for kernels that are loaded without machine-mode firmware.
// Promises: SBI 2.0 base, TIME, IPI, RFENCE, HSM, SRST and DBCN, and the legacy calls 0 to 8; unknown calls answer
// SBI_ERR_NOT_SUPPORTED; any argument has a defined result. Specification: RISC-V Supervisor Binary Interface 2.0.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "engine/isa/riscv/hart.h"
#include "engine/mem/dma.h"

namespace viv::riscv {

class Sbi final : public SupervisorCalls {
public:
    struct Wiring {
        Dma dma;
        std::function<void(std::span<const u8>)> console;  // debug console output
        std::function<void()> shutdown;
        std::function<void()> reboot;
        host::Mutex* device_lock = nullptr;
        // Runs a section while no other hart executes; see BoardServices::exclusive.
        std::function<void(const std::function<void()>&)> exclusive;
    };

    explicit Sbi(Wiring wiring) : wiring_(std::move(wiring)) {}
    // Before the first call; the harts outlive this.
    void set_harts(std::vector<Hart*> harts) { harts_ = std::move(harts); }
    // A hart as this firmware hands it to a kernel: delegation, counters and PMP set, in supervisor mode at `pc` with
    // a0 = hart id, a1.
    static void hand_over(Hart& hart, u64 pc, u64 a1);

    void call(Hart& hart) override;

private:
    struct Answer {
        i64 error = 0;
        u64 value = 0;
    };
    Answer base(u64 function, u64 argument);
    Answer ipi(Hart& hart, u64 mask, u64 mask_base);
    Answer remote_fence(u64 function, Hart& hart);
    Answer hart_state(u64 function, Hart& hart);
    Answer system_reset(u64 type);
    Answer debug_console(u64 function, Hart& hart);
    bool legacy(u64 extension, Hart& hart, Answer& answer);
    // The harts of an SBI hart mask; empty if it names one that does not exist.
    std::vector<Hart*> select(u64 mask, u64 mask_base) const;

    Wiring wiring_;
    std::vector<Hart*> harts_;
};

}  // namespace viv::riscv
