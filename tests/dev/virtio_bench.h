// The driver's side of virtio for tests: rings built in guest memory, and the two transports driven through the bus as
// an operating system does: probing registers or ECAM, capabilities and BARs, negotiating features, placing queues,
// kicking, taking used entries, acknowledging interrupts.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/dev/pci/host_bridge.h"
#include "engine/dev/virtio/mmio.h"
#include "engine/dev/virtio/pci.h"
#include "engine/dev/virtio/virtio.h"
#include "tests/dev/device_bench.h"

namespace viv::test {

using virtio::feature;

constexpr u64 ram_base = 0x8000'0000;
constexpr u64 ram_size = u64{16} << 20;
constexpr u64 mmio_base = 0x1000'1000;
constexpr u64 ecam_base = 0x3000'0000;
constexpr u64 bar_window64 = 0x4'0000'0000;

enum class Via : u8 { mmio, pci };

// Log lines, for tests that count or read them.
class RecordingSink final : public LogSink {
public:
    void write(LogLevel, std::string_view component, std::string_view line) override {
        lines.push_back(std::string(component) + ": " + std::string(line));
    }
    std::vector<std::string> lines;
};

// What a driver can do to a device, whichever transport it goes through.
class DriverPort {
public:
    virtual ~DriverPort() = default;
    virtual u8 status() = 0;
    virtual void set_status(u8 value) = 0;
    virtual u64 offered() = 0;
    virtual void choose(u64 features) = 0;
    virtual u16 queue_maximum(u16 queue) = 0;
    virtual void place_queue(u16 queue, u16 size, u64 descriptors, u64 driver, u64 device) = 0;
    virtual void notify(u16 queue) = 0;
    virtual u32 take_interrupts() = 0;  // reads and acknowledges
    virtual bool interrupt() = 0;       // the level of the line
    virtual u64 config(u32 offset, unsigned size) = 0;
    virtual void set_config(u32 offset, unsigned size, u64 value) = 0;
    virtual u32 generation() = 0;
};

class MmioPort final : public DriverPort {
public:
    MmioPort(Bus& bus, RecordingPin& pin) : bus_(bus), pin_(pin) {
        EXPECT_EQ(get(0x000), 0x7472'6976u);
        EXPECT_EQ(get(0x004), 2u);
    }
    u8 status() override { return static_cast<u8>(get(0x070)); }
    void set_status(u8 value) override { put(0x070, value); }
    u64 offered() override {
        put(0x014, 1);
        const u64 high = get(0x010);
        put(0x014, 0);
        return high << 32 | get(0x010);
    }
    void choose(u64 features) override {
        put(0x024, 1);
        put(0x020, static_cast<u32>(features >> 32));
        put(0x024, 0);
        put(0x020, static_cast<u32>(features));
    }
    u16 queue_maximum(u16 queue) override {
        put(0x030, queue);
        return static_cast<u16>(get(0x034));
    }
    void place_queue(u16 queue, u16 size, u64 descriptors, u64 driver, u64 device) override {
        put(0x030, queue);
        EXPECT_EQ(get(0x044), 0u);
        put(0x038, size);
        put(0x080, static_cast<u32>(descriptors)), put(0x084, static_cast<u32>(descriptors >> 32));
        put(0x090, static_cast<u32>(driver)), put(0x094, static_cast<u32>(driver >> 32));
        put(0x0a0, static_cast<u32>(device)), put(0x0a4, static_cast<u32>(device >> 32));
        put(0x044, 1);
        EXPECT_EQ(get(0x044), 1u);
    }
    void notify(u16 queue) override { put(0x050, queue); }
    u32 take_interrupts() override {
        const u32 pending = get(0x060);
        put(0x064, pending);
        return pending;
    }
    bool interrupt() override { return pin_.level; }
    u64 config(u32 offset, unsigned size) override {
        u64 value = 0;
        EXPECT_TRUE(bus_.read(mmio_base + 0x100 + offset, size, value));
        return value;
    }
    void set_config(u32 offset, unsigned size, u64 value) override {
        EXPECT_TRUE(bus_.write(mmio_base + 0x100 + offset, size, value));
    }
    u32 generation() override { return get(0x0fc); }

    u32 get(u32 offset) {
        u64 value = 0;
        EXPECT_TRUE(bus_.read(mmio_base + offset, 4, value));
        return static_cast<u32>(value);
    }
    void put(u32 offset, u32 value) { EXPECT_TRUE(bus_.write(mmio_base + offset, 4, value)); }

private:
    Bus& bus_;
    RecordingPin& pin_;
};

class PciPort final : public DriverPort {
public:
    PciPort(Bus& bus, RecordingPin& pin, unsigned slot, u16 device_id) : bus_(bus), pin_(pin), slot_(slot) {
        EXPECT_EQ(config_read(0x00, 2), 0x1af4u);
        EXPECT_EQ(config_read(0x02, 2), 0x1040u + device_id);
        EXPECT_EQ(config_read(0x08, 1), 1u) << "revision";
        EXPECT_EQ(config_read(0x3d, 1), 1u) << "INTA";
        place_bar();
        find_structures();
        config_write(0x04, 2, 0x0006);  // memory space, bus master
    }

    u8 status() override { return static_cast<u8>(get(common_ + 0x14, 1)); }
    void set_status(u8 value) override { put(common_ + 0x14, 1, value); }
    u64 offered() override {
        put(common_, 4, 1);
        const u64 high = get(common_ + 4, 4);
        put(common_, 4, 0);
        return high << 32 | get(common_ + 4, 4);
    }
    void choose(u64 features) override {
        put(common_ + 8, 4, 1);
        put(common_ + 0x0c, 4, features >> 32);
        put(common_ + 8, 4, 0);
        put(common_ + 0x0c, 4, features & 0xffff'ffff);
    }
    u16 queue_maximum(u16 queue) override {
        put(common_ + 0x16, 2, queue);
        return static_cast<u16>(get(common_ + 0x18, 2));
    }
    void place_queue(u16 queue, u16 size, u64 descriptors, u64 driver, u64 device) override {
        put(common_ + 0x16, 2, queue);
        EXPECT_EQ(get(common_ + 0x1c, 2), 0u);
        put(common_ + 0x18, 2, size);
        for (unsigned half = 0; half < 2; half++) {
            put(common_ + 0x20 + 4 * half, 4, descriptors >> (32 * half) & 0xffff'ffff);
            put(common_ + 0x28 + 4 * half, 4, driver >> (32 * half) & 0xffff'ffff);
            put(common_ + 0x30 + 4 * half, 4, device >> (32 * half) & 0xffff'ffff);
        }
        EXPECT_EQ(get(common_ + 0x20, 4), descriptors & 0xffff'ffff);
        put(common_ + 0x1c, 2, 1);
        EXPECT_EQ(get(common_ + 0x1c, 2), 1u);
    }
    void notify(u16 queue) override {
        put(common_ + 0x16, 2, queue);
        put(notify_ + get(common_ + 0x1e, 2) * notify_multiplier_, 2, queue);
    }
    u32 take_interrupts() override { return static_cast<u32>(get(isr_, 1)); }
    bool interrupt() override { return pin_.level; }
    u64 config(u32 offset, unsigned size) override { return get(device_ + offset, size); }
    void set_config(u32 offset, unsigned size, u64 value) override { put(device_ + offset, size, value); }
    u32 generation() override { return static_cast<u32>(get(common_ + 0x15, 1)); }

    u32 config_read(u32 offset, unsigned size) {
        u64 value = 0;
        EXPECT_TRUE(bus_.read(ecam_base + (slot_ << 15) + offset, size, value));
        return static_cast<u32>(value);
    }
    void config_write(u32 offset, unsigned size, u32 value) {
        EXPECT_TRUE(bus_.write(ecam_base + (slot_ << 15) + offset, size, value));
    }
    u64 get(u64 address, unsigned size) {
        u64 value = 0;
        EXPECT_TRUE(bus_.read(address, size, value)) << std::hex << address;
        return value;
    }
    void put(u64 address, unsigned size, u64 value) {
        EXPECT_TRUE(bus_.write(address, size, value)) << std::hex << address;
    }
    u64 bar() const { return bar_; }
    u32 access_capability() const { return access_; }

private:
    void place_bar() {
        EXPECT_EQ(config_read(0x20, 4) & 0xf, 0x4u) << "BAR 4 is a 64-bit memory BAR";
        config_write(0x20, 4, ~u32{0});
        config_write(0x24, 4, ~u32{0});
        const u64 mask = u64{config_read(0x24, 4)} << 32 | (config_read(0x20, 4) & ~u32{0xf});
        const u64 size = ~mask + 1;
        EXPECT_TRUE(is_power_of_two(size));
        bar_ = bar_window64 + slot_ * 0x10'0000;
        EXPECT_EQ(bar_ % size, 0u);
        config_write(0x20, 4, static_cast<u32>(bar_));
        config_write(0x24, 4, static_cast<u32>(bar_ >> 32));
    }
    void find_structures() {
        EXPECT_TRUE(bit(config_read(0x06, 2), 4)) << "capability list";
        unsigned met = 0;
        for (u32 at = config_read(0x34, 1); at != 0 && met < 48; at = config_read(at + 1, 1), met++) {
            if (config_read(at, 1) != 0x09) continue;
            const u64 address = bar_ + config_read(at + 8, 4);
            const u32 type = config_read(at + 3, 1);
            if (type != 5) {
                EXPECT_EQ(config_read(at + 4, 1), 4u) << "in BAR 4";
            }
            if (type == 1) common_ = address;
            if (type == 2) notify_ = address, notify_multiplier_ = config_read(at + 16, 4);
            if (type == 3) isr_ = address;
            if (type == 4) device_ = address;
            if (type == 5) access_ = at;
        }
        EXPECT_TRUE(common_ && notify_ && isr_ && device_ && access_);
    }

    Bus& bus_;
    RecordingPin& pin_;
    unsigned slot_;
    u64 bar_ = 0, common_ = 0, notify_ = 0, isr_ = 0, device_ = 0;
    u32 notify_multiplier_ = 0, access_ = 0;
};

using MakeFunction = std::function<std::unique_ptr<virtio::Function>(const virtio::Wiring&)>;

// A machine with one virtio device, and the guest's view of it.
class Rig : public Bench {
public:
    Rig(Via via, const MakeFunction& make) {
        EXPECT_TRUE(memory.add(ram_base, ram_size, GuestMemory::Kind::ram, "ram").ok());
        EXPECT_TRUE(memory.add(0x1000, 0x1000, GuestMemory::Kind::rom, "rom").ok());
        auto made = make(virtio::Wiring{dma, timers, inlet, sink});
        function = made.get();
        const u16 id = static_cast<u16>(made->id());
        if (via == Via::mmio) {
            mmio = std::make_unique<virtio::MmioTransport>(std::move(made), pins[0]);
            EXPECT_TRUE(bus.map(mmio_base, 0x1000, *mmio, "virtio0").ok());
            mmio->reset();
            port = std::make_unique<MmioPort>(bus, pins[0]);
        } else {
            bridge = std::make_unique<pci::HostBridge>(
                pci::HostBridge::Windows{
                    {0x4000'0000, 0x4000'0000}, {bar_window64, bar_window64}, {0x300'0000, 0x1'0000}},
                pci::HostBridge::Wiring{bus, {&pins[0], &pins[1], &pins[2], &pins[3]}, sink});
            EXPECT_TRUE(bus.map(ecam_base, 0x1000'0000, *bridge, "ecam").ok());
            auto transport = std::make_unique<virtio::PciTransport>(std::move(made), "virtio-test-pci");
            pci = transport.get();
            EXPECT_EQ(bridge->plug(std::move(transport), 3).value(), 3);
            bridge->reset();
            pci->reset();
            port = std::make_unique<PciPort>(bus, pins[3], 3, id);
        }
    }

    // Guest memory for the driver: zeroed, never freed.
    u64 allocate(u64 size, u64 alignment = 16) {
        next_ = align_up(next_, alignment);
        const u64 at = next_;
        next_ += size;
        EXPECT_LE(next_, ram_base + ram_size) << "the test needs more RAM";
        std::memset(memory.host(at, size), 0, size);
        return at;
    }
    u64 mark() const { return next_; }
    void release_to(u64 mark) { next_ = mark; }
    template <class T>
    void put(u64 address, T value) {
        store_le<T>(memory.host(address, sizeof(T)), value);
    }
    template <class T>
    T get(u64 address) {
        return load_le<T>(memory.host(address, sizeof(T)));
    }
    void put_text(u64 address, std::string_view text) {
        std::memcpy(memory.host(address, text.size()), text.data(), text.size());
    }
    std::string get_text(u64 address, usize size) {
        return std::string(reinterpret_cast<const char*>(memory.host(address, size)), size);
    }

    // ACKNOWLEDGE, DRIVER, features, FEATURES_OK. False if the device refuses them.
    bool negotiate(u64 features) {
        port->set_status(0);
        EXPECT_EQ(port->status(), 0);
        port->set_status(1);
        port->set_status(3);
        port->choose(features);
        port->set_status(11);
        return (port->status() & 8) != 0;
    }
    void go() {
        port->set_status(15);
        EXPECT_EQ(port->status(), 15);
    }
    bool needs_reset() { return (port->status() & 64) != 0; }
    Device& transport() { return mmio ? static_cast<Device&>(*mmio) : *pci; }

    // All that a saved machine has; load() puts it into a rig made the same way.
    struct Saved {
        std::vector<u8> bridge, device, ram;
        u64 next = 0;
    };
    Saved save_all() {
        Saved saved;
        if (bridge) saved.bridge = save(*bridge);
        saved.device = save(transport());
        saved.ram.assign(memory.host(ram_base, ram_size), memory.host(ram_base, ram_size) + ram_size);
        saved.next = next_;
        return saved;
    }
    void load_all(const Saved& saved) {
        std::memcpy(memory.host(ram_base, ram_size), saved.ram.data(), ram_size);
        next_ = saved.next;
        if (bridge) {
            EXPECT_TRUE(load(*bridge, saved.bridge).ok());
        }
        const auto loaded = load(transport(), saved.device);
        EXPECT_TRUE(loaded.ok()) << (loaded.ok() ? "" : loaded.error().message);
    }

    HeapMemory heap;
    GuestMemory memory{heap};
    Dma dma{memory};
    Bus bus;
    RecordingSink sink;
    RecordingPin pins[4];
    virtio::Function* function = nullptr;
    std::unique_ptr<virtio::MmioTransport> mmio;
    std::unique_ptr<pci::HostBridge> bridge;
    virtio::PciTransport* pci = nullptr;
    std::unique_ptr<DriverPort> port;

private:
    u64 next_ = ram_base + 0x1000;
};

enum class Direction : u8 { to_device, from_device };

struct Buffer {
    u64 address;
    u32 length;
    Direction direction;
};

enum class Table : u8 { direct, indirect };

// One split virtqueue as a driver keeps it.
class Ring {
public:
    Ring(Rig& rig, u16 index, u16 size, bool event_idx = true)
        : rig_(rig),
          index_(index),
          size_(size),
          event_idx_(event_idx),
          descriptors(rig.allocate(u64{16} * size, 16)),
          available(rig.allocate(6 + u64{2} * size, 2)),
          used(rig.allocate(6 + u64{8} * size, 4)) {
        for (u16 i = 0; i < size; i++) free_.push_back(static_cast<u16>(size - 1 - i));
        rig.port->place_queue(index, size, descriptors, available, used);
    }

    void write_descriptor(u64 table, u16 at, u64 address, u32 length, u16 flags, u16 next) {
        rig_.put<u64>(table + u64{16} * at, address);
        rig_.put<u32>(table + u64{16} * at + 8, length);
        rig_.put<u16>(table + u64{16} * at + 12, flags);
        rig_.put<u16>(table + u64{16} * at + 14, next);
    }

    // Puts a chain into the ring without telling the device; returns its head.
    u16 add(const std::vector<Buffer>& buffers, Table table = Table::direct) {
        std::vector<u16> taken;
        if (table == Table::indirect) {
            const u64 inner = rig_.allocate(buffers.size() * 16, 16);
            for (u16 i = 0; i < buffers.size(); i++)
                fill(inner, i, buffers[i], i + 1u < buffers.size(), static_cast<u16>(i + 1));
            taken = take_free(1);
            write_descriptor(descriptors, taken[0], inner, static_cast<u32>(buffers.size() * 16), 4, 0);
        } else {
            taken = take_free(buffers.size());
            for (usize i = 0; i < buffers.size(); i++)
                fill(descriptors, taken[i], buffers[i], i + 1 < buffers.size(),
                     i + 1 < buffers.size() ? taken[i + 1] : u16{0});
        }
        offer(taken[0]);
        chains_[taken[0]] = taken;
        return taken[0];
    }
    // Puts any head index into the available ring.
    void offer(u16 head) {
        rig_.put<u16>(available + 4 + u64{2} * (available_index_ % size_), head);
        rig_.put<u16>(available + 2, ++available_index_);
    }
    // Notifies the device if it wants that; true if it did.
    bool kick() {
        const u16 before = std::exchange(kicked_, available_index_);
        const u16 event = rig_.get<u16>(used + 4 + u64{8} * size_);
        const bool wanted =
            event_idx_ ? static_cast<u16>(available_index_ - event - 1) < static_cast<u16>(available_index_ - before)
                       : (rig_.get<u16>(used) & 1) == 0;
        if (wanted) rig_.port->notify(index_);
        return wanted;
    }
    void notify() { rig_.port->notify(index_); }

    struct Used {
        u32 head;
        u32 length;
    };
    std::optional<Used> take() {
        if (rig_.get<u16>(used + 2) == taken_index_) return std::nullopt;
        const u64 entry = used + 4 + u64{8} * (taken_index_++ % size_);
        const Used result{rig_.get<u32>(entry), rig_.get<u32>(entry + 4)};
        const auto chain = chains_.find(static_cast<u16>(result.head));
        EXPECT_NE(chain, chains_.end()) << "the device returned head " << result.head << ", which is not in flight";
        if (chain != chains_.end()) {
            free_.insert(free_.end(), chain->second.begin(), chain->second.end());
            chains_.erase(chain);
        }
        return result;
    }
    u16 used_index() { return rig_.get<u16>(used + 2); }
    // Asks for an interrupt at the next used entry after `after` more.
    void interrupt_after(u16 after) {
        rig_.put<u16>(available + 4 + u64{2} * size_, static_cast<u16>(taken_index_ + after));
    }
    usize in_flight() const { return chains_.size(); }

private:
    void fill(u64 table, u16 at, const Buffer& buffer, bool more, u16 next) {
        write_descriptor(table, at, buffer.address, buffer.length,
                         static_cast<u16>((buffer.direction == Direction::from_device ? 2 : 0) | (more ? 1 : 0)), next);
    }
    std::vector<u16> take_free(usize count) {
        EXPECT_GE(free_.size(), count) << "the test's ring is full";
        std::vector<u16> taken(free_.end() - static_cast<std::ptrdiff_t>(count), free_.end());
        free_.resize(free_.size() - count);
        return taken;
    }

    Rig& rig_;
    u16 index_;
    u16 size_;
    bool event_idx_;
    std::vector<u16> free_;
    std::map<u16, std::vector<u16>> chains_;
    u16 available_index_ = 0, taken_index_ = 0, kicked_ = 0;

public:
    const u64 descriptors, available, used;

    // The same driver state over another rig's memory: for a machine that was saved and goes on elsewhere.
    Ring(Rig& rig, const Ring& before)
        : rig_(rig),
          index_(before.index_),
          size_(before.size_),
          event_idx_(before.event_idx_),
          free_(before.free_),
          chains_(before.chains_),
          available_index_(before.available_index_),
          taken_index_(before.taken_index_),
          kicked_(before.kicked_),
          descriptors(before.descriptors),
          available(before.available),
          used(before.used) {}
};

constexpr u64 ring_features =
    feature(virtio::version_1) | feature(virtio::ring_event_idx) | feature(virtio::ring_indirect_desc);

inline std::string via_name(const ::testing::TestParamInfo<Via>& info) {
    return info.param == Via::mmio ? "mmio" : "pci";
}

}  // namespace viv::test
