// The bus of the backplane: a NATS server, by libnats, whose calls may wait. They are made by a thread of this class.
// Promises: nothing here ever waits for the server but the destructor, for a bounded time; a connection that is lost or
// refused is looked for again, with pauses that grow; what waits in either direction is bounded, what finds no room is
// lost and counted, and nothing that waited for one connection goes out by the next; events come by the loop alone.
// tls:// wants a certificate that is trusted, for the name in the address. Nothing secret is in any error.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/lang/result.h"
#include "netbridge/backplane.h"
#include "netbridge/loop.h"

namespace viv::netbridge {

struct NatsSettings {
    std::vector<std::string> servers;  // nats://HOST:PORT, or all of them tls://HOST:PORT
    std::string user, password;        // or
    std::string token;                 // or none of these
    std::string authority_file;        // PEM; empty: those that the system trusts

    bool is_secure() const { return !servers.empty() && servers.front().starts_with("tls://"); }
};

class NatsBus final : public Bus {
public:
    static constexpr usize most_waiting_bytes = 16 << 20;  // in each direction
    static constexpr u64 first_pause_ms = 250, longest_pause_ms = 10'000;

    // Reads the files that are named, and connects to nothing yet.
    static Result<std::unique_ptr<NatsBus>> prepare(uv_loop_t* loop, const NatsSettings& settings);
    // What has been published goes out first, if there is a connection. No event comes any more.
    ~NatsBus() override;

    // From here on `events` is called, each time after `before`. Both outlive this.
    void start(BusEvents& events, std::function<void()> before);

    void subscribe(const std::string& subject) override;
    void unsubscribe(const std::string& subject) override;
    bool publish(const std::string& subject, SharedMessage message) override;

private:
    class Library;
    explicit NatsBus(std::unique_ptr<Library> library);
    std::unique_ptr<Library> library_;
};

}  // namespace viv::netbridge
