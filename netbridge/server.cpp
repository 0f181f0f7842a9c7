// The relay's loop. See server.h. libwebsockets runs in libuv's loop as a guest; everything is on one thread.
#include "netbridge/server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <map>

#include "engine/lang/check.h"
#include "netbridge/backplane.h"
#include "netbridge/connection.h"
#include "netbridge/listener.h"
#include "netbridge/nats_bus.h"
#include "netbridge/sandbox.h"
#include "netbridge/streams.h"
#include "netbridge/tunnel.h"
#include "netbridge/ways_out.h"
#include "netbridge/websockets.h"

namespace viv::netbridge {

namespace {

constexpr u64 second_ns = 1'000'000'000;

u64 wall_clock_s() { return static_cast<u64>(std::time(nullptr)); }

class RelayServer final : public Server {
public:
    RelayServer(const Settings& settings, Journal& journal)
        : settings_(settings),
          journal_(journal),
          addresses_(settings.limits),
          rooms_(settings.spoof_check, settings.most_rooms),
          relay_{settings_.limits, metrics_, budget_, now_ns_} {
        budget_.most = settings.queue_total;
    }
    ~RelayServer() override;

    Result<void> open();
    void run() override;

private:
    static int callback(lws* wsi, lws_callback_reasons reason, void* user, void* in, size_t length);
    static RelayServer& of(lws* wsi) { return *static_cast<RelayServer*>(lws_context_user(lws_get_context(wsi))); }
    int handle(lws* wsi, lws_callback_reasons reason, void* in, usize length);

    void touch() { now_ns_ = uv_hrtime(); }
    void accepted(int descriptor, const Address& from);
    int http(lws* wsi, Connection& connection, std::string_view path);
    int judge(lws* wsi, Connection& connection);
    int refuse(lws* wsi, Connection& connection, Refusal why, unsigned status, std::string_view detail);
    std::unique_ptr<Service> service_for(lws* wsi, Client& client, const Request& request);
    int established(lws* wsi, Connection& connection);
    void closed(Connection& connection);
    void gone(Connection& connection);
    void tick();
    void stop(int signal);
    bool may_read_metrics(lws* wsi, const Connection& connection) const;
    std::string metrics_text();

    Settings settings_;
    Journal& journal_;
    u64 now_ns_ = 0;
    Metrics metrics_;
    Budget budget_;
    AddressTable addresses_;
    Rooms rooms_;
    Tunnels tunnels_;
    Relay relay_;
    uv_loop_t loop_{};
    bool loop_open_ = false;
    lws_context* context_ = nullptr;
    lws_vhost* host_ = nullptr;
    lws_retry_bo_t liveliness_{};
    std::unique_ptr<WaysOut> ways_out_;
    std::unique_ptr<Streams> streams_;
    std::unique_ptr<NatsBus> bus_;
    std::unique_ptr<Backplane> backplane_;
    std::vector<std::unique_ptr<Listener>> listeners_;
    std::map<Connection*, std::unique_ptr<Connection>> connections_;
    std::unique_ptr<Timer> ticker_, drain_;
    std::unique_ptr<Watchdog> watchdog_;
    std::vector<std::unique_ptr<SignalWatch>> signals_;
    u64 last_number_ = 0;
    bool stopping_ = false;
};

int RelayServer::callback(lws* wsi, lws_callback_reasons reason, void*, void* in, size_t length) {
    switch (reason) {
        case LWS_CALLBACK_HTTP:
        case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        case LWS_CALLBACK_ESTABLISHED:
        case LWS_CALLBACK_RECEIVE:
        case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        case LWS_CALLBACK_SERVER_WRITEABLE:
        case LWS_CALLBACK_TIMER:
        case LWS_CALLBACK_CLOSED:
        case LWS_CALLBACK_WSI_DESTROY: return of(wsi).handle(wsi, reason, in, length);
        default: return lws_callback_http_dummy(wsi, reason, nullptr, in, length);
    }
}

int RelayServer::handle(lws* wsi, lws_callback_reasons reason, void* in, usize length) {
    auto* connection = static_cast<Connection*>(lws_get_opaque_user_data(wsi));
    if (connection == nullptr) return 0;
    touch();
    switch (reason) {
        case LWS_CALLBACK_HTTP: return http(wsi, *connection, {static_cast<const char*>(in), length});
        case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: return judge(wsi, *connection);
        case LWS_CALLBACK_ESTABLISHED: return established(wsi, *connection);
        case LWS_CALLBACK_RECEIVE: return connection->receive({static_cast<const u8*>(in), length});
        // The answer to our farewell wants none.
        case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return connection->ended() ? -1 : 0;
        case LWS_CALLBACK_SERVER_WRITEABLE: return connection->writable();
        case LWS_CALLBACK_TIMER: return connection->resume();
        case LWS_CALLBACK_CLOSED: closed(*connection); return 0;
        case LWS_CALLBACK_WSI_DESTROY:
            closed(*connection);
            lws_set_opaque_user_data(wsi, nullptr);
            gone(*connection);
            return 0;
        default: return 0;
    }
}

Result<void> RelayServer::open() {
    touch();
    uv_loop_init(&loop_);
    loop_open_ = true;
    learn_own_addresses(settings_.rules);
    // The first is for clients that ask for no subprotocol; the others may be asked for. Longer messages come in
    // pieces.
    constexpr usize receive_size = 4096;
    static const lws_protocols protocols[] = {{"netbridge", &callback, 0, receive_size, 0, nullptr, 0},
                                              {"wisp-v2", &callback, 0, receive_size, 0, nullptr, 0},
                                              {"binary", &callback, 0, receive_size, 0, nullptr, 0},
                                              {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
    TRY_SET(host_, make_host(settings_, {protocols, &liveliness_, &loop_, this, &context_}));
    for (const auto& address : settings_.listen) {
        TRY_SET(auto listener, Listener::open(&loop_, address, [this](int descriptor, const Address& from) {
                    accepted(descriptor, from);
                }));
        listeners_.push_back(std::move(listener));
    }
    if (settings_.wisp) streams_ = std::make_unique<Streams>(&loop_, settings_.rules);
    ways_out_ = std::make_unique<WaysOut>(&loop_, settings_, journal_, metrics_, now_ns_);
    TRY(ways_out_->open_taps());
    rooms_.on_opened([this](Room& room) {
        journal_.client("room_opened", {{"room", room.name()}});
        ways_out_->opened(room);
    });
    rooms_.on_closing([this](Room& room) {
        ways_out_->closing(room);
        journal_.client("room_closed", {{"room", room.name()}});
    });
    ticker_ = std::make_unique<Timer>(&loop_, [this] { tick(); });
    ticker_->arm(1000, 1000);
    watchdog_ = std::make_unique<Watchdog>(&loop_, [this](u64 late_ns) { metrics_.late.add(late_ns); });
    for (const int number : {SIGINT, SIGTERM})
        signals_.push_back(std::make_unique<SignalWatch>(&loop_, number, [this](int which) { stop(which); }));
    if (!settings_.backplane.servers.empty()) {
        TRY_SET(bus_, NatsBus::prepare(&loop_, settings_.backplane));
        u64 self = 0;
        if (uv_random(nullptr, nullptr, &self, sizeof self, 0, nullptr) != 0 || self == 0)
            return Error{"--backplane: this system gives no random numbers"};
        backplane_ = std::make_unique<Backplane>(self, rooms_, *bus_, journal_, metrics_, now_ns_);
    }
    TRY(become(settings_.user));
    if (settings_.sandbox) TRY(close_sandbox());
    if (bus_) bus_->start(*backplane_, [this] { touch(); });
    for (const auto& listener : listeners_)
        journal_.event("listening", {{"address", listener->address().text()},
                                     {"scheme", settings_.certificate.empty() ? "ws" : "wss"},
                                     {"tokens", settings_.keys.empty() ? "not wanted" : "wanted"},
                                     {"sandbox", settings_.sandbox ? "on" : "off"}});
    return {};
}

void RelayServer::accepted(int descriptor, const Address& from) {
    touch();
    metrics_.connections++;
    AddressTable::Usage* usage = nullptr;
    const auto answer = addresses_.enter(from, now_ns_, usage);
    if (answer != AddressTable::Answer::welcome) {
        const auto why = answer == AddressTable::Answer::too_often ? Refusal::rate : Refusal::connections;
        metrics_.refuse(why);
        journal_.client("refused", {{"from", from.text()}, {"reason", name_of(why)}});
        close(descriptor);
        return;
    }
    auto owned = std::make_unique<Connection>(addresses_, from, *usage);
    Connection* connection = owned.get();
    connection->number = ++last_number_;
    connection->accepted_ns = now_ns_;
    connections_.emplace(connection, std::move(owned));
    lws* wsi = lws_adopt_socket_vhost(host_, descriptor);  // closes it if that fails
    if (wsi == nullptr) {
        connections_.erase(connection);
        return;
    }
    connection->set_wsi(wsi);
    lws_set_opaque_user_data(wsi, connection);
}

bool RelayServer::may_read_metrics(lws* wsi, const Connection& connection) const {
    // Somebody else's request that a proxy on this host passes on.
    if (lws_hdr_total_length(wsi, WSI_TOKEN_X_FORWARDED_FOR) > 0) return false;
    if (connection.from().is_loopback()) return true;
    return std::any_of(settings_.metrics_from.begin(), settings_.metrics_from.end(),
                       [&](const Network& network) { return network.contains(connection.from()); });
}

std::string RelayServer::metrics_text() {
    metrics_.rooms = rooms_.size();
    metrics_.addresses = addresses_.addresses();
    metrics_.queued_bytes = budget_.used;
    metrics_.tunnels = tunnels_.size();
    metrics_.tunnel_streams = tunnels_.streams();
    metrics_.streams = streams_ ? streams_->open_sockets() : 0;
    return prometheus_text(metrics_);
}

// A whole answer.
int RelayServer::http(lws* wsi, Connection& connection, std::string_view path) {
    const auto request = parse_request(path);
    unsigned status = HTTP_STATUS_NOT_FOUND;
    std::string body = "There is nothing here but websockets.\n", type = "text/plain";
    if (request && request->kind == Request::Kind::health) {
        status = stopping_ ? unsigned{HTTP_STATUS_SERVICE_UNAVAILABLE} : unsigned{HTTP_STATUS_OK};
        body = stopping_ ? "stopping\n" : "ok\n";
    } else if (request && request->kind == Request::Kind::metrics) {
        status = may_read_metrics(wsi, connection) ? unsigned{HTTP_STATUS_OK} : unsigned{HTTP_STATUS_FORBIDDEN};
        body = status == HTTP_STATUS_OK ? metrics_text() : "Not for you.\n";
        if (status == HTTP_STATUS_OK) type = "text/plain; version=0.0.4; charset=utf-8";
    }
    return answer(wsi, status, type, body);
}

int RelayServer::refuse(lws* wsi, Connection& connection, Refusal why, unsigned status, std::string_view detail) {
    metrics_.refuse(why);
    journal_.client("refused", {{"client", connection.number},
                                {"from", connection.from().text()},
                                {"reason", name_of(why)},
                                {"detail", detail}});
    lws_return_http_status(wsi, status, nullptr);
    return -1;
}

int RelayServer::judge(lws* wsi, Connection& connection) {
    if (stopping_) return -1;
    const auto request = parse_request(header_of(wsi, WSI_TOKEN_GET_URI));
    if (!request || !settings_.serves(request->kind))
        return refuse(wsi, connection, Refusal::path, HTTP_STATUS_NOT_FOUND, "no such place");
    // A header that is too long for us is none of ours either.
    const bool has_origin = lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) > 0;
    const auto origin = header_of(wsi, WSI_TOKEN_ORIGIN);
    if (has_origin && (origin.empty() || !settings_.origins.allow(origin)))
        return refuse(wsi, connection, Refusal::origin, HTTP_STATUS_FORBIDDEN, origin);
    if (!settings_.keys.empty()) {
        const auto grant = settings_.keys.check(token_of(wsi), request->scope, request->name, wall_clock_s());
        if (!grant.ok()) return refuse(wsi, connection, Refusal::token, HTTP_STATUS_FORBIDDEN, grant.error().message);
        connection.expiry = grant.value().expiry;
    }
    if (request->kind == Request::Kind::attach && !tunnels_.has(request->name))
        return refuse(wsi, connection, Refusal::tunnels, HTTP_STATUS_NOT_FOUND, "nobody offers it");
    connection.request = *request;
    return 0;
}

// Null if there is no place for another one.
std::unique_ptr<Service> RelayServer::service_for(lws* wsi, Client& client, const Request& request) {
    using Side = TunnelService::Side;
    switch (request.kind) {
        case Request::Kind::wisp: {
            const bool two = std::string_view(lws_get_protocol(wsi)->name) == "wisp-v2";
            return std::make_unique<WispService>(client, *streams_, two ? wisp::Version::two : wisp::Version::one);
        }
        case Request::Kind::offer: return TunnelService::enter(client, tunnels_, request.name, Side::offer);
        case Request::Kind::attach: return TunnelService::enter(client, tunnels_, request.name, Side::attach);
        default: return RoomService::enter(client, rooms_, request.name);
    }
}

int RelayServer::established(lws* wsi, Connection& connection) {
    const Request& request = connection.request;
    connection.client = std::make_unique<Client>(relay_, connection.usage(), connection);
    metrics_.clients++;
    auto service = service_for(wsi, *connection.client, request);
    if (!service) {
        metrics_.refuse(request.kind == Request::Kind::room ? Refusal::rooms : Refusal::tunnels);
        return connection.close_now(Ended::shutdown);
    }
    connection.client->serve(std::move(service));
    journal_.client("joined", {{"client", connection.number},
                               {"from", connection.from().text()},
                               {"place", request.name},
                               {"as", name_of(request.scope)}});
    return 0;
}

void RelayServer::closed(Connection& connection) {
    if (!connection.client) return;
    connection.set_wsi(nullptr);
    connection.client.reset();
    metrics_.clients--;
    metrics_.end(connection.why());
    connection.was_client = true;
}

// Its place is free again, before anybody is told so.
void RelayServer::gone(Connection& connection) {
    const bool was_client = connection.was_client;
    const u64 number = connection.number;
    const auto why = connection.why();
    connections_.erase(&connection);
    if (was_client) journal_.client("left", {{"client", number}, {"reason", name_of(why)}});
}

void RelayServer::tick() {
    touch();
    addresses_.tidy(now_ns_);
    if (backplane_) backplane_->tick();
    const u64 wall = settings_.keys.empty() ? 0 : wall_clock_s();
    for (const auto& [key, connection] : connections_) {
        if (connection->ended()) continue;
        if (!connection->client) {
            // The library begins to count anew with each byte.
            if (now_ns_ - connection->accepted_ns > settings_.times.handshake * second_ns)
                connection->end(Ended::stalled);
            continue;
        }
        const Client& client = *connection->client;
        if (connection->expiry != 0 && connection->expiry <= wall)
            connection->end(Ended::expired);
        else if (now_ns_ - client.stalled_since_ns() > settings_.times.stall * second_ns)
            connection->end(Ended::stalled);
        else if (settings_.times.idle != 0 && now_ns_ - client.heard_ns() > settings_.times.idle * second_ns)
            connection->end(Ended::idle);
    }
    if (stopping_ && connections_.empty()) uv_stop(&loop_);
    // The library looks at its own times after it has served a connection, and would sleep past one that was set from
    // elsewhere: the first of a connection that says nothing, or the end of one that takes nothing.
    lws_cancel_service(context_);
}

void RelayServer::stop(int signal) {
    if (stopping_) return uv_stop(&loop_);  // the second time it is meant
    stopping_ = true;
    touch();
    journal_.event("stopping", {{"signal", static_cast<u64>(signal)}, {"clients", metrics_.clients}});
    listeners_.clear();
    for (const auto& [key, connection] : connections_)
        connection->end(connection->client ? Ended::shutdown : Ended::stalled);
    ticker_->arm(20, 20);
    drain_ = std::make_unique<Timer>(&loop_, [this] { uv_stop(&loop_); });
    drain_->arm(settings_.times.drain * 1000);
}

void RelayServer::run() {
    uv_run(&loop_, UV_RUN_DEFAULT);
    journal_.event("stopped");
}

RelayServer::~RelayServer() {
    stopping_ = true;
    listeners_.clear();
    signals_.clear();
    ticker_.reset();
    watchdog_.reset();
    drain_.reset();
    // Rooms and streams go before the library does: their handles are in the same loop.
    for (const auto& [key, connection] : connections_) closed(*connection);
    ways_out_.reset();
    if (backplane_) backplane_->bye();
    bus_.reset();
    if (context_ != nullptr) lws_context_destroy(context_);
    while (loop_open_ && uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
    // In a loop that is not its own the library frees what is left when it is told a second time.
    if (context_ != nullptr) lws_context_destroy(context_);
    connections_.clear();
}

}  // namespace

Result<std::unique_ptr<Server>> Server::start(const Settings& settings, Journal& journal) {
    auto server = std::make_unique<RelayServer>(settings, journal);
    TRY(server->open());
    return std::unique_ptr<Server>(std::move(server));
}

}  // namespace viv::netbridge
