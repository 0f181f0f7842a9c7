// SiFive's test finisher: the one register by which a RISC-V guest ends or resets its machine.
// Promises: a write asks the wiring once and returns; the guest runs on until its board acts. Writes of 2, 4 or 8
// bytes at offset 0 count, everything else has no effect and reads as zero.
// Specification: SiFive "sifive,test1" / "sifive,test0" as on QEMU's `virt` (0x5555 pass, 0x3333 fail with a code in
// bits 16 to 31, 0x7777 reset).
#pragma once

#include <functional>
#include <string_view>

#include "engine/dev/device.h"
#include "engine/lang/log.h"
#include "engine/mem/bus.h"

namespace viv {

class SifiveTest final : public Device, public Mmio {
public:
    static constexpr u64 mmio_size = 0x1000;

    struct Wiring {
        std::function<void(int exit_code)> finish;  // 0 for pass, 0 to 65535 as the guest says for fail
        std::function<void()> reset;
        Log log;
    };

    explicit SifiveTest(Wiring wiring) : wire_(std::move(wiring)) {}

    std::string_view kind() const override { return "sifive-test"; }
    void reset() override {}
    void state(Archive&) override {}  // it has none

    u64 read(u64 offset, unsigned size) override;
    void write(u64 offset, unsigned size, u64 value) override;

private:
    Wiring wire_;
};

}  // namespace viv
