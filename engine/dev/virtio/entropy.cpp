// One queue of buffers to fill, and the allowance that bounds how fast. See entropy.h.
#include "engine/dev/virtio/entropy.h"

#include <algorithm>

#include "engine/dev/virtio/create.h"

namespace viv::virtio {

namespace {

constexpr u16 request_queue = 0, queue_size = 64;
constexpr u64 longest_answer = u64{64} << 10;  // bytes in one buffer: a driver takes what it gets
constexpr unsigned buffers_per_notification = 64;
constexpr u64 nanoseconds_per_millisecond = 1'000'000;

}  // namespace

Entropy::Entropy(const Wiring& wiring, const Options& options)
    : Function(wiring, {DeviceId::entropy, "virtio-rng", 0, {queue_size}}),
      options_(options),
      period_(wiring.timers, [this] { refill(); }),
      left_(options.max_bytes) {}

void Entropy::notify(u16) {
    for (unsigned i = 0; i < buffers_per_notification; i++) {
        if (left_ == 0 || !pop(request_queue, chain_)) return;  // without allowance the period's end goes on
        ChainWriter writer(chain_);
        u64 wanted = std::min({writer.remaining(), left_, longest_answer});
        while (wanted != 0) {
            const auto room = writer.front().first(std::min<u64>(writer.front().size(), wanted));
            inlet().entropy(room);
            writer.skip(room.size());
            wanted -= room.size();
        }
        left_ -= writer.written();
        if (period_end_ == Timers::never && writer.written() != 0) {
            period_end_ = timers().now_ns() + options_.period_ns;
            period_.arm(period_end_);
        }
        push(request_queue, chain_, writer.written());
    }
    later(request_queue);
}

void Entropy::refill() {
    left_ = options_.max_bytes;
    period_end_ = Timers::never;
    kick(request_queue);
}

// A reset does not refill the allowance: a driver could reset in a loop.
void Entropy::device_reset() {}

void Entropy::device_state(Archive& a) {
    a(1, "left", left_);
    a(2, "period_end", period_end_);
    if (a.loading()) left_ = std::min(left_, options_.max_bytes);
}

void Entropy::device_restored() { period_.arm(period_end_); }

Result<std::unique_ptr<Function>> make_entropy(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    Entropy::Options options;
    TRY_SET(options.max_bytes, properties.number("max-bytes", options.max_bytes, 1, u64{1} << 40));
    TRY_SET(const u64 period, properties.number("period", 1000, 1, 3'600'000));
    options.period_ns = period * nanoseconds_per_millisecond;
    return std::unique_ptr<Function>(std::make_unique<Entropy>(wiring, options));
}

}  // namespace viv::virtio
