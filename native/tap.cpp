// TAP interfaces. See tap.h.
#include "native/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <cerrno>
#include <cstring>

#include "native/frame_descriptor.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

class TapNetwork final : public FrameDescriptor {
public:
    TapNetwork(Networks& networks, std::string_view where, const TapNet& options)
        : FrameDescriptor(networks), where_(where), options_(options), log_(networks.log(), "net tap") {}

    Result<void> start();
    void send(std::span<const u8> frame) override {
        if (net::good_size(frame.size())) [[maybe_unused]]
            const ssize_t lost = ::write(number(), frame.data(), frame.size());
    }

private:
    Error error(std::string_view problem) const { return Error{fmt::format("{}: {}", where_, problem)}; }
    Result<void> join_bridge(const ifreq& interface) const;
    ssize_t read_frame(std::span<u8> buffer) override {
        ssize_t size = 0;
        do size = ::read(number(), buffer.data(), buffer.size());
        while (size < 0 && errno == EINTR);
        if (size < 0 && errno == EBADFD) {
            log_.error("{}: the interface is gone: {}", where_, error_text(errno));
            stop();
        }
        return size;
    }

    std::string where_;
    TapNet options_;
    Log log_;
};

Result<void> TapNetwork::start() {
    constexpr const char* device = "/dev/net/tun";
    Descriptor tap(open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!tap) return error(fmt::format("{}: {}", device, error_text(errno)));
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    std::memcpy(request.ifr_name, options_.interface.c_str(), options_.interface.size());  // the option is bounded
    if (ioctl(tap.number(), TUNSETIFF, &request) != 0) {
        const int problem = errno;
        const auto name = options_.interface.empty() ? std::string("a new interface") : options_.interface;
        if (problem == EPERM)
            return error(fmt::format("{}: is not yours; as root: ip tuntap add dev {} mode tap user {}", name,
                                     options_.interface.empty() ? "tap0" : options_.interface, getuid()));
        if (problem == EBUSY) return error(fmt::format("{}: another program has it", name));
        if (problem == EINVAL) return error(fmt::format("{}: is no TAP interface", name));
        return error(fmt::format("{}: {}", name, error_text(problem)));
    }
    if (!options_.bridge.empty()) TRY(join_bridge(request));
    watch(std::move(tap));
    return {};
}

// And up: a port of a bridge that is down is no port.
Result<void> TapNetwork::join_bridge(const ifreq& interface) const {
    Descriptor control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ifreq bridge{};
    std::memcpy(bridge.ifr_name, options_.bridge.c_str(), options_.bridge.size());
    bridge.ifr_ifindex = static_cast<int>(if_nametoindex(interface.ifr_name));
    if (ioctl(control.number(), SIOCBRADDIF, &bridge) != 0 && errno != EBUSY)
        return error(
            fmt::format("br={}: {} cannot join it: {}", options_.bridge, interface.ifr_name, error_text(errno)));
    ifreq flags = interface;
    if (ioctl(control.number(), SIOCGIFFLAGS, &flags) == 0) {
        flags.ifr_flags = static_cast<short>(flags.ifr_flags | IFF_UP);
        if (ioctl(control.number(), SIOCSIFFLAGS, &flags) == 0) return {};
    }
    return error(fmt::format("{}: cannot be brought up: {}", interface.ifr_name, error_text(errno)));
}

}  // namespace

Result<std::unique_ptr<net::NetBackend>> open_tap_network(Networks& networks, std::string_view where,
                                                          const TapNet& options) {
    auto network = std::make_unique<TapNetwork>(networks, where, options);
    TRY(network->start());
    return std::unique_ptr<net::NetBackend>(std::move(network));
}

}  // namespace viv::native
