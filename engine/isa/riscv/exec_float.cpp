// The interpreter's handlers of F, D and Zfh.
#include "engine/isa/riscv/handlers.h"

namespace viv::riscv {

namespace {
constexpr auto rows = handler_rows<FloatParts, true>();
}

std::span<const Handlers::Row> float_handlers() { return rows; }

}  // namespace viv::riscv
