// TAP interfaces. See tap.h.
#include "native/tap.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/sockios.h>

#include <cerrno>
#include <cstring>

#include "engine/net/inspect.h"
#include "native/frame_descriptor.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

// struct virtio_net_hdr of linux/virtio_net.h, which is no C++; in the host's byte order.
struct FrameHeader {
    u8 flags = 0, segmentation = 0;
    u16 header_size = 0, segment = 0, sum_from = 0, sum_at = 0;
};
enum HeaderFlag : u8 { needs_sum = 1, checked = 2 };
enum Segmentation : u8 { segmentation_none = 0, segmentation_tcp4 = 1, segmentation_tcp6 = 4 };

class TapNetwork final : public FrameDescriptor {
public:
    TapNetwork(Networks& networks, std::string_view where, const TapNet& options)
        : FrameDescriptor(networks), where_(where), options_(options), log_(networks.log(), "net tap") {}

    Result<void> start();
    void send(std::span<const u8> frame) override { write(frame, {}); }
    void send_offloaded(std::span<const u8> frame, const net::Offload& offload) override;

private:
    Error error(std::string_view problem) const { return Error{fmt::format("{}: {}", where_, problem)}; }
    Result<void> join_bridge(const ifreq& interface) const;
    void write(std::span<const u8> frame, FrameHeader header);
    ssize_t read_frame(std::span<u8> buffer, net::Offload& offload) override;

    std::string where_;
    TapNet options_;
    Log log_;
};

void TapNetwork::write(std::span<const u8> frame, FrameHeader header) {
    if (!net::good_size(frame.size())) return;
    const iovec parts[] = {{&header, sizeof header}, {const_cast<u8*>(frame.data()), frame.size()}};
    [[maybe_unused]] const ssize_t lost = ::writev(number(), parts, 2);
}

// What makes no sense is refused by the kernel.
void TapNetwork::send_offloaded(std::span<const u8> frame, const net::Offload& offload) {
    if (!net::good_size(frame.size())) return;
    FrameHeader header;
    if (offload.sum_from != 0) {
        header.flags = needs_sum;
        header.sum_from = offload.sum_from;
        header.sum_at = offload.sum_at;
    }
    if (offload.segment != 0) {
        header.segmentation = net::ether_type_of(frame) == net::ether_ipv4 ? segmentation_tcp4 : segmentation_tcp6;
        header.segment = offload.segment;
        header.header_size = offload.header;
    }
    write(frame, header);
}

ssize_t TapNetwork::read_frame(std::span<u8> buffer, net::Offload& offload) {
    FrameHeader header;
    const iovec parts[] = {{&header, sizeof header}, {buffer.data(), buffer.size()}};
    ssize_t size = 0;
    do size = ::readv(number(), parts, 2);
    while (size < 0 && errno == EINTR);
    if (size < 0 && errno == EBADFD) {
        log_.error("{}: the interface is gone: {}", where_, error_text(errno));
        stop();
    }
    if (size < 0) return size;
    if (static_cast<usize>(size) < sizeof header) return 0;
    if ((header.flags & needs_sum) != 0) {
        offload.sum_from = header.sum_from;
        offload.sum_at = header.sum_at;
    }
    offload.checked = (header.flags & checked) != 0;
    if (header.segmentation != segmentation_none) {
        offload.segment = header.segment;
        offload.header = header.header_size;
    }
    return size - static_cast<ssize_t>(sizeof header);
}

Result<void> TapNetwork::start() {
    constexpr const char* device = "/dev/net/tun";
    Descriptor tap(open(device, O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (!tap) return error(fmt::format("{}: {}", device, error_text(errno)));
    ifreq request{};
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
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
    const int header_size = sizeof(FrameHeader);
    if (ioctl(tap.number(), TUNSETVNETHDRSZ, &header_size) != 0 ||
        ioctl(tap.number(), TUNSETOFFLOAD, static_cast<unsigned long>(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6)) != 0)
        return error(fmt::format("{}: {}", request.ifr_name, error_text(errno)));
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
