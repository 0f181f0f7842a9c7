// One websocket client: what comes from it, put together and limited, and what waits for it.
// Promises: a message of several fragments is bounded as one of a single one; who sends faster than allowed is not read
// until it may again, and nothing of it is lost; what a slow client does not take is dropped (frames) or held back at
// its source (streams), and never delays another client. Nothing here knows of sockets or clocks.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "netbridge/limits.h"
#include "netbridge/metrics.h"
#include "netbridge/outbox.h"
#include "netbridge/rooms.h"
#include "netbridge/wisp.h"

namespace viv::netbridge {

enum class Hold : u8 { off, on };

// The connection under a client, told of what the client cannot do itself.
class Wire {
public:
    virtual ~Wire() = default;
    // There is something to be taken by Client::next().
    virtual void want_write() = 0;
    // To be ended soon, not from within.
    virtual void end(Ended why) = 0;
    // While it is on, nothing is read from the client.
    virtual void hold(Hold hold) = 0;
};

class Client;

// What a client is here for.
class Service {
public:
    virtual ~Service() = default;
    // Once, when its client has it.
    virtual void start() {}
    // A whole message, no longer than longest(). False if it breaks the protocol.
    virtual bool message(std::span<const u8> bytes) = 0;
    virtual usize longest() const = 0;
    // What waited for the client has mostly left.
    virtual void drained() {}
    // A message is on its way to the client.
    virtual void sent() {}
};

// What all clients share.
struct Relay {
    const LimitSettings& limits;
    Metrics& metrics;
    Budget& budget;
    const u64& now_ns;  // set by whoever owns the clock before it calls anything here
};

class Client {
public:
    enum class Place : u8 { inside, last };  // of a piece in its message
    enum class Form : u8 { binary, text };

    Client(const Relay& relay, AddressTable::Usage& usage, Wire& wire);
    ~Client();
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void serve(std::unique_ptr<Service> service) {
        service_ = std::move(service);
        service_->start();
    }

    // A piece of a message, as it comes. Not empty: the connection is to be ended for this.
    std::optional<Ended> receive(std::span<const u8> piece, Place place, Form form);
    // For how long nothing should be read from it: 0 if it may go on.
    u64 wait_ns();

    // False if there is no room.
    bool put(SharedMessage message);
    bool choked() const { return outbox_.half_full(); }
    bool has_output() const { return !outbox_.empty(); }
    usize waiting_bytes() const { return outbox_.bytes(); }
    usize waiting_messages() const { return outbox_.size(); }
    SharedMessage next();
    void end(Ended why) { wire_.end(why); }
    void hold(Hold hold) { wire_.hold(hold); }

    u64 heard_ns() const { return heard_ns_; }
    // Since when it has not taken what waits for it; now, if nothing does.
    u64 stalled_since_ns() const { return outbox_.empty() ? relay_.now_ns : moved_ns_; }
    const Relay& relay() const { return relay_; }

private:
    Relay relay_;
    AddressTable::Usage& usage_;
    Wire& wire_;
    TokenBucket frames_, bytes_;
    Outbox outbox_;
    std::vector<u8> assembled_;
    bool waiting_for_drain_ = false;
    u64 heard_ns_, moved_ns_;
    std::unique_ptr<Service> service_;  // the last member: it leaves its room while the rest is there
};

// In a room: each message is an Ethernet frame.
class RoomService final : public Service, public Port {
public:
    // Null if there is no room for another room.
    static std::unique_ptr<RoomService> enter(Client& client, Rooms& rooms, const std::string& name);
    ~RoomService() override;

    bool message(std::span<const u8> bytes) override;
    usize longest() const override;
    void give(const SharedMessage& frame, u64 behind) override;

private:
    RoomService(Client& client, Rooms& rooms) : Port(PortKind::client), client_(client), rooms_(rooms) {}

    Client& client_;
    Rooms& rooms_;
    Room* room_ = nullptr;
};

// With streams: each message is a packet of WISP.
class WispService final : public Service, public wisp::Carrier {
public:
    WispService(Client& client, wisp::StreamOpener& opener, wisp::Version version);
    void start() override { session_.start(); }

    bool message(std::span<const u8> bytes) override;
    usize longest() const override { return wisp::head_size + wisp::Session::longest_payload; }
    void drained() override { session_.drained(); }
    void send(SharedMessage message) override;
    bool choked() const override { return client_.choked(); }
    usize streams() const { return session_.streams(); }

private:
    Client& client_;
    wisp::Session session_;
};

}  // namespace viv::netbridge
