// Ports of a vde_switch. See net_vde.h.
#include "native/net_vde.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

// A header of C that does not say so.
extern "C" {
#include <libvdeplug.h>
}

#include "native/frame_descriptor.h"
#include "native/host_posix.h"

namespace viv::native {

namespace {

struct Close {
    void operator()(VDECONN* connection) const { vde_close(connection); }
};
using Connection = std::unique_ptr<VDECONN, Close>;

// vde_open() waits for the switch's answer, and a switch has none for a port that it has not: it is called in a thread,
// which is left to itself if that takes too long.
class Opening {
public:
    static constexpr std::chrono::seconds longest{5};

    explicit Opening(const VdeNet& options) : options_(options), url_("vde://" + options.path) {}

    // Null and errno's value, which is ETIMEDOUT then.
    static Connection open(const VdeNet& options, int& problem) {
        const auto opening = std::make_shared<Opening>(options);
        std::thread([opening] { opening->run(); }).detach();
        std::unique_lock lock(opening->mutex_);
        if (!opening->done_.wait_for(lock, longest, [&] { return opening->is_done_; })) opening->problem_ = ETIMEDOUT;
        problem = opening->problem_;
        return std::move(opening->connection_);
    }

private:
    void run() {
        vde_open_args arguments{options_.port, options_.group.empty() ? nullptr : options_.group.data(), options_.mode};
        char description[] = "viv";
        errno = 0;
        Connection connection(vde_open(url_.data(), description, &arguments));
        const int problem = errno;
        const std::lock_guard lock(mutex_);
        if (!connection) problem_ = problem;
        if (problem_ != ETIMEDOUT) connection_ = std::move(connection);
        is_done_ = true;
        done_.notify_one();
    }

    VdeNet options_;
    std::string url_;
    std::mutex mutex_;
    std::condition_variable done_;
    bool is_done_ = false;
    int problem_ = 0;
    Connection connection_;
};

class VdeNetwork final : public FrameDescriptor {
public:
    VdeNetwork(Networks& networks, std::string_view where)
        : FrameDescriptor(networks), where_(where), log_(networks.log(), "net vde") {}
    ~VdeNetwork() override { hang_up(); }

    Result<void> start(const VdeNet& options);
    void send(std::span<const u8> frame) override;

private:
    ssize_t read_frame(std::span<u8> buffer, net::Offload& offload) override;
    void hang_up();

    std::string where_;
    Log log_;
    Connection connection_;  // null: the switch has gone
};

Result<void> VdeNetwork::start(const VdeNet& options) {
    const auto error = [&](std::string_view what) {
        return Error{fmt::format("{}: {}: {}", where_, options.path.empty() ? "the usual switch" : options.path, what)};
    };
    const auto none = [&](std::string_view why) {
        return error(fmt::format("{}; the folder of a vde_switch is needed, as of vde_switch -s FOLDER", why));
    };
    // What is not there needs no library, which has a module to load first.
    if (!options.path.empty() && access(options.path.c_str(), F_OK) != 0) return none(error_text(errno));
    int problem = 0;
    connection_ = Opening::open(options, problem);
    if (!connection_ && problem == ETIMEDOUT)
        return error(options.port == 0 ? "the switch does not answer"
                                       : fmt::format("the switch does not answer; has it a port {}?", options.port));
    if (!connection_) return none(problem == 0 ? "there is none" : error_text(problem));
    // The library closes its own.
    Descriptor frames(fcntl(vde_datafd(connection_.get()), F_DUPFD_CLOEXEC, 0));
    // The library's module does not look at the flags of vde_recv() and vde_send().
    if (!frames || fcntl(frames.number(), F_SETFL, O_RDWR | O_NONBLOCK) != 0) return error(error_text(errno));
    watch(std::move(frames));
    // Nothing comes here any more, but its end.
    events().add(vde_ctlfd(connection_.get()), Interest::read, [this](EventLoop::Ready) {
        log_.error("{}: the switch has gone; the cable leads nowhere from here on", where_);
        stop();
        hang_up();
    });
    return {};
}

void VdeNetwork::hang_up() {
    if (!connection_) return;
    events().remove(vde_ctlfd(connection_.get()));
    connection_.reset();
}

void VdeNetwork::send(std::span<const u8> frame) {
    if (!connection_ || !net::good_size(frame.size()) || frame.size() > VDE_ETHBUFSIZE) return;
    [[maybe_unused]] const ssize_t lost = vde_send(connection_.get(), frame.data(), frame.size(), 0);
}

ssize_t VdeNetwork::read_frame(std::span<u8> buffer, net::Offload&) {
    ssize_t size = 0;
    do size = vde_recv(connection_.get(), buffer.data(), buffer.size(), 0);
    while (size < 0 && errno == EINTR);
    return size;
}

}  // namespace

Result<std::unique_ptr<net::NetBackend>> open_vde_network(Networks& networks, std::string_view where,
                                                          const VdeNet& options) {
    auto network = std::make_unique<VdeNetwork>(networks, where);
    TRY(network->start(options));
    return std::unique_ptr<net::NetBackend>(std::move(network));
}

}  // namespace viv::native
