// All instructions of all extensions in decoding order, in parts that are compiled apart.
// An instruction whose pattern is a special case of another's comes first (pause before fence).
#pragma once

#include "engine/isa/riscv/privileged.h"
#include "engine/isa/riscv/rv_a.h"
#include "engine/isa/riscv/rv_b.h"
#include "engine/isa/riscv/rv_fd.h"
#include "engine/isa/riscv/rv_i.h"
#include "engine/isa/riscv/rv_m.h"
#include "engine/isa/riscv/rv_v.h"
#include "engine/isa/riscv/table.h"

namespace viv::riscv {

template <Text Extension, Xlen Width, class G>
struct Part {};
template <class...>
struct Parts {};

using BaseParts = Parts<Part<"I", Xlen::any, RvI>, Part<"I", Xlen::only64, Rv64I>, Part<"M", Xlen::any, RvM>,
                        Part<"M", Xlen::only64, Rv64M>, Part<"A", Xlen::any, RvA>, Part<"A", Xlen::only64, Rv64A>,
                        Part<"B", Xlen::any, RvB>, Part<"B", Xlen::only32, Rv32B>, Part<"B", Xlen::only64, Rv64B>,
                        Part<"Priv", Xlen::any, RvPrivileged>>;

using FloatParts =
    Parts<Part<"FD", Xlen::any, RvFloatMemory>, Part<"F", Xlen::any, RvsFloat>, Part<"F", Xlen::only64, Rv64sFloat>,
          Part<"D", Xlen::any, RvdFloat>, Part<"D", Xlen::only64, Rv64dFloat>, Part<"Zfh", Xlen::any, RvhFloat>,
          Part<"Zfh", Xlen::only64, Rv64hFloat>, Part<"FD", Xlen::any, RvFloatMoves>,
          Part<"FD", Xlen::only64, Rv64FloatMoves>>;

using VectorParts =
    Parts<Part<"V", Xlen::any, RvVConfig>, Part<"V", Xlen::any, RvVMemory>, Part<"V", Xlen::any, RvVInteger>,
          Part<"V", Xlen::any, RvVWidening>, Part<"V", Xlen::any, RvVFixed>, Part<"V", Xlen::any, RvVFloat>,
          Part<"V", Xlen::any, RvVMask>, Part<"V", Xlen::any, RvVPermute>, Part<"Zvbb", Xlen::any, RvVbb>,
          Part<"Zvbc", Xlen::any, RvVbc>>;

// Calls row.operator()<Instruction, Extension text, Xlen>() for every instruction of the parts, in order.
template <class F>
constexpr void for_each(Parts<>, F&&) {}
template <Text E, Xlen W, class... I, class... Rest, class F>
constexpr void for_each(Parts<Part<E, W, Group<I...>>, Rest...>, F&& row) {
    (row.template operator()<I>(E.c_str(), W), ...);
    for_each(Parts<Rest...>{}, row);
}
template <class P>
consteval usize count_of() {
    usize count = 0;
    for_each(P{}, [&]<class I>(const char*, Xlen) { count++; });
    return count;
}

}  // namespace viv::riscv
