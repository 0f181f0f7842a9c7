// Arbitrary bytes as instructions, in every mode and with page tables made of the same bytes: the hart stays inside its
// machine and its budget.
#include "engine/isa/riscv/hart.h"
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    static fuzz::Bench bench(fuzz::Plugged::bare);
    if (!bench.machine->reset()) return 0;
    fuzz::Tape tape({data, size});
    auto& hart = static_cast<riscv::Hart&>(*bench.machine->board().cpus()[0]);
    const u8 mode = tape.byte();
    hart.s.privilege = (mode & 3) == 0   ? riscv::Privilege::user
                       : (mode & 3) == 1 ? riscv::Privilege::supervisor
                                         : riscv::Privilege::machine;
    hart.s.mstatus = tape.number(4) & 0x1e'7fff & ~u64{0x1800};
    hart.s.medeleg = tape.number(2);
    if ((mode & 4) != 0) hart.s.satp = u64{8} << 60 | (fuzz::ram_base + 0x1000) >> 12;
    for (unsigned r = 1; r < 32; r++)
        hart.s.x[r] = (tape.byte() & 1) != 0 ? fuzz::ram_base + tape.number(2) : tape.number(1);
    hart.s.mtvec = fuzz::ram_base + (tape.byte() & ~3u);
    hart.s.stvec = fuzz::ram_base + (tape.byte() & ~3u);
    hart.s.pc = (mode & 4) != 0 ? tape.number(2) : fuzz::ram_base;
    bench.fill_ram(0, tape.rest());
    hart.restored();
    const u64 before = hart.instructions();
    hart.run(2000, Cpu::Step::run);
    if (hart.instructions() - before > 2000 || hart.s.x[0] != 0) std::abort();
    return 0;
}
