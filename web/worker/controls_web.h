// Clients of the machine's monitor, QMP server, gdb stub and display whose bytes JavaScript carries: the page itself,
// and whoever is at the other end of a tunnel. Promises: clients are numbered from 1 on, and no number comes twice;
// what is said to one that does not take it is bounded: it is told nothing more, and is_over().
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/control/control_session.h"

namespace viv::web {

class WebControls {
public:
    static constexpr usize most_waiting_bytes = 8 << 20;

    // A client has come, of "monitor", "qmp", "gdb" or "vnc"; its number. An error names what there is, or that a
    // debugger is there already, or no display.
    Result<u32> open(std::string_view protocol, Machine& machine, CommandHost& host);
    // It has gone.
    void close(u32 number) { clients_.erase(number); }

    // Of a client that is there; nothing happens else. Between slices.
    void receive(u32 number, std::span<const u8> bytes);
    // What the client has been told since the last call.
    std::string take(u32 number);
    // It has taken too little, and misses some of it; or its session has ended.
    bool is_over(u32 number) const;

private:
    struct Client {
        ControlProtocol protocol = ControlProtocol::monitor;
        std::string told;
        bool lost = false;
        std::unique_ptr<ControlSession> session;  // writes to `told`: it goes first
    };
    std::map<u32, Client> clients_;
    u32 last_ = 0;
};

}  // namespace viv::web
