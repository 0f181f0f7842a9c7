// ELF executables, 32 and 64 bit, either byte order: checking, loading their segments into guest memory, looking up
// symbols.
// Promises: everything is bounds-checked before it is read; a file for another machine is refused with a message that
// names both; load() writes nothing unless every segment fits.
// Specification: System V ABI (generic), chapters 4 and 5, edition 4.1; machine numbers of the ELF registry.
#pragma once

#include <bit>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "engine/mem/guest_memory.h"

namespace viv {

// What a board can run.
struct ElfTarget {
    u16 machine = 0;  // EM_*
    unsigned bits = 64;
    std::endian order = std::endian::little;
};
inline constexpr ElfTarget elf_riscv64{243, 64, std::endian::little};
inline constexpr ElfTarget elf_riscv32{243, 32, std::endian::little};

// "RISC-V 64", "AArch64", "PowerPC 64 (big endian)"; a number for a machine without a name here.
std::string elf_target_name(const ElfTarget& target);

class Elf {
public:
    struct Segment {      // PT_LOAD with something in memory
        u64 address = 0;  // physical
        u64 virtual_address = 0;
        u64 file_offset = 0;
        u64 file_size = 0;    // the rest up to memory_size is zero
        u64 memory_size = 0;  // at least file_size and at least 1
        u32 flags = 0;        // PF_X 1, PF_W 2, PF_R 4
    };

    static bool recognises(std::span<const u8> file);
    // `what` names the file in errors ("kernel 'x'"). The file must outlive the Elf.
    static Result<Elf> open(std::string what, std::span<const u8> file, const ElfTarget& target);

    // Where to start, as a physical address.
    u64 entry() const { return entry_; }
    std::span<const Segment> segments() const { return segments_; }  // at least one
    u64 low() const { return low_; }                                 // the lowest physical address
    u64 high() const { return high_; }                               // the first byte after the highest

    // Position-independent (ET_DYN): runs wherever its segments are moved together.
    bool position_independent() const { return position_independent_; }

    // Copies the segments to their physical addresses, ROM included, each moved by `bias` (modulo 2^64).
    Result<void> load(GuestMemory& memory, u64 bias = 0) const;

    // The value of the symbol `name` in .symtab, if there is one.
    std::optional<u64> symbol(std::string_view name) const;

private:
    struct Section {
        u32 type = 0;
        u32 link = 0;
        u64 offset = 0;
        u64 size = 0;
        u64 entry_size = 0;
    };

    Elf() = default;
    template <class T>
    T field(u64 offset) const;
    u64 word(u64 offset) const;  // an address or size of the file's class
    bool holds(u64 offset, u64 size) const { return range_fits(offset, size, file_.size()); }
    Result<void> read_segments();
    std::optional<Section> section(u64 index) const;
    u64 section_count() const;
    bool is64() const { return target_.bits == 64; }

    std::string what_;
    std::span<const u8> file_;
    ElfTarget target_;
    std::vector<Segment> segments_;
    bool position_independent_ = false;
    u64 entry_ = 0, low_ = 0, high_ = 0;
};

}  // namespace viv
