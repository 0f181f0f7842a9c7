// Status, features, configuration and the dispatch of queue notifications for every virtio function. See virtio.h.
#include "engine/dev/virtio/virtio.h"

#include <algorithm>

#include "engine/lang/check.h"

namespace viv::virtio {

Function::Function(const Wiring& wiring, Identity identity)
    : wiring_(wiring),
      identity_(std::move(identity)),
      log_(wiring.log, std::string(identity_.kind)),
      deferred_timer_(wiring.timers, [this] { run_deferred(); }),
      rewound_timer_(wiring.timers, [this] { run_rewound(); }) {
    CHECK(identity_.queue_sizes.size() <= most_queues);
    identity_.features |= feature(version_1) | feature(ring_event_idx) | feature(ring_indirect_desc);
    queues_.reserve(identity_.queue_sizes.size());
    for (const u16 size : identity_.queue_sizes) queues_.emplace_back(wiring.dma, size);
}

void Function::choose(u64 features) {
    if ((s_.status & status_features_ok) != 0) return log_.guest("features written after FEATURES_OK are ignored");
    s_.features = features;
}

void Function::write_status(u8 value) {
    if (value == 0) return reset();
    u8 next = static_cast<u8>(value | (s_.status & status_needs_reset));
    if ((next & status_features_ok) != 0 && (s_.status & status_features_ok) == 0) {
        const bool known = (s_.features & ~identity_.features) == 0;
        if (!known || !negotiated(version_1) || !features_acceptable(s_.features)) {
            log_.guest("features {:#x} are refused (offered: {:#x})", s_.features, identity_.features);
            next = static_cast<u8>(next & ~status_features_ok);
        }
    }
    if ((next & status_driver_ok) != 0 && (next & status_features_ok) == 0) {
        log_.guest("DRIVER_OK without FEATURES_OK is ignored");
        next = static_cast<u8>(next & ~status_driver_ok);
    }
    const bool starting = (next & status_driver_ok) != 0 && (s_.status & status_driver_ok) == 0;
    s_.status = next;
    if (!starting || !running()) return;
    driver_ready();
    // A driver may have filled its queues before, when no notification counted.
    for (u16 i = 0; i < queue_count(); i++) kick(i);
}

u64 Function::read_config(u32 offset, unsigned size) const {
    const auto bytes = config();
    u64 value = 0;
    for (unsigned i = 0; i < size; i++)
        if (u64{offset} + i < bytes.size()) value |= u64{bytes[offset + i]} << (8 * i);
    return value;
}

void Function::write_config(u32 offset, unsigned size, u64 value) {
    if (!range_fits(offset, size, config().size())) return;
    u8 raw[8];
    store_le(raw, value);
    config_written(offset, std::span<const u8>(raw, size));
}

void Function::enable_queue(u16 index) {
    if (queues_[index].ready()) return;
    queues_[index].enable(s_.features);
}

void Function::disable_queue(u16 index) {
    if (!queues_[index].ready()) return;
    queues_[index].disable();
    rewind_chains();
}

void Function::allow_dma(bool allowed) {
    if (dma_allowed_ == allowed) return;
    dma_allowed_ = allowed;
    if (!allowed) return rewind_chains();
    for (u16 i = 0; i < queue_count(); i++)
        if (queues_[i].ready()) later(i);
}

// Takes every chain away from the device; those of queues that live on come again.
void Function::rewind_chains() {
    drop_chains();
    for (Queue& queue : queues_) queue.rewind();
    arm_rewound();
}

// Armed only if there is something to do: a timer more would change where a deterministic machine's slices end.
void Function::arm_rewound() {
    const bool any =
        std::any_of(queues_.begin(), queues_.end(), [](const Queue& queue) { return queue.has_rewound(); });
    rewound_timer_.arm(any ? timers().now_ns() : Timers::never);
}

void Function::run_rewound() {
    for (u16 i = 0; i < queue_count(); i++)
        if (queues_[i].has_rewound()) kick(i);
}

void Function::kick(u32 queue) {
    if (queue >= queues_.size()) return log_.guest("notification for queue {}, which does not exist", queue);
    if (running() && queues_[queue].ready()) dispatch(static_cast<u16>(queue));
}

void Function::dispatch(u16 queue) {
    dispatching_++;
    notify(queue);
    queues_[queue].ask_for_notification();  // the device may have left entries, and waits for more all the same
    dispatching_--;
    if (dispatching_ != 0) return;
    for (u64 left = std::exchange(unsignalled_, 0); left != 0; left &= left - 1)
        signal(static_cast<u16>(std::countr_zero(left)));
}

void Function::signal(u16 queue) {
    if (queues_[queue].take_interrupt() && transport_ != nullptr) transport_->used_buffer_notification(queue);
}

bool Function::pop(u16 queue, Chain& chain) {
    if (!running()) return false;
    switch (queues_[queue].pop(chain)) {
        case Pop::chain: return true;
        case Pop::empty: return false;
        case Pop::malformed: break;
    }
    needs_reset(queues_[queue].problem());
    return false;
}

void Function::push(u16 queue, const Chain& chain, u64 written) {
    fill(queue, chain, written);
    publish(queue);
}

void Function::fill(u16 queue, const Chain& chain, u64 written) {
    if (!running()) return;
    CHECK(written <= chain.writable_size());
    CHECK(queues_[queue].fill(chain, static_cast<u32>(written)) || queues_[queue].broken());
}

void Function::publish(u16 queue) {
    if (!running()) return;
    queues_[queue].publish();
    if (dispatching_ == 0) return signal(queue);
    unsignalled_ |= u64{1} << queue;
}

void Function::later(u16 queue) {
    s_.deferred |= u64{1} << queue;
    if (s_.deferred_deadline != Timers::never) return;
    s_.deferred_deadline = timers().now_ns() + later_ns;
    deferred_timer_.arm(s_.deferred_deadline);
}

void Function::run_deferred() {
    s_.deferred_deadline = Timers::never;
    for (u64 left = std::exchange(s_.deferred, 0); left != 0; left &= left - 1)
        kick(static_cast<u32>(std::countr_zero(left)));
}

void Function::config_changed() {
    s_.generation++;
    if ((s_.status & status_driver_ok) != 0 && transport_ != nullptr) transport_->configuration_change_notification();
}

void Function::needs_reset(std::string_view problem) {
    if ((s_.status & status_needs_reset) != 0) return;
    log_.guest("the device needs a reset: {}", problem);
    s_.status |= status_needs_reset;
    if ((s_.status & status_driver_ok) != 0 && transport_ != nullptr) transport_->configuration_change_notification();
}

void Function::reset() {
    drop_chains();
    for (Queue& queue : queues_) queue.reset();
    s_ = {};
    unsignalled_ = 0;
    deferred_timer_.cancel();
    rewound_timer_.cancel();
    device_reset();
}

void Function::state(Archive& a) {
    a(1, "features", s_.features);
    a(2, "status", s_.status);
    a(3, "generation", s_.generation);
    a(4, "deferred", s_.deferred);
    a(5, "deferred_deadline", s_.deferred_deadline);
    a.section(6, "queues", [&](Archive& inner) {
        u16 count = queue_count();
        inner(0, "count", count);
        inner.require(count == queue_count(), "count", "differs: the device was configured with other queues");
        const bool describing = !inner.loading() && !inner.saving();  // one queue stands for all
        for (u16 i = 0; i < (describing ? 1 : queue_count()); i++) inner(static_cast<u16>(i + 1), "queue", queues_[i]);
    });
    a.section(7, "device", [&](Archive& inner) { device_state(inner); });
    a(8, "dma_allowed", dma_allowed_);
    if (!a.loading()) return;
    const bool negotiated_good = (s_.status & status_features_ok) == 0 || (s_.features & ~identity_.features) == 0;
    a.require(negotiated_good, "features", "has features that this device, as configured, does not offer");
    if (!negotiated_good) s_.status = status_failed;
    s_.deferred &= low_mask(queue_count());
}

void Function::restored() {
    drop_chains();
    deferred_timer_.cancel();
    for (Queue& queue : queues_) queue.restored();
    device_restored();
    if (s_.deferred == 0) s_.deferred_deadline = Timers::never;
    deferred_timer_.arm(s_.deferred_deadline);
    arm_rewound();
}

}  // namespace viv::virtio
