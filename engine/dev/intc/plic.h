// The platform-level interrupt controller: up to 1023 level-triggered sources routed by priority to hart contexts.
// Promises: a gateway forwards one request at a time and never retracts it; claiming costs a look at one word for
// each 64 sources, not at each source; ties go to the lowest source number. Registers are 32 bits wide: a doubleword
// access is two of them, a narrower one has no effect and reads as zero.
// Specification: RISC-V PLIC 1.0.0 (memory map in chapter 3), compatible with "sifive,plic-1.0.0".
#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "engine/dev/device.h"
#include "engine/dev/pin.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"

namespace viv {

class Plic final : public Device, public Mmio {
public:
    static constexpr u32 maximum_sources = 1023;
    static constexpr u32 maximum_contexts = 64;

    struct Config {
        u32 sources = 95;       // 1 to maximum_sources, numbered from 1: "riscv,ndev"
        u32 priority_bits = 3;  // 1 to 8
    };
    struct Wiring {
        // 1 to maximum_contexts EIP outputs; on `virt` they are hart 0 M, hart 0 S, hart 1 M, ...
        std::vector<Pin*> contexts;
        Log log;
    };

    Plic(const Config& config, Wiring wiring);

    std::string_view kind() const override { return "sifive-plic"; }
    // Keeps the levels of the wires and forwards those still high: reset the devices that drive them first.
    void reset() override;
    void state(Archive& a) override;
    void restored() override;

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

    // Interrupt input `number`, 1 to Config::sources; lives as long as the PLIC.
    Pin& source(u32 number);
    // Bytes of address space that hold all registers of `contexts` contexts.
    static constexpr u64 mmio_size(u32 contexts) { return 0x20'0000 + u64{contexts} * 0x1000; }

private:
    static constexpr u32 words = (maximum_sources + 1) / 64;
    using Bits = std::array<u64, words>;  // one bit a source

    class Source final : public Pin {
    public:
        Source(Plic& plic, u32 number) : plic_(plic), number_(number) {}
        void set(bool level) override { plic_.set_level(number_, level); }

    private:
        Plic& plic_;
        u32 number_;
    };
    struct Context {
        Bits enabled{};
        u8 threshold = 0;
        void state(Archive& a);
    };
    struct State {
        Bits level{};       // the wires
        Bits pending{};     // IP: forwarded, not yet claimed
        Bits in_service{};  // claimed, not yet completed: the gateway is closed
        std::array<u8, maximum_sources + 1> priority{};
        std::vector<Context> contexts;
    };

    u32 read_word(u64 offset);
    void write_word(u64 offset, u32 value);
    void set_level(u32 number, bool level);
    void forward(u32 number);
    u32 best(const Context& context, u8 above) const;
    u32 claim(Context& context);
    void complete(const Context& context, u32 number);
    // Outputs from state: all of them, those that a source is enabled for, or one.
    void sync();
    void sync(u32 number);
    void sync_context(usize context);

    Config config_;
    Wiring wire_;
    u32 used_words_;
    u8 priority_mask_;
    Bits implemented_{};
    std::vector<std::unique_ptr<Source>> sources_;  // [0] is null
    State s_;
};

}  // namespace viv
