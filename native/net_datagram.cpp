// Frames in datagrams. See net_datagram.h.
#include "native/net_datagram.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <deque>

#include "engine/net/inspect.h"
#include "native/frame_descriptor.h"
#include "native/host_posix.h"
#include "native/net_addresses.h"

namespace viv::native {

namespace {

constexpr usize own_stations = 16;

struct Address {
    sockaddr_storage storage{};
    socklen_t size = 0;
    const sockaddr* generic() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

Result<Address> resolve(std::string_view where, const DatagramNet::Place& place, int family) {
    Address address;
    if (!place.path.empty()) {
        auto* local = reinterpret_cast<sockaddr_un*>(&address.storage);
        local->sun_family = AF_UNIX;
        std::memcpy(local->sun_path, place.path.c_str(), place.path.size() + 1);  // the option is bounded
        address.size = sizeof *local;
        return address;
    }
    addrinfo hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_DGRAM;
    addrinfo* list = nullptr;
    const std::string host = place.host.empty() ? "127.0.0.1" : place.host;
    if (const int error = getaddrinfo(host.c_str(), std::to_string(place.port).c_str(), &hints, &list); error != 0)
        return Error{fmt::format("{} {}: cannot find the host: {}", where, place.text(), gai_strerror(error))};
    std::memcpy(&address.storage, list->ai_addr, list->ai_addrlen);
    address.size = list->ai_addrlen;
    freeaddrinfo(list);
    return address;
}

bool same_place(const sockaddr_storage& a, const sockaddr_storage& b) {
    if (a.ss_family != b.ss_family) return false;
    if (a.ss_family == AF_INET6) {
        const auto &x = reinterpret_cast<const sockaddr_in6&>(a), &y = reinterpret_cast<const sockaddr_in6&>(b);
        return x.sin6_port == y.sin6_port && std::memcmp(&x.sin6_addr, &y.sin6_addr, sizeof x.sin6_addr) == 0;
    }
    const auto &x = reinterpret_cast<const sockaddr_in&>(a), &y = reinterpret_cast<const sockaddr_in&>(b);
    return x.sin_port == y.sin_port && x.sin_addr.s_addr == y.sin_addr.s_addr;
}

class DatagramNetwork final : public FrameDescriptor {
public:
    DatagramNetwork(Networks& networks, std::string_view where, const DatagramNet& options)
        : FrameDescriptor(networks), where_(where), options_(options) {}
    ~DatagramNetwork() override;

    Result<void> start();
    void send(std::span<const u8> frame) override;

private:
    Error error(const DatagramNet::Place& place, std::string_view problem) const {
        return Error{fmt::format("{} {}: {}", where_, place.text(), problem)};
    }
    Result<void> bind_unix(const Descriptor& socket, const Address& local);
    Result<void> join(const Descriptor& socket);
    ssize_t read_frame(std::span<u8> buffer, net::Offload& offload) override;
    void remember(const net::MacAddress& address);
    bool is_own(std::span<const u8> frame) const;

    std::string where_;
    DatagramNet options_;
    Address remote_;
    u64 name_inode_ = 0, name_device_ = 0;  // of the Unix socket that is ours to remove
    std::deque<net::MacAddress> own_;       // a group's datagrams come back to us: those stations are behind our cable
};

Result<void> DatagramNetwork::start() {
    TRY_SET(remote_, resolve(where_, options_.remote, AF_UNSPEC));
    const int family = remote_.storage.ss_family;
    Descriptor socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return error(options_.remote, error_text(errno));
    if (options_.multicast) {
        TRY(join(socket));
    } else {
        TRY_SET(const auto local, resolve(where_, options_.local, family));
        if (family == AF_UNIX) {
            TRY(bind_unix(socket, local));
        } else if (bind(socket.number(), local.generic(), local.size) != 0) {
            return error(options_.local, errno == EADDRINUSE
                                             ? "the port is in use; choose another, or end the program that has it"
                                             : error_text(errno));
        }
    }
    // Bursts of a guest are longer than the kernel's usual 200 KiB.
    const int room = 4 << 20;
    setsockopt(socket.number(), SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(socket.number(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    watch(std::move(socket));
    return {};
}

DatagramNetwork::~DatagramNetwork() {
    struct stat status {};
    if (name_inode_ != 0 && lstat(options_.local.path.c_str(), &status) == 0 && status.st_ino == name_inode_ &&
        status.st_dev == name_device_)
        unlink(options_.local.path.c_str());
}

Result<void> DatagramNetwork::bind_unix(const Descriptor& socket, const Address& local) {
    const char* path = options_.local.path.c_str();
    struct stat status {};
    if (lstat(path, &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) return error(options_.local, "exists and is no socket; give another path");
        Descriptor probe(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        if (::connect(probe.number(), local.generic(), local.size) == 0 || errno != ECONNREFUSED)
            return error(options_.local, "the socket is in use; choose another path, or end the program that has it");
        unlink(path);  // a program that has died left it
    }
    const mode_t old_mask = umask(0177);
    const bool bound = bind(socket.number(), local.generic(), local.size) == 0;
    const int problem = errno;
    umask(old_mask);
    if (!bound) return error(options_.local, error_text(problem));
    if (lstat(path, &status) == 0) {
        name_inode_ = status.st_ino;
        name_device_ = status.st_dev;
    }
    return {};
}

Result<void> DatagramNetwork::join(const Descriptor& socket) {
    const int on = 1;
    setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    in_addr interface {};
    if (!options_.local.host.empty()) {
        const auto address = parse_ipv4(options_.local.host);
        if (!address) return error(options_.local, "is no IPv4 address of an interface of this host");
        interface = *address;
    }
    ip_mreq request{reinterpret_cast<const sockaddr_in&>(remote_.storage).sin_addr, interface};
    if (bind(socket.number(), remote_.generic(), remote_.size) != 0 ||
        setsockopt(socket.number(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) != 0 ||
        setsockopt(socket.number(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface) != 0)
        return error(options_.remote, fmt::format("cannot join the group: {}", error_text(errno)));
    // Other machines of this host are in the group as well.
    setsockopt(socket.number(), IPPROTO_IP, IP_MULTICAST_LOOP, &on, sizeof on);
    return {};
}

void DatagramNetwork::send(std::span<const u8> frame) {
    if (!net::good_size(frame.size())) return;
    if (options_.multicast) remember(net::source_of(frame));
    // Nobody there, or no room: a frame on a wire is lost, too.
    sendto(number(), frame.data(), frame.size(), MSG_DONTWAIT | MSG_NOSIGNAL, remote_.generic(), remote_.size);
}

void DatagramNetwork::remember(const net::MacAddress& address) {
    for (const auto& each : own_)
        if (each == address) return;
    if (own_.size() == own_stations) own_.pop_front();
    own_.push_back(address);
}

bool DatagramNetwork::is_own(std::span<const u8> frame) const {
    const auto source = net::source_of(frame);
    for (const auto& each : own_)
        if (each == source) return true;
    return false;
}

ssize_t DatagramNetwork::read_frame(std::span<u8> buffer, net::Offload& /*offload*/) {
    Address from;
    from.size = sizeof from.storage;
    ssize_t size = 0;
    do
        size = recvfrom(number(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                        reinterpret_cast<sockaddr*>(&from.storage), &from.size);
    while (size < 0 && errno == EINTR);
    // ICMP's word that nobody is there is an error of one call.
    if (size < 0) return errno == ECONNREFUSED ? 0 : -1;
    if (!net::good_size(static_cast<usize>(size))) return 0;
    if (options_.multicast) return is_own(buffer.first(static_cast<usize>(size))) ? 0 : size;
    if (remote_.storage.ss_family != AF_UNIX && !same_place(from.storage, remote_.storage)) return 0;
    return size;
}

}  // namespace

Result<std::unique_ptr<net::NetBackend>> open_datagram_network(Networks& networks, std::string_view where,
                                                               const DatagramNet& options) {
    auto network = std::make_unique<DatagramNetwork>(networks, where, options);
    TRY(network->start());
    return std::unique_ptr<net::NetBackend>(std::move(network));
}

}  // namespace viv::native
