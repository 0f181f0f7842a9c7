// The register table of virtio-mmio (virtio 1.2, table 4.1) and its one interrupt line. See mmio.h.
#include "engine/dev/virtio/mmio.h"

#include "engine/dev/registers.h"

namespace viv::virtio {

namespace {

constexpr u64 config_space = 0x100;
constexpr u32 magic = 0x7472'6976;      // "virt"
constexpr u32 vendor_id = 0x4156'4956;  // "VIVA"
constexpr u32 interrupt_used_buffer = 1, interrupt_configuration = 2;

u32 half(u64 value, u32 select) { return select > 1 ? 0 : static_cast<u32>(value >> (32 * select)); }
u64 with_half(u64 value, u32 select, u32 part) { return deposit(value, 32 * select, 32, part); }

}  // namespace

struct MmioTransport::Registers {
    using M = MmioTransport;
    using Map = RegisterMap<M, u32, config_space / 4>;

    template <u32 select>
    static void descriptor_table(M& m, u32 v) {
        if (Queue* q = m.selected()) q->set_descriptor_table(with_half(q->descriptor_table(), select, v));
    }
    template <u32 select>
    static void driver_area(M& m, u32 v) {
        if (Queue* q = m.selected()) q->set_driver_area(with_half(q->driver_area(), select, v));
    }
    template <u32 select>
    static void device_area(M& m, u32 v) {
        if (Queue* q = m.selected()) q->set_device_area(with_half(q->device_area(), select, v));
    }
    static void driver_features(M& m, u32 v) {
        const u32 select = m.s_.driver_features_select;
        if (select <= 1) m.function_->choose(with_half(m.function_->chosen(), select, v));
    }
    static void queue_num(M& m, u32 v) {
        if (Queue* q = m.selected()) q->set_size(static_cast<u16>(v > Queue::largest ? 0 : v), m.function_->chosen());
    }
    static void queue_ready(M& m, u32 v) {
        if (m.selected() == nullptr) return;
        const u16 index = static_cast<u16>(m.s_.queue_select);
        if ((v & 1) != 0)
            m.function_->enable_queue(index);
        else
            m.function_->disable_queue(index);
    }
    static u32 no_shared_memory(M&) { return ~u32{0}; }

    static const Map::Row* find(u64 offset) {
        static constexpr Map map{
            {0x000, "MagicValue", [](M&) { return magic; }, nullptr},
            {0x004, "Version", [](M&) { return u32{2}; }, nullptr},
            {0x008, "DeviceID", [](M& m) { return u32{static_cast<u16>(m.function_->id())}; }, nullptr},
            {0x00c, "VendorID", [](M&) { return vendor_id; }, nullptr},
            {0x010, "DeviceFeatures", [](M& m) { return half(m.function_->offered(), m.s_.device_features_select); },
             nullptr},
            {0x014, "DeviceFeaturesSel", nullptr, [](M& m, u32 v) { m.s_.device_features_select = v; }},
            {0x020, "DriverFeatures", nullptr, driver_features},
            {0x024, "DriverFeaturesSel", nullptr, [](M& m, u32 v) { m.s_.driver_features_select = v; }},
            {0x030, "QueueSel", nullptr, [](M& m, u32 v) { m.s_.queue_select = v; }},
            {0x034, "QueueNumMax", [](M& m) { return m.selected() ? u32{m.selected()->maximum()} : 0; }, nullptr},
            {0x038, "QueueNum", nullptr, queue_num},
            {0x044, "QueueReady", [](M& m) { return u32{m.selected() && m.selected()->ready()}; }, queue_ready},
            {0x050, "QueueNotify", nullptr, [](M& m, u32 v) { m.function_->kick(v); }},
            {0x060, "InterruptStatus", [](M& m) { return m.s_.interrupt_status; }, nullptr},
            {0x064, "InterruptACK", nullptr, [](M& m, u32 v) { m.s_.interrupt_status &= ~v; }},
            {0x070, "Status", [](M& m) { return u32{m.function_->status()}; },
             [](M& m, u32 v) { m.set_status(static_cast<u8>(v)); }},
            {0x080, "QueueDescLow", nullptr, descriptor_table<0>},
            {0x084, "QueueDescHigh", nullptr, descriptor_table<1>},
            {0x090, "QueueDriverLow", nullptr, driver_area<0>},
            {0x094, "QueueDriverHigh", nullptr, driver_area<1>},
            {0x0a0, "QueueDeviceLow", nullptr, device_area<0>},
            {0x0a4, "QueueDeviceHigh", nullptr, device_area<1>},
            {0x0b0, "SHMLenLow", no_shared_memory, nullptr},
            {0x0b4, "SHMLenHigh", no_shared_memory, nullptr},
            {0x0b8, "SHMBaseLow", no_shared_memory, nullptr},
            {0x0bc, "SHMBaseHigh", no_shared_memory, nullptr},
            {0x0fc, "ConfigGeneration", [](M& m) { return u32{m.function_->generation()}; }, nullptr},
        };
        return map.find(offset);
    }
};

MmioTransport::MmioTransport(std::unique_ptr<Function> function, Pin& interrupt)
    : function_(std::move(function)), interrupt_(interrupt) {
    if (function_ != nullptr) function_->connect(*this);
}

Queue* MmioTransport::selected() {
    if (s_.queue_select >= function_->queue_count()) return nullptr;
    return &function_->queue(static_cast<u16>(s_.queue_select));
}

void MmioTransport::set_status(u8 value) {
    if (value == 0) return reset();
    function_->write_status(value);
}

u64 MmioTransport::read(u64 offset, unsigned size) {
    if (function_ == nullptr) return offset == 0 ? magic : offset == 4 ? 2 : 0;
    if (offset >= config_space) return function_->read_config(static_cast<u32>(offset - config_space), size);
    const auto* row = size == 4 ? Registers::find(offset) : nullptr;
    return row != nullptr && row->read != nullptr ? row->read(*this) : 0;
}

void MmioTransport::write(u64 offset, unsigned size, u64 value) {
    if (function_ == nullptr) return;
    if (offset >= config_space) {
        function_->write_config(static_cast<u32>(offset - config_space), size, value);
    } else {
        const auto* row = size == 4 ? Registers::find(offset) : nullptr;
        if (row != nullptr && row->write != nullptr) row->write(*this, static_cast<u32>(value));
    }
    sync();
}

void MmioTransport::used_buffer_notification(u16) {
    s_.interrupt_status |= interrupt_used_buffer;
    sync();
}

void MmioTransport::configuration_change_notification() {
    s_.interrupt_status |= interrupt_configuration;
    sync();
}

void MmioTransport::sync() { interrupt_.set(s_.interrupt_status != 0); }

void MmioTransport::reset() {
    if (function_ != nullptr) function_->reset();
    s_ = {};
    sync();
}

void MmioTransport::state(Archive& a) {
    a(1, "device_features_select", s_.device_features_select);
    a(2, "driver_features_select", s_.driver_features_select);
    a(3, "queue_select", s_.queue_select);
    a(4, "interrupt_status", s_.interrupt_status, interrupt_used_buffer | interrupt_configuration);
    u16 id = function_ == nullptr ? u16{0} : static_cast<u16>(function_->id());
    const u16 expected = id;
    a(5, "device_id", id);
    a.require(id == expected, "device_id", "is another device's than the one in this slot");
    if (function_ != nullptr) a(6, "function", *function_);
}

void MmioTransport::restored() {
    if (function_ != nullptr) function_->restored();
    sync();
}

}  // namespace viv::virtio
