// A driver that sets a virtio-mmio device up properly and then gives it rings and descriptors of arbitrary content.
#include "engine/dev/virtio/queue.h"
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static fuzz::Bench bench(fuzz::Plugged::every_device);
    if (!bench.machine->reset()) return 0;
    Bus& bus = bench.machine->board().bus();
    fuzz::Tape tape({data, size});
    const u64 base = 0x1000'1000 + u64{tape.byte() % 8u} * 0x1000;
    const auto write = [&](u64 offset, u64 value) { bus.write(base + offset, 4, value); };
    write(0x070, 0);
    write(0x070, 3);
    u64 features = 0;
    write(0x014, 1);
    bus.read(base + 0x010, 4, features);
    write(0x024, 1);
    const bool packed = tape.byte() % 2 != 0;
    write(0x020, packed ? features : features & ~(virtio::feature(virtio::ring_packed) >> 32));
    write(0x014, 0);
    bus.read(base + 0x010, 4, features);
    write(0x024, 0);
    write(0x020, features & tape.number(4));
    write(0x070, 11);
    const u64 rings = fuzz::ram_base + 0x1'0000;
    const unsigned queues = 1 + tape.byte() % 5;
    for (unsigned queue = 0; queue < queues; queue++) {
        write(0x030, queue);
        write(0x038, packed ? 1 + tape.byte() % 64 : u64{1} << tape.byte() % 7);
        // Descriptors, available and used rings may overlap: that is the driver's affair.
        for (const u64 at : {0x080, 0x090, 0x0a0}) {
            write(at, rings + tape.number(2) / 16 * 16);
            write(at + 4, 0);
        }
        write(0x044, 1);
    }
    bench.fill_ram(0x1'0000, tape.rest());
    write(0x070, 15);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned queue = 0; queue < queues; queue++) write(0x050, queue);
        bench.machine->run({.instructions = 3000, .host_ns = 1'000'000});
    }
    return 0;
}
