// Any driver: a sequence of reads and writes at device addresses, RAM content for rings and descriptors, and time
// passing.
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static fuzz::Bench bench(fuzz::Plugged::every_device);
    if (!bench.machine->reset()) return 0;
    Board& board = bench.machine->board();
    fuzz::Tape tape({data, size});
    for (unsigned step = 0; !tape.done() && step < 4000; step++) {
        const u8 what = tape.byte();
        const unsigned width = 1u << (what & 3);
        if ((what & 0xf0) == 0xf0) {
            bench.machine->run({.instructions = 1000, .host_ns = 1'000'000});
            continue;
        }
        if ((what & 0xf0) == 0xe0) {
            u8 bytes[64];
            for (u8& byte : bytes) byte = tape.byte();
            bench.fill_ram(0x1'0000 + (tape.number(2) & 0xffc0), bytes);
            continue;
        }
        // The ranges change as BARs are mapped, so they are looked up each time.
        const auto& ranges = board.bus().ranges();
        const auto& range = ranges[tape.byte() % ranges.size()];
        const u64 offset = (what & 4) != 0 ? tape.number(3) : tape.number(1) * ((what & 8) != 0 ? 4 : 1);
        const u64 address = range.base + align_down(offset % range.size, width);
        u64 value = 0;
        if ((what & 0x80) != 0)
            board.bus().read(address, width, value);
        else
            board.bus().write(address, width,
                              (what & 0x40) != 0 ? fuzz::ram_base + 0x1'0000 + tape.number(2) : tape.number(width));
    }
    return 0;
}
