// Frames under way, each with the moment of its arrival. See link.h.
#include "engine/net/link.h"

#include <deque>
#include <functional>
#include <vector>

namespace viv::net {

class Link::Direction {
public:
    using Arrived = std::function<void(std::span<const u8>)>;
    Direction(Timers& timers, u64 seed, Arrived arrived)
        : timers_(timers), random_(seed), arrived_(std::move(arrived)), timer_(timers, [this] { deliver(); }) {}

    void put(std::span<const u8> frame, const LinkQuality& quality, bool up) {
        if (!good_size(frame.size())) return;
        const u64 now = timers_.now_ns();
        if (free_at_ns_ < now) free_at_ns_ = now;
        const u64 backlog = quality.rate == 0 ? 0 : bytes_in(free_at_ns_ - now, quality.rate);
        // Somebody has the line already whose frame is longer than the queue: one that waits for nobody always fits.
        const bool fits = backlog == 0 || backlog + frame.size() <= quality.queue;
        if (!up || !fits || under_way_.size() >= most_frames) {
            counts_.dropped++;
            return;
        }
        if (quality.rate != 0) free_at_ns_ += nanoseconds_of(frame.size(), quality.rate);
        // Lost frames have taken their time on the line.
        if (next_random() % all_lost < quality.loss) {
            counts_.lost++;
            return;
        }
        u64 arrival = free_at_ns_ + quality.latency_ns;
        if (quality.jitter_ns != 0) arrival += next_random() % (quality.jitter_ns + 1);
        if (arrival < last_arrival_ns_) arrival = last_arrival_ns_;
        last_arrival_ns_ = arrival;
        if (arrival <= now && under_way_.empty()) return arrive(frame);
        under_way_.push_back({arrival, {frame.begin(), frame.end()}});
        if (under_way_.size() == 1) timer_.arm(arrival);
    }
    const Counts& counts() const { return counts_; }

private:
    struct Frame {
        u64 arrival_ns;
        std::vector<u8> bytes;
    };

    static u64 nanoseconds_of(u64 bytes, u64 rate) {
        return static_cast<u64>(static_cast<u128>(bytes) * 8 * 1'000'000'000 / rate);
    }
    static u64 bytes_in(u64 nanoseconds, u64 rate) {
        return static_cast<u64>(static_cast<u128>(nanoseconds) * rate / 8 / 1'000'000'000);
    }
    // splitmix64
    u64 next_random() {
        u64 z = random_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }

    void deliver() {
        const u64 now = timers_.now_ns();
        // Answers come back through put(), which must find the queue as it is.
        while (!under_way_.empty() && under_way_.front().arrival_ns <= now) {
            const auto frame = std::move(under_way_.front());
            under_way_.pop_front();
            arrive(frame.bytes);
        }
        timer_.arm(under_way_.empty() ? Timers::never : under_way_.front().arrival_ns);
    }
    void arrive(std::span<const u8> frame) {
        counts_.frames++;
        counts_.bytes += frame.size();
        arrived_(frame);
    }

    Timers& timers_;
    u64 random_;
    Arrived arrived_;
    std::deque<Frame> under_way_;
    u64 free_at_ns_ = 0;  // the line, of what was put on it
    u64 last_arrival_ns_ = 0;
    Counts counts_;
    Timer timer_;
};

Link::Link(Timers& timers, std::unique_ptr<NetBackend> far, const LinkQuality& quality, u64 seed)
    : quality_(quality), far_(std::move(far)) {
    to_far_ = std::make_unique<Direction>(timers, seed, [this](std::span<const u8> frame) { far_->send(frame); });
    to_near_ = std::make_unique<Direction>(timers, ~seed, [this](std::span<const u8> frame) {
        if (device() != nullptr) device()->receive(frame);
    });
    far_->connect(this);
}

Link::~Link() { far_->connect(nullptr); }

const Link::Counts& Link::to_far() const { return to_far_->counts(); }
const Link::Counts& Link::to_near() const { return to_near_->counts(); }

void Link::attach(NetDevice*) {}
void Link::send(std::span<const u8> frame) { to_far_->put(frame, quality_, up_); }
bool Link::receive(std::span<const u8> frame) {
    to_near_->put(frame, quality_, up_);
    return true;
}

// A card that had no buffer has missed its frame, as at the end of a cable.
void Link::receive_ready() {}

}  // namespace viv::net
