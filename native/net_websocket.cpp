// A websocket client. See net_websocket.h. libwebsockets runs in a loop of libuv's, which is a descriptor and a
// time-out to ours: it is let run, without waiting, when one of them is due or something has been asked of it.
#include "native/net_websocket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libwebsockets.h>
#include <netdb.h>
#include <uv.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>

#include "native/descriptor.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

constexpr u64 millisecond_ns = 1'000'000;
constexpr u64 first_retry_ns = 500 * millisecond_ns, longest_retry_ns = 10'000 * millisecond_ns;
constexpr usize most_waiting_bytes = 4 << 20, most_waiting_frames = 1024;
constexpr usize receive_size = 16 << 10;  // longer frames come in pieces
constexpr usize longest_token = 4096;

Result<std::string> read_token(std::string_view where, const std::string& path) {
    const auto wrong = [&](std::string_view problem) {
        return Error{fmt::format("{}: token-file={}: {}", where, path, problem)};
    };
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return wrong(error_text(errno));
    std::string token(longest_token + 1, '\0');
    const ssize_t count = read(file.number(), token.data(), token.size());
    if (count < 0) return wrong(error_text(errno));
    token.resize(static_cast<usize>(count));
    while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
    const bool good = std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (token.empty() || token.size() > longest_token || !good)
        return wrong("holds no token; it has one line, as `netbridge token` prints it");
    return token;
}

class WebsocketNetwork final : public HostNetwork {
public:
    WebsocketNetwork(Networks& networks, std::string_view where, const WebsocketNet& options)
        : HostNetwork(networks),
          where_(where),
          options_(options),
          log_(networks.log(), "net websocket"),
          retry_(networks.events(), [this] { dial(); }),
          wakeup_(networks.events(), [this] { due_ = true; }),
          hook_(
              networks.events(), [this] { before_wait(); }, [this] { after_wait(); }) {}
    ~WebsocketNetwork() override;

    Result<void> start();
    void send(std::span<const u8> frame) override;

private:
    struct Relay {
        WebsocketUrl url;
        std::string address;  // of its host, as a number
    };

    static int callback(lws* wsi, lws_callback_reasons reason, void* user, void* in, size_t length);
    int handle(lws* wsi, lws_callback_reasons reason, void* in, usize length);
    void flow_changed() override;
    void dial();
    void lost(std::string_view why);
    void receive(lws* wsi, std::span<const u8> piece);
    int write(lws* wsi);
    void run_library();
    void before_wait();
    void after_wait();

    std::string where_;
    WebsocketNet options_;
    Log log_;
    std::string token_;
    std::vector<Relay> relays_;
    usize turn_ = 0;  // which of them is next
    uv_loop_t loop_{};
    bool loop_open_ = false;
    lws_context* context_ = nullptr;
    lws* wsi_ = nullptr;  // from the moment that it is dialled
    bool established_ = false, complained_ = false, ending_ = false;
    bool due_ = false;                     // the library has something to do
    bool stale_ = true;                    // it has had, and may want to be woken at another time
    std::deque<std::vector<u8>> waiting_;  // with LWS_PRE bytes in front
    usize waiting_bytes_ = 0;
    std::vector<u8> assembled_;
    bool too_long_ = false;
    u64 retry_ns_ = first_retry_ns;
    WaitTimer retry_, wakeup_;
    WaitHook hook_;
};

int WebsocketNetwork::callback(lws* wsi, lws_callback_reasons reason, void*, void* in, size_t length) {
    auto* network = static_cast<WebsocketNetwork*>(lws_context_user(lws_get_context(wsi)));
    switch (reason) {
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        case LWS_CALLBACK_CLIENT_CLOSED:
        case LWS_CALLBACK_CLIENT_RECEIVE:
        case LWS_CALLBACK_CLIENT_WRITEABLE:
        case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: return network->handle(wsi, reason, in, length);
        default: return 0;
    }
}

int WebsocketNetwork::handle(lws* wsi, lws_callback_reasons reason, void* in, usize length) {
    switch (reason) {
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
            established_ = true;
            complained_ = false;
            retry_ns_ = first_retry_ns;
            log_.info("{}: in the room of {}", where_, relays_[turn_].url.text);
            if (!flowing()) lws_rx_flow_control(wsi, 0);
            if (!waiting_.empty()) lws_callback_on_writable(wsi);
            return 0;
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
            lost(in == nullptr ? std::string_view("cannot be reached")
                               : std::string_view(static_cast<char*>(in), length));
            return 0;
        case LWS_CALLBACK_CLIENT_CLOSED: lost("has ended the connection"); return 0;
        case LWS_CALLBACK_CLIENT_RECEIVE: receive(wsi, {static_cast<const u8*>(in), length}); return 0;
        case LWS_CALLBACK_CLIENT_WRITEABLE: return write(wsi);
        case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: {
            if (token_.empty()) return 0;
            const std::string value = "Bearer " + token_;
            auto** at = static_cast<unsigned char**>(in);
            return lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_AUTHORIZATION,
                                                reinterpret_cast<const unsigned char*>(value.data()),
                                                static_cast<int>(value.size()), at, *at + length) == 0
                       ? 0
                       : -1;
        }
        default: return 0;
    }
}

Result<void> WebsocketNetwork::start() {
    if (!options_.token_file.empty()) {
        TRY_SET(token_, read_token(where_, options_.token_file));
    }
    if (!options_.authority_file.empty() && access(options_.authority_file.c_str(), R_OK) != 0)
        return Error{fmt::format("{}: ca-file={}: {}", where_, options_.authority_file, error_text(errno))};
    bool secure = false;
    for (const auto& url : options_.urls) {
        secure = secure || url.secure;
        addrinfo hints{};
        hints.ai_socktype = SOCK_STREAM;
        addrinfo* list = nullptr;
        if (const int error = getaddrinfo(url.host.c_str(), nullptr, &hints, &list); error != 0)
            return Error{fmt::format("{}: url={}: cannot find the host: {}", where_, url.text, gai_strerror(error))};
        char text[INET6_ADDRSTRLEN] = "";
        getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
        freeaddrinfo(list);
        relays_.push_back({url, text});
    }
    uv_loop_init(&loop_);
    loop_open_ = true;
    lws_set_log_level(0, nullptr);  // what goes wrong is said by the callbacks
    static const lws_protocols protocols[] = {{"viv", &callback, 0, receive_size, 0, nullptr, 0},
                                              {nullptr, nullptr, 0, 0, 0, nullptr, 0}};
    void* loops[] = {&loop_};
    lws_context_creation_info info{};
    info.port = CONTEXT_PORT_NO_LISTEN;
    info.foreign_loops = loops;
    info.protocols = protocols;
    info.user = this;
    info.pcontext = &context_;  // null once it has gone
    info.gid = static_cast<gid_t>(-1);
    info.uid = static_cast<uid_t>(-1);
    info.options = LWS_SERVER_OPTION_LIBUV | (secure ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT : 0);
    info.fd_limit_per_thread = 16;
    // A relay that has gone without a word is noticed.
    static const lws_retry_bo_t liveliness = [] {
        lws_retry_bo_t policy{};
        policy.secs_since_valid_ping = 20;
        policy.secs_since_valid_hangup = 40;
        return policy;
    }();
    info.retry_and_idle_policy = &liveliness;
    if (secure && !options_.authority_file.empty()) info.client_ssl_ca_filepath = options_.authority_file.c_str();
    context_ = lws_create_context(&info);
    if (context_ == nullptr)
        return Error{fmt::format(
            "{}: libwebsockets cannot start{}; its event loop is in Debian's package "
            "libwebsockets-evlib-uv",
            where_, secure && info.client_ssl_ca_filepath != nullptr ? ", or ca-file= has no certificates" : "")};
    events().add(uv_backend_fd(&loop_), Interest::read, [this](EventLoop::Ready) { due_ = true; });
    due_ = true;
    dial();
    return {};
}

WebsocketNetwork::~WebsocketNetwork() {
    ending_ = true;
    if (!loop_open_) return;
    if (context_ != nullptr) events().remove(uv_backend_fd(&loop_));
    if (context_ != nullptr) lws_context_destroy(context_);
    while (uv_loop_close(&loop_) == UV_EBUSY) uv_run(&loop_, UV_RUN_ONCE);
    // In a loop that is not its own the library frees what is left when it is told a second time.
    if (context_ != nullptr) lws_context_destroy(context_);
}

void WebsocketNetwork::dial() {
    const auto& relay = relays_[turn_];
    lws_client_connect_info info{};
    info.context = context_;
    info.address = relay.address.c_str();
    info.port = relay.url.port;
    info.path = relay.url.path.c_str();
    info.host = relay.url.host.c_str();
    info.ssl_connection = relay.url.secure ? LCCSCF_USE_SSL : 0;
    info.local_protocol_name = "viv";
    info.pwsi = &wsi_;
    due_ = true;
    // If this fails at once the error has been called back.
    lws_client_connect_via_info(&info);
    // The library looks at its times when it is called by its loop: else a relay that does not answer is waited for.
    lws_cancel_service(context_);
}

void WebsocketNetwork::lost(std::string_view why) {
    wsi_ = nullptr;
    established_ = false;
    assembled_.clear();
    too_long_ = false;
    waiting_.clear();
    waiting_bytes_ = 0;
    if (ending_) return;
    if (!complained_) log_.error("{}: {}: {}; it is tried again", where_, relays_[turn_].url.text, why);
    complained_ = true;  // until it has worked
    turn_ = (turn_ + 1) % relays_.size();
    retry_.arm(EventLoop::now_ns() + retry_ns_);
    if (turn_ == 0) retry_ns_ = std::min(2 * retry_ns_, longest_retry_ns);
}

void WebsocketNetwork::receive(lws* wsi, std::span<const u8> piece) {
    if (assembled_.size() + piece.size() > net::largest_frame) too_long_ = true;
    const bool whole = lws_is_final_fragment(wsi) != 0 && lws_remaining_packet_payload(wsi) == 0;
    if (whole && assembled_.empty() && !too_long_) {
        if (lws_frame_is_binary(wsi) != 0 && net::good_size(piece.size())) deliver(piece);
        return;
    }
    if (!too_long_) assembled_.insert(assembled_.end(), piece.begin(), piece.end());
    if (!whole) return;
    if (!too_long_ && lws_frame_is_binary(wsi) != 0 && net::good_size(assembled_.size())) deliver(assembled_);
    assembled_.clear();
    too_long_ = false;
}

void WebsocketNetwork::flow_changed() {
    if (!established_) return;
    lws_rx_flow_control(wsi_, flowing() ? 1 : 0);
    due_ = true;
}

void WebsocketNetwork::send(std::span<const u8> frame) {
    if (!established_ || !net::good_size(frame.size())) return;
    if (waiting_.size() >= most_waiting_frames || waiting_bytes_ + frame.size() > most_waiting_bytes) return;
    std::vector<u8> message(LWS_PRE + frame.size());
    std::copy(frame.begin(), frame.end(), message.begin() + LWS_PRE);
    waiting_bytes_ += frame.size();
    waiting_.push_back(std::move(message));
}

int WebsocketNetwork::write(lws* wsi) {
    while (!waiting_.empty() && lws_send_pipe_choked(wsi) == 0) {
        auto message = std::move(waiting_.front());
        waiting_.pop_front();
        const usize size = message.size() - LWS_PRE;
        waiting_bytes_ -= size;
        if (lws_write(wsi, message.data() + LWS_PRE, size, LWS_WRITE_BINARY) < static_cast<int>(size)) return -1;
    }
    if (!waiting_.empty()) lws_callback_on_writable(wsi);
    return 0;
}

void WebsocketNetwork::run_library() {
    due_ = false;
    stale_ = true;
    uv_run(&loop_, UV_RUN_NOWAIT);
}

void WebsocketNetwork::before_wait() {
    if (context_ == nullptr) return;
    if (established_ && !waiting_.empty()) {
        lws_callback_on_writable(wsi_);
        due_ = true;
    }
    if (due_) run_library();
    if (!stale_) return;
    stale_ = false;
    // Nothing at all if the kernel does not know of a watch yet: then it is to be run again.
    const int timeout_ms = uv_backend_timeout(&loop_);
    if (timeout_ms < 0)
        wakeup_.cancel();
    else
        wakeup_.arm(EventLoop::now_ns() + static_cast<u64>(timeout_ms) * millisecond_ns);
}

void WebsocketNetwork::after_wait() {
    if (due_) run_library();
}

}  // namespace

Result<std::unique_ptr<net::NetBackend>> open_websocket_network(Networks& networks, std::string_view where,
                                                                const WebsocketNet& options) {
    auto network = std::make_unique<WebsocketNetwork>(networks, where, options);
    TRY(network->start());
    return std::unique_ptr<net::NetBackend>(std::move(network));
}

}  // namespace viv::native
