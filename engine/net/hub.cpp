// Ports, and which station is behind which. See hub.h.
#include "engine/net/hub.h"

#include <algorithm>
#include <deque>
#include <map>

#include "engine/net/frame_queue.h"
#include "engine/net/inspect.h"

namespace viv::net {

// What ports share. A port is known by its number, which is never used again.
class Hub::Switch {
public:
    class Outlet {
    public:
        virtual ~Outlet() = default;
        virtual void give(std::span<const u8> frame) = 0;
    };

    void own(std::unique_ptr<Outlet> outlet) { owned_.push_back(std::move(outlet)); }
    u64 add(Outlet& outlet) {
        outlets_.emplace(++last_, &outlet);
        return last_;
    }
    void remove(u64 port) {
        outlets_.erase(port);
        std::erase_if(stations_, [port](const auto& station) { return station.second == port; });
    }
    // An outlet may send from within give(): its frame waits until this one has gone everywhere.
    void forward(u64 from, std::span<const u8> frame) {
        if (!good_size(frame.size())) return;
        if (forwarding_) {
            if (waiting_.size() < FrameQueue::most_frames) waiting_.push_back({from, {frame.begin(), frame.end()}});
            return;
        }
        forwarding_ = true;
        distribute(from, frame);
        // Answers to answers are left for the next occasion, so that two cards cannot hold the machine.
        for (usize left = waiting_.size(); left != 0 && !waiting_.empty(); left--) {
            const auto next = std::move(waiting_.front());
            waiting_.pop_front();
            distribute(next.from, next.bytes);
        }
        forwarding_ = false;
    }

private:
    struct Waiting {
        u64 from;
        std::vector<u8> bytes;
    };

    void distribute(u64 from, std::span<const u8> frame) {
        // A copy, since a guest's frame may change while it is being looked at.
        frame_.assign(frame.begin(), frame.end());
        const auto source = source_of(frame_), destination = destination_of(frame_);
        if (!is_group(source)) learn(source, from);
        const auto station = is_group(destination) ? stations_.end() : stations_.find(destination);
        if (station != stations_.end()) {
            const auto outlet = outlets_.find(station->second);
            if (station->second != from && outlet != outlets_.end()) outlet->second->give(frame_);
            return;
        }
        for (const auto& [port, outlet] : outlets_)
            if (port != from) outlet->give(frame_);
    }
    void learn(const MacAddress& address, u64 port) {
        const auto known = stations_.find(address);
        if (known != stations_.end())
            known->second = port;
        else if (stations_.size() < most_stations)
            stations_.emplace(address, port);
    }

    std::map<u64, Outlet*> outlets_;
    std::map<MacAddress, u64> stations_;
    std::deque<Waiting> waiting_;
    std::vector<u8> frame_;
    u64 last_ = 0;
    bool forwarding_ = false;
    std::vector<std::unique_ptr<Outlet>> owned_;  // the last member: outlets take themselves out of the above
};

// Where a card is plugged in.
class Hub::Port final : public NetBackend, public Switch::Outlet {
public:
    explicit Port(std::shared_ptr<Switch> shared) : switch_(std::move(shared)), number_(switch_->add(*this)) {}
    ~Port() override { switch_->remove(number_); }
    void attach(NetDevice* device) override { queue_.attach(device); }
    void send(std::span<const u8> frame) override { switch_->forward(number_, frame); }
    void receive_ready() override { queue_.deliver(); }
    void give(std::span<const u8> frame) override { queue_.put(frame); }

private:
    std::shared_ptr<Switch> switch_;
    FrameQueue queue_;
    u64 number_;
};

// Plays the card of a back end.
class Hub::BackEndPort final : public NetDevice, public Switch::Outlet {
public:
    BackEndPort(Switch& owner, std::unique_ptr<NetBackend> back_end)
        : switch_(owner), number_(switch_.add(*this)), back_end_(std::move(back_end)) {
        back_end_->connect(this);
    }
    ~BackEndPort() override {
        switch_.remove(number_);
        back_end_->connect(nullptr);
    }
    bool receive(std::span<const u8> frame) override {
        switch_.forward(number_, frame);
        return true;
    }
    void give(std::span<const u8> frame) override { back_end_->send(frame); }

private:
    Switch& switch_;
    u64 number_;
    std::unique_ptr<NetBackend> back_end_;
};

Hub::Hub() : switch_(std::make_shared<Switch>()) {}
Hub::~Hub() = default;

std::unique_ptr<NetBackend> Hub::make_port() { return std::make_unique<Port>(switch_); }
void Hub::plug(std::unique_ptr<NetBackend> back_end) {
    switch_->own(std::make_unique<BackEndPort>(*switch_, std::move(back_end)));
}

}  // namespace viv::net
