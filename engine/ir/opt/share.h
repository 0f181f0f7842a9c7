// Common subexpressions: an instruction without effects that has been there already is not made again. Promises: only
// what depends on nothing but its operands is shared, so neither loads (devices, other harts) nor anything that
// touches floating-point flags; state is forward_state's business.
#pragma once

#include <vector>

#include "engine/ir/opt/draft.h"

namespace viv::ir::opt {

class Share {
public:
    // Starts anew for about `expected` instructions; the table is kept.
    void begin(usize expected);

    // The value in the draft that equals `inst`, or no_value.
    ValueId find(const Draft& draft, const Inst& inst);
    // `id` is what find() has just not found.
    void add(const Draft& draft, ValueId id);

private:
    void grow(const Draft& draft);
    std::vector<ValueId> table_;  // open addressing, linear probing; the size is a power of two
    usize mask_ = 0, used_ = 0, place_ = 0;
};

}  // namespace viv::ir::opt
