// libslirp behind a network card. See slirp.h. The library asks which sockets to wait for each time before a wait and
// looks at all of them after it; here the first is done only after something has happened to it, and the second only
// when a socket or a timer calls.
#include "native/slirp.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <slirp/libslirp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "engine/net/inspect.h"
#include "native/host_posix.h"
#include "native/net_addresses.h"

namespace viv::native {

namespace {

constexpr u64 millisecond_ns = 1'000'000;
// The library opens one for every connection and every pair of UDP ports that the guest thinks of.
constexpr usize most_sockets = 4096;

class UserNetwork final : public HostNetwork {
public:
    UserNetwork(Networks& networks, std::string_view where, const UserNet& options)
        : HostNetwork(networks),
          where_(where),
          options_(options),
          log_(networks.log(), "net user"),
          wakeup_(networks.events(), [this] { work_ = true; }),
          hook_(
              networks.events(), [this] { before_wait(); }, [this] { after_wait(); }),
          stopped_at_ns_(EventLoop::now_ns()) {}
    ~UserNetwork() override;

    Result<void> start();
    void send(std::span<const u8> frame) override;
    void send_offloaded(std::span<const u8> frame, const net::Offload& offload) override;

private:
    // A timer of libslirp, owned by it.
    struct LibraryTimer {
        LibraryTimer(UserNetwork& network, SlirpTimerId which, void* argument)
            : id(which), opaque(argument), timer(network.events(), [this, &network] { network.timer_due(*this); }) {}
        SlirpTimerId id;
        void* opaque;
        u64 deadline_ns = ~u64{0};  // by our clock
        WaitTimer timer;
    };
    struct Watch {
        int wanted = 0, fired = 0;  // SLIRP_POLL_*
        Interest interest = Interest::none;
        bool named = false;  // by the library, this time
    };

    void input();
    static const SlirpCb& callbacks();
    static UserNetwork& self(void* opaque) { return *static_cast<UserNetwork*>(opaque); }
    Result<void> add_host_forward(const HostForward& forward);
    Result<void> add_guest_forward(const GuestForward& forward);
    Error error(std::string_view key, std::string_view value, std::string_view problem) const {
        return Error{fmt::format("{}: {}={}: {}", where_, key, value, problem)};
    }

    u64 clock_ns() const { return (flowing_since_ ? EventLoop::now_ns() : stopped_at_ns_) - stood_still_ns_; }
    void arm(LibraryTimer& timer);
    void timer_due(LibraryTimer& timer);
    void flow_changed() override;
    void before_wait();
    void after_wait();
    void run_library();
    void ask_library();
    void watch(int descriptor, Watch& watch);
    void forget(int descriptor);
    int add_poll(int descriptor, int wanted);

    std::string where_;
    UserNet options_;
    Log log_;
    Slirp* slirp_ = nullptr;
    std::vector<u8> frame_;
    std::set<int> sockets_;  // all that the library has
    std::map<int, Watch> watches_;
    std::vector<int> polled_;  // descriptors by the index that the library knows them by
    std::vector<LibraryTimer*> timers_;
    WaitTimer wakeup_;
    WaitHook hook_;
    bool work_ = false;  // a socket or a timer has called
    bool stale_ = true;  // the library may want something else than before
    bool flowing_since_ = false;
    u64 stopped_at_ns_, stood_still_ns_ = 0;
};

const SlirpCb& UserNetwork::callbacks() {
    static const SlirpCb table = [] {
        SlirpCb calls{};
        calls.send_packet = [](const void* bytes, size_t count, void* opaque) -> ssize_t {
            self(opaque).deliver({static_cast<const u8*>(bytes), count});
            return static_cast<ssize_t>(count);  // what is dropped is TCP's to send again
        };
        calls.guest_error = [](const char* message, void* opaque) { self(opaque).log_.guest("{}", message); };
        calls.clock_get_ns = [](void* opaque) { return static_cast<int64_t>(self(opaque).clock_ns()); };
        calls.timer_free = [](void* timer, void* opaque) {
            auto* ours = static_cast<LibraryTimer*>(timer);
            std::erase(self(opaque).timers_, ours);
            delete ours;
        };
        calls.timer_mod = [](void* timer, int64_t milliseconds, void* opaque) {
            auto* ours = static_cast<LibraryTimer*>(timer);
            ours->deadline_ns = milliseconds < 0 ? 0 : static_cast<u64>(milliseconds) * millisecond_ns;
            self(opaque).arm(*ours);
        };
        calls.timer_new_opaque = [](SlirpTimerId id, void* argument, void* opaque) -> void* {
            auto* timer = new LibraryTimer(self(opaque), id, argument);
            self(opaque).timers_.push_back(timer);
            return timer;
        };
        // A number may come again for another socket before we are asked what to wait for.
        calls.register_poll_fd = [](int descriptor, void* opaque) {
            self(opaque).forget(descriptor);
            self(opaque).sockets_.insert(descriptor);
        };
        calls.unregister_poll_fd = [](int descriptor, void* opaque) {
            self(opaque).forget(descriptor);
            self(opaque).sockets_.erase(descriptor);
        };
        calls.notify = [](void* opaque) { self(opaque).stale_ = true; };
        calls.init_completed = [](Slirp*, void*) {};
        return calls;
    }();
    return table;
}

Result<void> UserNetwork::start() {
    if (!options_.tftp.empty()) {
        struct stat status {};
        if (stat(options_.tftp.c_str(), &status) != 0) return error("tftp", options_.tftp, error_text(errno));
        if (!S_ISDIR(status.st_mode)) return error("tftp", options_.tftp, "is no folder");
    }
    const auto text = [](const std::string& value) { return value.empty() ? nullptr : value.c_str(); };
    std::vector<const char*> search;
    for (const auto& domain : options_.search) search.push_back(domain.c_str());
    search.push_back(nullptr);
    SlirpConfig config{};
    config.version = 4;
    config.restricted = options_.restricted;
    config.in_enabled = options_.ipv4;
    config.vnetwork = options_.network;
    config.vnetmask = options_.mask;
    config.vhost = options_.host;
    config.in6_enabled = options_.ipv6;
    config.vprefix_addr6 = options_.prefix6;
    config.vprefix_len = options_.prefix6_length;
    config.vhost6 = options_.host6;
    config.vhostname = text(options_.hostname);
    config.tftp_server_name = text(options_.tftp_server);
    config.tftp_path = text(options_.tftp);
    config.bootfile = text(options_.boot_file);
    config.vdhcp_start = options_.dhcp_start;
    config.vnameserver = options_.dns;
    config.vnameserver6 = options_.dns6;
    config.vdnssearch = options_.search.empty() ? nullptr : search.data();
    config.vdomainname = text(options_.domain);
    config.disable_host_loopback = !options_.host_loopback;
    slirp_ = slirp_new(&config, &callbacks(), this);
    if (slirp_ == nullptr) return Error{where_ + ": libslirp refuses these options"};
    for (const auto& forward : options_.guest_forwards) TRY(add_guest_forward(forward));
    for (const auto& forward : options_.host_forwards) TRY(add_host_forward(forward));
    return {};
}

UserNetwork::~UserNetwork() {
    if (slirp_ != nullptr) slirp_cleanup(slirp_);
    for (const auto& [descriptor, watch] : watches_)
        if (watch.interest != Interest::none) events().remove(descriptor);
}

Result<void> UserNetwork::add_host_forward(const HostForward& forward) {
    const bool udp = forward.protocol == HostForward::Protocol::udp;
    const int flags = (udp ? SLIRP_HOSTFWD_UDP : 0) | (forward.host.is_ipv6() ? SLIRP_HOSTFWD_V6ONLY : 0);
    errno = 0;
    if (slirp_add_hostxfwd(slirp_, forward.host.generic(), forward.host.size(), forward.guest.generic(),
                           forward.guest.size(), flags) == 0)
        return {};
    if (errno == EADDRINUSE)
        return error("hostfwd", forward.text,
                     fmt::format("port {} of this host is in use; choose another, or end the program that has it",
                                 forward.host.port()));
    return error("hostfwd", forward.text,
                 fmt::format("cannot listen at {}: {}", forward.host.text(),
                             errno == 0 ? "libslirp refuses it" : error_text(errno)));
}

Result<void> UserNetwork::add_guest_forward(const GuestForward& forward) {
    in_addr server = forward.server;
    const int failed = forward.target == GuestForward::Target::command
                           ? slirp_add_exec(slirp_, forward.to.c_str(), &server, forward.port)
                           : slirp_add_unix(slirp_, forward.to.c_str(), &server, forward.port);
    if (failed == 0) return {};
    return error("guestfwd", forward.text,
                 fmt::format("libslirp refuses {}:{}", ipv4_text(forward.server), forward.port));
}

void UserNetwork::send(std::span<const u8> frame) {
    // A copy, since the guest may change its own memory between a check and its use.
    frame_.assign(frame.begin(), frame.end());
    input();
}

// The library takes segments of any length: a connection ends there, and is another one of the host's.
void UserNetwork::send_offloaded(std::span<const u8> frame, const net::Offload& offload) {
    frame_.assign(frame.begin(), frame.end());
    if (net::finish_sums(frame_, offload)) input();
}

void UserNetwork::input() {
    if (!net::good_size(frame_.size())) return;
    const u16 type = net::ether_type_of(frame_);
    // libslirp would also play a management controller (NC-SI), which no guest of ours has a use for.
    if (type != net::ether_ipv4 && type != net::ether_ipv6 && type != net::ether_arp) return;
    if (net::is_martian(frame_)) return log_.guest("a packet to or from an address that means this host is dropped");
    if (sockets_.size() >= most_sockets && net::may_open_connection(frame_))
        return log_.guest("{} connections are open; further ones are refused until some are closed", most_sockets);
    slirp_input(slirp_, frame_.data(), static_cast<int>(frame_.size()));
    flush();  // the answers
    stale_ = true;
}

void UserNetwork::arm(LibraryTimer& timer) {
    if (!flowing_since_ || timer.deadline_ns == ~u64{0}) return timer.timer.cancel();
    timer.timer.arm(timer.deadline_ns + stood_still_ns_);
}

void UserNetwork::timer_due(LibraryTimer& timer) {
    timer.deadline_ns = ~u64{0};
    slirp_handle_timer(slirp_, timer.id, timer.opaque);
    stale_ = true;
}

// The guest takes no more, or does again. Meanwhile the library's clock stands still and its sockets are left alone, so
// that the kernel holds their other ends back.
void UserNetwork::flow_changed() {
    const u64 now = EventLoop::now_ns();
    if (flowing() != flowing_since_) {
        flowing_since_ = flowing();
        if (flowing_since_)
            stood_still_ns_ += now - stopped_at_ns_;
        else
            stopped_at_ns_ = now;
    }
    for (LibraryTimer* timer : timers_) arm(*timer);
    wakeup_.cancel();
    stale_ = true;
}

void UserNetwork::before_wait() {
    if (slirp_ != nullptr && stale_) ask_library();
}

void UserNetwork::after_wait() {
    if (slirp_ != nullptr && work_ && flowing()) run_library();
}

void UserNetwork::run_library() {
    work_ = false;
    slirp_pollfds_poll(
        slirp_, 0,
        [](int index, void* opaque) {
            auto& network = self(opaque);
            if (index < 0 || static_cast<usize>(index) >= network.polled_.size()) return 0;
            const auto found = network.watches_.find(network.polled_[static_cast<usize>(index)]);
            return found == network.watches_.end() ? 0 : found->second.fired & found->second.wanted;
        },
        this);
    for (auto& [descriptor, watch] : watches_) watch.fired = 0;
    stale_ = true;
}

void UserNetwork::ask_library() {
    stale_ = false;
    for (auto& [descriptor, watch] : watches_) watch.named = false;
    polled_.clear();
    if (flowing()) {
        u32 timeout_ms = ~u32{0};
        slirp_pollfds_fill(
            slirp_, &timeout_ms,
            [](int descriptor, int wanted, void* opaque) { return self(opaque).add_poll(descriptor, wanted); }, this);
        if (timeout_ms == ~u32{0})
            wakeup_.cancel();
        else
            wakeup_.arm(EventLoop::now_ns() + timeout_ms * millisecond_ns);
    }
    for (auto each = watches_.begin(); each != watches_.end();) {
        watch(each->first, each->second);
        each = each->second.named ? std::next(each) : watches_.erase(each);
    }
}

int UserNetwork::add_poll(int descriptor, int wanted) {
    auto& watch = watches_[descriptor];
    watch.wanted = wanted | SLIRP_POLL_ERR | SLIRP_POLL_HUP | (watch.named ? watch.wanted : 0);
    watch.named = true;
    polled_.push_back(descriptor);
    return static_cast<int>(polled_.size() - 1);
}

// Urgent data comes in line with the rest.
void UserNetwork::watch(int descriptor, Watch& watch) {
    auto interest = Interest::none;
    if (watch.named && (watch.wanted & SLIRP_POLL_IN) != 0) interest = interest | Interest::read;
    if (watch.named && (watch.wanted & SLIRP_POLL_OUT) != 0) interest = interest | Interest::write;
    if (interest == watch.interest) return;
    if (watch.interest != Interest::none) events().remove(descriptor);
    watch.interest = interest;
    if (interest == Interest::none) return;
    events().add(descriptor, interest, [this, &watch](EventLoop::Ready ready) {
        watch.fired = (ready.read ? SLIRP_POLL_IN : 0) | (ready.write ? SLIRP_POLL_OUT : 0) |
                      (ready.broken ? SLIRP_POLL_ERR | SLIRP_POLL_HUP : 0);
        work_ = true;
    });
}

void UserNetwork::forget(int descriptor) {
    const auto found = watches_.find(descriptor);
    if (found == watches_.end()) return;
    if (found->second.interest != Interest::none) events().remove(descriptor);
    watches_.erase(found);
    stale_ = true;
}

}  // namespace

Result<std::unique_ptr<net::NetBackend>> open_user_network(Networks& networks, std::string_view where,
                                                           const UserNet& options) {
    auto network = std::make_unique<UserNetwork>(networks, where, options);
    TRY(network->start());
    return std::unique_ptr<net::NetBackend>(std::move(network));
}

}  // namespace viv::native
