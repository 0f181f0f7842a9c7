// Wiring and boot of riscv-virt. See riscv_virt.h.
#include "engine/board/riscv_virt.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "engine/dev/cards.h"
#include "engine/dev/catalog.h"
#include "engine/dev/mac_addresses.h"
#include "engine/dev/scsi/create.h"
#include "engine/dev/virtio/create.h"
#include "engine/firmware/linux_riscv.h"
#include "engine/isa/riscv/translation.h"
#include "engine/jit/catalog.h"
#include "engine/lang/nearest.h"

namespace viv {

using namespace riscv_virt;

// mtime as the harts' `time`.
class RiscvVirt::Time final : public riscv::TimeSource {
public:
    explicit Time(const RiscvVirt& board) : board_(board) {}
    u64 ticks() override { return board_.aclint_ == nullptr ? 0 : board_.aclint_->mtime(); }
    u64 deadline_ns(u64 ticks) override {
        return board_.aclint_ == nullptr ? Timers::never : board_.aclint_->deadline_ns(ticks);
    }

private:
    const RiscvVirt& board_;
};

namespace {

struct CpuModel {
    std::string_view name;
    unsigned xlen;
    unsigned vlen;
};
constexpr CpuModel models[] = {{"rv64", 64, 128}, {"rv32", 32, 128}, {"rva22s64", 64, 0}};

Result<void> parse_cpu(std::string_view text, riscv::HartConfig& config) {
    std::vector<std::string_view> names;
    for (const auto& model : models) names.push_back(model.name);
    const auto comma = text.find(',');
    const auto name = text.substr(0, comma);
    const auto* model =
        std::find_if(std::begin(models), std::end(models), [&](const CpuModel& m) { return m.name == name; });
    if (model == std::end(models)) {
        const auto near = nearest_name(name, names);
        return Error{fmt::format("--cpu {}: no such CPU on riscv-virt; there are rv64, rv32 and rva22s64{}", name,
                                 near.empty() ? "" : fmt::format(" (did you mean {}?)", near))};
    }
    config.xlen = model->xlen;
    config.vlen = model->vlen;
    std::string_view rest = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    while (!rest.empty()) {
        const auto end = rest.find(',');
        const auto option = rest.substr(0, end);
        rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
        const auto equals = option.find('=');
        const auto key = option.substr(0, equals);
        const auto value = equals == std::string_view::npos ? std::string_view{} : option.substr(equals + 1);
        unsigned number = 0;
        const auto [last, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
        const bool whole = problem == std::errc{} && last == value.data() + value.size();
        if (key == "vlen") {
            if (!whole ||
                (number != 0 && (!is_power_of_two(number) || number < 128 || number > 8 * riscv::maximum_vlen_bytes)))
                return Error{fmt::format("--cpu {}: vlen is 0, 128, 256, 512 or 1024, not '{}'", name, value)};
            config.vlen = number;
        } else if (key == "sv") {
            if (!whole || (number != 39 && number != 48 && number != 57) || config.xlen == 32)
                return Error{fmt::format("--cpu {}: sv is 39, 48 or 57 (rv64 only), not '{}'", name, value)};
            config.maximum_levels = number == 39 ? 3 : number == 48 ? 4 : 5;
        } else {
            return Error{fmt::format("--cpu {}: unknown property '{}'; there are vlen and sv", name, key)};
        }
    }
    return {};
}

}  // namespace

Result<std::unique_ptr<Board>> RiscvVirt::create(BoardConfig config, const BoardServices& services) {
    std::unique_ptr<RiscvVirt> board(new RiscvVirt(std::move(config), services));
    TRY(board->build());
    return std::unique_ptr<Board>(std::move(board));
}

RiscvVirt::RiscvVirt(BoardConfig config, const BoardServices& services)
    : config_(std::move(config)), services_(services), memory_(services.memory), dma_(memory_) {}

RiscvVirt::~RiscvVirt() = default;

Result<void> RiscvVirt::map(const Area& area, Mmio& device, std::string name, Device* state) {
    TRY(bus_.map(area.base, area.size, device, name));
    if (state != nullptr) devices_.push_back({std::move(name), state});
    return {};
}

Result<void> RiscvVirt::build() {
    if (!config_.kernel && !config_.bios)
        return Error{"riscv-virt has nothing to run: give --kernel FILE or --bios FILE"};
    constexpr u64 least_memory = 16 << 20;
    if (config_.memory < least_memory)
        return Error{
            fmt::format("--memory {}M is too small for riscv-virt: it needs at least 16M", config_.memory >> 20)};
    TRY(memory_.add(dram.base, config_.memory, GuestMemory::Kind::ram, "ram"));
    TRY(memory_.add(mrom.base, mrom.size, GuestMemory::Kind::rom, "mrom"));
    memory_.set_page_listener([this](u64 address, u64 size) { page_written(address, size); });
    TRY(make_harts());

    std::vector<Aclint::Hart> timer_wires;
    std::vector<Pin*> contexts;
    for (auto& hart : harts_) {
        timer_wires.push_back({hart->interrupt_line(riscv::irq_msi), hart->interrupt_line(riscv::irq_mti)});
        contexts.push_back(&hart->interrupt_line(riscv::irq_mei));
        contexts.push_back(&hart->interrupt_line(riscv::irq_sei));
    }
    plic_ = std::make_unique<Plic>(Plic::Config{plic_sources, plic_priority_bits},
                                   Plic::Wiring{contexts, Log(services_.log, "plic")});
    aclint_ = std::make_unique<Aclint>(
        Aclint::Wiring{std::move(timer_wires), services_.timers, Log(services_.log, "aclint"), [this] {
                           for (auto& hart : harts_) hart->time_changed();
                       }});
    ByteBackend& serial = !config_.serials.empty() && config_.serials[0] != nullptr ? *config_.serials[0] : no_backend_;
    uart_ = std::make_unique<Ns16550a>(
        Ns16550a::Config{uart_clock_hz},
        Ns16550a::Wiring{plic_->source(irq_uart0), serial, services_.timers, Log(services_.log, "ns16550a")});
    rtc_ = std::make_unique<GoldfishRtc>(
        GoldfishRtc::Wiring{plic_->source(irq_rtc), services_.timers, Log(services_.log, "goldfish-rtc")});
    vmgenid_ = std::make_unique<VmGenerationId>(VmGenerationId::Wiring{plic_->source(irq_vmgenid), services_.inlet});
    test_ = std::make_unique<SifiveTest>(SifiveTest::Wiring{[this](int code) { services_.events.power_off(code); },
                                                            [this] { services_.events.reset_requested(); },
                                                            Log(services_.log, "sifive-test")});
    fw_cfg_ = std::make_unique<FwCfg>(FwCfg::Wiring{dma_, Log(services_.log, "fw-cfg")});
    fw_cfg_->set_u32(FwCfg::nb_cpus, config_.cpus);
    fw_cfg_->set_u64(FwCfg::ram_size, config_.memory);
    pci_ = std::make_unique<pci::HostBridge>(
        pci::HostBridge::Windows{{pcie_mmio.base, pcie_mmio.size},
                                 {pcie_mmio_high.base, pcie_mmio_high.size},
                                 {pcie_pio.base, pcie_pio.size}},
        pci::HostBridge::Wiring{bus_,
                                {&plic_->source(irq_pcie), &plic_->source(irq_pcie + 1), &plic_->source(irq_pcie + 2),
                                 &plic_->source(irq_pcie + 3)},
                                services_.log});
    TRY(map(uart0, *uart_, "uart0", uart_.get()));
    TRY(map(rtc, *rtc_, "rtc", rtc_.get()));
    TRY(map(vmgenid, *vmgenid_, "vmgenid", vmgenid_.get()));
    TRY(map(test, *test_, "test", test_.get()));
    TRY(map(fw_cfg, *fw_cfg_, "fw-cfg", fw_cfg_.get()));
    TRY(map(Area{pcie_ecam.base, pci::HostBridge::ecam_bytes_per_bus}, *pci_, "pci", pci_.get()));

    give_mac_addresses(config_.devices);
    for (auto& spec : config_.devices) TRY(plug(spec));
    for (auto& spec : config_.devices) TRY(attach(spec));
    while (mmio_slots_.size() < virtio_slots) {
        const u32 slot = static_cast<u32>(mmio_slots_.size());
        mmio_slots_.push_back(std::make_unique<virtio::MmioTransport>(nullptr, plic_->source(irq_virtio + slot)));
    }
    for (u32 slot = 0; slot < virtio_slots; slot++)
        TRY(map(Area{virtio::MmioTransport::window_size * slot + riscv_virt::virtio.base,
                     virtio::MmioTransport::window_size},
                *mmio_slots_[slot], fmt::format("virtio-mmio.{}", slot), mmio_slots_[slot].get()));
    // The interrupt controllers come last: on reset and restore they take the levels that the devices drive.
    TRY(map(plic, *plic_, "plic", plic_.get()));
    TRY(map(aclint, *aclint_, "aclint", aclint_.get()));
    return {};
}

Result<void> RiscvVirt::make_harts() {
    riscv::HartConfig config;
    TRY(parse_cpu(config_.cpu.empty() ? "rv64" : config_.cpu, config));
    time_ = std::make_unique<Time>(*this);
    sbi_ = std::make_unique<riscv::Sbi>(riscv::Sbi::Wiring{
        dma_,
        [this](std::span<const u8> text) {
            ByteBackend& to =
                !config_.serials.empty() && config_.serials[0] != nullptr ? *config_.serials[0] : no_backend_;
            to.put(text);
        },
        [this] { services_.events.power_off(0); }, [this] { services_.events.reset_requested(); },
        services_.device_lock, services_.exclusive});
    std::vector<riscv::Hart*> all;
    // What is decoded takes 33 KiB a page: the harts share a budget.
    constexpr unsigned code_pages = 640;
    for (unsigned i = 0; i < config_.cpus; i++) {
        config.index = i;
        config.code_pages = std::max(128u, code_pages / config_.cpus);
        harts_.push_back(std::make_unique<riscv::Hart>(
            config, riscv::HartWiring{memory_, bus_, *time_, services_.timers, services_.inlet, services_.log,
                                      services_.device_lock, config_.bios ? nullptr : sbi_.get(),
                                      [this](u64 page) { protect_code(page); }}));
        all.push_back(harts_.back().get());
        cpus_.push_back(harts_.back().get());
    }
    sbi_->set_harts(std::move(all));
    return make_translators();
}

Result<void> RiscvVirt::make_translators() {
    if (config_.jit == Jit::off || services_.code_memory == nullptr) return {};
    jit::Options options;
    options.highest = config_.jit == Jit::full ? jit::Tier::full : jit::Tier::quick;
    if (config_.jit_cache) options.cache_bytes = *config_.jit_cache;
    const bool has_backend = jit::has_backend(services_.code_memory->architecture());
    if (has_backend && services_.threads != nullptr && services_.threads->hardware_threads() > 1)
        compile_queue_ = std::make_unique<jit::CompileQueue>(*services_.threads);
    options.queue = compile_queue_.get();
    for (auto& hart : harts_) {
        Translation made;
        made.guest = std::make_unique<riscv::HartTranslation>(*hart);
        TRY_SET(made.translator, jit::make_translator(options, *hart, *made.guest, *services_.code_memory));
        hart->set_translator(made.translator.get());
        translations_.push_back(std::move(made));
    }
    return {};
}

Result<void> RiscvVirt::plug(DeviceSpec& spec) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    if (kind->bus == DeviceBus::board)
        return Error{fmt::format("--device {}: it is soldered onto the board and cannot be added", spec.name)};
    if (kind->bus == DeviceBus::scsi) return {};  // when all adapters are there
    std::optional<u8> slot;
    if (kind->bus == DeviceBus::pci) {
        TRY_SET(slot, pci::take_slot(spec));
    }
    const auto number = std::count_if(devices_.begin(), devices_.end(),
                                      [&](const NamedDevice& d) { return d.name.starts_with(spec.name); });
    const auto plug_pci = [&](std::unique_ptr<pci::Function> card) -> Result<void> {
        devices_.push_back({fmt::format("{}.{}", kind->name, number), card.get()});
        TRY(pci_->plug(std::move(card), slot));
        return {};
    };
    if (const CardMaker make = find_card(kind->name); make != nullptr) {
        TRY_SET(auto card, make(spec, CardWiring{dma_, services_.timers, services_.log}));
        return plug_pci(std::move(card));
    }
    TRY_SET(auto function,
            virtio::create(spec, virtio::Wiring{dma_, services_.timers, services_.inlet, services_.log}));
    functions_.push_back(function.get());
    if (auto* const display = function->display()) displays_.push_back(display);
    if (auto* const input = function->input()) inputs_.push_back(input);
    if (auto* const units = function->scsi_bus()) {
        const auto id = spec.properties.find("id");
        scsi_buses_.emplace_back(id == spec.properties.end() ? "" : id->second, units);
    }
    if (kind->bus == DeviceBus::pci)
        return plug_pci(std::make_unique<virtio::PciTransport>(std::move(function), kind->name));
    if (mmio_slots_.size() == virtio_slots)
        return Error{
            fmt::format("--device {}: all {} virtio-mmio slots are taken; use the -pci form", spec.name, virtio_slots)};
    const u32 free = static_cast<u32>(mmio_slots_.size());
    mmio_slots_.push_back(
        std::make_unique<virtio::MmioTransport>(std::move(function), plic_->source(irq_virtio + free)));
    return {};
}

// Puts what belongs behind a SCSI host adapter there.
Result<void> RiscvVirt::attach(DeviceSpec& spec) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    if (kind->bus != DeviceBus::scsi) return {};
    const std::string wanted = scsi::bus_name(spec);
    for (auto& [id, units] : scsi_buses_)
        if (wanted.empty() || id == wanted) return scsi::attach(*units, spec);
    if (wanted.empty())
        return Error{
            fmt::format("--device {}: there is no SCSI host adapter; add --device virtio-scsi-pci", spec.name)};
    return Error{
        fmt::format("--device {}: bus={}: there is no SCSI host adapter with this id; add --device "
                    "virtio-scsi-pci,id={}",
                    spec.name, wanted, wanted)};
}

Result<void> RiscvVirt::reset() {
    for (auto& hart : harts_) hart->reset();
    for (const auto& [name, device] : devices_) device->reset();
    return load();
}

Result<void> RiscvVirt::load() {
    const riscv::HartConfig& hart = harts_[0]->config();
    const riscv_boot::Ram ram{dram.base, config_.memory};
    riscv_boot::Firmware firmware;
    if (config_.bios) {
        TRY_SET(const auto bios, BlobContent::of(*config_.bios));
        TRY_SET(firmware, riscv_boot::load_firmware(memory_, config_.bios->name, bios.bytes(), hart.xlen, ram));
    }
    BlobContent kernel_content, initrd;
    std::optional<riscv_boot::Kernel> kernel;
    if (config_.kernel) {
        TRY_SET(kernel_content, BlobContent::of(*config_.kernel));
        TRY_SET(auto opened, riscv_boot::Kernel::open(config_.kernel->name, kernel_content.bytes(), hart.xlen, ram));
        kernel = std::move(opened);
    }

    TreeInput tree{.cpus = config_.cpus,
                   .xlen = hart.xlen,
                   .vlen = hart.vlen,
                   .levels = hart.maximum_levels,
                   .memory = config_.memory,
                   .append = config_.append,
                   .initrd_start = 0,
                   .initrd_end = config_.initrd ? u64{1} : u64{0},
                   .seed = {}};
    services_.inlet.entropy(tree.seed);
    riscv_boot::Request request;
    request.ram = ram;
    request.kernel = kernel ? &*kernel : nullptr;
    if (config_.initrd) {
        TRY_SET(initrd, BlobContent::of(*config_.initrd));
        request.initrd_name = config_.initrd->name;
        request.initrd_size = initrd.bytes().size();
    }
    request.fdt_size = device_tree(tree).size();
    request.firmware = firmware;
    TRY_SET(const riscv_boot::Placement place, riscv_boot::place(request));
    tree.initrd_start = place.initrd;
    tree.initrd_end = place.initrd_end;

    if (kernel) TRY(kernel->load(memory_));
    if (config_.initrd && !memory_.load(place.initrd, initrd.bytes()))
        return Error{fmt::format("initrd '{}' does not fit into memory", config_.initrd->name)};
    const auto blob = device_tree(tree);
    if (!memory_.load(place.fdt, blob)) return Error{"the device tree does not fit into memory"};

    riscv_boot::ResetVector vector;
    vector.xlen = hart.xlen;
    vector.start = config_.bios ? firmware.entry : kernel->entry();
    vector.fdt = place.fdt;
    vector.next = kernel ? kernel->entry() : 0;
    if (!memory_.load(riscv_boot::reset_vector_address, riscv_boot::make_reset_vector(vector)))
        return Error{"the reset vector does not fit into ROM"};

    for (auto& each : harts_) {
        each->s.pc = riscv_boot::reset_vector_address;
        if (!config_.bios) each->halt();
    }
    if (!config_.bios) riscv::Sbi::hand_over(*harts_[0], kernel->entry(), place.fdt);
    return {};
}

ByteDevice* RiscvVirt::console_port(std::string_view name) {
    for (virtio::Function* function : functions_)
        if (ByteDevice* port = function->port(name); port != nullptr) return port;
    return nullptr;
}

void RiscvVirt::protect_code(u64 physical_page) {
    std::atomic<u8>* flags = memory_.page_flags(physical_page);
    if (flags == nullptr || (flags->fetch_or(page_has_code) & page_has_code) != 0) return;
    services_.exclusive([&] {
        for (auto& hart : harts_) hart->protect_page(physical_page);
    });
}

void RiscvVirt::page_written(u64 address, u64 size) {
    std::atomic<u8>& flags = *memory_.page_flags(address);
    if (services_.device_lock != nullptr) {
        // The writer may be any thread: every hart forgets the page when it next looks, before its next fence.i at the
        // latest.
        flags.fetch_and(static_cast<u8>(~page_has_code));
        for (auto& hart : harts_) hart->post_code_changed(address);
        return;
    }
    bool decoded = false;
    for (auto& hart : harts_) decoded = hart->code_changed(address, size) || decoded;
    if (!decoded) flags.fetch_and(static_cast<u8>(~page_has_code));
}

}  // namespace viv
