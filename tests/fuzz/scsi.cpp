// A driver of a virtio-scsi adapter that sends any command with any data to a disk, a drive and what is not there, and
// manages tasks meanwhile; the disks answer late now and then. Saving, loading and resets in between.
#include "engine/dev/virtio/scsi.h"
#include "engine/dev/scsi/create.h"
#include "tests/dev/device_bench.h"
#include "tests/fuzz/fuzz_machine.h"
#include "tests/fuzz/late_disk.h"

using namespace viv;

namespace {

constexpr u64 base = fuzz::ram_base, rings = base, buffers = base + 0x1'0000;
constexpr u16 ring_size = 16;

struct Rig {
    Rig() {
        if (!memory.add(base, 1 << 20, GuestMemory::Kind::ram, "ram")) std::abort();
        const virtio::Wiring wiring{port, bench.timers, bench.inlet, bench.sink};
        adapter = std::make_unique<virtio::Scsi>(wiring, virtio::Scsi::Options{2, ring_size});
        for (usize i = 0; i < 3; i++) {
            DeviceSpec spec;
            spec.name = i == 2 ? "scsi-cd" : "scsi-hd";
            spec.properties = {{"scsi-id", "0"}, {"lun", std::to_string(i)}, {"serial", "s"}};
            auto disk = std::make_unique<fuzz::LateDisk>(late);
            disks[i] = disk.get();
            spec.disk = std::move(disk);
            if (!scsi::attach(*adapter->scsi_bus(), spec)) std::abort();
        }
        start();
    }
    void start() {
        adapter->write_status(0);
        adapter->choose(virtio::feature(virtio::version_1));
        adapter->write_status(11);
        for (u16 i = 0; i < adapter->queue_count(); i++) {
            virtio::Queue& queue = adapter->queue(i);
            if (!queue.set_size(ring_size, adapter->chosen()) || !queue.set_descriptor_table(rings + i * 0x1000u) ||
                !queue.set_driver_area(rings + i * 0x1000u + 0x400) ||
                !queue.set_device_area(rings + i * 0x1000u + 0x800))
                std::abort();
            adapter->enable_queue(i);
            next[i] = 0;
            put<u16>(rings + i * 0x1000u + 0x402, 0);
        }
        adapter->write_status(15);
    }
    template <class T>
    void put(u64 address, T value) {
        if (!port.store<T>(address, value)) std::abort();
    }
    void offer(u16 queue, u64 out, u32 out_size, u64 in, u32 in_size) {
        const u64 at = rings + queue * 0x1000u;
        const u16 head = static_cast<u16>(next[queue] * 2 % ring_size);
        const auto describe = [&](u16 index, u64 address, u32 size, u16 flags, u16 link) {
            put<u64>(at + index * 16u, address);
            put<u32>(at + index * 16u + 8, size);
            put<u16>(at + index * 16u + 12, flags);
            put<u16>(at + index * 16u + 14, link);
        };
        describe(head, out, out_size, 1, static_cast<u16>(head + 1));
        describe(static_cast<u16>(head + 1), in, in_size, 2, 0);
        put<u16>(at + 0x404 + next[queue] % ring_size * 2u, head);
        put<u16>(at + 0x402, ++next[queue]);
        adapter->kick(queue);
    }

    test::Bench bench;
    test::HeapMemory heap;
    GuestMemory memory{heap};
    Dma port{memory};
    bool late = false;
    fuzz::LateDisk* disks[3] = {};
    std::unique_ptr<virtio::Scsi> adapter;
    u16 next[4] = {};
};

void put_lun(Rig& rig, u64 at, u8 which) { rig.put<u64>(at, u64{1} | u64{bit(which, 7)} << 8 | u64{which & 3u} << 24); }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    constexpr u8 commands[] = {0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x1a, 0x1b, 0x1e, 0x25, 0x28,
                               0x2a, 0x2f, 0x35, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x55, 0x5a,
                               0x88, 0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xaf, 0xbd};
    Rig rig;
    fuzz::Tape tape({data, size});
    for (unsigned step = 0; step < 200 && !tape.done(); step++) {
        switch (tape.byte() % 8) {
            default: {
                const u8 which = tape.byte();
                put_lun(rig, buffers, which);
                rig.put<u64>(buffers + 8, tape.byte() & 7);
                const u8 operation = tape.byte();
                std::vector<u8> bytes(3 + 32 + 64);
                for (u8& byte : bytes) byte = 0;
                bytes[3] = operation % 8 == 7 ? operation : commands[operation % std::size(commands)];
                for (usize i = 4; i < 19; i++) bytes[i] = tape.byte();
                const usize more = tape.byte() & 63;
                for (usize i = 0; i < more; i++) bytes[35 + i] = tape.byte();
                if (!rig.port.write(buffers + 16, bytes)) std::abort();
                const bool writes = bit(which, 6);
                const u32 room = static_cast<u32>(tape.number(2));
                rig.offer(bit(which, 5) ? 3 : 2, buffers, 51 + (writes ? room : 0), buffers + 0x2'0000,
                          108 + (writes ? 0 : room));
                break;
            }
            case 1: {
                rig.put<u32>(buffers, tape.byte() & 3);
                rig.put<u32>(buffers + 4, tape.byte() & 15);
                put_lun(rig, buffers + 8, tape.byte());
                rig.put<u64>(buffers + 16, tape.byte() & 7);
                rig.offer(0, buffers, 24, buffers + 0x2'0000, 8);
                break;
            }
            case 2: rig.late = !rig.late; break;
            case 3:
                for (fuzz::LateDisk* disk : rig.disks) disk->complete();
                break;
            case 4: {
                const auto saved = test::save(*rig.adapter);
                if (!test::load(*rig.adapter, saved)) std::abort();
                break;
            }
            case 5: rig.bench.advance(u64{tape.byte()} * 1000); break;
            case 6: {
                const u32 offset = tape.byte() & 0x3c;
                rig.adapter->write_config(offset, 4, tape.number(2));
                break;
            }
        }
        if ((rig.adapter->status() & virtio::status_needs_reset) != 0) rig.start();
    }
    std::vector<u8> saved = test::save(*rig.adapter);
    for (unsigned i = 0; i < 4; i++) saved[tape.number(2) % saved.size()] ^= tape.byte();
    if (test::load(*rig.adapter, saved)) rig.bench.advance(1'000'000);
    return 0;
}
