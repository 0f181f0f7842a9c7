// A switch between network cards and back ends of one machine.
// Promises: a frame for a station that has been heard goes to its port alone, any other to all but the one it came
// from; what is remembered of stations is bounded, and a station that moves is followed; a port whose device has no
// buffers delays no other. Everything that happens depends on the frames alone.
#pragma once

#include <memory>

#include "engine/net/net.h"

namespace viv::net {

// The ports share what is inside, back ends included: it lives as long as this object or one of the cards' ports does.
class Hub {
public:
    static constexpr usize most_stations = 1024;

    Hub();
    ~Hub();
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    // A port for a card to be plugged into.
    std::unique_ptr<NetBackend> make_port();
    // A port with this back end plugged in.
    void plug(std::unique_ptr<NetBackend> back_end);

private:
    class Switch;
    class Port;
    class BackEndPort;
    std::shared_ptr<Switch> switch_;
};

}  // namespace viv::net
