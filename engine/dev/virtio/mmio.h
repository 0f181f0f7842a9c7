// The virtio-mmio transport: one slot, 0x1000 bytes of registers, one interrupt. OASIS virtio 1.2, section 4.2 (version
// 2, no legacy interface). Promises: registers answer 32-bit accesses only, the configuration space any width; an empty
// slot reads device id 0 and ignores all writes.
#pragma once

#include <memory>
#include <string_view>

#include "engine/dev/pin.h"
#include "engine/dev/virtio/virtio.h"
#include "engine/mem/bus.h"

namespace viv::virtio {

class MmioTransport final : public Device, public Mmio, public Transport {
public:
    static constexpr u64 window_size = 0x1000;

    // `function` may be null: an empty slot. The transport owns it; the pin outlives both.
    MmioTransport(std::unique_ptr<Function> function, Pin& interrupt);

    Function* function() { return function_.get(); }  // null if empty

    std::string_view kind() const override { return "virtio-mmio"; }
    void reset() override;
    void state(Archive& a) override;
    void restored() override;

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

    void used_buffer_notification(u16 queue) override;
    void configuration_change_notification() override;

private:
    struct Registers;
    void sync();
    Queue* selected();
    void set_status(u8 value);

    std::unique_ptr<Function> function_;
    Pin& interrupt_;
    struct {
        u32 device_features_select = 0;
        u32 driver_features_select = 0;
        u32 queue_select = 0;
        u32 interrupt_status = 0;  // bit 0: used buffers, bit 1: configuration change
    } s_;
};

}  // namespace viv::virtio
