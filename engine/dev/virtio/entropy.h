// virtio-rng: the guest's source of random bytes. OASIS virtio 1.2, section 5.4.
// Promises: bytes come from the machine's one inlet, so a deterministic machine repeats them; at most `max_bytes` in
// each period of guest time, the rest of a request waits for the next.
#pragma once

#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Entropy final : public Function {
public:
    struct Options {
        u64 max_bytes = u64{1} << 20;        // at least 1
        u64 period_ns = u64{1'000'000'000};  // at least 1 ms
    };

    Entropy(const Wiring& wiring, const Options& options);

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return {}; }
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;

private:
    void refill();

    Options options_;
    Timer period_;
    u64 left_;                        // bytes that may still be given in this period
    u64 period_end_ = Timers::never;  // never: no period is running, all of max_bytes is left
    Chain chain_;
};

}  // namespace viv::virtio
