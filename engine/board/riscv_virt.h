// The `riscv-virt` board: QEMU's `virt` memory map and interrupt numbers, and a VM generation ID beside them, so that
// firmware and kernels for it run unchanged. Promises: up to 8 harts; RAM at 0x80000000; without --bios the engine's
// own SBI runs the kernel in supervisor mode, with it the firmware starts in machine mode and finds kernel and device
// tree as QEMU would hand them over. The device tree tells the guest exactly what there is.
#pragma once

#include "engine/board/board.h"
#include "engine/dev/identity/vm_generation_id.h"
#include "engine/dev/intc/aclint.h"
#include "engine/dev/intc/plic.h"
#include "engine/dev/pci/host_bridge.h"
#include "engine/dev/power/sifive_test.h"
#include "engine/dev/rtc/goldfish_rtc.h"
#include "engine/dev/serial/ns16550a.h"
#include "engine/dev/virtio/mmio.h"
#include "engine/dev/virtio/pci.h"
#include "engine/firmware/fw_cfg.h"
#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/sbi.h"
#include "engine/jit/compile_queue.h"

namespace viv {

namespace riscv_virt {

struct Area {
    u64 base, size;
};
constexpr Area mrom{0x1000, 0xf000}, test{0x10'0000, 0x1000}, rtc{0x10'1000, 0x1000},
    vmgenid{0x10'2000, VmGenerationId::mmio_size}, aclint{0x200'0000, 0x1'0000}, pcie_pio{0x300'0000, 0x1'0000},
    plic{0xc00'0000, 0x60'0000}, uart0{0x1000'0000, 0x100}, virtio{0x1000'1000, 0x1000}, fw_cfg{0x1010'0000, 0x18},
    pcie_ecam{0x3000'0000, 0x1000'0000}, pcie_mmio{0x4000'0000, 0x4000'0000}, dram{0x8000'0000, 0},
    pcie_mmio_high{0x4'0000'0000, 0x4'0000'0000};
constexpr unsigned virtio_slots = 8;
constexpr u32 irq_virtio = 1, irq_uart0 = 10, irq_rtc = 11, irq_vmgenid = 12, irq_pcie = 0x20;
constexpr u32 plic_sources = 95, plic_priority_bits = 3;
constexpr u32 uart_clock_hz = 3'686'400;

// What the device tree has to say besides the fixed map.
struct TreeInput {
    unsigned cpus = 1;
    unsigned xlen = 64;
    unsigned vlen = 128;
    unsigned levels = 5;
    u64 memory = 0;
    std::string append;
    u64 initrd_start = 0, initrd_end = 0;  // equal: none
    std::array<u8, 32> seed{};             // for the guest's random number generator
};
std::vector<u8> device_tree(const TreeInput& input);

}  // namespace riscv_virt

class RiscvVirt final : public Board {
public:
    static Result<std::unique_ptr<Board>> create(BoardConfig config, const BoardServices& services);
    ~RiscvVirt() override;

    std::string_view machine() const override { return "riscv-virt"; }
    const BoardConfig& config() const override { return config_; }
    std::span<Cpu* const> cpus() override { return cpus_; }
    GuestMemory& memory() override { return memory_; }
    Bus& bus() override { return bus_; }
    std::span<const NamedDevice> devices() override { return devices_; }
    Result<void> reset() override;
    bool press_power_button() override { return false; }
    ByteDevice* serial(unsigned index) override { return index == 0 ? uart_.get() : nullptr; }
    ByteDevice* console_port(std::string_view name) override;
    std::span<display::DisplayDevice* const> displays() override { return displays_; }
    std::span<input::InputDevice* const> inputs() override { return inputs_; }
    void state(Archive&) override {}
    void restored() override {}

private:
    class Time;
    RiscvVirt(BoardConfig config, const BoardServices& services);
    Result<void> build();
    Result<void> make_harts();
    Result<void> make_translators();
    Result<void> plug(DeviceSpec& spec);
    Result<void> attach(DeviceSpec& spec);
    Result<void> load();
    void protect_code(u64 physical_page);
    void page_written(u64 address, u64 size);
    Result<void> map(const riscv_virt::Area& area, Mmio& device, std::string name, Device* state);

    BoardConfig config_;
    BoardServices services_;
    GuestMemory memory_;
    Bus bus_;
    Dma dma_;
    NullByteBackend no_backend_;
    std::vector<std::unique_ptr<Pin>> pins_;
    std::unique_ptr<Time> time_;
    std::unique_ptr<riscv::Sbi> sbi_;
    std::vector<std::unique_ptr<riscv::Hart>> harts_;
    std::unique_ptr<jit::CompileQueue> compile_queue_;  // of all translators, or null
    // A translator for each hart, if there are any: what it sees of the hart, and itself.
    struct Translation {
        std::unique_ptr<exec::Translatable> guest;
        std::unique_ptr<exec::Translator> translator;
    };
    std::vector<Translation> translations_;
    std::vector<Cpu*> cpus_;
    std::unique_ptr<Aclint> aclint_;
    std::unique_ptr<Plic> plic_;
    std::unique_ptr<Ns16550a> uart_;
    std::unique_ptr<GoldfishRtc> rtc_;
    std::unique_ptr<VmGenerationId> vmgenid_;
    std::unique_ptr<SifiveTest> test_;
    std::unique_ptr<FwCfg> fw_cfg_;
    std::unique_ptr<pci::HostBridge> pci_;
    std::vector<std::unique_ptr<virtio::MmioTransport>> mmio_slots_;
    std::vector<virtio::Function*> functions_;
    std::vector<display::DisplayDevice*> displays_;
    std::vector<input::InputDevice*> inputs_;
    std::vector<std::pair<std::string, scsi::Bus*>> scsi_buses_;  // by the id of the adapter, if it has one
    std::vector<NamedDevice> devices_;
};

}  // namespace viv
