// The translations of the vector extensions: a helper call each.
#include "engine/isa/riscv/build_rows.h"

namespace viv::riscv {

namespace {
constexpr auto rows = build_rows<VectorParts>();
}

std::span<const BuildRow> vector_builders() { return rows; }

}  // namespace viv::riscv
