// The translations of F, D and Zfh.
#include "engine/isa/riscv/build_rows.h"

namespace viv::riscv {

namespace {
constexpr auto rows = build_rows<FloatParts>();
}

std::span<const BuildRow> float_builders() { return rows; }

}  // namespace viv::riscv
