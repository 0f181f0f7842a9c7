// libnats in a thread of its own. See nats_bus.h. The library's way to connect again is not used: it waits with its
// lock held, and keeps what is published meanwhile. A connection that is lost is taken down, and a new one made.
#include "netbridge/nats_bus.h"

#include <fmt/format.h>
#include <nats/nats.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace viv::netbridge {

namespace {

constexpr i64 connect_timeout_ms = 2'000, write_deadline_ms = 5'000, ping_interval_ms = 5'000, farewell_ms = 500;
constexpr usize most_in_a_turn = 1024;  // messages, before the loop's others are served
constexpr usize overhead = 256;         // of a message that waits, beside its bytes

std::string problem_of(natsStatus status) {
    natsStatus last = NATS_OK;
    const char* text = nats_GetLastError(&last);
    if (last != status || text == nullptr || *text == '\0') return natsStatus_GetText(status);
    // "(conn.c:1): what is wrong": where in the library is of no use to a user.
    const std::string_view whole(text);
    const auto place = whole.starts_with('(') ? whole.find("): ") : std::string_view::npos;
    return std::string(place == std::string_view::npos ? whole : whole.substr(place + 3));
}

}  // namespace

class NatsBus::Library {
public:
    explicit Library(uv_loop_t* loop) : wake_(loop, [this] { turn(); }) {}
    ~Library();
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;

    Result<void> prepare(const NatsSettings& settings);
    void start(BusEvents& events, std::function<void()> before);
    void want(const std::string& subject, bool wanted);
    bool publish(const std::string& subject, SharedMessage message);

private:
    struct Outgoing {
        std::string subject;
        SharedMessage message;
    };
    struct MessageDeleter {
        void operator()(natsMsg* message) const { natsMsg_Destroy(message); }
    };
    using Incoming = std::unique_ptr<natsMsg, MessageDeleter>;
    enum class News : u8 { connected, lost, trouble };
    using Lock = std::unique_lock<std::mutex>;

    static usize cost_of(const natsMsg* message) {
        return static_cast<usize>(natsMsg_GetDataLength(message)) + overhead;
    }
    // In the thread.
    void work();
    void serve(Lock& lock);
    void follow_subjects(const std::set<std::string>& wanted);
    void hang_up();
    void count_subscription(int change);  // in threads of libnats, too
    void tell(News what, std::string text);
    // In threads of libnats.
    void arrived(natsMsg* message);
    // In the loop.
    void turn();

    Wake wake_;
    natsOptions* options_ = nullptr;
    BusEvents* events_ = nullptr;
    std::function<void()> before_;
    std::deque<Incoming> taken_;  // by the loop, and not dealt with yet

    std::mutex mutex_;  // of what follows
    std::condition_variable changed_;
    bool stopping_ = false, subjects_changed_ = false;
    bool closed_ = false;      // the connection, by whichever side
    usize subscriptions_ = 0;  // that messages may come from still
    std::set<std::string> subjects_;
    std::deque<Outgoing> outgoing_;
    usize outgoing_bytes_ = 0;  // those under way, too

    std::mutex arrivals_mutex_;  // of what follows
    std::deque<Incoming> incoming_;
    usize incoming_bytes_ = 0;  // those taken, too
    u64 lost_ = 0;
    std::deque<std::pair<News, std::string>> news_;

    // The thread's own.
    natsConnection* connection_ = nullptr;
    std::map<std::string, natsSubscription*> followed_;
    std::thread thread_;
};

Result<void> NatsBus::Library::prepare(const NatsSettings& settings) {
    natsStatus status = natsOptions_Create(&options_);
    const auto set = [&](natsStatus next) {
        if (status == NATS_OK) status = next;
    };
    std::vector<const char*> servers;
    for (const auto& server : settings.servers) servers.push_back(server.c_str());
    set(natsOptions_SetServers(options_, servers.data(), static_cast<int>(servers.size())));
    set(natsOptions_SetName(options_, "netbridge"));
    set(natsOptions_SetAllowReconnect(options_, false));
    set(natsOptions_SetNoEcho(options_, true));
    // One thread hands out all messages: each only puts its message into our queue.
    set(natsOptions_UseGlobalMessageDelivery(options_, true));
    set(natsOptions_SetTimeout(options_, connect_timeout_ms));
    set(natsOptions_SetWriteDeadline(options_, write_deadline_ms));
    set(natsOptions_SetPingInterval(options_, ping_interval_ms));
    set(natsOptions_SetMaxPingsOut(options_, 2));
    set(natsOptions_SetClosedCB(
        options_,
        [](natsConnection*, void* closure) {
            auto& library = *static_cast<Library*>(closure);
            const std::lock_guard lock(library.mutex_);
            library.closed_ = true;
            library.changed_.notify_all();
        },
        this));
    set(natsOptions_SetErrorHandler(
        options_,
        [](natsConnection*, natsSubscription*, natsStatus problem, void* closure) {
            static_cast<Library*>(closure)->tell(News::trouble, natsStatus_GetText(problem));
        },
        this));
    if (!settings.user.empty())
        set(natsOptions_SetUserInfo(options_, settings.user.c_str(), settings.password.c_str()));
    if (!settings.token.empty()) set(natsOptions_SetToken(options_, settings.token.c_str()));
    if (settings.is_secure()) set(natsOptions_SetSecure(options_, true));
    if (status != NATS_OK) return Error{fmt::format("--backplane: {}", problem_of(status))};
    if (settings.authority_file.empty()) return {};
    status = natsOptions_LoadCATrustedCertificates(options_, settings.authority_file.c_str());
    if (status != NATS_OK)
        return Error{fmt::format("--backplane-ca {}: holds no certificates, in PEM", settings.authority_file)};
    return {};
}

NatsBus::Library::~Library() {
    if (thread_.joinable()) {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }
    natsOptions_Destroy(options_);
    taken_.clear();
    incoming_.clear();
    // Its own threads call nothing of ours after this.
    nats_CloseAndWait(0);
}

void NatsBus::Library::start(BusEvents& events, std::function<void()> before) {
    events_ = &events;
    before_ = std::move(before);
    thread_ = std::thread([this] { work(); });
}

void NatsBus::Library::want(const std::string& subject, bool wanted) {
    {
        const std::lock_guard lock(mutex_);
        if (wanted)
            subjects_.insert(subject);
        else
            subjects_.erase(subject);
        subjects_changed_ = true;
    }
    changed_.notify_all();
}

bool NatsBus::Library::publish(const std::string& subject, SharedMessage message) {
    const usize cost = message->size() + overhead;
    bool first = false;
    {
        const std::lock_guard lock(mutex_);
        if (outgoing_bytes_ + cost > most_waiting_bytes) return false;
        outgoing_bytes_ += cost;
        first = outgoing_.empty();
        outgoing_.push_back({subject, std::move(message)});
    }
    if (first) changed_.notify_all();
    return true;
}

void NatsBus::Library::tell(News what, std::string text) {
    {
        const std::lock_guard lock(arrivals_mutex_);
        constexpr usize most_news = 64;
        if (what == News::trouble && news_.size() >= most_news) return;
        news_.emplace_back(what, std::move(text));
    }
    wake_.send();
}

void NatsBus::Library::arrived(natsMsg* message) {
    Incoming owned(message);
    bool first = false;
    {
        const std::lock_guard lock(arrivals_mutex_);
        const usize cost = cost_of(message);
        if (incoming_bytes_ + cost > most_waiting_bytes) {
            lost_++;
        } else {
            incoming_bytes_ += cost;
            first = incoming_.empty();
            incoming_.push_back(std::move(owned));
        }
    }
    if (first) wake_.send();
}

void NatsBus::Library::turn() {
    std::deque<std::pair<News, std::string>> news;
    u64 lost = 0;
    {
        const std::lock_guard lock(arrivals_mutex_);
        news.swap(news_);
        lost = std::exchange(lost_, 0);
        if (taken_.empty()) taken_.swap(incoming_);
    }
    before_();
    if (lost > 0) events_->overrun(lost);
    for (const auto& [what, text] : news) switch (what) {
            case News::connected: events_->connected(text); break;
            case News::lost: events_->lost(text); break;
            case News::trouble: events_->trouble(text); break;
        }
    usize done_bytes = 0;
    for (usize i = 0; i < most_in_a_turn && !taken_.empty(); i++) {
        const auto message = std::move(taken_.front());
        taken_.pop_front();
        done_bytes += cost_of(message.get());
        events_->received(natsMsg_GetSubject(message.get()),
                          {reinterpret_cast<const u8*>(natsMsg_GetData(message.get())),
                           static_cast<usize>(natsMsg_GetDataLength(message.get()))});
    }
    const std::lock_guard lock(arrivals_mutex_);
    incoming_bytes_ -= done_bytes;
    if (!taken_.empty() || !incoming_.empty()) wake_.send();
}

void NatsBus::Library::work() {
    std::minstd_rand chance(std::random_device{}());
    u64 pause_ms = first_pause_ms;
    bool complained = false;  // since it has worked last
    Lock lock(mutex_);
    while (!stopping_) {
        closed_ = false;
        lock.unlock();
        const natsStatus status = natsConnection_Connect(&connection_, options_);
        if (status != NATS_OK) {
            if (!std::exchange(complained, true)) tell(News::lost, problem_of(status));
            lock.lock();
        } else {
            pause_ms = first_pause_ms;
            lock.lock();
            outgoing_.clear();
            outgoing_bytes_ = 0;
            serve(lock);
            lock.unlock();
            hang_up();
            complained = true;
            lock.lock();
        }
        // Many relays that have lost the same server do not all come back in the same moment.
        const u64 pause = pause_ms / 2 + chance() % (pause_ms / 2);
        changed_.wait_for(lock, std::chrono::milliseconds(pause), [this] { return stopping_; });
        pause_ms = std::min(2 * pause_ms, longest_pause_ms);
    }
}

void NatsBus::Library::serve(Lock& lock) {
    bool announced = false;
    subjects_changed_ = true;
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || subjects_changed_ || !outgoing_.empty() || closed_; });
        const bool last = stopping_, follow = std::exchange(subjects_changed_, false);
        const auto subjects = follow ? subjects_ : std::set<std::string>();
        std::deque<Outgoing> batch;
        batch.swap(outgoing_);
        lock.unlock();
        if (follow && !last) follow_subjects(subjects);
        if (!std::exchange(announced, true)) {
            char server[256] = "";
            natsConnection_GetConnectedUrl(connection_, server, sizeof server);
            tell(News::connected, server);
        }
        usize done_bytes = 0;
        u64 lost = 0;
        for (const auto& [subject, message] : batch) {
            done_bytes += message->size() + overhead;
            if (natsConnection_Publish(connection_, subject.c_str(), message->start(),
                                       static_cast<int>(message->size())) != NATS_OK)
                lost++;
        }
        if (lost > 0) {
            const std::lock_guard arrivals(arrivals_mutex_);
            lost_ += lost;
        }
        if (last) natsConnection_FlushTimeout(connection_, farewell_ms);
        lock.lock();
        outgoing_bytes_ -= done_bytes;
        if (last || closed_) return;
    }
}

void NatsBus::Library::follow_subjects(const std::set<std::string>& wanted) {
    for (auto each = followed_.begin(); each != followed_.end();) {
        if (wanted.contains(each->first)) {
            each++;
            continue;
        }
        natsSubscription_Destroy(each->second);
        each = followed_.erase(each);
    }
    for (const auto& subject : wanted) {
        if (followed_.contains(subject)) continue;
        natsSubscription* subscription = nullptr;
        const natsStatus status = natsConnection_Subscribe(
            &subscription, connection_, subject.c_str(),
            [](natsConnection*, natsSubscription*, natsMsg* message, void* closure) {
                static_cast<Library*>(closure)->arrived(message);
            },
            this);
        if (status != NATS_OK) return;  // the connection has gone
        followed_.emplace(subject, subscription);
        count_subscription(+1);
        const natsStatus watched = natsSubscription_SetOnCompleteCB(
            subscription, [](void* closure) { static_cast<Library*>(closure)->count_subscription(-1); }, this);
        if (watched != NATS_OK) count_subscription(-1);  // the connection has gone
    }
}

void NatsBus::Library::count_subscription(int change) {
    {
        const std::lock_guard lock(mutex_);
        subscriptions_ += static_cast<usize>(change);
    }
    changed_.notify_all();
}

void NatsBus::Library::hang_up() {
    const char* why = nullptr;
    const natsStatus status = natsConnection_GetLastError(connection_, &why);
    tell(News::lost, why != nullptr && *why != '\0' ? why : natsStatus_GetText(status));
    natsConnection_Close(connection_);
    for (const auto& [subject, subscription] : followed_) natsSubscription_Destroy(subscription);
    followed_.clear();
    {
        // The library hands out what is left in a thread of its own, and frees it in another one, which nats_Close ends
        // without waiting for the first: what is handed out after that is never freed.
        Lock lock(mutex_);
        changed_.wait(lock, [this] { return closed_ && subscriptions_ == 0; });
    }
    natsConnection_Destroy(connection_);
    connection_ = nullptr;
}

NatsBus::NatsBus(std::unique_ptr<Library> library) : library_(std::move(library)) {}
NatsBus::~NatsBus() = default;

Result<std::unique_ptr<NatsBus>> NatsBus::prepare(uv_loop_t* loop, const NatsSettings& settings) {
    auto library = std::make_unique<Library>(loop);
    TRY(library->prepare(settings));
    return std::unique_ptr<NatsBus>(new NatsBus(std::move(library)));
}

void NatsBus::start(BusEvents& events, std::function<void()> before) { library_->start(events, std::move(before)); }
void NatsBus::subscribe(const std::string& subject) { library_->want(subject, true); }
void NatsBus::unsubscribe(const std::string& subject) { library_->want(subject, false); }
bool NatsBus::publish(const std::string& subject, SharedMessage message) {
    return library_->publish(subject, std::move(message));
}

}  // namespace viv::netbridge
