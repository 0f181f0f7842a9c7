// The devices' own state, past the checksums of the file: arbitrary records loaded into each device and CPU, which are
// then used.
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static fuzz::Bench bench(fuzz::Plugged::every_device);
    if (size < 2 || !bench.machine->reset()) return 0;
    Board& board = bench.machine->board();
    const auto devices = board.devices();
    const usize which = data[0] % (devices.size() + 1);
    // Edits to what the device saves get further than records out of thin air.
    std::vector<u8> records;
    auto out = Archive::saver(records);
    if (which < devices.size())
        devices[which].device->state(out);
    else
        board.cpus()[0]->state(out);
    fuzz::Tape tape({data + 2, size - 2});
    if ((data[1] & 1) != 0)
        records.assign(tape.rest().begin(), tape.rest().end());
    else
        while (!tape.done() && !records.empty()) {
            const usize at = tape.number(2) % records.size();
            records[at] = tape.byte();
        }
    auto in = Archive::loader(records);
    if (which < devices.size()) {
        devices[which].device->state(in);
        if (!in.finish()) return 0;
        devices[which].device->restored();
    } else {
        board.cpus()[0]->state(in);
        if (!in.finish()) return 0;
        board.cpus()[0]->restored();
    }
    u64 value = 0;
    for (const auto& range : std::vector<Bus::Range>(board.bus().ranges())) {
        for (u64 offset = 0; offset < 0x40; offset += 4) board.bus().read(range.base + offset, 4, value);
        board.bus().write(range.base, 4, 0);
    }
    bench.machine->run({.instructions = 2000, .host_ns = 1'000'000});
    return 0;
}
