// A RISC-V hart on a small board of RAM at 0x80000000, for tests of instructions and the privileged architecture:
// programs are words made by the little assembler below, run from the start of RAM in machine mode.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "engine/isa/riscv/hart.h"
#include "engine/lang/bytes.h"

namespace viv::riscv::test {

constexpr u64 ram_base = 0x8000'0000;
constexpr u64 ram_size = 4 << 20;

// Encodings used by the tests.
constexpr u32 addi(unsigned rd, unsigned rs1, i32 imm) {
    return 0x13 | rd << 7 | rs1 << 15 | static_cast<u32>(imm) << 20;
}
constexpr u32 nop() { return addi(0, 0, 0); }
constexpr u32 add(unsigned rd, unsigned rs1, unsigned rs2) { return 0x33 | rd << 7 | rs1 << 15 | rs2 << 20; }
constexpr u32 ld(unsigned rd, unsigned rs1, i32 imm) {
    return 0x3003 | rd << 7 | rs1 << 15 | static_cast<u32>(imm) << 20;
}
constexpr u32 store(unsigned funct3, unsigned rs2, unsigned rs1, i32 imm) {
    const u32 i = static_cast<u32>(imm);
    return 0x23 | funct3 << 12 | rs1 << 15 | rs2 << 20 | (i & 31) << 7 | (i >> 5 & 127) << 25;
}
constexpr u32 sd(unsigned rs2, unsigned rs1, i32 imm) { return store(3, rs2, rs1, imm); }
constexpr u32 sw(unsigned rs2, unsigned rs1, i32 imm) { return store(2, rs2, rs1, imm); }
constexpr u32 csrrw(unsigned rd, u32 csr, unsigned rs1) { return 0x1073 | rd << 7 | rs1 << 15 | csr << 20; }
constexpr u32 csrrs(unsigned rd, u32 csr, unsigned rs1) { return 0x2073 | rd << 7 | rs1 << 15 | csr << 20; }
constexpr u32 csrrc(unsigned rd, u32 csr, unsigned rs1) { return 0x3073 | rd << 7 | rs1 << 15 | csr << 20; }
constexpr u32 jal(unsigned rd, i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return 0x6f | rd << 7 | (o >> 12 & 255) << 12 | (o >> 11 & 1) << 20 | (o >> 1 & 1023) << 21 | (o >> 20 & 1) << 31;
}
constexpr u32 jalr(unsigned rd, unsigned rs1, i32 imm) {
    return 0x67 | rd << 7 | rs1 << 15 | static_cast<u32>(imm) << 20;
}
constexpr u32 bne(unsigned rs1, unsigned rs2, i32 offset) {
    const u32 o = static_cast<u32>(offset);
    return 0x1063 | rs1 << 15 | rs2 << 20 | (o >> 11 & 1) << 7 | (o >> 1 & 15) << 8 | (o >> 5 & 63) << 25 |
           (o >> 12 & 1) << 31;
}
constexpr u32 ecall = 0x73, ebreak = 0x0010'0073, mret = 0x3020'0073, sret = 0x1020'0073, wfi = 0x1050'0073,
              fence_i = 0x100f, sfence_vma_all = 0x1200'0073;
constexpr u32 lr_d(unsigned rd, unsigned rs1) { return 0x1000'302f | rd << 7 | rs1 << 15; }
constexpr u32 sc_d(unsigned rd, unsigned rs2, unsigned rs1) { return 0x1800'302f | rd << 7 | rs1 << 15 | rs2 << 20; }

class PlainMemory final : public host::Memory {
public:
    class Block final : public host::MemoryBlock {
    public:
        explicit Block(u64 size) : bytes_(size) {}
        std::span<u8> bytes() override { return bytes_; }
        void discard(u64 offset, u64 size) override {
            std::fill_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), size, u8{0});
        }

    private:
        std::vector<u8> bytes_;
    };
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override {
        return std::unique_ptr<host::MemoryBlock>(std::make_unique<Block>(size));
    }
};

class StillClock final : public host::Clock {
public:
    u64 monotonic_ns() override { return 0; }
    u64 realtime_ns() override { return 0; }
};
class ZeroEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override { std::fill(out.begin(), out.end(), u8{0}); }
};

// mtime that the test sets.
class SetTime final : public TimeSource {
public:
    u64 now = 0;
    u64 ticks() override { return now; }
    u64 deadline_ns(u64 ticks) override { return ticks * 100; }
};

class Bench {
public:
    explicit Bench(HartConfig config = {})
        : inlet(Determinism::deterministic, 1, host_clock, host_entropy),
          clock(inlet),
          timers(clock),
          memory(plain),
          hart(config, HartWiring{memory_with_ram(), bus, time, timers, inlet, log, nullptr, nullptr,
                                  [this](u64 page) { protect(page); }}) {
        hart.s.pc = ram_base;
        memory.set_page_listener([this](u64 address, u64 size) {
            if (!hart.code_changed(address, size))
                memory.page_flags(address)->fetch_and(static_cast<u8>(~page_has_code));
        });
    }

    void put(u64 address, const std::vector<u32>& words) {
        for (usize i = 0; i < words.size(); i++) put32(address + 4 * i, words[i]);
    }
    void put32(u64 address, u32 value) {
        u8 raw[4];
        store_le(raw, value);
        ASSERT_TRUE(memory.write(address, raw));
    }
    void put64(u64 address, u64 value) {
        u8 raw[8];
        store_le(raw, value);
        ASSERT_TRUE(memory.write(address, raw));
    }
    u64 get64(u64 address) {
        u8 raw[8] = {};
        EXPECT_TRUE(memory.read(address, raw));
        return load_le<u64>(raw);
    }
    // Runs exactly `count` instructions (or until idle).
    Cpu::Exit run(u64 count) { return hart.run(count, Cpu::Step::run); }
    u64& x(unsigned n) { return hart.s.x[n]; }

    PlainMemory plain;
    StillClock host_clock;
    ZeroEntropy host_entropy;
    NullLogSink log;
    Inlet inlet;
    GuestClock clock;
    Timers timers;
    GuestMemory memory;
    Bus bus;
    SetTime time;
    Hart hart;

private:
    GuestMemory& memory_with_ram() {
        EXPECT_TRUE(memory.add(ram_base, ram_size, GuestMemory::Kind::ram, "ram").ok());
        return memory;
    }
    void protect(u64 page) {
        memory.page_flags(page)->fetch_or(page_has_code);
        hart.protect_page(page);
    }
};

}  // namespace viv::riscv::test
