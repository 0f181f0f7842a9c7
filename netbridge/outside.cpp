// libslirp in libuv's loop. See outside.h. The library wants to be asked what to wait for before each wait, and to look
// at all of it afterwards; the first is done only if something has happened to it, the second only if a socket called.
#include "netbridge/outside.h"

#include <netinet/in.h>
#include <slirp/libslirp.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "engine/net/inspect.h"
#include "engine/net/net.h"

namespace viv::netbridge {

namespace {

in_addr ipv4_of(const Address& address) {
    in_addr raw{};
    std::memcpy(&raw, &address.bytes()[12], sizeof raw);
    return raw;
}
in6_addr ipv6_of(const Address& address) {
    in6_addr raw{};
    std::memcpy(&raw, address.bytes().data(), sizeof raw);
    return raw;
}

}  // namespace

class Outside::Library {
public:
    Library(uv_loop_t* loop, Outside& owner, Room& room, const DestinationRules& rules, const OutsideNetwork& network,
            Metrics& metrics, const u64& now_ns)
        : loop_(loop),
          owner_(owner),
          room_(room),
          filter_(rules, network),
          metrics_(metrics),
          now_ns_(now_ns),
          wakeup_(loop, [this] { work_ = true; }),
          prepare_(loop, [this] { before_wait(); }),
          check_(loop, [this] { after_wait(); }) {}
    ~Library() {
        if (slirp_ != nullptr) slirp_cleanup(slirp_);
    }

    bool start(const OutsideNetwork& network);
    void send(std::span<const u8> frame);

private:
    // Owned by the library.
    struct LibraryTimer {
        LibraryTimer(Library& library, SlirpTimerId which, void* argument)
            : id(which), opaque(argument), timer(library.loop_, [this, &library] {
                  slirp_handle_timer(library.slirp_, id, opaque);
                  library.stale_ = true;
              }) {}
        SlirpTimerId id;
        void* opaque;
        Timer timer;
    };
    struct Watch {
        int wanted = 0, fired = 0;  // SLIRP_POLL_*
        bool named = false;         // by the library, this time
        std::unique_ptr<DescriptorWatch> watch;
    };

    static Library& self(void* opaque) { return *static_cast<Library*>(opaque); }
    static const SlirpCb& callbacks();
    void before_wait();
    void after_wait();
    void ask();
    void look();
    void deliver();
    int add_poll(int descriptor, int wanted);

    uv_loop_t* loop_;
    Outside& owner_;
    Room& room_;
    OutsideFilter filter_;
    Metrics& metrics_;
    const u64& now_ns_;
    Slirp* slirp_ = nullptr;
    std::set<int> sockets_;
    std::map<int, Watch> watches_;
    std::vector<int> polled_;  // descriptors by the index that the library knows them by
    std::vector<std::vector<u8>> waiting_;
    bool work_ = false, stale_ = true;
    Timer wakeup_;
    Prepare prepare_;
    Check check_;
};

const SlirpCb& Outside::Library::callbacks() {
    static const SlirpCb table = [] {
        SlirpCb calls{};
        calls.send_packet = [](const void* bytes, size_t count, void* opaque) -> ssize_t {
            auto& library = self(opaque);
            const auto* data = static_cast<const u8*>(bytes);
            // What is dropped is TCP's to send again.
            if (library.waiting_.size() < most_waiting) library.waiting_.emplace_back(data, data + count);
            return static_cast<ssize_t>(count);
        };
        calls.guest_error = [](const char*, void*) {};
        calls.clock_get_ns = [](void*) { return static_cast<int64_t>(uv_hrtime()); };
        calls.timer_free = [](void* timer, void*) { delete static_cast<LibraryTimer*>(timer); };
        calls.timer_mod = [](void* timer, int64_t milliseconds, void*) {
            const auto now = static_cast<int64_t>(uv_hrtime() / 1'000'000);
            static_cast<LibraryTimer*>(timer)->timer.arm(milliseconds > now ? static_cast<u64>(milliseconds - now) : 0);
        };
        calls.timer_new_opaque = [](SlirpTimerId id, void* argument, void* opaque) -> void* {
            return new LibraryTimer(self(opaque), id, argument);
        };
        // A number may come again for another socket before the library is asked what to wait for.
        calls.register_poll_fd = [](int descriptor, void* opaque) {
            self(opaque).watches_.erase(descriptor);
            self(opaque).sockets_.insert(descriptor);
            self(opaque).stale_ = true;
        };
        calls.unregister_poll_fd = [](int descriptor, void* opaque) {
            self(opaque).watches_.erase(descriptor);
            self(opaque).sockets_.erase(descriptor);
            self(opaque).stale_ = true;
        };
        calls.notify = [](void* opaque) { self(opaque).stale_ = true; };
        calls.init_completed = [](Slirp*, void*) {};
        return calls;
    }();
    return table;
}

bool Outside::Library::start(const OutsideNetwork& network) {
    SlirpConfig config{};
    config.version = 4;
    config.in_enabled = true;
    config.vnetwork = ipv4_of(network.ipv4.base);
    config.vnetmask.s_addr = htonl(~u32{0} << (128 - network.ipv4.bits));
    config.vhost = ipv4_of(network.router);
    config.vdhcp_start = ipv4_of(network.first_lease);
    config.vnameserver = ipv4_of(network.names);
    config.in6_enabled = true;
    config.vprefix_addr6 = ipv6_of(network.ipv6.base);
    config.vprefix_len = network.ipv6.bits;
    config.vhost6 = ipv6_of(network.router6);
    config.vnameserver6 = ipv6_of(network.names6);
    config.disable_host_loopback = true;
    slirp_ = slirp_new(&config, &callbacks(), this);
    return slirp_ != nullptr;
}

void Outside::Library::send(std::span<const u8> frame) {
    if (filter_.judge(frame) != OutsideFilter::Verdict::pass) return metrics_.drop(Dropped::outside_refused);
    if (sockets_.size() >= most_sockets && net::may_open_connection(frame))
        return metrics_.drop(Dropped::outside_refused);
    slirp_input(slirp_, frame.data(), static_cast<int>(frame.size()));
    stale_ = true;
}

void Outside::Library::deliver() {
    // The library is not called from within forward(), so that nothing is added meanwhile.
    for (const auto& frame : waiting_) room_.forward(owner_, frame, now_ns_);
    waiting_.clear();
}

void Outside::Library::before_wait() {
    if (stale_) ask();
    deliver();
}

void Outside::Library::after_wait() {
    if (work_) look();
    deliver();
}

void Outside::Library::look() {
    work_ = false;
    slirp_pollfds_poll(
        slirp_, 0,
        [](int index, void* opaque) {
            auto& library = self(opaque);
            if (index < 0 || static_cast<usize>(index) >= library.polled_.size()) return 0;
            const auto found = library.watches_.find(library.polled_[static_cast<usize>(index)]);
            return found == library.watches_.end() ? 0 : found->second.fired & found->second.wanted;
        },
        this);
    for (auto& [descriptor, watch] : watches_) watch.fired = 0;
    stale_ = true;
}

void Outside::Library::ask() {
    stale_ = false;
    for (auto& [descriptor, watch] : watches_) watch.named = false;
    polled_.clear();
    u32 timeout_ms = ~u32{0};
    slirp_pollfds_fill(
        slirp_, &timeout_ms,
        [](int descriptor, int wanted, void* opaque) { return self(opaque).add_poll(descriptor, wanted); }, this);
    if (timeout_ms == ~u32{0})
        wakeup_.cancel();
    else
        wakeup_.arm(timeout_ms);
    for (auto each = watches_.begin(); each != watches_.end();) {
        auto& watch = each->second;
        if (!watch.named) {
            each = watches_.erase(each);
            continue;
        }
        watch.watch->want(((watch.wanted & SLIRP_POLL_IN) != 0 ? UV_READABLE : 0) |
                          ((watch.wanted & SLIRP_POLL_OUT) != 0 ? UV_WRITABLE : 0));
        each++;
    }
}

int Outside::Library::add_poll(int descriptor, int wanted) {
    auto& watch = watches_[descriptor];
    watch.wanted = wanted | SLIRP_POLL_ERR | SLIRP_POLL_HUP | (watch.named ? watch.wanted : 0);
    watch.named = true;
    if (!watch.watch)
        watch.watch = std::make_unique<DescriptorWatch>(loop_, descriptor, [this, &watch](int status, int events) {
            watch.fired = ((events & UV_READABLE) != 0 ? SLIRP_POLL_IN : 0) |
                          ((events & UV_WRITABLE) != 0 ? SLIRP_POLL_OUT : 0) |
                          (status < 0 ? SLIRP_POLL_ERR | SLIRP_POLL_HUP | SLIRP_POLL_IN | SLIRP_POLL_OUT : 0);
            work_ = true;
        });
    polled_.push_back(descriptor);
    return static_cast<int>(polled_.size() - 1);
}

Outside::Outside() : Port(PortKind::outside) {}
Outside::~Outside() = default;

std::unique_ptr<Outside> Outside::open(uv_loop_t* loop, Room& room, const DestinationRules& rules,
                                       const OutsideNetwork& network, Metrics& metrics, const u64& now_ns) {
    std::unique_ptr<Outside> outside(new Outside);
    outside->library_ = std::make_unique<Library>(loop, *outside, room, rules, network, metrics, now_ns);
    if (!outside->library_->start(network)) return nullptr;
    return outside;
}

void Outside::give(const SharedMessage& frame, u64) { library_->send(frame->bytes()); }

}  // namespace viv::netbridge
