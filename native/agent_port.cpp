// Buffering between the port and the session. See agent_port.h.
#include "native/agent_port.h"

#include <algorithm>

namespace viv::native {

void AgentPort::connect(bool connected) {
    if (device() != nullptr) device()->host_connected(connected);
}

usize AgentPort::accept(std::span<const u8> bytes) {
    const usize count = std::min(bytes.size(), incoming_limit - incoming_.size());
    incoming_.insert(incoming_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
}

void AgentPort::service() {
    std::vector<u8> incoming;
    incoming.swap(incoming_);
    session_.receive(incoming);
    if (was_opened_ && !opened_) session_.lose("the guest's agent has ended");
    was_opened_ = opened_;
    made_room();
    session_.step();
    offer();
}

}  // namespace viv::native
