// A driver that brings an e1000e up properly, and then gives it rings and descriptors of arbitrary content and writes
// arbitrary registers.
#include <array>

#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

namespace {

constexpr u64 ecam = 0x3000'0000, bar_0 = 0x4000'0000;
constexpr u32 first_receive_ring = 0x2800, first_transmit_ring = 0x3800;

// The slot that the card is in.
u64 configuration_of_card(Bus& bus) {
    for (u64 slot = 1; slot < 32; slot++) {
        u64 id = 0;
        if (bus.read(ecam + (slot << 15), 4, id) && id == 0x10d3'8086) return ecam + (slot << 15);
    }
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static fuzz::Bench bench(fuzz::Plugged::every_device);
    if (!bench.machine->reset()) return 0;
    Bus& bus = bench.machine->board().bus();
    fuzz::Tape tape({data, size});
    const u64 configuration = configuration_of_card(bus);
    bus.write(configuration + 0x10, 4, bar_0);
    bus.write(configuration + 0x04, 2, 6);
    const auto write = [&](u64 offset, u64 value) { bus.write(bar_0 + offset, 4, value); };
    const u64 rings = fuzz::ram_base + 0x1'0000;
    for (const u32 ring :
         {first_receive_ring, first_receive_ring + 0x100, first_transmit_ring, first_transmit_ring + 0x100}) {
        // They may overlap: that is the driver's affair.
        write(ring, rings + tape.number(2) / 16 * 16);
        write(ring + 0x08, u64{128} << tape.byte() % 8);
        write(ring + 0x10, tape.byte());
        if (ring < first_transmit_ring) write(ring + 0x18, tape.byte());
    }
    write(0x5008, tape.number(4));               // RFCTL
    write(0x5818, tape.byte() % 4 | 0x37'0000);  // MRQC
    write(0x5c00, tape.number(4));               // RETA
    write(0x5000, tape.number(2));               // RXCSUM
    write(0x0000, 0x4000'0041);                  // CTRL: VLAN tags
    write(0x0100, tape.number(4) | 0x801a);      // RCTL: enabled, promiscuous
    write(0x00d0, ~u32{0});                      // IMS
    const unsigned steps = tape.byte() % 32;
    std::array<std::pair<u32, u32>, 32> writes{};
    for (unsigned i = 0; i < steps; i++)
        writes[i] = {static_cast<u32>(tape.number(2)) % 0xc000 / 4 * 4, static_cast<u32>(tape.number(4))};
    const u64 tails = tape.number(2);
    bench.fill_ram(0x1'0000, tape.rest());
    write(0x0400, 0x2);  // TCTL
    write(first_transmit_ring + 0x18, tails & 0xff);
    write(first_transmit_ring + 0x118, tails >> 8);
    for (unsigned i = 0; i < steps; i++) {
        write(writes[i].first, writes[i].second);
        u64 value = 0;
        bus.read(bar_0 + writes[i].second % 0xc000 / 4 * 4, 4, value);
    }
    for (unsigned round = 0; round < 3; round++) bench.machine->run({.instructions = 3000, .host_ns = 1'000'000});
    return 0;
}
