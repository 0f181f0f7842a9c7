// Tunnels: streams of bytes of a machine (its monitor, its gdb stub, its display) to whoever may attach to them.
// A machine's end keeps a websocket open that offers one stream; when somebody attaches, the relay says so to it by one
// empty message and joins the two, and the machine's end offers the next one by another websocket.
// Promises: bytes of the two come to each other in order and to nobody else; whoever takes too little holds the other
// back, and what waits is bounded for each; when one goes the other is ended, after what was still for it. What is
// said before two have been joined is kept (who attaches; one message) or breaks the protocol (who offers).
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "netbridge/client.h"

namespace viv::netbridge {

class TunnelService;

// All tunnels of this relay. A tunnel is there while somebody offers it or a stream of it is in use.
class Tunnels {
public:
    static constexpr usize most_offers = 64, most_waiting = 16;  // of a tunnel; those that wait to be attached

    // So that whoever finds nothing can be told before it is a client.
    bool has(const std::string& name) const { return tunnels_.contains(name); }
    usize size() const { return tunnels_.size(); }
    u64 streams() const { return streams_; }

private:
    friend class TunnelService;
    struct Tunnel {
        usize offers = 0;  // in use or not
        std::deque<TunnelService*> offering, attaching;
    };
    bool enter(TunnelService& service);
    void leave(TunnelService& service);
    void join(TunnelService& offer, TunnelService& attach);

    std::map<std::string, Tunnel> tunnels_;
    u64 streams_ = 0;
};

class TunnelService final : public Service {
public:
    enum class Side : u8 { offer, attach };
    // A message at most; what waits for a client before the other is held back.
    static constexpr usize longest_message = 32 << 10, enough_bytes = 32 << 10, enough_messages = 512;

    // Null if nobody offers the tunnel, or too many do or wait for it.
    static std::unique_ptr<TunnelService> enter(Client& client, Tunnels& tunnels, const std::string& name, Side side);
    ~TunnelService() override;

    bool message(std::span<const u8> bytes) override;
    usize longest() const override { return longest_message; }
    void sent() override;

private:
    friend class Tunnels;
    TunnelService(Client& client, Tunnels& tunnels, const std::string& name, Side side)
        : client_(client), tunnels_(tunnels), name_(name), side_(side) {}
    void joined(TunnelService& far);
    void give(SharedMessage message);
    void far_gone();
    bool has_enough() const;

    Client& client_;
    Tunnels& tunnels_;
    std::string name_;
    Side side_;
    bool entered_ = false, finished_ = false;
    TunnelService* far_ = nullptr;
    SharedMessage early_;  // counted in Budget
};

}  // namespace viv::netbridge
