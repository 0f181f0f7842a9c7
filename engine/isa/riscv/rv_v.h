// The vector extensions' instructions: V, Zvfh, Zvbb, Zvbc, by group. Order does not matter: no pattern is a special
// case of another.
#pragma once

#include "engine/isa/riscv/rv_v_fixed.h"
#include "engine/isa/riscv/rv_v_float.h"
#include "engine/isa/riscv/rv_v_integer.h"
#include "engine/isa/riscv/rv_v_mask.h"
#include "engine/isa/riscv/rv_v_memory.h"
#include "engine/isa/riscv/rv_v_permute.h"
#include "engine/isa/riscv/rv_v_widening.h"
#include "engine/isa/riscv/rv_vbb.h"
