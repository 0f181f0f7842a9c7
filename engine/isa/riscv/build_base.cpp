// The translations of the base integer instructions, M, A, B and the privileged ones.
#include "engine/isa/riscv/build_rows.h"

namespace viv::riscv {

namespace {
constexpr auto rows = build_rows<BaseParts>();
}

std::span<const BuildRow> base_builders() { return rows; }

}  // namespace viv::riscv
