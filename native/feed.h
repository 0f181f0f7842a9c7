// Pieces of a disk that come from web servers, fetched by threads and held in memory for a while: what the files and
// chunk stores of web_disk.h read from.
// Promises: a piece that is asked for is fetched once, however many wait for it, and those that a read waits for before
// those that are only expected; at most `connections` are fetched at a time; at most `most_bytes` are held, but for one
// piece that is larger; a piece that cannot be had is an error, told to the log, and fetched anew when it is asked for
// again. Its end stops what is being fetched.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/block/far.h"
#include "engine/lang/log.h"
#include "native/event_loop.h"
#include "native/http.h"

namespace viv::native {

class Feed final : public block::Far {
public:
    static constexpr unsigned connections = 6;
    static constexpr u64 most_bytes = 32 << 20;
    static constexpr usize most_expected = 64;

    using Bytes = std::vector<u8>;
    // Runs on a thread of the feed's own, several at a time.
    using Fetch = std::function<Result<Bytes>(HttpClient& client)>;
    using Use = std::function<Result<void>(std::span<const u8> piece)>;

    // `log`: null: failures are only errors of those who read. It outlives the feed.
    explicit Feed(LogSink* log) : log_(log) {}
    ~Feed() override;
    Feed(const Feed&) = delete;
    Feed& operator=(const Feed&) = delete;

    // From one thread. `key`: the same for the same piece; `fetch` is for the case that it is not there.
    Result<void> read(const std::string& key, const Fetch& fetch, const Use& use);
    void expect(const std::string& key, const Fetch& fetch);

    // Where arrivals are told; it outlives the feed. Without it there are none, and nobody may be impatient.
    void watch(EventLoop& events);

    void set_patience(Patience patience) override { patience_ = patience; }
    bool take_missed() override { return std::exchange(missed_, false); }
    void on_arrival(std::function<void()> arrived) override { arrived_ = std::move(arrived); }
    void forget_failures() override;

private:
    struct Piece {
        enum class State : u8 { queued, running, there, failed } state = State::queued;
        bool wanted = false;  // a read waits for it
        bool told = false;    // a failure that a read has seen
        Fetch fetch;
        std::shared_ptr<const Bytes> bytes;
        std::string problem;
        std::list<std::string>::iterator recent;
    };
    using Lock = std::unique_lock<std::mutex>;

    Piece& find_or_queue(const std::string& key, const Fetch& fetch, Lock&);
    void want(const std::string& key, Piece& piece, Lock&);
    void start_thread(Lock&);
    void work(const std::stop_token& stop);
    std::string next(Lock&);
    void finish(const std::string& key, Result<Bytes> fetched, Lock&);
    void make_room(Lock&);
    void complain(const std::string& problem);

    LogSink* log_;
    unsigned complaints_ = 0;
    Patience patience_ = Patience::waits;
    bool missed_ = false;
    std::function<void()> arrived_;
    EventLoop* events_ = nullptr;
    Descriptor wake_;  // an eventfd

    std::mutex mutex_;
    std::condition_variable_any work_there_;
    std::condition_variable changed_;
    std::unordered_map<std::string, Piece> pieces_;
    std::deque<std::string> wanted_, expected_;  // those that are not queued any more are passed over
    std::list<std::string> recent_;              // of those that are there, the last used first
    u64 held_ = 0;                               // bytes of these
    unsigned idle_ = 0;                          // threads
    std::vector<std::jthread> threads_;          // last, so that they end first
};

}  // namespace viv::native
