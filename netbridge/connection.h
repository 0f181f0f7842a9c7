// A websocket connection of libwebsockets with the client behind it.
// Promises: what a client may have is counted from the moment that its connection is accepted until the library has let
// go of it; writing goes on as far as the kernel takes it, and stops there until it takes more.
#pragma once

#include <libwebsockets.h>

#include <memory>
#include <string>

#include "netbridge/client.h"
#include "netbridge/request.h"

namespace viv::netbridge {

class Connection final : public Wire {
public:
    Connection(AddressTable& addresses, const Address& from, AddressTable::Usage& usage)
        : addresses_(addresses), from_(from), usage_(usage) {}
    ~Connection() override { addresses_.leave(from_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Not there before the library has made it, nor after it has gone.
    void set_wsi(lws* wsi) { wsi_ = wsi; }
    const Address& from() const { return from_; }
    AddressTable::Usage& usage() { return usage_; }

    void want_write() override;
    void end(Ended why) override;
    void hold(Hold hold) override;

    // What the library's callbacks do. What they return is the library's: nonzero ends the connection.
    int receive(std::span<const u8> piece);
    int writable();
    int resume();
    int close_now(Ended why);
    bool ended() const { return state_ != State::open; }
    Ended why() const { return why_; }

    Request request;
    u64 expiry = 0;  // of its token, in seconds since 1970; 0: none
    std::unique_ptr<Client> client;
    bool was_client = false;
    u64 number = 0;  // in the journal
    u64 accepted_ns = 0;

private:
    int pause_if_needed();

    AddressTable& addresses_;
    Address from_;
    AddressTable::Usage& usage_;
    lws* wsi_ = nullptr;
    enum class State : u8 { open, ending, told } state_ = State::open;
    bool paused_ = false;  // for its rate
    Hold hold_ = Hold::off;
    u64 confirmed_ns_ = 0;
    Ended why_ = Ended::by_client;
};

}  // namespace viv::netbridge
