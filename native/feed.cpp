// See feed.h.
#include "native/feed.h"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "engine/lang/check.h"

namespace viv::native {

Feed::~Feed() {
    if (events_ != nullptr) events_->remove(wake_.number());
    for (auto& thread : threads_) thread.request_stop();
}

void Feed::watch(EventLoop& events) {
    CHECK(events_ == nullptr);
    Descriptor made(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    CHECK(made);
    {
        const Lock lock(mutex_);  // what has been fetched so far was fetched for nobody who waits in a loop
        wake_ = std::move(made);
    }
    events_ = &events;
    events.add(wake_.number(), Interest::read, [this](EventLoop::Ready) {
        u64 count = 0;
        if (::read(wake_.number(), &count, sizeof count) == sizeof count && arrived_) arrived_();
    });
}

Result<void> Feed::read(const std::string& key, const Fetch& fetch, const Use& use) {
    Lock lock(mutex_);
    for (;;) {
        Piece& piece = find_or_queue(key, fetch, lock);
        if (piece.state == Piece::State::there) {
            recent_.splice(recent_.begin(), recent_, piece.recent);
            const auto bytes = piece.bytes;
            lock.unlock();
            return use(*bytes);
        }
        if (piece.state == Piece::State::failed) {
            const Error error{piece.problem};
            piece.told = true;
            if (patience_ == Patience::waits) pieces_.erase(key);
            return error;
        }
        want(key, piece, lock);
        if (patience_ == Patience::fails) {
            missed_ = true;
            return Error{fmt::format("{}: is on its way", key)};
        }
        changed_.wait(lock, [&] {
            const auto found = pieces_.find(key);
            return found == pieces_.end() || found->second.state == Piece::State::there ||
                   found->second.state == Piece::State::failed;
        });
    }
}

void Feed::expect(const std::string& key, const Fetch& fetch) {
    Lock lock(mutex_);
    if (pieces_.contains(key)) return;
    find_or_queue(key, fetch, lock);
    expected_.push_back(key);
    if (expected_.size() > most_expected) {
        // What was expected first has been read by now, or will not be.
        const auto oldest = pieces_.find(expected_.front());
        expected_.pop_front();
        if (oldest != pieces_.end() && oldest->second.state == Piece::State::queued && !oldest->second.wanted)
            pieces_.erase(oldest);
    }
    start_thread(lock);
}

void Feed::forget_failures() {
    const Lock lock(mutex_);
    std::erase_if(pieces_,
                  [](const auto& entry) { return entry.second.state == Piece::State::failed && entry.second.told; });
}

Feed::Piece& Feed::find_or_queue(const std::string& key, const Fetch& fetch, Lock&) {
    const auto [at, fresh] = pieces_.try_emplace(key);
    if (fresh) at->second.fetch = fetch;
    return at->second;
}

void Feed::want(const std::string& key, Piece& piece, Lock& lock) {
    if (std::exchange(piece.wanted, true) || piece.state != Piece::State::queued) return;
    wanted_.push_back(key);
    start_thread(lock);
}

void Feed::start_thread(Lock&) {
    if (idle_ == 0 && threads_.size() < connections)
        threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    else
        work_there_.notify_one();
}

// The piece to fetch now; empty: there is none.
std::string Feed::next(Lock&) {
    for (auto* queue : {&wanted_, &expected_}) {
        while (!queue->empty()) {
            auto key = std::move(queue->front());
            queue->pop_front();
            const auto found = pieces_.find(key);
            if (found != pieces_.end() && found->second.state == Piece::State::queued) return key;
        }
    }
    return {};
}

void Feed::work(const std::stop_token& stop) {
    HttpClient client(stop);
    Lock lock(mutex_);
    while (!stop.stop_requested()) {
        const auto key = next(lock);
        if (key.empty()) {
            idle_++;
            work_there_.wait(lock, stop, [this] { return !wanted_.empty() || !expected_.empty(); });
            idle_--;
            continue;
        }
        Piece& piece = pieces_.at(key);
        piece.state = Piece::State::running;
        const auto fetch = std::move(piece.fetch);
        lock.unlock();
        auto fetched = fetch(client);
        lock.lock();
        finish(key, std::move(fetched), lock);
    }
}

void Feed::finish(const std::string& key, Result<Bytes> fetched, Lock& lock) {
    Piece& piece = pieces_.at(key);
    const bool wanted = piece.wanted;
    if (fetched.ok()) {
        piece.state = Piece::State::there;
        held_ += fetched->size();
        piece.bytes = std::make_shared<const Bytes>(std::move(*fetched));
        piece.recent = recent_.insert(recent_.begin(), key);
        make_room(lock);
    } else if (wanted) {
        piece.state = Piece::State::failed;
        piece.problem = fetched.error().message;
        complain(piece.problem);
    } else {
        pieces_.erase(key);  // whoever wants it shall find out
    }
    if (!wanted) return;
    changed_.notify_all();
    const u64 one = 1;
    if (wake_ && ::write(wake_.number(), &one, sizeof one) != sizeof one)
        complain("cannot tell the machine that bytes have arrived");
}

void Feed::make_room(Lock&) {
    while (held_ > most_bytes && recent_.size() > 1) {
        const auto found = pieces_.find(recent_.back());
        held_ -= found->second.bytes->size();
        pieces_.erase(found);
        recent_.pop_back();
    }
}

void Feed::complain(const std::string& problem) {
    if (log_ == nullptr || complaints_ > Log::guest_line_limit) return;
    if (complaints_++ == Log::guest_line_limit)
        log_->write(LogLevel::error, "disk", "further messages about what cannot be fetched are suppressed");
    else
        log_->write(LogLevel::error, "disk", fmt::format("{}; the guest gets an I/O error", problem));
}

}  // namespace viv::native
