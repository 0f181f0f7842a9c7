// Booting RISC-V software: recognising a kernel file, placing it with its initrd and device tree, firmware, and the
// reset vector.
// Promises: a file that cannot run here, is cut short or does not fit is refused with one line that names it and what
// would be right; nothing reaches guest memory before everything is known to fit.
// Specification: Linux Documentation/arch/riscv/boot.rst and boot-image-header.rst; OpenSBI docs/firmware/fw_dynamic;
// Linux's EFI zboot header; placement as on QEMU's `virt`.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/firmware/elf.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "engine/mem/guest_memory.h"

namespace viv::riscv_boot {

struct Ram {
    u64 base = 0x8000'0000;
    u64 size = 0;  // bytes
    u64 end() const { return base + size; }
};

enum class Format : u8 { image, elf, raw };

// A kernel, unpacked and checked, ready to be loaded any number of times.
class Kernel {
public:
    // `file` must outlive the kernel. An Image goes to its text_offset in RAM, raw bytes to the first 2 MiB boundary
    // (RV32: 4 MiB) after the firmware, an ELF where it wants to be (a position-independent one that names no RAM: to
    // the place of raw bytes). gzip and EFI zboot (gzip, zstd) wrappings are taken off.
    static Result<Kernel> open(std::string_view name, std::span<const u8> file, unsigned xlen, const Ram& ram);

    Kernel(Kernel&&) = default;
    Kernel& operator=(Kernel&&) = default;

    Format format() const { return format_; }
    const std::string& name() const { return name_; }
    u64 entry() const { return entry_; }
    u64 address() const { return address_; }  // of the first byte
    u64 end() const {
        return end_;
    }  // the first byte after all that the kernel needs before it knows its memory (bss included)
    Result<void> load(GuestMemory& memory) const;
    // An ELF's symbols; nothing for other formats.
    std::optional<u64> symbol(std::string_view name) const { return elf_ ? elf_->symbol(name) : std::nullopt; }

private:
    Kernel() = default;
    Result<void> unpack(const Ram& ram);
    Result<void> open_elf(unsigned xlen, const Ram& ram);
    Result<void> open_image(unsigned xlen, const Ram& ram);
    Result<void> check_fits(const Ram& ram) const;

    std::string name_;
    Format format_ = Format::raw;
    std::vector<u8> unpacked_;     // if the file was compressed
    std::span<const u8> content_;  // the file or unpacked_
    std::optional<Elf> elf_;
    u64 bias_ = 0;  // where a position-independent ELF is moved
    u64 address_ = 0, end_ = 0, entry_ = 0;
};

// Firmware: an ELF, or raw bytes for the start of RAM (OpenSBI's fw_dynamic.bin and fw_jump.bin, U-Boot for M-mode).
struct Firmware {
    u64 entry = 0;
    u64 begin = 0;
    u64 end = 0;  // the first byte after it; equal to begin: there is none
};
Result<Firmware> load_firmware(GuestMemory& memory, std::string_view name, std::span<const u8> file, unsigned xlen,
                               const Ram& ram);

struct Request {
    Ram ram;
    Firmware firmware;
    const Kernel* kernel = nullptr;  // or none: firmware alone
    std::string_view initrd_name;
    u64 initrd_size = 0;  // bytes, 0: none
    u64 fdt_size = 0;     // bytes, as a first draft has it: addresses have a fixed width
};
struct Placement {
    u64 initrd = 0;  // page-aligned; 0: none
    u64 initrd_end = 0;
    u64 fdt = 0;  // 2 MiB-aligned, near the top of RAM or of its part below 3 GiB
};
// Fails with the least memory that would do.
Result<Placement> place(const Request& request);

// The first instructions of every hart, position-independent, as at 0x1000 of QEMU's `virt`: a0 = mhartid, a1 = fdt,
// a2 = the fw_dynamic_info behind the code, jump to `start`.
struct ResetVector {
    enum class Mode : u8 { user = 0, supervisor = 1, machine = 3 };
    unsigned xlen = 64;
    u64 start = 0;  // firmware, or the kernel itself
    u64 fdt = 0;
    u64 next = 0;  // where firmware goes on; 0: it knows itself
    Mode next_mode = Mode::supervisor;
    u64 boot_hart = 0;  // all ones: whichever hart is first
};
constexpr u64 reset_vector_address = 0x1000;
std::vector<u8> make_reset_vector(const ResetVector& vector);

}  // namespace viv::riscv_boot
