// Accepting. See listener.h.
#include "netbridge/listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace viv::netbridge {

Listener::Listener(int descriptor, Accepted accepted)
    : descriptor_(descriptor), spare_(::open("/dev/null", O_RDONLY | O_CLOEXEC)), accepted_(std::move(accepted)) {}

Listener::~Listener() {
    watch_.reset();
    close(descriptor_);
    if (spare_ >= 0) close(spare_);
}

Result<std::unique_ptr<Listener>> Listener::open(uv_loop_t* loop, const ListenAddress& address, Accepted accepted) {
    sockaddr_storage raw;
    const socklen_t size = address.address.store(raw, address.port);
    const auto failed = [&] { return Error{fmt::format("--listen {}: {}", address.text(), std::strerror(errno))}; };
    const int descriptor = socket(raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return failed();
    std::unique_ptr<Listener> listener(new Listener(descriptor, std::move(accepted)));
    const int on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (raw.ss_family == AF_INET6) setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(descriptor, reinterpret_cast<const sockaddr*>(&raw), size) != 0) return failed();
    if (listen(descriptor, SOMAXCONN) != 0) return failed();
    listener->address_ = address;
    socklen_t bound = sizeof raw;
    if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&raw), &bound) != 0) return failed();
    listener->address_.port = ntohs(raw.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(raw).sin_port
                                                             : reinterpret_cast<const sockaddr_in6&>(raw).sin6_port);
    listener->watch_ = std::make_unique<DescriptorWatch>(
        loop, descriptor, [raw_listener = listener.get()](int, int) { raw_listener->accept_all(); });
    listener->watch_->want(UV_READABLE);
    return listener;
}

void Listener::accept_all() {
    constexpr int most_at_once = 64;  // the others are served in between
    for (int i = 0; i < most_at_once; i++) {
        sockaddr_storage raw{};
        socklen_t size = sizeof raw;
        const int descriptor =
            accept4(descriptor_, reinterpret_cast<sockaddr*>(&raw), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (descriptor < 0) {
            if (errno == ECONNABORTED || errno == EINTR) continue;
            if ((errno != EMFILE && errno != ENFILE) || spare_ < 0) return;
            // One descriptor is kept for this: to take the connection and close it.
            close(spare_);
            const int refused = accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
            if (refused >= 0) close(refused);
            spare_ = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
            continue;
        }
        const auto from = Address::of(reinterpret_cast<const sockaddr*>(&raw));
        const int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (from)
            accepted_(descriptor, *from);
        else
            close(descriptor);
    }
}

void learn_own_addresses(DestinationRules& rules) {
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) return;
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next)
        if (each->ifa_addr != nullptr)
            if (const auto address = Address::of(each->ifa_addr)) rules.own(*address);
    freeifaddrs(list);
}

}  // namespace viv::netbridge
