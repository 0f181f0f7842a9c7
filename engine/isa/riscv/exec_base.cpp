// The interpreter's handlers of the base integer instructions, M, A, B and the privileged ones.
#include "engine/isa/riscv/handlers.h"

namespace viv::riscv {

namespace {
constexpr auto rows = handler_rows<BaseParts, true>();
}

std::span<const Handlers::Row> base_handlers() { return rows; }

}  // namespace viv::riscv
