// See far.h.
#include "engine/block/far.h"

#include <algorithm>
#include <list>
#include <optional>

#include "engine/block/image.h"

namespace viv::block {

namespace {

constexpr u64 part_size = 256 << 10;  // bytes that must be at hand together

class FarDisk final : public Disk {
public:
    FarDisk(std::unique_ptr<Disk> near, std::shared_ptr<Far> far) : near_(std::move(near)), far_(std::move(far)) {
        far_->on_arrival([this] { go_on(); });
    }
    ~FarDisk() override {
        far_->on_arrival(nullptr);
        abandon();
        complete_left();
    }

    u64 size() const override { return near_->size(); }
    bool read_only() const override { return near_->read_only(); }
    std::string_view file_name() const override { return near_->file_name(); }
    std::string_view format() const override { return near_->format(); }

    void submit(Request request) override {
        std::list<Waiting> one;
        one.push_back({std::move(request)});
        try_once(one, waiting_);
    }

    // Completions are not called here: whoever resets the device may not expect them yet.
    void abandon() override {
        left_.splice(left_.end(), waiting_);
        left_.splice(left_.end(), tried_);
        for (Waiting& each : left_) each.request.segments.clear();
    }

    Result<std::vector<DiskSnapshot>> snapshots() override { return near_->snapshots(); }
    Result<void> create_snapshot(const std::string& name, const SnapshotTime& time) override {
        return near_->create_snapshot(name, time);
    }
    Result<void> apply_snapshot(const std::string& name) override { return near_->apply_snapshot(name); }
    Result<void> delete_snapshot(const std::string& name) override { return near_->delete_snapshot(name); }
    Result<void> put_over(std::unique_ptr<Image> overlay) override { return near_->put_over(std::move(overlay)); }

private:
    struct Waiting {
        Request request;
        u64 done = 0;       // bytes, from its start
        usize segment = 0;  // where the next byte is
        usize in_segment = 0;
    };

    void go_on() {
        complete_left();
        while (!waiting_.empty()) {
            std::list<Waiting> one;
            one.splice(one.begin(), waiting_, waiting_.begin());
            try_once(one, tried_);
        }
        waiting_.swap(tried_);
        far_->forget_failures();
    }

    // Completes the one, or puts it behind those that wait. What it completes may submit others.
    void try_once(std::list<Waiting>& one, std::list<Waiting>& others) {
        const auto status = carry_out(one.front());
        if (!status) return others.splice(others.end(), one);
        if (one.front().request.done) one.front().request.done(*status);
    }

    void complete_left() {
        for (; !left_.empty(); left_.pop_front())
            if (left_.front().request.done) left_.front().request.done(Status::io_error);
    }

    // Nothing: bytes are missing.
    std::optional<Status> carry_out(Waiting& waiting) {
        const auto operation = waiting.request.operation;
        const bool in_parts = operation == Operation::read || operation == Operation::write;
        do {
            Request part;
            part.operation = operation;
            part.offset = waiting.request.offset + waiting.done;
            part.length = waiting.request.length;
            Waiting after;
            if (in_parts && waiting.request.length > part_size) {
                after = cut(waiting, part);
            } else {
                part.segments = waiting.request.segments;
                after.done = waiting.request.length;
            }
            const auto status = run(std::move(part));
            if (status != Status::ok) return status;
            waiting.done = after.done;
            waiting.segment = after.segment;
            waiting.in_segment = after.in_segment;
        } while (waiting.done < waiting.request.length);
        return Status::ok;
    }

    std::optional<Status> run(Request part) {
        Status status = Status::io_error;
        part.done = [&status](Status ended) { status = ended; };
        far_->set_patience(Far::Patience::fails);
        near_->submit(std::move(part));
        far_->set_patience(Far::Patience::waits);
        if (far_->take_missed() && status != Status::ok) return std::nullopt;
        return status;
    }

    // The next part, and where the one after it begins.
    static Waiting cut(const Waiting& waiting, Request& part) {
        Waiting after;
        after.segment = waiting.segment;
        after.in_segment = waiting.in_segment;
        part.length = std::min(part_size, waiting.request.length - waiting.done);
        after.done = waiting.done + part.length;
        const auto& segments = waiting.request.segments;
        for (u64 left = part.length; left != 0 && after.segment < segments.size();) {
            const auto rest = segments[after.segment].subspan(after.in_segment);
            const usize length = static_cast<usize>(std::min<u64>(left, rest.size()));
            part.segments.push_back(rest.first(length));
            left -= length;
            after.in_segment += length;
            if (after.in_segment < segments[after.segment].size()) break;
            after.segment++;
            after.in_segment = 0;
        }
        return after;
    }

    std::unique_ptr<Disk> near_;
    std::shared_ptr<Far> far_;
    std::list<Waiting> waiting_;  // in the order in which they came
    std::list<Waiting> tried_;    // those of waiting_ that still wait, while the others are tried
    std::list<Waiting> left_;     // abandoned, and not completed yet
};

}  // namespace

std::unique_ptr<Disk> make_far_disk(std::unique_ptr<Disk> near, std::shared_ptr<Far> far) {
    return std::make_unique<FarDisk>(std::move(near), std::move(far));
}

}  // namespace viv::block
