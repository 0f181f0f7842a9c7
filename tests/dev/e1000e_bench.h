// A driver's side of an e1000e: registers, rings in guest memory, a back end that remembers, and frames to send and
// receive.
#pragma once

#include <gtest/gtest.h>

#include "engine/dev/mac_addresses.h"
#include "engine/dev/net/e1000e.h"
#include "engine/net/checksum.h"
#include "tests/dev/device_bench.h"

namespace viv::test {

class WireBackend final : public net::NetBackend {
public:
    struct Shared {
        net::NetDevice* device = nullptr;
        std::vector<std::vector<u8>> sent;
        std::vector<net::Offload> offloads;  // as many as sent
        unsigned ready = 0;
    };
    explicit WireBackend(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
    void attach(net::NetDevice* device) override { shared_->device = device; }
    void send(std::span<const u8> frame) override { send_offloaded(frame, {}); }
    void send_offloaded(std::span<const u8> frame, const net::Offload& offload) override {
        shared_->sent.emplace_back(frame.begin(), frame.end());
        shared_->offloads.push_back(offload);
    }
    void receive_ready() override { shared_->ready++; }

private:
    std::shared_ptr<Shared> shared_;
};

using Bytes = std::vector<u8>;

inline const Bytes own_mac{0x52, 0x54, 0x00, 0x12, 0x34, 0x56}, other_mac{0x52, 0x54, 0x00, 0xaa, 0xbb, 0xcc},
    everyone_mac(6, 0xff), group_mac{0x01, 0x00, 0x5e, 0x00, 0x00, 0x01};

// An Ethernet frame whose payload counts up.
inline Bytes frame_to(const Bytes& to, usize size = 60) {
    Bytes frame = to;
    frame.insert(frame.end(), other_mac.begin(), other_mac.end());
    frame.insert(frame.end(), {0x88, 0xb5});
    while (frame.size() < size) frame.push_back(static_cast<u8>(frame.size()));
    return frame;
}

// The frame with an 802.1Q tag.
inline Bytes tagged(u16 vlan, Bytes frame = frame_to(own_mac)) {
    frame.insert(frame.begin() + 12, {0x81, 0x00, static_cast<u8>(vlan >> 8), static_cast<u8>(vlan)});
    return frame;
}

// TCP over IPv4 to own_mac, with the right sums.
inline Bytes tcp_frame(usize payload, u16 port = 80) {
    Bytes frame = own_mac;
    frame.insert(frame.end(), other_mac.begin(), other_mac.end());
    frame.resize(54 + payload);
    store_be<u16>(&frame[12], 0x0800);
    frame[14] = 0x45;
    store_be<u16>(&frame[16], static_cast<u16>(40 + payload));
    frame[22] = 64;
    frame[23] = 6;
    store_be<u32>(&frame[26], 0x0a00'0202);
    store_be<u32>(&frame[30], 0x0a00'020f);
    store_be<u16>(&frame[34], 1000);
    store_be<u16>(&frame[36], port);
    frame[46] = 0x50;
    frame[47] = 0x18;
    for (usize i = 0; i < payload; i++) frame[54 + i] = static_cast<u8>(i * 7);
    const std::span<const u8> all = frame;
    store_be<u16>(&frame[24], static_cast<u16>(~net::sum_of(all.subspan(14, 20))));
    const u16 pseudo = net::sum_of(all.subspan(26, 8), 6 + 20 + payload);
    store_be<u16>(&frame[50], static_cast<u16>(~net::sum_of(all.subspan(34), pseudo)));
    return frame;
}

class CardRig {
public:
    static constexpr u64 ram_base = 0x8000'0000, ram_size = 4 << 20;
    static constexpr u64 receive_at = ram_base + 0x1000, transmit_at = ram_base + 0x4000,
                         buffers = ram_base + 0x10'0000;
    static constexpr u32 ring_size = 64, buffer_size = 2048, queue_stride = 0x100;

    enum Offset : u32 {
        ctrl = 0x00,
        status = 0x08,
        eerd = 0x14,
        ctrl_ext = 0x18,
        mdic = 0x20,
        icr = 0xc0,
        itr = 0xc4,
        ics = 0xc8,
        ims = 0xd0,
        imc = 0xd8,
        iam = 0xe0,
        rctl = 0x100,
        tctl = 0x400,
        psrctl = 0x2170,
        rdbal = 0x2800,
        rdlen = 0x2808,
        rdh = 0x2810,
        rdt = 0x2818,
        rdtr = 0x2820,
        radv = 0x282c,
        tdbal = 0x3800,
        tdlen = 0x3808,
        tdh = 0x3810,
        tdt = 0x3818,
        tidv = 0x3820,
        rxcsum = 0x5000,
        rfctl = 0x5008,
        mta = 0x5200,
        ra = 0x5400,
        vfta = 0x5600,
        mrqc = 0x5818,
        reta = 0x5c00,
        rssrk = 0x5c80,
    };

    CardRig() {
        EXPECT_TRUE(memory.add(ram_base, ram_size, GuestMemory::Kind::ram, "ram").ok());
        card.write_config(0x04, 2, 7);
    }
    u32 get(u32 offset) { return static_cast<u32>(card.bar(0).window->read(offset, 4)); }
    void put(u32 offset, u64 value) { card.bar(0).window->write(offset, 4, static_cast<u32>(value)); }

    // By MDIC.
    void set_phy(u32 index, u16 value) { put(mdic, 1u << 26 | 1u << 21 | index << 16 | value); }

    // Both pairs of rings, the receive ones full of buffers, extended descriptors, everything for us taken.
    void start(u32 receive_control = 0x0400'8002) {
        for (u32 queue = 0; queue < 2; queue++) {
            put(rdbal + queue * queue_stride, receive_at + queue * 0x800);
            put(rdlen + queue * queue_stride, ring_size * 16);
            put(tdbal + queue * queue_stride, transmit_at + queue * 0x800);
            put(tdlen + queue * queue_stride, ring_size * 16);
            for (u32 i = 0; i < ring_size; i++) {
                ASSERT_TRUE(dma.store<u64>(receive_at + queue * 0x800 + i * 16, buffer_of(queue, i)));
                ASSERT_TRUE(dma.store<u64>(receive_at + queue * 0x800 + i * 16 + 8, 0));
            }
            put(rdt + queue * queue_stride, ring_size - 1);
        }
        put(rfctl, 0x8000);
        put(tctl, 0x0a);
        put(rctl, receive_control);
        get(icr);
    }
    static u64 buffer_of(u32 queue, u32 index) { return buffers + (u64{queue} * ring_size + index) * buffer_size; }
    bool deliver(const Bytes& frame, const net::Offload& offload = {}) {
        return card.receive_offloaded(frame, offload);
    }

    struct Received {
        u32 status = 0, errors = 0, hash = 0, type = 0;
        u16 tag = 0;
        Bytes bytes;
    };
    // The next frame of a queue, and nothing if there is none.
    std::optional<Received> take(u32 queue = 0) {
        Received got;
        for (;;) {
            const u64 at = receive_at + queue * 0x800 + next_[queue] * 16;
            const u64 low = dma.load<u64>(at).value(), high = dma.load<u64>(at + 8).value();
            if ((high & 1) == 0) return std::nullopt;
            const u64 length = bits(high, 32, 16);
            Bytes piece(length);
            EXPECT_TRUE(dma.read(buffer_of(queue, next_[queue]), piece));
            got.bytes.insert(got.bytes.end(), piece.begin(), piece.end());
            EXPECT_TRUE(dma.store<u64>(at, buffer_of(queue, next_[queue])) && dma.store<u64>(at + 8, 0));
            put(rdt + queue * queue_stride, next_[queue]);
            next_[queue] = (next_[queue] + 1) % ring_size;
            if ((high & 2) == 0) continue;
            got.status = static_cast<u32>(bits(high, 0, 20));
            got.errors = static_cast<u32>(bits(high, 20, 12));
            got.tag = static_cast<u16>(high >> 48);
            got.type = static_cast<u32>(bits(low, 0, 4));
            got.hash = static_cast<u32>(low >> 32);
            return got;
        }
    }

    // Puts a descriptor into a transmit ring; kick() hands them over.
    u64 add(u64 low, u64 high, u32 queue = 0) {
        const u64 at = transmit_at + queue * 0x800 + tail_[queue] * 16;
        EXPECT_TRUE(dma.store<u64>(at, low) && dma.store<u64>(at + 8, high));
        tail_[queue] = (tail_[queue] + 1) % ring_size;
        return at;
    }
    void kick(u32 queue = 0) { put(tdt + queue * queue_stride, tail_[queue]); }
    u64 place(const Bytes& bytes) {
        const u64 at = ram_base + 0x30'0000;
        EXPECT_TRUE(dma.write(at, bytes));
        return at;
    }

    Bench bench;
    HeapMemory heap;
    GuestMemory memory{heap};
    Dma dma{memory};
    std::shared_ptr<WireBackend::Shared> wire = std::make_shared<WireBackend::Shared>();
    struct Sink final : LogSink {
        void write(LogLevel, std::string_view, std::string_view line) override { lines.emplace_back(line); }
        std::vector<std::string> lines;
    } sink;
    E1000e card{CardWiring{dma, bench.timers, sink}, std::make_unique<WireBackend>(wire), first_mac_address};

private:
    u32 next_[2] = {}, tail_[2] = {};
};

// The upper halves of transmit descriptors. Commands: EOP and IFCS, RS, and what a test adds.
enum Command : u64 { eop_ifcs = 3, segment = 4, checksum = 4, report = 8, extended = 0x20, tag = 0x40, delay = 0x80 };
constexpr u64 legacy_descriptor(u64 length, u64 command, u64 sum_at = 0, u64 sum_from = 0, u64 vlan = 0) {
    return length | sum_at << 16 | command << 24 | sum_from << 40 | vlan << 48;
}
constexpr u64 data_descriptor(u64 length, u64 command, u64 options = 0, u64 vlan = 0) {
    return length | u64{1} << 20 | (command | extended) << 24 | options << 40 | vlan << 48;
}
// IPv4 and TCP behind `ip`, without options.
constexpr u64 context_low(u64 ip, u64 last = 0) {
    return ip | (ip + 10) << 8 | (ip + 19) << 16 | (ip + 20) << 32 | (ip + 36) << 40 | last << 48;
}
constexpr u64 context_high(u64 command, u64 header = 0, u64 mss = 0) {
    return (command | extended) << 24 | header << 40 | mss << 48;
}

}  // namespace viv::test
