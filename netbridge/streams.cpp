// TCP and UDP sockets behind wisp::StreamSocket. See streams.h.
#include "netbridge/streams.h"

#include <netinet/in.h>

#include <cstring>
#include <string>
#include <vector>

#include "engine/lang/check.h"

namespace viv::netbridge {

namespace {

constexpr usize read_size = 32 << 10;

wisp::CloseReason reason_of(int status) {
    switch (status) {
        case UV_ECONNREFUSED: return wisp::CloseReason::refused;
        case UV_ETIMEDOUT: return wisp::CloseReason::timed_out;
        case UV_ENETUNREACH:
        case UV_EHOSTUNREACH: return wisp::CloseReason::unreachable;
        case UV_EOF: return wisp::CloseReason::voluntary;
        default: return wisp::CloseReason::network_error;
    }
}

}  // namespace

// Lives until libuv has let go of everything that belongs to it; `events_` is null once its socket has gone.
class Streams::Link {
public:
    Link(Streams& streams, const wisp::ConnectRequest& request, wisp::StreamEvents& events)
        : streams_(streams), loop_(streams.loop_), kind_(request.kind), port_(request.port), events_(&events) {
        streams_.open_++;
        timer_ = std::make_unique<Timer>(loop_, [this] { fail(wisp::CloseReason::timed_out); });
        if (streams_.lookups_ >= most_lookups) {
            later_ = wisp::CloseReason::throttled;
            timer_ = std::make_unique<Timer>(loop_, [this] { fail(later_); });
            timer_->arm(0);
            return;
        }
        timer_->arm(connect_timeout_ms);
        addrinfo hints{};
        hints.ai_socktype = kind_ == wisp::StreamKind::tcp ? SOCK_STREAM : SOCK_DGRAM;
        lookup_.data = this;
        const int failed = uv_getaddrinfo(
            loop_, &lookup_,
            [](uv_getaddrinfo_t* lookup, int status, addrinfo* list) {
                static_cast<Link*>(lookup->data)->looked_up(status, list);
            },
            request.hostname.c_str(), nullptr, &hints);
        if (failed != 0) {
            later_ = wisp::CloseReason::unreachable;
            timer_ = std::make_unique<Timer>(loop_, [this] { fail(later_); });
            timer_->arm(0);
            return;
        }
        streams_.lookups_++;
        pending_++;
    }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    void send(std::span<const u8> bytes);
    void set_reading(bool reading);
    // The socket has gone.
    void abandon() {
        events_ = nullptr;
        streams_.open_--;
        timer_.reset();
        close_handle();
        release();
    }

private:
    struct Write {
        Link* link;
        union {
            uv_write_t tcp;
            uv_udp_send_t udp;
        } request;
        std::vector<u8> bytes;
    };

    void looked_up(int status, addrinfo* list);
    void connect_next();
    void connected(int status);
    void start_reading();
    void write(std::vector<u8> bytes);
    void written(Write* write, int status);
    void received(ssize_t count, const uv_buf_t* buffer);
    void fail(wisp::CloseReason reason) {
        if (events_ != nullptr) events_->closed(reason);
    }
    void close_handle();
    void release() {
        if (events_ == nullptr && pending_ == 0 && !handle_open_) delete this;
    }

    Streams& streams_;
    uv_loop_t* loop_;
    wisp::StreamKind kind_;
    u16 port_;
    wisp::StreamEvents* events_;
    std::unique_ptr<Timer> timer_;
    wisp::CloseReason later_ = wisp::CloseReason::unknown;
    uv_getaddrinfo_t lookup_{};
    uv_connect_t connect_{};
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_udp_t udp;
    } handle_{};
    bool handle_open_ = false, closing_ = false, connected_ = false, reading_wanted_ = true, reading_ = false;
    usize pending_ = 0;  // requests that libuv has
    std::vector<Address> addresses_;
    std::vector<std::vector<u8>> early_;  // sent before there was a connection
    std::vector<char> buffer_;
};

class Streams::Socket final : public wisp::StreamSocket {
public:
    explicit Socket(Link* link) : link_(link) {}
    ~Socket() override { link_->abandon(); }
    void send(std::span<const u8> bytes) override { link_->send(bytes); }
    void set_reading(bool reading) override { link_->set_reading(reading); }

private:
    Link* link_;
};

std::unique_ptr<wisp::StreamSocket> Streams::open(const wisp::ConnectRequest& request, wisp::StreamEvents& events) {
    return std::make_unique<Socket>(new Link(*this, request, events));
}

void Streams::Link::looked_up(int status, addrinfo* list) {
    pending_--;
    streams_.lookups_--;
    bool blocked = false;
    for (const addrinfo* each = list; status == 0 && each != nullptr; each = each->ai_next) {
        const auto address = Address::of(each->ai_addr);
        if (!address) continue;
        const auto transport = kind_ == wisp::StreamKind::tcp ? Transport::tcp : Transport::udp;
        if (streams_.rules_.permits({*address, transport, port_}))
            addresses_.insert(addresses_.begin(), *address);  // taken from the back
        else
            blocked = true;
    }
    if (list != nullptr) uv_freeaddrinfo(list);
    if (events_ == nullptr) return release();
    if (addresses_.empty()) return fail(blocked ? wisp::CloseReason::blocked : wisp::CloseReason::unreachable);
    connect_next();
}

void Streams::Link::connect_next() {
    const Address address = addresses_.back();
    addresses_.pop_back();
    sockaddr_storage raw;
    address.store(raw, port_);
    const auto* to = reinterpret_cast<const sockaddr*>(&raw);
    if (kind_ == wisp::StreamKind::udp) {
        uv_udp_init(loop_, &handle_.udp);
        handle_.any.data = this;
        handle_open_ = true;
        return connected(uv_udp_connect(&handle_.udp, to));
    }
    uv_tcp_init(loop_, &handle_.tcp);
    handle_.any.data = this;
    handle_open_ = true;
    connect_.data = this;
    const int failed = uv_tcp_connect(&connect_, &handle_.tcp, to, [](uv_connect_t* request, int status) {
        auto* link = static_cast<Link*>(request->data);
        link->pending_--;
        link->connected(status);
    });
    if (failed != 0) return connected(failed);
    pending_++;
}

void Streams::Link::connected(int status) {
    if (events_ == nullptr) return release();
    if (status != 0) {
        if (addresses_.empty()) return fail(reason_of(status));
        close_handle();  // and then the next address
        return;
    }
    timer_.reset();
    connected_ = true;
    if (kind_ == wisp::StreamKind::tcp) uv_tcp_nodelay(&handle_.tcp, 1);
    for (auto& bytes : std::exchange(early_, {})) write(std::move(bytes));
    start_reading();
}

void Streams::Link::close_handle() {
    if (!handle_open_ || closing_) return;
    closing_ = true;
    uv_close(&handle_.any, [](uv_handle_t* handle) {
        auto* link = static_cast<Link*>(handle->data);
        link->handle_open_ = link->closing_ = false;
        if (link->events_ != nullptr && !link->connected_) return link->connect_next();
        link->release();
    });
}

void Streams::Link::send(std::span<const u8> bytes) {
    std::vector<u8> copy(bytes.begin(), bytes.end());
    if (connected_)
        write(std::move(copy));
    else
        early_.push_back(std::move(copy));
}

void Streams::Link::write(std::vector<u8> bytes) {
    auto* request = new Write{this, {}, std::move(bytes)};
    uv_buf_t buffer =
        uv_buf_init(reinterpret_cast<char*>(request->bytes.data()), static_cast<unsigned>(request->bytes.size()));
    int failed = 0;
    if (kind_ == wisp::StreamKind::tcp) {
        request->request.tcp.data = request;
        failed = uv_write(&request->request.tcp, &handle_.stream, &buffer, 1, [](uv_write_t* raw, int status) {
            auto* done = static_cast<Write*>(raw->data);
            done->link->written(done, status);
        });
    } else {
        request->request.udp.data = request;
        failed =
            uv_udp_send(&request->request.udp, &handle_.udp, &buffer, 1, nullptr, [](uv_udp_send_t* raw, int status) {
                auto* done = static_cast<Write*>(raw->data);
                done->link->written(done, status);
            });
    }
    pending_++;
    if (failed != 0) written(request, 0);  // what is wrong is said to the reader, too
}

void Streams::Link::written(Write* write, int status) {
    delete write;
    pending_--;
    if (events_ == nullptr) return release();
    events_->sent(1);
    // A datagram that nobody takes is no end.
    if (status != 0 && kind_ == wisp::StreamKind::tcp) fail(reason_of(status));
}

void Streams::Link::set_reading(bool reading) {
    reading_wanted_ = reading;
    if (!connected_) return;
    if (reading) return start_reading();
    if (!reading_) return;
    reading_ = false;
    if (kind_ == wisp::StreamKind::tcp)
        uv_read_stop(&handle_.stream);
    else
        uv_udp_recv_stop(&handle_.udp);
}

void Streams::Link::start_reading() {
    if (reading_ || !reading_wanted_ || closing_) return;
    reading_ = true;
    const auto allocate = [](uv_handle_t* handle, size_t, uv_buf_t* buffer) {
        auto* link = static_cast<Link*>(handle->data);
        const usize size = link->kind_ == wisp::StreamKind::tcp ? read_size : 65'536;
        link->buffer_.resize(size);
        *buffer = uv_buf_init(link->buffer_.data(), static_cast<unsigned>(size));
    };
    if (kind_ == wisp::StreamKind::tcp)
        uv_read_start(&handle_.stream, allocate, [](uv_stream_t* stream, ssize_t count, const uv_buf_t* buffer) {
            static_cast<Link*>(stream->data)->received(count, buffer);
        });
    else
        uv_udp_recv_start(&handle_.udp, allocate,
                          [](uv_udp_t* udp, ssize_t count, const uv_buf_t* buffer, const sockaddr* from, unsigned) {
                              // Without a sender there was nothing to read.
                              if (from == nullptr && count == 0) return;
                              static_cast<Link*>(udp->data)->received(count, buffer);
                          });
}

void Streams::Link::received(ssize_t count, const uv_buf_t* buffer) {
    if (events_ == nullptr) return;
    if (count < 0) {
        // "Nobody listens there" is for the sender of a datagram to find out by other means.
        if (kind_ == wisp::StreamKind::udp) return;
        return fail(reason_of(static_cast<int>(count)));
    }
    if (count == 0 && kind_ == wisp::StreamKind::tcp) return;
    events_->received({reinterpret_cast<const u8*>(buffer->base), static_cast<usize>(count)});
}

}  // namespace viv::netbridge
