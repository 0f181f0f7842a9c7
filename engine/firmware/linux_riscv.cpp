// From a file to an address: the formats one by one, then placement and the reset vector. See linux_riscv.h.
#include "engine/firmware/linux_riscv.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine/firmware/decompress.h"
#include "engine/lang/bytes.h"

namespace viv::riscv_boot {

namespace {

constexpr u64 mebibyte = u64{1} << 20;
constexpr u64 fdt_alignment = 2 * mebibyte;
constexpr u64 low_memory_end = 3072 * mebibyte;  // 32-bit firmware can reach a tree below this
constexpr usize image_header_size = 64;
constexpr u32 image_magic2 = 0x0543'5352;  // "RSC\x05"
constexpr u16 pe_machine_riscv32 = 0x5032, pe_machine_riscv64 = 0x5064;

u64 kernel_offset(unsigned xlen) { return (xlen == 64 ? 2 : 4) * mebibyte; }
ElfTarget elf_target(unsigned xlen) { return xlen == 64 ? elf_riscv64 : elf_riscv32; }
std::string kernel_what(std::string_view name) { return fmt::format("kernel '{}'", name); }

std::string size_text(u64 bytes) {
    if (bytes % (1024 * mebibyte) == 0) return fmt::format("{}G", bytes / (1024 * mebibyte));
    if (bytes % mebibyte == 0) return fmt::format("{}M", bytes / mebibyte);
    return fmt::format("{}K", bytes / 1024);
}

bool has_at(std::span<const u8> data, usize offset, std::string_view magic) {
    return range_fits(offset, magic.size(), data.size()) &&
           std::memcmp(data.data() + offset, magic.data(), magic.size()) == 0;
}

// What is often given by mistake, and what it is.
struct Stranger {
    usize offset;
    std::string_view magic;
    std::string_view description;
};
constexpr Stranger strangers[] = {
    {0x202, "HdrS", "a Linux kernel for x86"},
    {0x38, "ARM\x64", "a Linux Image for AArch64"},
    {0x24, "\x18\x28\x6f\x01", "a Linux zImage for 32-bit ARM"},
    {0x38, "\xcd\x23\x82\x81", "a Linux Image for LoongArch"},
    {0, "\x27\x05\x19\x56", "a U-Boot uImage, not the Image inside"},
    {0, "\xd0\x0d\xfe\xed", "a device tree or FIT image, not the Image inside"},
    {0,
     "\xfd"
     "7zXZ",
     "packed with xz, not with gzip or zstd"},
    {0, "BZh", "packed with bzip2, not with gzip or zstd"},
    {0, "\x04\x22\x4d\x18", "packed with lz4, not with gzip or zstd"},
    {0, "\x02\x21\x4c\x18", "packed with lz4, not with gzip or zstd"},
    {0, "MZ", "an EFI program without a RISC-V Image header"},
};

// The EFI zboot wrapper: where its payload lies and how it is packed.
struct Zboot {
    std::span<const u8> payload;
    std::string_view compression;
};
constexpr usize zboot_header_size = 0x38, zboot_compression_at = 0x18;

bool is_zboot(std::span<const u8> file) { return has_at(file, 0, "MZ") && has_at(file, 4, "zimg"); }

Result<Zboot> open_zboot(std::span<const u8> file, std::string_view what) {
    if (file.size() < zboot_header_size) return Error{fmt::format("{} is cut short in its header", what)};
    const u32 offset = load_le<u32>(file.data() + 8), size = load_le<u32>(file.data() + 12);
    if (!range_fits(offset, size, file.size()))
        return Error{fmt::format("{} is cut short: its payload ends behind the file's end", what)};
    std::string_view compression(reinterpret_cast<const char*>(file.data() + zboot_compression_at),
                                 zboot_header_size - zboot_compression_at);
    return Zboot{file.subspan(offset, size), compression.substr(0, compression.find('\0'))};
}

Error too_small(const Ram& ram, std::string_view what, u64 least) {
    return Error{fmt::format("memory {} is too small for {}; at least {} would be right", size_text(ram.size), what,
                             size_text(align_up(least, fdt_alignment)))};
}

// A flat Image with an EFI header names the parts of its file: the last one tells whether the file is whole.
Result<void> check_pe(std::span<const u8> file, unsigned xlen, std::string_view what) {
    const u64 pe = load_le<u32>(file.data() + 0x3c);
    if (!has_at(file, 0, "MZ")) return {};
    const Error cut_short{fmt::format("{} is cut short in its header", what)};
    constexpr u64 coff_size = 24, section_size = 40;
    if (!range_fits(pe, coff_size, file.size())) return cut_short;
    if (!has_at(file, static_cast<usize>(pe), std::string_view("PE\0\0", 4))) return {};
    const u16 machine = load_le<u16>(file.data() + pe + 4);
    if (machine != (xlen == 64 ? pe_machine_riscv64 : pe_machine_riscv32))
        return Error{fmt::format("{} is an EFI image for {}; this machine is RISC-V {}", what,
                                 machine == pe_machine_riscv32   ? "RISC-V 32"
                                 : machine == pe_machine_riscv64 ? "RISC-V 64"
                                                                 : fmt::format("machine {:#x}", machine),
                                 xlen)};
    const u64 sections = load_le<u16>(file.data() + pe + 6),
              table = pe + coff_size + load_le<u16>(file.data() + pe + 20);
    if (!range_fits(table, sections * section_size, file.size())) return cut_short;
    for (u64 i = 0; i < sections; i++) {
        const u8* section = file.data() + table + i * section_size;
        const u64 end = u64{load_le<u32>(section + 16)} + load_le<u32>(section + 20);
        if (end > file.size()) return Error{fmt::format("{} is cut short: {} bytes of {}", what, file.size(), end)};
    }
    return {};
}

}  // namespace

Result<Kernel> Kernel::open(std::string_view name, std::span<const u8> file, unsigned xlen, const Ram& ram) {
    Kernel kernel;
    kernel.name_ = name;
    kernel.content_ = file;
    TRY(kernel.unpack(ram));
    if (kernel.content_.empty()) return Error{fmt::format("{} is empty", kernel_what(name))};
    if (Elf::recognises(kernel.content_)) {
        TRY(kernel.open_elf(xlen, ram));
    } else if (kernel.content_.size() >= image_header_size &&
               load_le<u32>(kernel.content_.data() + 0x38) == image_magic2) {
        TRY(kernel.open_image(xlen, ram));
    } else {
        for (const Stranger& stranger : strangers)
            if (has_at(kernel.content_, stranger.offset, stranger.magic))
                return Error{fmt::format("{} is {}; this machine is RISC-V {} and takes an Image, an ELF or raw code",
                                         kernel_what(name), stranger.description, xlen)};
        kernel.address_ = kernel.entry_ = ram.base + kernel_offset(xlen);
        kernel.end_ = kernel.address_ + kernel.content_.size();
    }
    TRY(kernel.check_fits(ram));
    return kernel;
}

// Takes off at most two wrappings: zboot holds a plain kernel, and a file may be packed once more.
Result<void> Kernel::unpack(const Ram& ram) {
    const std::string what = kernel_what(name_);
    for (unsigned layer = 0; layer < 2; layer++) {
        auto packed = content_;
        bool gzip = is_gzip(packed), zstd = is_zstd(packed);
        if (is_zboot(packed)) {
            TRY_SET(const Zboot zboot, open_zboot(packed, what));
            packed = zboot.payload;
            gzip = zboot.compression == "gzip";
            zstd = zboot.compression.starts_with("zstd");
            if (!gzip && !zstd)
                return Error{fmt::format("{} is packed with '{}'; gzip, zstd or a plain Image would be right", what,
                                         zboot.compression)};
        }
        if (!gzip && !zstd) return {};
        const auto maximum = static_cast<usize>(ram.size);
        TRY_SET(auto next, gzip ? unpack_gzip(packed, maximum, what) : unpack_zstd(packed, maximum, what));
        unpacked_ = std::move(next);
        content_ = unpacked_;
    }
    return {};
}

Result<void> Kernel::open_elf(unsigned xlen, const Ram& ram) {
    format_ = Format::elf;
    TRY_SET(elf_, Elf::open(kernel_what(name_), content_, elf_target(xlen)));
    const bool in_ram = elf_->low() >= ram.base && elf_->low() < ram.end();
    if (!in_ram && elf_->position_independent())
        bias_ = ram.base + kernel_offset(xlen) - elf_->low();
    else if (!in_ram)
        return Error{
            fmt::format("{} wants to be at {:#x}; RAM begins at {:#x}, and for Linux the file 'Image' would be right",
                        kernel_what(name_), elf_->low(), ram.base)};
    address_ = elf_->low() + bias_;
    end_ = elf_->high() + bias_;
    entry_ = elf_->entry() + bias_;
    return {};
}

Result<void> Kernel::open_image(unsigned xlen, const Ram& ram) {
    format_ = Format::image;
    const std::string what = kernel_what(name_);
    const u64 text_offset = load_le<u64>(content_.data() + 8), image_size = load_le<u64>(content_.data() + 16);
    const u64 flags = load_le<u64>(content_.data() + 24);
    if (flags & 1) return Error{fmt::format("{} is a big-endian Image; this machine is little endian", what)};
    TRY(check_pe(content_, xlen, what));
    // Kernels for M-mode have no offset; supervisor ones leave room for the firmware at the start of RAM.
    if (text_offset >= ram.size || text_offset % 4096 != 0)
        return Error{
            fmt::format("{} asks for an offset of {:#x} in a memory of {}", what, text_offset, size_text(ram.size))};
    const u64 size = std::max<u64>(image_size, content_.size());
    if (size > ram.size) return too_small(ram, what, text_offset + size);
    address_ = entry_ = ram.base + text_offset;
    end_ = address_ + size;
    return {};
}

Result<void> Kernel::check_fits(const Ram& ram) const {
    if (end_ <= ram.end() && end_ > address_) return {};
    return too_small(ram, kernel_what(name_), end_ - ram.base);
}

Result<void> Kernel::load(GuestMemory& memory) const {
    if (elf_) return elf_->load(memory, bias_);
    if (memory.load(address_, content_)) return {};
    return Error{fmt::format("{} does not fit into memory at {:#x}", kernel_what(name_), address_)};
}

Result<Firmware> load_firmware(GuestMemory& memory, std::string_view name, std::span<const u8> file, unsigned xlen,
                               const Ram& ram) {
    const std::string what = fmt::format("firmware '{}'", name);
    if (file.empty()) return Error{fmt::format("{} is empty", what)};
    if (Elf::recognises(file)) {
        TRY_SET(const Elf elf, Elf::open(what, file, elf_target(xlen)));
        const bool elsewhere = elf.low() < ram.base || elf.low() >= ram.end();
        const u64 bias = elf.position_independent() && elsewhere ? ram.base - elf.low() : 0;
        TRY(elf.load(memory, bias));
        return Firmware{elf.entry() + bias, elf.low() + bias, elf.high() + bias};
    }
    if (file.size() > ram.size) return too_small(ram, what, file.size());
    if (!memory.load(ram.base, file)) return Error{fmt::format("{} does not fit into memory at {:#x}", what, ram.base)};
    return Firmware{ram.base, ram.base, ram.base + file.size()};
}

Result<Placement> place(const Request& request) {
    const Ram& ram = request.ram;
    const Firmware& firmware = request.firmware;
    const Kernel* kernel = request.kernel;
    if (kernel != nullptr && firmware.begin < kernel->end() && kernel->address() < firmware.end)
        return Error{
            fmt::format("{} at {:#x} overlaps the firmware, which ends at {:#x}; a kernel for S-mode would be right",
                        kernel_what(kernel->name()), kernel->address(), firmware.end)};
    const u64 top = ram.base < low_memory_end ? std::min(ram.end(), low_memory_end) : ram.end();
    // An ELF may have its own place elsewhere; only what lies in RAM counts.
    u64 used = ram.base;
    for (const u64 end : {firmware.end, kernel != nullptr ? kernel->end() : 0})
        if (end > ram.base && end <= ram.end()) used = std::max(used, end);
    const u64 initrd_room = align_up(request.initrd_size, page_size);
    const u64 room = align_down(top, fdt_alignment) > used ? align_down(top, fdt_alignment) - used : 0;

    std::string what = kernel != nullptr ? kernel_what(kernel->name()) : "its firmware";
    if (request.initrd_size != 0) what += fmt::format(" and initrd '{}'", request.initrd_name);
    what += " with the device tree";
    const u64 fdt_room = align_up(request.fdt_size, fdt_alignment);
    if (fdt_room > room || initrd_room > room - fdt_room) {
        const u64 least = used - ram.base + page_size + initrd_room + fdt_room;
        // More memory does not help beyond the place where all of this has to lie.
        if (ram.base + align_up(least, fdt_alignment) > low_memory_end && ram.base < low_memory_end)
            return Error{fmt::format("{} does not fit below {:#x}", what, low_memory_end)};
        return too_small(ram, what, least);
    }

    Placement placement;
    placement.fdt = align_down(top - request.fdt_size, fdt_alignment);
    if (request.initrd_size != 0) {
        placement.initrd = align_down(placement.fdt - request.initrd_size, page_size);
        placement.initrd_end = placement.initrd + request.initrd_size;
    }
    return placement;
}

namespace {

constexpr u32 zero = 0, t0 = 5, a0 = 10, a1 = 11, a2 = 12;
constexpr u32 mhartid = 0xf14;
constexpr u32 opcode_load = 0x03, opcode_op_imm = 0x13, opcode_auipc = 0x17, opcode_jalr = 0x67, opcode_system = 0x73;

constexpr u32 i_type(u32 opcode, u32 funct3, u32 rd, u32 rs1, u32 immediate) {
    return opcode | rd << 7 | funct3 << 12 | rs1 << 15 | immediate << 20;
}

}  // namespace

std::vector<u8> make_reset_vector(const ResetVector& vector) {
    constexpr u32 start_at = 24, fdt_at = 32, info_at = 40;
    constexpr u32 fw_dynamic_magic = 0x4942'534f, fw_dynamic_version = 2;
    const u32 load = vector.xlen == 64 ? 3 : 2;  // funct3 of ld, lw
    const std::array<u32, 6> code{
        opcode_auipc | t0 << 7,                       // auipc t0, 0
        i_type(opcode_op_imm, 0, a2, t0, info_at),    // addi a2, t0, info
        i_type(opcode_system, 2, a0, zero, mhartid),  // csrr a0, mhartid
        i_type(opcode_load, load, a1, t0, fdt_at),    // ld a1, fdt(t0)
        i_type(opcode_load, load, t0, t0, start_at),  // ld t0, start(t0)
        i_type(opcode_jalr, 0, zero, t0, 0),          // jr t0
    };
    const usize word = vector.xlen / 8;
    std::vector<u8> bytes(info_at + 6 * word);
    for (usize i = 0; i < code.size(); i++) store_le(bytes.data() + 4 * i, code[i]);
    store_le(bytes.data() + start_at, vector.start);
    store_le(bytes.data() + fdt_at, vector.fdt);
    const std::array<u64, 6> info{
        fw_dynamic_magic, fw_dynamic_version, vector.next, static_cast<u64>(vector.next_mode), 0, vector.boot_hart};
    for (usize i = 0; i < info.size(); i++) {
        if (word == 8)
            store_le(bytes.data() + info_at + i * word, info[i]);
        else
            store_le(bytes.data() + info_at + i * word, static_cast<u32>(info[i]));
    }
    return bytes;
}

}  // namespace viv::riscv_boot
