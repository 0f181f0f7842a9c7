// What every virtio device is, apart from how the guest reaches it: identity, features, configuration space, queues,
// status. A transport (mmio.h, pci.h) owns one Function, shows it to the guest and carries its interrupts. OASIS
// virtio 1.2, sections 2 and 3. Promises: a modern device only (VERSION_1 is required); whatever a driver does has a
// defined result; a malformed ring costs one rate-limited line and DEVICE_NEEDS_RESET, after which no queue is touched
// until the driver resets the device.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/dev/device.h"
#include "engine/dev/ports.h"
#include "engine/dev/virtio/queue.h"
#include "engine/lang/log.h"
#include "engine/mem/dma.h"
#include "engine/time/replay.h"
#include "engine/time/timers.h"

namespace viv::input {
class InputDevice;
}
namespace viv::display {
class DisplayDevice;
}
namespace viv::scsi {
class Bus;
}

namespace viv::virtio {

enum class DeviceId : u16 {
    net = 1,
    block = 2,
    console = 3,
    entropy = 4,
    balloon = 5,
    scsi = 8,
    transport_9p = 9,
    gpu = 16,
    input = 18
};

enum StatusBit : u8 {
    status_acknowledge = 1,
    status_driver = 2,
    status_driver_ok = 4,
    status_features_ok = 8,
    status_needs_reset = 64,
    status_failed = 128,
};

// How a function reaches the driver. Implemented by the transports.
class Transport {
public:
    virtual ~Transport() = default;
    virtual void used_buffer_notification(u16 queue) = 0;
    virtual void configuration_change_notification() = 0;
};

// What a function is wired to; everything outlives it.
struct Wiring {
    Dma& dma;
    Timers& timers;
    Inlet& inlet;
    LogSink& log;
};

class Function : public Device {
public:
    static constexpr usize most_queues = 64;
    static constexpr u64 later_ns = 1000;

    struct Identity {
        DeviceId id;
        std::string_view kind;  // "virtio-blk"; static storage
        u64 features = 0;       // the device's own; the ring features and VERSION_1 are added
        std::vector<u16>
            queue_sizes;  // the maximum of each queue, powers of two up to Queue::largest; at most `most_queues`
    };

    Function(const Wiring& wiring, Identity identity);

    // The transport's side.
    void connect(Transport& transport) { transport_ = &transport; }
    DeviceId id() const { return identity_.id; }
    u64 offered() const { return identity_.features; }
    void offer(u64 features) { identity_.features |= features; }  // more of them, before a driver looks
    u64 chosen() const { return s_.features; }
    void choose(u64 features);  // ignored once FEATURES_OK is set
    u8 status() const { return s_.status; }
    void write_status(u8 value);  // 0 resets
    u8 generation() const { return s_.generation; }
    // 1 to 8 bytes at any offset; outside the space reads are 0 and writes are ignored.
    u64 read_config(u32 offset, unsigned size) const;
    void write_config(u32 offset, unsigned size, u64 value);
    u16 queue_count() const { return static_cast<u16>(queues_.size()); }
    Queue& queue(u16 index) { return queues_[index]; }  // index < queue_count()
    void enable_queue(u16 index);
    void disable_queue(u16 index);
    // The driver's notification: any value; what does not name a ready queue of a running device is ignored.
    void kick(u32 queue);
    // Whether rings and buffers may be touched.
    bool running() const {
        return dma_allowed_ && (s_.status & (status_driver_ok | status_needs_reset)) == status_driver_ok;
    }
    // PCI's bus master enable bit; on from the start, not changed by reset().
    void allow_dma(bool allowed);

    // A console's port by name, for the board; null where there is none.
    virtual ByteDevice* port(std::string_view /*name*/) { return nullptr; }
    // The host's side of a keyboard, mouse or tablet, and of a display adapter; null elsewhere.
    virtual input::InputDevice* input() { return nullptr; }
    virtual display::DisplayDevice* display() { return nullptr; }
    // What the units of a SCSI host adapter are attached to; null elsewhere.
    virtual scsi::Bus* scsi_bus() { return nullptr; }

    std::string_view kind() const final { return identity_.kind; }
    void reset() final;
    void state(Archive& a) final;
    void restored() final;

protected:
    // What a device must provide. `notify` is called only while running and with a ready queue; it takes chains with
    // pop() until there are none, or, so that a guest cannot keep it for ever, until it has done a bounded amount of
    // work and asked for the rest with later().
    virtual void notify(u16 queue) = 0;
    // The configuration space as the guest reads it now (the device keeps the bytes; little endian). Call
    // config_changed() when it changes by itself.
    virtual std::span<const u8> config() const = 0;
    // To power-on state.
    virtual void device_reset() = 0;
    // Archive tags of the device's own, from 1. Chains are not saved: those in flight are popped again after
    // restored().
    virtual void device_state(Archive& a) = 0;

    // What a device may provide.
    virtual bool features_acceptable(u64 /*features*/) const { return true; }  // for bits that need one another
    virtual void config_written(u32 /*offset*/, std::span<const u8> /*bytes*/) {}
    virtual void driver_ready() {}  // DRIVER_OK was set
    // Every chain that the device holds between calls is void from now on: it must not push it, nor touch its bytes,
    // nor let a back end do so. Called on reset, when a queue is disabled, when bus mastering is taken away and after
    // loading. Where the queue lives on, its chains come again from pop().
    virtual void drop_chains() {}
    // After loading, before any chain comes again. Guest RAM is loaded already.
    virtual void device_restored() {}

    // Services.
    // The next chain, or false: none now, or the ring is malformed (the device then needs a reset).
    bool pop(u16 queue, Chain& chain);
    void unpop(u16 queue, const Chain& chain) { queues_[queue].unpop(chain); }
    // Returns a chain with `written` bytes in its writable part. The interrupt follows by itself, at the end of
    // notify() or else at once.
    void push(u16 queue, const Chain& chain, u64 written);
    // As push, for several chains that the driver must see at the same time: fill each, then publish.
    void fill(u16 queue, const Chain& chain, u64 written);
    void publish(u16 queue);
    // Calls notify(queue) again soon, from the timers (`later_ns` of guest time).
    void later(u16 queue);
    // New configuration: the generation counts up, the driver is interrupted.
    void config_changed();
    // The driver broke the protocol beyond repair: one line, DEVICE_NEEDS_RESET.
    void needs_reset(std::string_view problem);
    bool negotiated(unsigned feature_bit) const { return (s_.features & feature(feature_bit)) != 0; }

    Dma& dma() const { return wiring_.dma; }
    Timers& timers() const { return wiring_.timers; }
    Inlet& inlet() const { return wiring_.inlet; }
    Log& log() { return log_; }

private:
    void dispatch(u16 queue);
    void run_deferred();
    void run_rewound();
    void signal(u16 queue);
    void rewind_chains();
    void arm_rewound();

    Wiring wiring_;
    Identity identity_;
    Log log_;
    Transport* transport_ = nullptr;
    std::vector<Queue> queues_;
    Timer deferred_timer_;
    Timer rewound_timer_;  // not saved: after a restore every chain in flight is rewound in any case
    bool dma_allowed_ = true;
    unsigned dispatching_ = 0;
    u64 unsignalled_ = 0;  // queues published to within notify(), bit by index: zero between calls
    struct {
        u64 features = 0;
        u8 status = 0;
        u8 generation = 0;
        u64 deferred = 0;  // queues that later() was called for, bit by index
        u64 deferred_deadline = Timers::never;
    } s_;
};

}  // namespace viv::virtio
