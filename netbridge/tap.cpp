// TAP interfaces. See tap.h. Without header and offloads: rooms carry frames as a wire does.
#include "netbridge/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/net/net.h"

namespace viv::netbridge {

namespace {

// Says whether it is up: who forgets that wonders why nothing arrives.
std::string_view state_of(const ifreq& interface) {
    const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq flags = interface;
    const bool up = ioctl(control, SIOCGIFFLAGS, &flags) == 0 && (flags.ifr_flags & IFF_UP) != 0;
    if (control >= 0) close(control);
    return up ? "up" : "down";
}

}  // namespace

// A byte more than the largest frame, so that a longer one is seen to be that.
Tap::Tap(int descriptor, std::string interface, Journal& journal, Metrics& metrics, const u64& now_ns)
    : Port(PortKind::lan),
      descriptor_(descriptor),
      interface_(std::move(interface)),
      journal_(journal),
      metrics_(metrics),
      now_ns_(now_ns),
      buffer_(net::largest_frame + 1) {}

Tap::~Tap() {
    watch_.reset();
    close(descriptor_);
}

Result<std::unique_ptr<Tap>> Tap::open(uv_loop_t* loop, const std::string& room, const std::string& interface,
                                       Journal& journal, Metrics& metrics, const u64& now_ns) {
    constexpr const char* device = "/dev/net/tun";
    const auto failed = [&](std::string_view problem) {
        return Error{fmt::format("--tap {}={}: {}", room, interface, problem)};
    };
    const auto make = fmt::format("as root: ip tuntap add dev {} mode tap{}", interface,
                                  geteuid() == 0 ? "" : fmt::format(" user {}", geteuid()));
    // Root would be given a new one under any name: without an address, and down.
    if (if_nametoindex(interface.c_str()) == 0) return failed(fmt::format("there is no such interface; {}", make));
    const int descriptor = ::open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return failed(fmt::format("{}: {}", device, std::strerror(errno)));
    std::unique_ptr<Tap> tap(new Tap(descriptor, interface, journal, metrics, now_ns));
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    std::memcpy(request.ifr_name, interface.c_str(), std::min<usize>(interface.size(), IFNAMSIZ - 1));
    if (ioctl(descriptor, TUNSETIFF, &request) != 0) {
        if (errno == EPERM)
            return failed(
                fmt::format("the interface is another user's; start the relay as root, or make it anew, {}", make));
        if (errno == EBUSY) return failed("another program has the interface");
        if (errno == EINVAL) return failed("it is no TAP interface");
        return failed(std::strerror(errno));
    }
    // Whoever had it before may have left others switched on.
    if (ioctl(descriptor, TUNSETOFFLOAD, 0ul) != 0) return failed(std::strerror(errno));
    tap->watch_ = std::make_unique<DescriptorWatch>(loop, descriptor, [raw = tap.get()](int status, int) {
        if (status < 0)
            raw->gone();
        else
            raw->readable();
    });
    journal.event("tap_opened", {{"room", room}, {"interface", interface}, {"state", state_of(request)}});
    return tap;
}

void Tap::enter(Room& room) {
    room.plug(*this);
    room_ = &room;
    for (usize i = 0; i < most_stale && read_frame() >= 0; i++) continue;
    if (watch_) watch_->want(UV_READABLE);
}

void Tap::leave() {
    room_->unplug(*this);
    room_ = nullptr;
    if (watch_) watch_->want(0);
}

void Tap::give(const SharedMessage& frame, u64) {
    ssize_t written = 0;
    do written = write(descriptor_, frame->bytes().data(), frame->size());
    while (written < 0 && errno == EINTR);
    if (written < 0) return metrics_.drop(Dropped::outside_full);
    metrics_.tap_sent++;
}

ssize_t Tap::read_frame() {
    ssize_t size = 0;
    do size = read(descriptor_, buffer_.data(), buffer_.size());
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EBADFD) gone();
    return size;
}

void Tap::readable() {
    for (usize i = 0; i < frames_a_turn; i++) {
        const ssize_t size = read_frame();
        if (size < 0) return;
        metrics_.tap_received++;
        count(metrics_, room_->forward(*this, std::span(buffer_).first(static_cast<usize>(size)), now_ns_));
    }
}

void Tap::gone() {
    if (!watch_) return;
    watch_.reset();
    journal_.event("tap_gone", {{"interface", interface_}});
}

}  // namespace viv::netbridge
