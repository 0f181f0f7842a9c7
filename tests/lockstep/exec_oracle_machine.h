// One hart in a small sandbox for the comparison of Exec with Build and the oracle: RAM, ROM, a device, page tables;
// and what the oracle sees of it, which is what generated code would: memory through the hart's TLB, and helpers.
#pragma once

#include <array>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/ir/oracle.h"
#include "engine/isa/riscv/build.h"
#include "engine/isa/riscv/hart.h"
#include "engine/lang/bytes.h"

namespace viv::riscv::test {

// Physical layout. The RAM that tests compare is small; page tables lie apart.
inline constexpr u64 ram_base = 0x8000'0000, ram_pages = 8, table_base = 0x9000'0000, table_pages = 8,
                     rom_base = 0x1'0000, device_base = 0x2'0000;

class PlainMemory final : public host::Memory {
public:
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override {
        return Result<std::unique_ptr<host::MemoryBlock>>(std::make_unique<Block>(size));
    }

private:
    struct Block final : host::MemoryBlock {
        explicit Block(u64 size) : content(size) {}
        std::span<u8> bytes() override { return content; }
        void discard(u64 offset, u64 size) override { std::memset(content.data() + offset, 0, size); }
        std::vector<u8> content;
    };
};

struct NoClock final : host::Clock {
    u64 monotonic_ns() override { return 0; }
    u64 realtime_ns() override { return 0; }
};
struct NoEntropy final : host::Entropy {
    void fill(std::span<u8> out) override { std::memset(out.data(), 0, out.size()); }
};
struct FixedTime final : TimeSource {
    u64 ticks() override { return 0x1'2345'6789; }
    u64 deadline_ns(u64) override { return Timers::never; }
};

// Remembers the accesses made to it as a hash, so that two of them can be compared.
struct Recorder final : Mmio {
    u64 hash = 1;
    std::function<void()> accessed = [] {};
    void note(u64 value) { hash = (hash ^ value) * 0x9e37'79b9'7f4a'7c15 + 1; }
    u64 read(u64 offset, unsigned size) override {
        note(offset << 8 | size);
        accessed();
        return hash & low_mask(size * 8);
    }
    void write(u64 offset, unsigned size, u64 value) override {
        note(offset << 8 | size | 1 << 7);
        note(value);
        accessed();
    }
};

// Takes out of a state what depends on the instructions executed before, and what nobody can see.
void normalize(State& s, u64 executed_before);
// A line for each doubleword in which they differ.
std::string differences(const State& a, std::string_view name_a, const State& b, std::string_view name_b);

class Machine final : public ir::OracleMemory, public CodeReader {
public:
    explicit Machine(const HartConfig& config);

    GuestMemory& memory() { return memory_; }
    const u8* ram() { return memory_.host(ram_base, ram_pages * page_size); }
    Hart& hart() { return *hart_; }
    u64 device_hash() const { return device_.hash; }
    // Called when the hart has accessed the device, from within the instruction.
    void set_on_device_access(std::function<void()> accessed) { device_.accessed = std::move(accessed); }

    // Replaces the hart's whole architectural state, and what the hart derives from it.
    void set_state(const State& wanted);
    // Where the code pages are seen, for read().
    void set_code(u64 virtual_address, u64 pages) {
        code_base_ = virtual_address;
        code_pages_ = pages;
    }

    // Builds and runs one block of at most `limit` instructions at s.pc; what the oracle leaves at, the interpreter
    // does. Returns the instructions executed, at least 1.
    struct Result {
        unsigned instructions = 0;
        bool built = false;
        ir::Outcome outcome;
    };
    Result run_block(const BlockBuilder& builder, unsigned limit);
    // The same in two steps. A block without code is one instruction for the interpreter.
    ir::Block build_block(const BlockBuilder& builder, unsigned limit) const;
    Result run(const ir::Block& block);
    const ir::Block& block() const { return block_; }  // the last one that run_block() built
    // Accesses that the oracle made, without the interpreter's help.
    struct Accesses {
        u64 loads = 0, stores = 0, atomics = 0, crossing = 0, misaligned = 0;
    };
    const Accesses& accesses() const { return accesses_; }

    // CodeReader: the code pages, whose physical ones start the RAM.
    unsigned read(u64 pc, std::span<u8> out) const override;

    // OracleMemory
    bool load(u64 address, std::span<u8> out) override;
    bool store(u64 address, std::span<const u8> in) override;
    u8* atomic(u64 address, unsigned size, ir::MemoryAccess access, u64& physical) override;
    void calling(unsigned instructions) override { hart_->budget = -static_cast<i64>(instructions); }

private:
    void protect(u64 physical_page);
    // The host's bytes behind an access that the TLB allows, or null.
    u8* cached(u64 address, ir::MemoryAccess access);
    void count(u64 address, usize size);

    PlainMemory plain_;
    GuestMemory memory_{plain_};
    Bus bus_;
    NullLogSink log_;
    NoClock host_clock_;
    NoEntropy host_entropy_;
    Inlet inlet_{Determinism::deterministic, 1, host_clock_, host_entropy_};
    GuestClock clock_{inlet_};
    Timers timers_{clock_};
    FixedTime time_;
    Recorder device_;
    std::unique_ptr<Hart> hart_;
    ir::Oracle oracle_;
    ir::Block block_;
    Accesses accesses_;
    u64 code_base_ = 0, code_pages_ = 0;
};

}  // namespace viv::riscv::test
