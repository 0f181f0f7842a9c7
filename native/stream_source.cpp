// Files and sockets behind StreamSource. See stream_source.h; unix(7), tcp(7).
#include "native/stream_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "native/host_posix.h"

namespace viv::native {

namespace {

constexpr int connect_patience_ms = 10'000;

Error failure(std::string_view option, const Endpoint& endpoint, std::string_view problem) {
    return Error{fmt::format("{} {}: {}", option, endpoint.text, problem)};
}

sockaddr_un unix_address(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);  // parse_endpoint has bounded it
    return address;
}

// Connects within the patience, returns 0 or an errno.
int connect_patiently(int descriptor, const sockaddr* address, socklen_t size) {
    if (connect(descriptor, address, size) == 0) return 0;
    if (errno != EINPROGRESS) return errno;
    pollfd ready{descriptor, POLLOUT, 0};
    int count = 0;
    do count = ::poll(&ready, 1, connect_patience_ms);
    while (count < 0 && errno == EINTR);
    if (count <= 0) return count == 0 ? ETIMEDOUT : errno;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length);
    return error;
}

struct Addresses {
    ~Addresses() {
        if (list != nullptr) freeaddrinfo(list);
    }
    addrinfo* list = nullptr;
};

Result<Descriptor> open_tcp(std::string_view option, const Endpoint& endpoint, std::string_view advice) {
    const bool listening = endpoint.role == Endpoint::Role::listen;
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | (listening ? AI_PASSIVE : 0);
    // No host means this host: a machine's console is not offered to the network unless that is asked for.
    const std::string host = endpoint.host.empty() ? "127.0.0.1" : endpoint.host;
    Addresses addresses;
    if (const int error = getaddrinfo(host.c_str(), std::to_string(endpoint.port).c_str(), &hints, &addresses.list);
        error != 0)
        return failure(option, endpoint, fmt::format("cannot find the host {}: {}", host, gai_strerror(error)));
    int problem = 0;
    for (const addrinfo* each = addresses.list; each != nullptr; each = each->ai_next) {
        Descriptor descriptor(socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!descriptor) {
            problem = errno;
            continue;
        }
        const int on = 1;
        if (listening) {
            setsockopt(descriptor.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
            const bool bound = bind(descriptor.number(), each->ai_addr, each->ai_addrlen) == 0 &&
                               ::listen(descriptor.number(), 4) == 0;
            problem = bound ? 0 : errno;
        } else {
            problem = connect_patiently(descriptor.number(), each->ai_addr, each->ai_addrlen);
            setsockopt(descriptor.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        }
        if (problem == 0) return descriptor;
    }
    if (problem == EADDRINUSE)
        return failure(option, endpoint, "the port is in use; choose another, or end the program that has it");
    if (!listening && problem == ECONNREFUSED)
        return failure(option, endpoint, fmt::format("nobody listens there; {}", advice));
    return failure(option, endpoint, error_text(problem));
}

Result<Descriptor> open_unix(std::string_view option, const Endpoint& endpoint, std::string_view advice) {
    const auto address = unix_address(endpoint.path);
    const auto* generic = reinterpret_cast<const sockaddr*>(&address);
    Descriptor descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!descriptor) return failure(option, endpoint, error_text(errno));
    if (endpoint.role == Endpoint::Role::connect) {
        const int problem = connect_patiently(descriptor.number(), generic, sizeof address);
        if (problem == 0) return descriptor;
        return failure(option, endpoint, fmt::format("{}; {}", error_text(problem), advice));
    }
    struct stat status {};
    if (lstat(endpoint.path.c_str(), &status) == 0) {
        if (!S_ISSOCK(status.st_mode)) return failure(option, endpoint, "exists and is no socket; give another path");
        Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (connect(probe.number(), generic, sizeof address) == 0 || errno != ECONNREFUSED)
            return failure(option, endpoint,
                           "the socket is in use; choose another path, or end the program that has it");
        unlink(endpoint.path.c_str());
    }
    // Whoever reaches the socket owns the machine: only this user, from the start.
    const mode_t old_mask = umask(0177);
    const bool bound = bind(descriptor.number(), generic, sizeof address) == 0;
    const int problem = errno;
    umask(old_mask);
    if (!bound) return failure(option, endpoint, error_text(problem));
    if (::listen(descriptor.number(), 4) != 0) return failure(option, endpoint, error_text(errno));
    return descriptor;
}

std::string folder_of(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<void> StreamSource::check(std::string_view option, const Endpoint& endpoint) {
    const bool creates_name = endpoint.kind == Endpoint::Kind::file ||
                              (endpoint.kind == Endpoint::Kind::unix_socket && endpoint.role == Endpoint::Role::listen);
    if (!creates_name) return {};
    const auto folder = folder_of(endpoint.path);
    struct stat status {};
    if (stat(folder.c_str(), &status) != 0)
        return failure(option, endpoint, fmt::format("the folder {}: {}", folder, error_text(errno)));
    if (!S_ISDIR(status.st_mode)) return failure(option, endpoint, fmt::format("{} is no folder", folder));
    const bool exists = stat(endpoint.path.c_str(), &status) == 0;
    if (endpoint.kind == Endpoint::Kind::file && exists && S_ISDIR(status.st_mode))
        return failure(option, endpoint, "is a folder; a file is needed");
    const bool writable = exists && endpoint.kind == Endpoint::Kind::file ? access(endpoint.path.c_str(), W_OK) == 0
                                                                          : access(folder.c_str(), W_OK | X_OK) == 0;
    if (!writable) return failure(option, endpoint, error_text(errno));
    return {};
}

Result<std::unique_ptr<StreamSource>> StreamSource::open(EventLoop& loop, std::string_view option,
                                                         const Endpoint& endpoint, std::string_view advice) {
    std::unique_ptr<StreamSource> source(new StreamSource(loop, endpoint));
    if (endpoint.kind == Endpoint::Kind::file) {
        Descriptor file(
            ::open(endpoint.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666));
        if (!file) return failure(option, endpoint, error_text(errno));
        source->stream_ = ByteStream::writing(loop, std::move(file));
    } else if (endpoint.kind == Endpoint::Kind::tcp || endpoint.kind == Endpoint::Kind::unix_socket) {
        const bool tcp = endpoint.kind == Endpoint::Kind::tcp;
        TRY_SET(auto descriptor, tcp ? open_tcp(option, endpoint, advice) : open_unix(option, endpoint, advice));
        if (endpoint.role == Endpoint::Role::connect) {
            source->stream_ = ByteStream::connected(loop, std::move(descriptor));
        } else {
            source->listener_ = std::move(descriptor);
            struct stat status {};
            if (!tcp && lstat(endpoint.path.c_str(), &status) == 0) {
                source->socket_inode_ = status.st_ino;
                source->socket_device_ = status.st_dev;
            }
        }
    }
    source->service();
    return source;
}

StreamSource::~StreamSource() {
    stream_.reset();
    if (watching_) loop_.remove(listener_.number());
    struct stat status {};
    if (socket_inode_ != 0 && lstat(endpoint_.path.c_str(), &status) == 0 && status.st_ino == socket_inode_ &&
        status.st_dev == socket_device_)
        unlink(endpoint_.path.c_str());
}

void StreamSource::accept_waiting() {
    Descriptor client(accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;  // it has gone again
    const int on = 1;
    if (endpoint_.kind == Endpoint::Kind::tcp) setsockopt(client.number(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    stream_ = ByteStream::connected(loop_, std::move(client));
}

void StreamSource::service() {
    if (stream_) stream_->service();
    if (!listener_) return;
    // Later clients wait in the kernel's queue until the one before has left.
    if (!stream_ && !watching_) {
        loop_.add(listener_.number(), Interest::read, [this](EventLoop::Ready) {
            if (!stream_) accept_waiting();
        });
        watching_ = true;
    } else if (stream_ && watching_) {
        loop_.remove(listener_.number());
        watching_ = false;
    }
}

bool StreamSource::lost() const {
    if (!stream_) return false;
    return stream_->output_ended() || (endpoint_.kind != Endpoint::Kind::file && stream_->input_ended());
}

void StreamSource::disconnect() {
    stream_.reset();
    service();
}

}  // namespace viv::native
