// A cable that is as long, as slow and as bad as one wishes: what passes between a back end and its card comes late,
// one frame behind the other, or not at all. Promises: order is kept; what is under way is bounded (`queue`, and
// `most_frames`); both directions are alike and do not know of each other; the same frames at the same moments with the
// same seed have the same fate.
#pragma once

#include <memory>

#include "engine/net/net.h"
#include "engine/time/timers.h"

namespace viv::net {

struct LinkQuality {
    u64 latency_ns = 0;          // at most most_latency_ns
    u64 jitter_ns = 0;           // up to so much more, at random; no frame overtakes another
    u32 loss = 0;                // of a million frames
    u64 rate = 0;                // bits a second; 0: no limit
    u64 queue = u64{256} << 10;  // bytes that wait for their turn because of the rate; what finds no room is dropped

    bool operator==(const LinkQuality&) const = default;
};

class Link final : public NetBackend, private NetDevice {
public:
    static constexpr usize most_frames = 65'536;  // under way, each direction
    static constexpr u64 most_latency_ns = 60'000'000'000;
    static constexpr u32 all_lost = 1'000'000;

    // `far` is the back end at the other end; `timers` outlive the link.
    Link(Timers& timers, std::unique_ptr<NetBackend> far, const LinkQuality& quality, u64 seed);
    ~Link() override;

    // From now on; what is under way arrives as it would have.
    void set_quality(const LinkQuality& quality) { quality_ = quality; }
    const LinkQuality& quality() const { return quality_; }
    // Down: nothing gets in.
    void set_up(bool up) { up_ = up; }
    bool up() const { return up_; }

    struct Counts {
        u64 frames = 0, bytes = 0;  // that arrived
        u64 lost = 0, dropped = 0;  // by the link's quality; because the queue was full, or the link down
    };
    const Counts& to_far() const;
    const Counts& to_near() const;

    void send(std::span<const u8> frame) override;
    void receive_ready() override;

protected:
    void attach(NetDevice* device) override;

private:
    class Direction;
    bool receive(std::span<const u8> frame) override;

    LinkQuality quality_;
    bool up_ = true;
    std::unique_ptr<Direction> to_far_, to_near_;
    std::unique_ptr<NetBackend> far_;
};

}  // namespace viv::net
