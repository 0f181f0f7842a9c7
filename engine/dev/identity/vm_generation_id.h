// The generation of a virtual machine: 16 random bytes that change whenever a machine begins to differ from others that
// were the same until then, above all when it goes on from a saved file. A guest that sees a change gives its random
// number generator new entropy.
// Promises: another number at each restore of a live machine, with an interrupt to tell of it; a deterministic one
// keeps its number, since its run is the same run. A reset keeps it as well: that is no other machine. Specification:
// Microsoft, "Virtual Machine Generation ID" (2012); device tree binding microsoft,vmgenid.
#pragma once

#include <array>
#include <string_view>

#include "engine/dev/device.h"
#include "engine/dev/pin.h"
#include "engine/mem/bus.h"
#include "engine/time/replay.h"

namespace viv {

class VmGenerationId final : public Device, public Mmio {
public:
    static constexpr u64 mmio_size = 16;

    struct Wiring {
        Pin& irq;  // a pulse tells of a change
        Inlet& inlet;
    };

    explicit VmGenerationId(Wiring wiring);

    std::string_view kind() const override { return "vmgenid"; }
    void reset() override {}
    void state(Archive& a) override;
    void restored() override;

    // The bytes of the number, at any offset and in any size; it cannot be written.
    u64 read(u64 offset, unsigned size) override;
    void write(u64, unsigned, u64) override {}

private:
    Wiring wire_;
    std::array<u8, mmio_size> id_{};
};

}  // namespace viv
