// The guest's end of a network in tests: takes what comes while it has buffers.
#pragma once

#include <deque>
#include <vector>

#include "engine/net/net.h"

namespace viv::native {

struct Card final : net::NetDevice {
    bool receive(std::span<const u8> frame) override {
        if (buffers == 0) return false;
        buffers--;
        received.emplace_back(frame.begin(), frame.end());
        return true;
    }
    std::deque<std::vector<u8>> received;
    usize buffers = 1'000'000;
};

}  // namespace viv::native
