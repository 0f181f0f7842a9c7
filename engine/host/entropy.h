// The host's source of random bytes, fit for keys. Only time/replay.cpp calls this.
#pragma once

#include <span>

#include "engine/lang/bits.h"

namespace viv::host {

class Entropy {
public:
    virtual ~Entropy() = default;
    virtual void fill(std::span<u8> out) = 0;
};

}  // namespace viv::host
