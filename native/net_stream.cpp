// Frames over a connected socket. See net_stream.h; the bytes are engine/net/framing.h's.
#include "native/net_stream.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <functional>

#include "engine/net/framing.h"
#include "native/host_posix.h"
#include "native/stream_source.h"

namespace viv::native {

namespace {

constexpr u64 millisecond_ns = 1'000'000;
constexpr usize flush_at = 64 << 10;

// Connects again and again, without waiting for it.
class Dialer {
public:
    Dialer(EventLoop& events, const StreamNet& options, std::function<void(Descriptor)> connected)
        : events_(events),
          interval_ns_(options.reconnect_ms * millisecond_ns),
          connected_(std::move(connected)),
          timer_(events, [this] { dial(); }) {}
    ~Dialer() { stop_watching(); }
    Dialer(const Dialer&) = delete;
    Dialer& operator=(const Dialer&) = delete;

    Result<void> resolve(std::string_view where, const Endpoint& endpoint);
    void dial();
    void dial_later() { timer_.arm(EventLoop::now_ns() + interval_ns_); }

private:
    void finished(int problem);
    void stop_watching() {
        if (socket_) events_.remove(socket_.number());
    }

    EventLoop& events_;
    u64 interval_ns_;
    std::function<void(Descriptor)> connected_;
    WaitTimer timer_;
    sockaddr_storage address_{};
    socklen_t size_ = 0;
    Descriptor socket_;
};

Result<void> Dialer::resolve(std::string_view where, const Endpoint& endpoint) {
    if (endpoint.kind == Endpoint::Kind::unix_socket) {
        auto* address = reinterpret_cast<sockaddr_un*>(&address_);
        address->sun_family = AF_UNIX;
        std::memcpy(address->sun_path, endpoint.path.c_str(), endpoint.path.size() + 1);  // the option is bounded
        size_ = sizeof *address;
        return {};
    }
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const std::string host = endpoint.host.empty() ? "127.0.0.1" : endpoint.host;
    if (const int error = getaddrinfo(host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &list); error != 0)
        return Error{fmt::format("{} {}: cannot find the host: {}", where, endpoint.text, gai_strerror(error))};
    std::memcpy(&address_, list->ai_addr, list->ai_addrlen);
    size_ = list->ai_addrlen;
    freeaddrinfo(list);
    return {};
}

void Dialer::dial() {
    stop_watching();
    socket_ = Descriptor(socket(address_.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket_) return dial_later();
    events_.add(socket_.number(), Interest::none, [this](EventLoop::Ready) {
        int problem = 0;
        socklen_t length = sizeof problem;
        getsockopt(socket_.number(), SOL_SOCKET, SO_ERROR, &problem, &length);
        finished(problem);
    });
    if (connect(socket_.number(), reinterpret_cast<const sockaddr*>(&address_), size_) == 0) return finished(0);
    if (errno != EINPROGRESS) return finished(errno);
    events_.change(socket_.number(), Interest::write);
}

void Dialer::finished(int problem) {
    stop_watching();
    auto socket = std::move(socket_);
    if (problem != 0) return dial_later();
    const int on = 1;
    if (address_.ss_family != AF_UNIX) setsockopt(socket.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connected_(std::move(socket));
}

class StreamNetwork final : public HostNetwork {
public:
    StreamNetwork(Networks& networks, std::string_view where, const StreamNet& options)
        : HostNetwork(networks),
          where_(where),
          options_(options),
          log_(networks.log(), "net stream"),
          nudge_(networks.events(), [] {}),
          hook_(
              networks.events(), [this] { before_wait(); }, [this] { take_input(); }) {}

    Result<void> start();
    void send(std::span<const u8> frame) override;

private:
    ByteStream* stream() { return source_ ? source_->stream() : stream_.get(); }
    void flow_changed() override {}
    void before_wait();
    void take_input();
    void disconnect();

    std::string where_;
    StreamNet options_;
    Log log_;
    WaitTimer nudge_;
    WaitHook hook_;
    std::unique_ptr<StreamSource> source_;  // unless it is for the dialer to connect
    std::unique_ptr<ByteStream> stream_;    // the dialer's
    std::unique_ptr<Dialer> dialer_;
};

Result<void> StreamNetwork::start() {
    if (options_.reconnect_ms == 0) {
        TRY_SET(source_, StreamSource::open(events(), where_, options_.endpoint,
                                            "start the other side first, or give reconnect-ms=1000"));
        return {};
    }
    dialer_ = std::make_unique<Dialer>(events(), options_, [this](Descriptor socket) {
        stream_ = ByteStream::connected(events(), std::move(socket));
        log_.info("{} {}: connected", where_, options_.endpoint.text);
    });
    TRY(dialer_->resolve(where_, options_.endpoint));
    dialer_->dial();
    return {};
}

void StreamNetwork::send(std::span<const u8> frame) {
    ByteStream* to = stream();
    if (to == nullptr || !net::good_size(frame.size())) return;
    // A frame goes whole or not at all.
    if (ByteStream::output_limit - to->output_pending() < net::frame_head_size + frame.size()) return;
    to->write(net::frame_head(frame.size()));
    to->write(frame);
    if (to->output_pending() >= flush_at) to->service();
}

void StreamNetwork::before_wait() {
    if (source_) source_->service();
    ByteStream* from = stream();
    if (from == nullptr) return;
    if (stream_) stream_->service();
    // What came while the guest took nothing brings no event any more.
    if (flowing() && net::take_frame(from->input()).state != net::Framed::State::incomplete) nudge_.arm(0);
}

void StreamNetwork::take_input() {
    ByteStream* from = stream();
    if (from == nullptr) return;
    bool broken = false;
    while (flowing() && !broken) {
        const auto framed = net::take_frame(from->input());
        if (framed.state == net::Framed::State::incomplete) break;
        broken = framed.state == net::Framed::State::broken;
        if (broken) break;
        if (!framed.frame.empty()) deliver(framed.frame);
        from->consume(framed.consumed);
    }
    if (broken)
        log_.error("{} {}: the other side does not send frames; it is disconnected", where_, options_.endpoint.text);
    // A frame that was cut off by the end will never be whole.
    const bool over = from->output_ended() || from->input_closed();
    if (broken || (over && net::take_frame(from->input()).state == net::Framed::State::incomplete)) disconnect();
}

void StreamNetwork::disconnect() {
    const bool for_good = source_ && options_.endpoint.role == Endpoint::Role::connect;
    if (for_good)
        log_.error("{} {}: the other side has gone; reconnect-ms=1000 would look for it again", where_,
                   options_.endpoint.text);
    else
        log_.info("{} {}: disconnected", where_, options_.endpoint.text);
    if (source_) return source_->disconnect();
    stream_.reset();
    dialer_->dial_later();
}

}  // namespace

Result<std::unique_ptr<net::NetBackend>> open_stream_network(Networks& networks, std::string_view where,
                                                             const StreamNet& options) {
    auto network = std::make_unique<StreamNetwork>(networks, where, options);
    TRY(network->start());
    return std::unique_ptr<net::NetBackend>(std::move(network));
}

}  // namespace viv::native
