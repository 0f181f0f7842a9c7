// The virtio-pci transport, modern interface only: vendor 1af4, device 0x1040 + id, revision 1. OASIS virtio 1.2,
// section 4.1. Promises: all structures in BAR 4 (64-bit, 16 KiB) and reachable through the PCI configuration access
// capability as well; interrupts by INTx and the ISR byte; no DMA while bus mastering is off. MSI-X vectors read back
// as "none", as without the capability.
#pragma once

#include <memory>
#include <string_view>

#include "engine/dev/pci/function.h"
#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class PciTransport final : public pci::Function, public Mmio, public Transport {
public:
    // `kind` is the catalogue's name ("virtio-blk-pci"), in static storage. The transport owns the function.
    PciTransport(std::unique_ptr<virtio::Function> function, std::string_view kind);

    virtio::Function& function() { return *function_; }

    std::string_view kind() const override { return kind_; }

    // BAR 4.
    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

    void used_buffer_notification(u16 queue) override;
    void configuration_change_notification() override;

protected:
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;
    void config_reading(u16 offset, unsigned size) override;
    void config_written(u16 offset, unsigned size) override;

private:
    u64 read_common(u64 offset, unsigned size);
    void write_common(u64 offset, unsigned size, u64 value);
    u64 common_field(u64 offset);
    void set_common_field(u64 offset, u64 value);
    Queue* selected();
    bool access_window(u32& offset, u32& length);
    void sync();

    std::unique_ptr<virtio::Function> function_;
    std::string_view kind_;
    u16 access_capability_ = 0;
    struct {
        u32 device_feature_select = 0;
        u32 driver_feature_select = 0;
        u16 queue_select = 0;
        u8 isr = 0;  // bit 0: used buffers, bit 1: configuration change; reading clears
    } s_;
};

}  // namespace viv::virtio
