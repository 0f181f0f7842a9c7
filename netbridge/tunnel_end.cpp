// One loop with a websocket and a local stream for each stream of the tunnel. See tunnel_end.h.
#include "netbridge/tunnel_end.h"

#include <fmt/format.h>
#include <libwebsockets.h>
#include <netinet/in.h>

#include <algorithm>
#include <csignal>
#include <deque>
#include <set>
#include <utility>
#include <vector>

#include "netbridge/loop.h"
#include "netbridge/outbox.h"

namespace viv::netbridge {

namespace {

constexpr usize read_size = 16 << 10, enough_bytes = 64 << 10;
constexpr u64 first_pause_ms = 250, longest_pause_ms = 10'000;

// TCP or a Unix socket.
union Socket {
    uv_handle_t any;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;

    void init(uv_loop_t* loop, const LocalAddress& address, void* owner) {
        if (address.path.empty())
            uv_tcp_init(loop, &tcp);
        else
            uv_pipe_init(loop, &pipe, 0);
        any.data = owner;
    }
};

class End final : public TunnelEnd {
public:
    End(const TunnelOrder& order, Journal& journal) : order_(order), journal_(journal) {}
    ~End() override;
    Result<void> open();
    void run() override { uv_run(&loop_, UV_RUN_DEFAULT); }

private:
    class Pair;
    static int callback(lws* wsi, lws_callback_reasons reason, void* user, void* in, size_t length);
    bool offers() const { return order_.side == Scope::offer; }
    Result<void> listen();
    void accept();
    void offer_next();

    TunnelOrder order_;
    Journal& journal_;
    uv_loop_t loop_{};
    bool loop_open_ = false, ending_ = false, listening_ = false;
    lws_context* context_ = nullptr;
    Socket listener_{};
    u64 pause_ms_ = first_pause_ms;
    std::unique_ptr<Timer> retry_;
    std::vector<std::unique_ptr<SignalWatch>> signals_;
    std::set<Pair*> pairs_;
};

// Lives until both of its sides have gone.
class End::Pair {
public:
    explicit Pair(End& end) : end_(end) { end_.pairs_.insert(this); }
    ~Pair() { end_.pairs_.erase(this); }
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;

    void dial();
    bool accept(uv_stream_t* listener);
    int handle(lws* wsi, lws_callback_reasons reason, void* in, usize length);
    void close_local();

private:
    struct Write {
        Pair* pair;
        uv_write_t request;
        std::vector<u8> bytes;
    };

    void far_lost(std::string_view why);
    int far_said(std::span<const u8> bytes);
    int far_writable(lws* wsi);
    void connect_local();
    void local_said(ssize_t count, const u8* bytes);
    void read_local();
    void release() {
        if (far_gone_ && !local_open_) delete this;
    }

    End& end_;
    lws* wsi_ = nullptr;
    bool established_ = false, far_gone_ = false;
    Socket local_{};
    uv_connect_t connect_{};
    uv_shutdown_t shutdown_{};
    bool local_open_ = false, closing_ = false, connected_ = false, far_held_ = false, local_ended_ = false;
    std::vector<u8> buffer_;
    std::deque<SharedMessage> waiting_;
    usize waiting_bytes_ = 0;
};

int End::callback(lws* wsi, lws_callback_reasons reason, void*, void* in, size_t length) {
    switch (reason) {
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        case LWS_CALLBACK_CLIENT_CLOSED:
        case LWS_CALLBACK_CLIENT_RECEIVE:
        case LWS_CALLBACK_CLIENT_WRITEABLE:
        case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: break;
        default: return 0;
    }
    auto* pair = static_cast<Pair*>(lws_get_opaque_user_data(wsi));
    return pair == nullptr ? 0 : pair->handle(wsi, reason, in, length);
}

void End::Pair::dial() {
    const auto& url = end_.order_.url;
    lws_client_connect_info info{};
    lws_context* const context = end_.context_;
    info.context = context;
    info.address = url.host.c_str();
    info.port = url.port;
    info.path = url.path.c_str();
    info.host = url.host.c_str();
    info.ssl_connection = url.secure ? LCCSCF_USE_SSL : 0;
    info.local_protocol_name = "tunnel";
    info.opaque_user_data = this;
    // If this fails at once the error has been called back, and this has gone.
    lws_client_connect_via_info(&info);
    lws_cancel_service(context);
}

int End::Pair::handle(lws* wsi, lws_callback_reasons reason, void* in, usize length) {
    switch (reason) {
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
            wsi_ = wsi;
            established_ = true;
            end_.pause_ms_ = first_pause_ms;
            end_.journal_.client("joined", {{"as", name_of(end_.order_.side)}});
            if (connected_) read_local();
            return 0;
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        case LWS_CALLBACK_CLIENT_CLOSED:
            lws_set_opaque_user_data(wsi, nullptr);
            far_lost(reason == LWS_CALLBACK_CLIENT_CLOSED || in == nullptr
                         ? std::string_view("ended")
                         : std::string_view(static_cast<char*>(in), length));
            return 0;
        case LWS_CALLBACK_CLIENT_RECEIVE: return far_said({static_cast<const u8*>(in), length});
        case LWS_CALLBACK_CLIENT_WRITEABLE: return far_writable(wsi);
        default: break;
    }
    if (end_.order_.token.empty()) return 0;
    const std::string value = "Bearer " + end_.order_.token;
    auto** at = static_cast<unsigned char**>(in);
    return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                        reinterpret_cast<const unsigned char*>(value.data()),
                                        static_cast<int>(value.size()), at, *at + length);
}

void End::Pair::far_lost(std::string_view why) {
    wsi_ = nullptr;
    far_gone_ = true;
    end_.journal_.client("left", {{"reason", why}});
    // An offer that nobody has attached to has to be made again.
    if (end_.offers() && !local_open_ && !local_ended_ && !end_.ending_) {
        end_.retry_->arm(end_.pause_ms_);
        end_.pause_ms_ = std::min(2 * end_.pause_ms_, longest_pause_ms);
    }
    if (!local_open_) return release();
    if (!connected_ || closing_) return close_local();
    uv_read_stop(&local_.stream);
    shutdown_.data = this;
    const int failed = uv_shutdown(&shutdown_, &local_.stream, [](uv_shutdown_t* request, int) {
        static_cast<Pair*>(request->data)->close_local();
    });
    if (failed != 0) close_local();
}

int End::Pair::far_said(std::span<const u8> bytes) {
    if (!local_open_) {
        if (local_ended_ || !end_.offers()) return -1;
        // The word that somebody is there; what he says waits until the service has been reached.
        connect_local();
        end_.offer_next();
        return local_open_ ? 0 : -1;
    }
    if (bytes.empty() || closing_) return 0;
    auto* write = new Write{this, {}, {bytes.begin(), bytes.end()}};
    write->request.data = write;
    const uv_buf_t buffer =
        uv_buf_init(reinterpret_cast<char*>(write->bytes.data()), static_cast<unsigned>(write->bytes.size()));
    const int failed = uv_write(&write->request, &local_.stream, &buffer, 1, [](uv_write_t* request, int status) {
        const std::unique_ptr<Write> done(static_cast<Write*>(request->data));
        Pair& pair = *done->pair;
        if (status != 0) return pair.close_local();
        if (pair.far_held_ && pair.wsi_ != nullptr &&
            uv_stream_get_write_queue_size(&pair.local_.stream) < enough_bytes) {
            pair.far_held_ = false;
            lws_rx_flow_control(pair.wsi_, 1);
        }
    });
    if (failed != 0) return delete write, -1;
    if (!far_held_ && uv_stream_get_write_queue_size(&local_.stream) >= enough_bytes) {
        far_held_ = true;
        lws_rx_flow_control(wsi_, 0);
    }
    return 0;
}

int End::Pair::far_writable(lws* wsi) {
    while (!waiting_.empty() && lws_send_pipe_choked(wsi) == 0) {
        const auto message = std::move(waiting_.front());
        waiting_.pop_front();
        waiting_bytes_ -= message->size();
        if (lws_write(wsi, message->start(), message->size(), LWS_WRITE_BINARY) < 0) return -1;
    }
    if (!waiting_.empty())
        lws_callback_on_writable(wsi);
    else if (local_ended_)
        return -1;
    else if (connected_ && !closing_)
        read_local();
    return 0;
}

void End::Pair::connect_local() {
    const auto& address = end_.order_.local;
    local_.init(&end_.loop_, address, this);
    local_open_ = true;
    connect_.data = this;
    const auto called = [](uv_connect_t* request, int status) {
        auto* pair = static_cast<Pair*>(request->data);
        if (pair->closing_) return;
        if (status != 0) {
            pair->end_.journal_.client("service_failed", {{"reason", std::string_view(uv_strerror(status))}});
            return pair->close_local();
        }
        pair->connected_ = true;
        if (pair->end_.order_.local.path.empty()) uv_tcp_nodelay(&pair->local_.tcp, 1);
        pair->read_local();
    };
    if (!address.path.empty()) return uv_pipe_connect(&connect_, &local_.pipe, address.path.c_str(), called);
    sockaddr_storage raw;
    address.tcp.address.store(raw, address.tcp.port);
    if (uv_tcp_connect(&connect_, &local_.tcp, reinterpret_cast<const sockaddr*>(&raw), called) != 0) close_local();
}

bool End::Pair::accept(uv_stream_t* listener) {
    local_.init(&end_.loop_, end_.order_.local, this);
    local_open_ = true;
    if (uv_accept(listener, &local_.stream) != 0) {
        far_gone_ = true;
        close_local();
        return false;
    }
    if (end_.order_.local.path.empty()) uv_tcp_nodelay(&local_.tcp, 1);
    connected_ = true;
    return true;
}

void End::Pair::read_local() {
    if (!established_ || waiting_bytes_ >= enough_bytes) return;
    buffer_.resize(read_size);
    uv_read_start(
        &local_.stream,
        [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
            auto& bytes = static_cast<Pair*>(handle->data)->buffer_;
            *buffer = uv_buf_init(reinterpret_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
        },
        [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
            static_cast<Pair*>(stream->data)->local_said(count, reinterpret_cast<const u8*>(buffer->base));
        });
}

void End::Pair::local_said(ssize_t count, const u8* bytes) {
    if (count == 0) return;
    if (count < 0) return close_local();
    waiting_.push_back(std::make_shared<Message>(std::span(bytes, static_cast<usize>(count))));
    waiting_bytes_ += static_cast<usize>(count);
    if (waiting_bytes_ >= enough_bytes) uv_read_stop(&local_.stream);
    lws_callback_on_writable(wsi_);
}

// And with it, once it has what was for it, the websocket.
void End::Pair::close_local() {
    local_ended_ = true;
    if (wsi_ != nullptr) lws_callback_on_writable(wsi_);
    if (!local_open_ || closing_) return;
    closing_ = true;
    uv_close(&local_.any, [](uv_handle_t* handle) {
        auto* pair = static_cast<Pair*>(handle->data);
        pair->local_open_ = false;
        pair->release();
    });
}

Result<void> End::listen() {
    const auto& address = order_.local;
    listener_.init(&loop_, address, this);
    listening_ = true;
    const auto check = [&](int status) -> Result<void> {
        if (status == 0) return {};
        return Error{fmt::format("attach: --listen {}: {}", address.text(), uv_strerror(status))};
    };
    sockaddr_storage raw{};
    auto* name = reinterpret_cast<sockaddr*>(&raw);
    if (address.path.empty()) {
        address.tcp.address.store(raw, address.tcp.port);
        TRY(check(uv_tcp_bind(&listener_.tcp, name, 0)));
    } else {
        TRY(check(uv_pipe_bind(&listener_.pipe, address.path.c_str())));
    }
    constexpr int backlog = 16;
    TRY(check(uv_listen(&listener_.stream, backlog, [](uv_stream_t* stream, int status) {
        if (status == 0) static_cast<End*>(stream->data)->accept();
    })));
    auto bound = address;
    int size = sizeof raw;
    if (address.path.empty()) {
        TRY(check(uv_tcp_getsockname(&listener_.tcp, name, &size)));
        bound.tcp.port = ntohs(raw.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(raw).sin_port
                                                        : reinterpret_cast<const sockaddr_in6&>(raw).sin6_port);
    }
    journal_.event("listening", {{"address", std::string_view(bound.text())}});
    return {};
}

void End::offer_next() { (new Pair(*this))->dial(); }

void End::accept() {
    auto* pair = new Pair(*this);
    if (pair->accept(&listener_.stream)) pair->dial();
}

Result<void> End::open() {
    uv_loop_init(&loop_);
    loop_open_ = true;
    lws_set_log_level(0, nullptr);  // what goes wrong is said by the callbacks
    static const lws_protocols protocols[] = {{"tunnel", &callback, 0, 4096, 0, nullptr, 0},
                                              {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
    static const lws_retry_bo_t liveliness = [] {
        lws_retry_bo_t policy{};
        policy.secs_since_valid_ping = 20;
        policy.secs_since_valid_hangup = 40;
        return policy;
    }();
    void* loops[] = {&loop_};
    lws_context_creation_info info{};
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.foreign_loops = loops;
    info.protocols = protocols;
    info.pcontext = &context_;
    info.gid = static_cast<gid_t>(-1);
    info.uid = static_cast<uid_t>(-1);
    info.options = LWS_SERVER_OPTION_LIBUV | (order_.url.secure ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0);
    info.retry_and_idle_policy = &liveliness;
    if (!order_.authority_file.empty()) info.client_ssl_ca_filepath = order_.authority_file.c_str();
    context_ = lws_create_context(&info);
    if (context_ == nullptr)
        return Error{"libwebsockets cannot start; its event loop is in Debian's package libwebsockets-evlib-uv"};
    for (const int number : {SIGINT, SIGTERM})
        signals_.push_back(std::make_unique<SignalWatch>(&loop_, number, [this](int) { uv_stop(&loop_); }));
    retry_ = std::make_unique<Timer>(&loop_, [this] { offer_next(); });
    if (!offers()) return listen();
    offer_next();
    return {};
}

End::~End() {
    ending_ = true;
    if (!loop_open_) return;
    signals_.clear();
    retry_.reset();
    if (listening_) uv_close(&listener_.any, nullptr);
    if (context_ != nullptr) lws_context_destroy(context_);
    for (auto* pair : std::vector(pairs_.begin(), pairs_.end())) pair->close_local();
    while (uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
    // In a loop that is not its own the library frees what is left when it is told a second time.
    if (context_ != nullptr) lws_context_destroy(context_);
}

}  // namespace

Result<std::unique_ptr<TunnelEnd>> TunnelEnd::start(const TunnelOrder& order, Journal& journal) {
    auto end = std::make_unique<End>(order, journal);
    TRY(end->open());
    return std::unique_ptr<TunnelEnd>(std::move(end));
}

}  // namespace viv::netbridge
