// The device tree of riscv-virt. Specification: Devicetree Specification v0.4; the Linux bindings of each device;
// RISC-V cpus binding.
#include "engine/board/riscv_virt.h"
#include "engine/firmware/fdt.h"

#include <fmt/core.h>

namespace viv::riscv_virt {

namespace {

// What the harts implement, in the order that the ISA manual wants. Vector extensions follow.
constexpr std::string_view scalar_extensions[] = {
    "i", "m", "a", "f", "d", "c", "zicbom", "zicbop", "zicboz", "ziccamoa", "ziccif", "zicclsm", "ziccrse", "zicntr",
    "zicond", "zicsr", "zifencei", "zihintpause", "zihpm", "zkr", "zfh", "zfhmin", "zca", "zcb", "zcd", "zba", "zbb",
    "zbc", "zbs", "sdtrig", "ssccptr", "sscounterenw", "sstc", "sstvala", "sstvecd", "svade", "svinval", "svnapot",
    "svpbmt",
    // A page table entry that is not valid is never cached, so the guest need not fence what it makes valid.
    "svvptc"};
constexpr std::string_view vector_extensions[] = {"v", "zvbb", "zvbc", "zvfh", "zvfhmin"};
constexpr u32 cache_block = 64;

std::string unit(std::string_view name, u64 address) { return fmt::format("{}@{:x}", name, address); }

u32 high(u64 value) { return static_cast<u32>(value >> 32); }
u32 low(u64 value) { return static_cast<u32>(value); }

void cpus(FdtBuilder& tree, const TreeInput& input, std::vector<u32>& intc) {
    tree.begin_node("cpus");
    tree.property_u32("#address-cells", 1);
    tree.property_u32("#size-cells", 0);
    tree.property_u32("timebase-frequency", static_cast<u32>(Aclint::frequency_hz));
    std::vector<std::string_view> extensions(std::begin(scalar_extensions), std::end(scalar_extensions));
    std::string isa = fmt::format("rv{}imafdc{}", input.xlen, input.vlen != 0 ? "v" : "");
    if (input.vlen != 0)
        extensions.insert(extensions.begin() + 6, std::begin(vector_extensions), std::end(vector_extensions));
    for (const auto extension : extensions)
        if (extension.size() > 1) isa += fmt::format("_{}", extension);
    for (u32 i = 0; i < input.cpus; i++) {
        tree.begin_node(unit("cpu", i));
        tree.property_string("device_type", "cpu");
        tree.property_u32("reg", i);
        tree.property_string("status", "okay");
        tree.property_string("compatible", "riscv");
        tree.property_string("riscv,isa", isa);
        tree.property_string("riscv,isa-base", input.xlen == 64 ? "rv64i" : "rv32i");
        tree.property_strings("riscv,isa-extensions", extensions);
        tree.property_string("mmu-type", input.xlen == 32    ? "riscv,sv32"
                                         : input.levels == 3 ? "riscv,sv39"
                                         : input.levels == 4 ? "riscv,sv48"
                                                             : "riscv,sv57");
        tree.property_u32("riscv,cbom-block-size", cache_block);
        tree.property_u32("riscv,cbop-block-size", cache_block);
        tree.property_u32("riscv,cboz-block-size", cache_block);
        tree.begin_node("interrupt-controller");
        tree.property_u32("#interrupt-cells", 1);
        tree.property_empty("interrupt-controller");
        tree.property_string("compatible", "riscv,cpu-intc");
        intc.push_back(tree.new_phandle());
        tree.property_phandle(intc.back());
        tree.end_node();
        tree.end_node();
    }
    tree.end_node();
}

void pci(FdtBuilder& tree, u32 plic_phandle) {
    tree.begin_node(unit("pci", pcie_ecam.base));
    tree.property_string("compatible", "pci-host-ecam-generic");
    tree.property_string("device_type", "pci");
    tree.property_u32("#address-cells", 3);
    tree.property_u32("#size-cells", 2);
    tree.property_u32("#interrupt-cells", 1);
    tree.property_u32("linux,pci-domain", 0);
    tree.property_cells("bus-range", {0, 0});
    tree.property_empty("dma-coherent");
    tree.property_u64s("reg", {pcie_ecam.base, pci::HostBridge::ecam_bytes_per_bus});
    constexpr u32 io = 0x0100'0000, memory32 = 0x0200'0000, memory64 = 0x0300'0000;
    tree.property_cells("ranges", {io,
                                   0,
                                   0,
                                   high(pcie_pio.base),
                                   low(pcie_pio.base),
                                   0,
                                   low(pcie_pio.size),
                                   memory32,
                                   0,
                                   low(pcie_mmio.base),
                                   0,
                                   low(pcie_mmio.base),
                                   0,
                                   low(pcie_mmio.size),
                                   memory64,
                                   high(pcie_mmio_high.base),
                                   low(pcie_mmio_high.base),
                                   high(pcie_mmio_high.base),
                                   low(pcie_mmio_high.base),
                                   high(pcie_mmio_high.size),
                                   low(pcie_mmio_high.size)});
    tree.property_cells("interrupt-map-mask", {0x1800, 0, 0, 7});
    std::vector<u32> map;
    for (u32 device = 0; device < 4; device++)
        for (u32 pin = 1; pin <= 4; pin++)
            for (const u32 cell : {device << 11, u32{0}, u32{0}, pin, plic_phandle, irq_pcie + (device + pin - 1) % 4})
                map.push_back(cell);
    tree.property_cells("interrupt-map", map);
    tree.end_node();
}

void soc(FdtBuilder& tree, const std::vector<u32>& intc, u32 test_phandle) {
    tree.begin_node("soc");
    tree.property_u32("#address-cells", 2);
    tree.property_u32("#size-cells", 2);
    tree.property_string("compatible", "simple-bus");
    tree.property_empty("ranges");

    const u32 plic_phandle = tree.new_phandle();
    std::vector<u32> timer_lines, plic_lines;
    for (const u32 phandle : intc) {
        for (const u32 cell : {phandle, u32{riscv::irq_msi}, phandle, u32{riscv::irq_mti}}) timer_lines.push_back(cell);
        for (const u32 cell : {phandle, u32{riscv::irq_mei}, phandle, u32{riscv::irq_sei}}) plic_lines.push_back(cell);
    }
    tree.begin_node(unit("clint", aclint.base));
    tree.property_strings("compatible", {"sifive,clint0", "riscv,clint0"});
    tree.property_u64s("reg", {aclint.base, aclint.size});
    tree.property_cells("interrupts-extended", timer_lines);
    tree.end_node();

    tree.begin_node(unit("plic", plic.base));
    tree.property_strings("compatible", {"sifive,plic-1.0.0", "riscv,plic0"});
    tree.property_u64s("reg", {plic.base, plic.size});
    tree.property_u32("#address-cells", 0);
    tree.property_u32("#interrupt-cells", 1);
    tree.property_empty("interrupt-controller");
    tree.property_cells("interrupts-extended", plic_lines);
    tree.property_u32("riscv,ndev", plic_sources);
    tree.property_phandle(plic_phandle);
    tree.end_node();

    const auto device = [&](std::string_view name, const Area& area, std::initializer_list<std::string_view> compatible,
                            u32 irq) {
        tree.begin_node(unit(name, area.base));
        tree.property_strings("compatible", compatible);
        tree.property_u64s("reg", {area.base, area.size});
        if (irq != 0) {
            tree.property_u32("interrupt-parent", plic_phandle);
            tree.property_u32("interrupts", irq);
        }
    };
    device("serial", uart0, {"ns16550a"}, irq_uart0);
    tree.property_u32("clock-frequency", uart_clock_hz);
    tree.end_node();
    device("rtc", rtc, {"google,goldfish-rtc"}, irq_rtc);
    tree.end_node();
    device("vmgenid", vmgenid, {"microsoft,vmgenid"}, irq_vmgenid);
    tree.end_node();
    device("test", test, {"sifive,test1", "sifive,test0", "syscon"}, 0);
    tree.property_phandle(test_phandle);
    tree.end_node();
    for (u32 slot = 0; slot < virtio_slots; slot++) {
        device("virtio_mmio", {virtio.base + slot * virtio.size, virtio.size}, {"virtio,mmio"}, irq_virtio + slot);
        tree.end_node();
    }
    pci(tree, plic_phandle);
    tree.end_node();

    device("fw-cfg", fw_cfg, {"qemu,fw-cfg-mmio"}, 0);
    tree.property_empty("dma-coherent");
    tree.end_node();
}

void power(FdtBuilder& tree, std::string_view name, std::string_view compatible, u32 test_phandle, u32 value) {
    tree.begin_node(name);
    tree.property_string("compatible", compatible);
    tree.property_u32("regmap", test_phandle);
    tree.property_u32("offset", 0);
    tree.property_u32("value", value);
    tree.end_node();
}

}  // namespace

std::vector<u8> device_tree(const TreeInput& input) {
    FdtBuilder tree;
    tree.begin_node("");
    tree.property_u32("#address-cells", 2);
    tree.property_u32("#size-cells", 2);
    tree.property_string("compatible", "riscv-virtio");
    tree.property_string("model", "riscv-virtio,vivarium");

    tree.begin_node("chosen");
    if (!input.append.empty()) tree.property_string("bootargs", input.append);
    tree.property_string("stdout-path", "/soc/" + unit("serial", uart0.base));
    if (input.initrd_start != input.initrd_end) {
        tree.property_u64("linux,initrd-start", input.initrd_start);
        tree.property_u64("linux,initrd-end", input.initrd_end);
    }
    tree.property("rng-seed", input.seed);
    tree.end_node();

    tree.begin_node("aliases");
    tree.property_string("serial0", "/soc/" + unit("serial", uart0.base));
    tree.end_node();

    tree.begin_node(unit("memory", dram.base));
    tree.property_string("device_type", "memory");
    tree.property_u64s("reg", {dram.base, input.memory});
    tree.end_node();

    std::vector<u32> intc;
    cpus(tree, input, intc);
    const u32 test_phandle = tree.new_phandle();
    soc(tree, intc, test_phandle);
    power(tree, "poweroff", "syscon-poweroff", test_phandle, 0x5555);
    power(tree, "reboot", "syscon-reboot", test_phandle, 0x7777);
    tree.end_node();
    return tree.finish();
}

}  // namespace viv::riscv_virt
