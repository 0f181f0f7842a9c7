// Files that a user may be handed: ELF, RISC-V kernels in all their wrappings, device trees.
#include "engine/firmware/fdt.h"
#include "engine/firmware/linux_riscv.h"
#include "tests/fuzz/fuzz_machine.h"

using namespace viv;

extern "C" int LLVMFuzzerTestOneInput(const u8* data, usize size) {
    if (size == 0) return 0;
    const std::span<const u8> file(data + 1, size - 1);
    const riscv_boot::Ram ram{fuzz::ram_base, fuzz::ram_size};
    static fuzz::Memory blocks;
    static GuestMemory* memory = [] {
        auto* made = new GuestMemory(blocks);
        if (!made->add(fuzz::ram_base, fuzz::ram_size, GuestMemory::Kind::ram, "ram")) std::abort();
        return made;
    }();
    switch (data[0] % 3) {
        case 0: {
            if (auto tree = Fdt::parse(file, "tree")) {
                for (Fdt::Node node = 0; node < tree->node_count(); node++) {
                    (void)tree->path(node);
                    for (const auto& property : tree->properties(node)) (void)tree->value_strings(node, property.name);
                    (void)tree->value_u64(node, "reg");
                }
                (void)tree->find("/soc/serial");
                (void)tree->find_compatible("ns16550a");
            }
            break;
        }
        case 1:
            for (const unsigned xlen : {32u, 64u})
                if (auto kernel = riscv_boot::Kernel::open("kernel", file, xlen, ram)) {
                    (void)kernel->load(*memory);
                    (void)kernel->symbol("_start");
                }
            break;
        default: (void)riscv_boot::load_firmware(*memory, "firmware", file, 64, ram); break;
    }
    return 0;
}
