// The switches and cables of a lab. Each card of a machine is a stream over a Unix socket in the lab's folder, behind a
// link of its quality, in a port of a switch.
// Promises: what is plugged in stays until the end; a machine that goes away and comes back finds its port again.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/net/hub.h"
#include "engine/net/link.h"
#include "engine/time/timers.h"
#include "native/event_loop.h"
#include "native/host_network.h"
#include "native/host_posix.h"
#include "native/lab/plan.h"

namespace viv::native::lab {

class Fabric {
public:
    Fabric(EventLoop& events, LogSink& log);
    ~Fabric();
    Fabric(const Fabric&) = delete;
    Fabric& operator=(const Fabric&) = delete;

    // Listens for the cards of all machines, and opens what switches have outside. `folder` is the sockets'.
    Result<void> build(const Plan& plan, const std::string& folder);
    // What a machine's --net is to be.
    static std::string card_option(const MachinePlan& machine, usize card, const std::string& folder);

    // What is due. Before each wait, which may last until_next_ns().
    void turn();
    u64 until_next_ns();

    // A card's link is called as its machine, or MACHINE.N if that has several; a trunk's A-B.
    struct Named {
        std::string name, ends;  // "h1 - left"
        net::Link* link;
    };
    const std::vector<Named>& links() const { return links_; }

private:
    net::Hub& hub(const std::string& name) { return *hubs_.at(name); }
    void plug(net::Hub& into, std::unique_ptr<net::NetBackend> far, const net::LinkQuality& quality, Named named);

    PosixClock clock_;
    PosixEntropy entropy_;
    Inlet inlet_{Determinism::live, 0, clock_, entropy_};
    GuestClock time_{inlet_};
    Timers timers_{time_};
    Networks networks_;
    u64 seed_ = 0;
    std::vector<Named> links_;
    std::map<std::string, std::unique_ptr<net::Hub>> hubs_;  // own the links
};

}  // namespace viv::native::lab
