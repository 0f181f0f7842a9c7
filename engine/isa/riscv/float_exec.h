// The floating-point part of the interpreter's emitter.
#pragma once

namespace viv::riscv {

template <class Derived> struct FloatExec {};

}  // namespace viv::riscv
