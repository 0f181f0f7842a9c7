// The translations of the vector extensions: a helper call each, or what build_lanes.cpp makes of it.
#include "engine/isa/riscv/build_rows.h"

namespace viv::riscv {

namespace {
constexpr auto rows = build_rows<VectorParts>();
}

std::span<const BuildRow> vector_builders() { return rows; }

}  // namespace viv::riscv
