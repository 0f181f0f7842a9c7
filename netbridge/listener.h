// Listening sockets of our own: what they accept is counted and judged before a library spends memory on it.
// Promises: an address that has too much is refused by closing, at once; when descriptors run out, connections are
// refused instead of left to spin.
#pragma once

#include <functional>
#include <memory>

#include "engine/lang/result.h"
#include "netbridge/loop.h"
#include "netbridge/settings.h"

namespace viv::netbridge {

class Listener {
public:
    // Takes the descriptor.
    using Accepted = std::function<void(int descriptor, const Address& from)>;

    static Result<std::unique_ptr<Listener>> open(uv_loop_t* loop, const ListenAddress& address, Accepted accepted);
    ~Listener();
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    // With the port that the system chose.
    const ListenAddress& address() const { return address_; }

private:
    Listener(int descriptor, Accepted accepted);
    void accept_all();

    int descriptor_, spare_;
    Accepted accepted_;
    ListenAddress address_;
    std::unique_ptr<DescriptorWatch> watch_;
};

// Those of this host, whose own business they are.
void learn_own_addresses(DestinationRules& rules);

}  // namespace viv::netbridge
