// See vm_generation_id.h.
#include "engine/dev/identity/vm_generation_id.h"

namespace viv {

VmGenerationId::VmGenerationId(Wiring wiring) : wire_(wiring) { wire_.inlet.entropy(id_); }

void VmGenerationId::state(Archive& a) { a(1, "id", std::span<u8>(id_)); }

void VmGenerationId::restored() {
    if (wire_.inlet.mode() == Determinism::deterministic) return;
    wire_.inlet.entropy(id_);
    wire_.irq.set(true);
    wire_.irq.set(false);
}

u64 VmGenerationId::read(u64 offset, unsigned size) {
    u64 value = 0;
    for (unsigned i = 0; i < size && offset + i < mmio_size; i++)
        value |= u64{id_[static_cast<usize>(offset + i)]} << 8 * i;
    return value;
}

}  // namespace viv
