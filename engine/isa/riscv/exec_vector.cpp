// The interpreter's handlers of the vector extensions.
#include "engine/isa/riscv/handlers.h"

namespace viv::riscv {

namespace {
constexpr auto rows = handler_rows<VectorParts, false>();
}

std::span<const Handlers::Row> vector_handlers() { return rows; }

}  // namespace viv::riscv
