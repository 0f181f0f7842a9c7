// A board: CPUs, memory, buses and devices wired together, and the loading of firmware and kernels.
// Promises: creation fails with one line that names the option at fault; nothing it owns outlives it; a board never
// blocks and knows no host.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/dev/device.h"
#include "engine/dev/device_spec.h"
#include "engine/dev/display/surface.h"
#include "engine/dev/input/events.h"
#include "engine/dev/ports.h"
#include "engine/host/code_memory.h"
#include "engine/host/memory.h"
#include "engine/host/threads.h"
#include "engine/isa/cpu.h"
#include "engine/lang/hash.h"
#include "engine/lang/log.h"
#include "engine/lang/result.h"
#include "engine/mem/bus.h"
#include "engine/mem/guest_memory.h"
#include "engine/time/timers.h"

namespace viv {

// A file given by the user: its contents, and the name to use in messages.
struct Blob {
    std::string name;
    std::vector<u8> bytes;
    // Where the contents come from instead, each time they are wanted: those of a saved machine are in its file.
    std::function<Result<std::vector<u8>>()> source = {};
    Hash128 hash = {};  // of what `source` gives
};

// The contents of a blob while they are in use.
class BlobContent {
public:
    static Result<BlobContent> of(const Blob& blob) {
        BlobContent content;
        content.bytes_ = blob.bytes;
        if (!blob.source) return content;
        TRY_SET(content.fetched_, blob.source());
        content.bytes_ = content.fetched_;
        return content;
    }
    std::span<const u8> bytes() const { return bytes_; }

private:
    std::vector<u8> fetched_;  // moved with bytes_, which it holds
    std::span<const u8> bytes_;
};

// Whether guest code is translated to the host's; the better tiers come later.
enum class Jit : u8 {
    off,    // the interpreter does it all
    quick,  // block by block
    full,   // and what runs often by regions, with registers kept across them
};
inline constexpr std::array<std::string_view, 3> jit_names{"off", "quick", "full"};  // by Jit

struct BoardConfig {
    std::string machine = "riscv-virt";
    std::string cpu;       // model, empty: the board's default
    u64 memory = 1 << 30;  // bytes, a multiple of 4096
    unsigned cpus = 1;
    std::optional<Blob> kernel, initrd, bios;  // no bios: the board's own (SBI for riscv-virt)
    std::string append;                        // kernel command line
    Jit jit = Jit::off;                        // ignored without BoardServices::code_memory
    std::optional<u64> jit_cache;              // bytes for translated code of each CPU, a multiple of 4096
    std::vector<DeviceSpec> devices;
    std::vector<ByteBackend*> serials;  // the board's own UARTs, in order; owned by the host
};

// What a board tells whoever runs it. Called from within run(), on the thread that runs the CPU.
class BoardEvents {
public:
    virtual ~BoardEvents() = default;
    virtual void power_off(int exit_code) = 0;
    virtual void reset_requested() = 0;
};

// Services that outlive the board.
struct BoardServices {
    host::Memory& memory;
    GuestClock& clock;
    Timers& timers;
    Inlet& inlet;
    LogSink& log;
    BoardEvents& events;
    // For the code of translators; null, or of an architecture without a backend: there is only the interpreter.
    host::CodeMemory* code_memory = nullptr;
    // For work beside the CPUs that changes nothing of what the guest sees, but is not done at the same moments each
    // time; null: it is done by the CPUs' own threads.
    host::Threads* threads = nullptr;
    // Harts on parallel threads; null when they run in turn. Held around every Bus access, firmware call (SBI) and use
    // of Timers from within Cpu::run; callbacks of timers run under it. Not recursive. Never held while waiting for
    // another hart.
    host::Mutex* device_lock = nullptr;
    // Runs the section while no other hart executes and no timer callback runs (a page becomes code: TLB entries for
    // writing go). Called from within Cpu::run without the device lock, or while no hart runs. The others stop between
    // instructions; sections do not nest.
    std::function<void(const std::function<void()>& section)> exclusive = [](const auto& section) { section(); };
};

struct NamedDevice {
    std::string name;  // unique on the board: "uart0", "virtio-blk-pci.0"
    Device* device = nullptr;
};

class Board {
public:
    virtual ~Board() = default;
    virtual std::string_view machine() const = 0;
    // What it was made with; kernel, initrd and bios are those that reset() loads, back ends have moved into devices.
    virtual const BoardConfig& config() const = 0;
    virtual std::span<Cpu* const> cpus() = 0;
    virtual GuestMemory& memory() = 0;
    virtual Bus& bus() = 0;
    // Every device with state, in a fixed order.
    virtual std::span<const NamedDevice> devices() = 0;
    // Power-on, also the first one: resets CPUs and devices, loads firmware, kernel and device tree again.
    virtual Result<void> reset() = 0;
    // Asks the guest to power off (an ACPI-like button); false where the board has none.
    virtual bool press_power_button() = 0;
    // The device ends of BoardConfig::serials and of console ports by name; null if there is none.
    virtual ByteDevice* serial(unsigned index) = 0;
    virtual ByteDevice* console_port(std::string_view name) = 0;
    // Display adapters; keyboards, mice and tablets: in the order in which they were plugged in.
    virtual std::span<display::DisplayDevice* const> displays() { return {}; }
    virtual std::span<input::InputDevice* const> inputs() { return {}; }
    // State beyond CPUs, devices and RAM (wiring that a guest can change).
    virtual void state(Archive& a) = 0;
    // After restored() of all CPUs, then of all devices.
    virtual void restored() = 0;
};

// A row of board/catalog.cpp.
struct BoardKind {
    std::string_view name;
    std::string_view description;
    std::string_view default_cpu;
    unsigned maximum_cpus;
    std::string_view disk_device;  // what `--disk`, `--net`, `--share` and the agent's port become
    std::string_view net_device;
    std::string_view share_device;
    std::string_view console_device;
    std::array<std::string_view, 3> display_devices;  // what a viewer needs: a display, a keyboard, a pointer
    // Not yet powered on.
    Result<std::unique_ptr<Board>> (*create)(BoardConfig config, const BoardServices& services);
};

// Whether boards can do more than Jit::off with such memory for code (null: none).
bool translates(const host::CodeMemory* memory);

std::span<const BoardKind> board_catalog();
Result<const BoardKind*> find_board(std::string_view name);  // the error suggests the nearest name

}  // namespace viv
