// The five structures of a modern virtio-pci function: common configuration, notification, ISR, device configuration
// and the access window. See pci.h.
#include "engine/dev/virtio/pci.h"

#include <array>

#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::virtio {

namespace {

constexpr unsigned virtio_bar = 4;
constexpr u64 bar_size = 0x4000;
constexpr u32 common_at = 0x0000, isr_at = 0x1000, device_at = 0x2000, notify_at = 0x3000;
constexpr u32 area_size = 0x1000;
constexpr u32 notify_multiplier = 4;

constexpr u8 vendor_specific_capability = 0x09;
enum CapabilityType : u8 { common_cfg = 1, notify_cfg = 2, isr_cfg = 3, device_cfg = 4, pci_cfg = 5 };

constexpr u8 isr_queue = 1, isr_configuration = 2;
constexpr u16 no_vector = 0xffff;

// struct virtio_pci_cap, from its cfg_len byte, which counts the id and next bytes too.
using CapabilityBody = std::array<u8, 14>;
CapabilityBody capability_body(u8 total, CapabilityType type, u32 offset, u32 length) {
    CapabilityBody body{};
    body[0] = total;
    body[1] = type;
    body[2] = virtio_bar;
    store_le<u32>(&body[6], offset);
    store_le<u32>(&body[10], length);
    return body;
}

// Offsets within the access capability.
constexpr u16 access_bar = 4, access_offset = 8, access_length = 12, access_data = 16;

u32 class_code_of(DeviceId id) {
    switch (id) {
        case DeviceId::block:
        case DeviceId::scsi: return 0x01'00'00;          // mass storage, SCSI
        case DeviceId::net: return 0x02'00'00;           // network, Ethernet
        case DeviceId::console: return 0x07'80'00;       // communication, other
        case DeviceId::gpu: return 0x03'80'00;           // display, other
        case DeviceId::input: return 0x09'80'00;         // input, other
        case DeviceId::transport_9p: return 0x01'80'00;  // mass storage, other
        case DeviceId::entropy:
        case DeviceId::balloon: break;
    }
    return 0xff'00'00;  // no class fits
}

// struct virtio_pci_common_cfg: where each field starts and how wide it is.
struct Field {
    u8 offset;
    u8 size;
};
enum CommonField : u8 {
    device_feature_select = 0x00,
    device_feature = 0x04,
    driver_feature_select = 0x08,
    driver_feature = 0x0c,
    config_msix_vector = 0x10,
    num_queues = 0x12,
    device_status = 0x14,
    config_generation = 0x15,
    queue_select = 0x16,
    queue_size = 0x18,
    queue_msix_vector = 0x1a,
    queue_enable = 0x1c,
    queue_notify_off = 0x1e,
    queue_desc = 0x20,
    queue_driver = 0x28,
    queue_device = 0x30,
};
constexpr Field common_fields[] = {
    {device_feature_select, 4}, {device_feature, 4}, {driver_feature_select, 4}, {driver_feature, 4},
    {config_msix_vector, 2},    {num_queues, 2},     {device_status, 1},         {config_generation, 1},
    {queue_select, 2},          {queue_size, 2},     {queue_msix_vector, 2},     {queue_enable, 2},
    {queue_notify_off, 2},      {queue_desc, 8},     {queue_driver, 8},          {queue_device, 8},
};

// The field that an access names: whole, or one half of a 64-bit one.
const Field* field_of(u64 offset, unsigned size) {
    for (const Field& field : common_fields) {
        if (offset == field.offset && size == field.size) return &field;
        if (field.size == 8 && size == 4 && (offset == field.offset || offset == field.offset + 4u)) return &field;
    }
    return nullptr;
}

}  // namespace

PciTransport::PciTransport(std::unique_ptr<virtio::Function> function, std::string_view kind)
    : pci::Function(pci::Identity{.vendor = 0x1af4,
                                  .device = static_cast<u16>(0x1040 + static_cast<u16>(function->id())),
                                  .subsystem_vendor = 0x1af4,
                                  .subsystem = 0x1100,
                                  .class_code = class_code_of(function->id()),
                                  .revision = 1,
                                  .interrupt_pin = 1}),
      function_(std::move(function)),
      kind_(kind) {
    add_bar(virtio_bar, pci::BarKind::memory64, bar_size, *this);
    add_capability(vendor_specific_capability, capability_body(16, common_cfg, common_at, area_size));
    add_capability(vendor_specific_capability, capability_body(16, isr_cfg, isr_at, area_size));
    add_capability(vendor_specific_capability, capability_body(16, device_cfg, device_at, area_size));

    std::array<u8, 18> notify{};
    const auto notify_head = capability_body(20, notify_cfg, notify_at, area_size);
    std::copy(notify_head.begin(), notify_head.end(), notify.begin());
    store_le<u32>(&notify[14], notify_multiplier);
    add_capability(vendor_specific_capability, notify);

    std::array<u8, 18> access{}, writable{};
    access[0] = 20;
    access[1] = pci_cfg;
    writable[access_bar - 2] = 0xff;
    std::fill(writable.begin() + access_offset - 2, writable.end(), u8{0xff});
    access_capability_ = add_capability(vendor_specific_capability, access, writable);

    function_->connect(*this);
    function_->allow_dma(false);  // until the guest enables bus mastering
}

Queue* PciTransport::selected() {
    return s_.queue_select < function_->queue_count() ? &function_->queue(s_.queue_select) : nullptr;
}

u64 PciTransport::common_field(u64 offset) {
    Queue* queue = selected();
    switch (offset) {
        case device_feature_select: return s_.device_feature_select;
        case device_feature:
            return s_.device_feature_select > 1 ? 0 : bits(function_->offered(), 32 * s_.device_feature_select, 32);
        case driver_feature_select: return s_.driver_feature_select;
        case driver_feature:
            return s_.driver_feature_select > 1 ? 0 : bits(function_->chosen(), 32 * s_.driver_feature_select, 32);
        case config_msix_vector:
        case queue_msix_vector: return no_vector;
        case num_queues: return function_->queue_count();
        case device_status: return function_->status();
        case config_generation: return function_->generation();
        case queue_select: return s_.queue_select;
        case queue_size: return queue != nullptr ? queue->size() : 0;
        case queue_enable: return queue != nullptr && queue->ready();
        case queue_notify_off: return queue != nullptr ? s_.queue_select : 0;
        case queue_desc: return queue != nullptr ? queue->descriptor_table() : 0;
        case queue_driver: return queue != nullptr ? queue->driver_area() : 0;
        case queue_device: return queue != nullptr ? queue->device_area() : 0;
        default: return 0;
    }
}

void PciTransport::set_common_field(u64 offset, u64 value) {
    Queue* queue = selected();
    switch (offset) {
        case device_feature_select: s_.device_feature_select = static_cast<u32>(value); return;
        case driver_feature_select: s_.driver_feature_select = static_cast<u32>(value); return;
        case driver_feature:
            if (s_.driver_feature_select <= 1)
                function_->choose(deposit(function_->chosen(), 32 * s_.driver_feature_select, 32, value));
            return;
        case device_status:
            function_->write_status(static_cast<u8>(value));
            if (value == 0) s_ = {};
            return;
        case queue_select: s_.queue_select = static_cast<u16>(value); return;
        default: break;
    }
    if (queue == nullptr) return;
    switch (offset) {
        case queue_size: queue->set_size(static_cast<u16>(value), function_->chosen()); return;
        case queue_enable:
            if (value == 1) function_->enable_queue(s_.queue_select);
            return;
        case queue_desc: queue->set_descriptor_table(value); return;
        case queue_driver: queue->set_driver_area(value); return;
        case queue_device: queue->set_device_area(value); return;
        default: return;
    }
}

u64 PciTransport::read_common(u64 offset, unsigned size) {
    const Field* field = field_of(offset, size);
    return field == nullptr ? 0 : common_field(field->offset) >> (8 * (offset - field->offset));
}

void PciTransport::write_common(u64 offset, unsigned size, u64 value) {
    const Field* field = field_of(offset, size);
    if (field == nullptr) return;
    if (size < field->size) {
        const unsigned low = static_cast<unsigned>(8 * (offset - field->offset));
        value = deposit(common_field(field->offset), low, size * 8, value);
    }
    set_common_field(field->offset, value);
}

u64 PciTransport::read(u64 offset, unsigned size) {
    u64 value = 0;
    if (offset < isr_at) {
        value = read_common(offset, size);
    } else if (offset == isr_at) {
        value = s_.isr;
        s_.isr = 0;
    } else if (offset >= device_at && offset < notify_at) {
        value = function_->read_config(static_cast<u32>(offset - device_at), size);
    }
    sync();
    return value & low_mask(size * 8);
}

void PciTransport::write(u64 offset, unsigned size, u64 value) {
    if (offset < isr_at) {
        write_common(offset, size, value);
    } else if (offset >= device_at && offset < notify_at) {
        function_->write_config(static_cast<u32>(offset - device_at), size, value);
    } else if (offset >= notify_at && offset % notify_multiplier == 0) {
        // The address names the queue; the value repeats it.
        function_->kick(static_cast<u32>(offset - notify_at) / notify_multiplier);
    }
    sync();
}

// The access the window asks for; false if it is none that the BAR would take.
bool PciTransport::access_window(u32& offset, u32& length) {
    const auto capability = config_bytes(access_capability_, 20);
    offset = load_le<u32>(&capability[access_offset]);
    length = load_le<u32>(&capability[access_length]);
    if (capability[access_bar] != virtio_bar || (length != 1 && length != 2 && length != 4)) return false;
    return offset % length == 0 && range_fits(offset, length, bar_size);
}

void PciTransport::config_reading(u16 offset, unsigned size) {
    const u16 data = static_cast<u16>(access_capability_ + access_data);
    if (offset >= data + 4 || offset + size <= data) return;
    u32 at = 0, length = 0;
    if (access_window(at, length)) store_le<u32>(config_bytes(data, 4).data(), static_cast<u32>(read(at, length)));
}

void PciTransport::config_written(u16 offset, unsigned size) {
    function_->allow_dma(bus_master());
    const u16 data = static_cast<u16>(access_capability_ + access_data);
    if (offset >= data + 4 || offset + size <= data) return;
    u32 at = 0, length = 0;
    if (access_window(at, length)) write(at, length, load_le<u32>(config_bytes(data, 4).data()) & low_mask(length * 8));
}

void PciTransport::used_buffer_notification(u16) {
    s_.isr |= isr_queue;
    sync();
}

void PciTransport::configuration_change_notification() {
    s_.isr |= isr_configuration;
    sync();
}

void PciTransport::sync() { set_interrupt(s_.isr != 0); }

void PciTransport::device_reset() {
    function_->reset();
    function_->allow_dma(bus_master());
    s_ = {};
    sync();
}

void PciTransport::device_state(Archive& a) {
    a(1, "device_feature_select", s_.device_feature_select);
    a(2, "driver_feature_select", s_.driver_feature_select);
    a(3, "queue_select", s_.queue_select);
    a(4, "isr", s_.isr, isr_queue | isr_configuration);
    u16 id = static_cast<u16>(function_->id());
    const u16 expected = id;
    a(5, "device_id", id);
    a.require(id == expected, "device_id", "is another device's than the one in this slot");
    a(6, "function", *function_);
}

void PciTransport::device_restored() {
    function_->restored();
    sync();
}

}  // namespace viv::virtio
