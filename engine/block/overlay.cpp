// What is written hides the disk below, by sectors. See overlay.h.
#include "engine/block/overlay.h"

#include <algorithm>
#include <cstring>

namespace viv::block {

namespace {

using Cluster = OverlayCluster;
constexpr u64 sector_size = Cluster::sector_size, cluster_size = Cluster::size;

// Walks through the segments of a request as one string of bytes.
class Segments {
public:
    explicit Segments(const std::vector<std::span<u8>>& segments) : segments_(segments) {}

    // Calls `use(part)` for pieces that make up the next `length` bytes; the request's length has been checked
    // against the segments.
    template <class Use>
    void next(u64 length, Use&& use) {
        while (length != 0) {
            const auto left = segments_[index_].subspan(offset_);
            const auto part = left.first(std::min<u64>(length, left.size()));
            if (!part.empty()) use(part);
            length -= part.size();
            offset_ += part.size();
            if (offset_ == segments_[index_].size()) {
                index_++;
                offset_ = 0;
            }
        }
    }

private:
    const std::vector<std::span<u8>>& segments_;
    usize index_ = 0;
    usize offset_ = 0;
};

// One guest request that waits for reads below; done when the last of them is.
struct Pending {
    std::function<void(Status)> done;
    Status status = Status::ok;
    usize outstanding = 1;  // the request itself, until all of its reads are submitted

    void finish(Status part) {
        if (part != Status::ok) status = part;
        if (--outstanding == 0 && done) done(status);
    }
};

class Overlay final : public TemporaryOverlay {
public:
    explicit Overlay(std::unique_ptr<Disk> below) : below_(std::move(below)) {}

    u64 size() const override { return below_->size(); }
    bool read_only() const override { return false; }
    std::string_view file_name() const override { return below_->file_name(); }
    std::string_view format() const override { return below_->format(); }
    void abandon() override { below_->abandon(); }
    TemporaryOverlay* temporary() override { return this; }
    OverlayContent content() const override { return clusters_; }
    void replace(OverlayContent content) override { clusters_ = std::move(content); }

    void submit(Request request) override {
        if (request.operation == Operation::read && valid(request)) return read(request);
        const Status status = carry_out(request);
        if (request.done) request.done(status);
    }

private:
    bool valid(const Request& request) const {
        if (!range_fits(request.offset, request.length, size()) || request.offset % sector_size != 0 ||
            request.length % sector_size != 0)
            return false;
        if (request.operation != Operation::read && request.operation != Operation::write) return true;
        u64 total = 0;
        for (const auto& segment : request.segments) total += segment.size();
        return total == request.length;
    }

    Status carry_out(const Request& request) {
        if (request.operation == Operation::flush) return Status::ok;
        if (!valid(request)) return Status::io_error;
        switch (request.operation) {
            case Operation::write: write(request); break;
            case Operation::write_zeroes: zero(request.offset, request.length); break;
            case Operation::discard: discard(request.offset, request.length); break;
            default: return Status::unsupported;
        }
        return Status::ok;
    }

    // Calls `use(cluster number, offset inside it, length)` for the parts of a range that lie in one cluster each.
    template <class Use>
    static void for_each_cluster(u64 offset, u64 length, Use&& use) {
        while (length != 0) {
            const u64 inside = offset % cluster_size;
            const u64 part = std::min(length, cluster_size - inside);
            use(offset / cluster_size, inside, part);
            offset += part;
            length -= part;
        }
    }

    void write(const Request& request) {
        Segments segments(request.segments);
        for_each_cluster(request.offset, request.length, [&](u64 number, u64 inside, u64 length) {
            Cluster& cluster = clusters_[number];
            u8* to = writable(cluster) + inside;
            segments.next(length, [&](std::span<u8> part) {
                std::memcpy(to, part.data(), part.size());
                to += part.size();
            });
            own(cluster, inside, length);
        });
    }

    void zero(u64 offset, u64 length) {
        for_each_cluster(offset, length, [&](u64 number, u64 inside, u64 part) {
            Cluster& cluster = clusters_[number];
            if (part == cluster_size)
                cluster.bytes.reset();
            else if (cluster.bytes)
                std::memset(writable(cluster) + inside, 0, part);
            own(cluster, inside, part);
        });
    }

    // Sectors of our own become zero and give their memory back; others keep what is below, as a discard may.
    void discard(u64 offset, u64 length) {
        const u64 last = (offset + length + cluster_size - 1) / cluster_size;
        for (auto at = clusters_.lower_bound(offset / cluster_size); at != clusters_.end() && at->first < last; ++at) {
            const u64 start = std::max(offset, at->first * cluster_size);
            const u64 end = std::min(offset + length, (at->first + 1) * cluster_size);
            if (end - start == cluster_size)
                at->second.bytes.reset();
            else if (at->second.bytes)
                std::memset(writable(at->second) + start % cluster_size, 0, end - start);
        }
    }

    // Never bytes that somebody else holds (content()).
    static u8* writable(Cluster& cluster) {
        if (!cluster.bytes)
            cluster.bytes = std::make_shared<std::array<u8, cluster_size>>();
        else if (cluster.bytes.use_count() > 1)
            cluster.bytes = std::make_shared<std::array<u8, cluster_size>>(*cluster.bytes);
        return cluster.bytes->data();
    }

    static void own(Cluster& cluster, u64 inside, u64 length) {
        for (u64 sector = inside / sector_size; sector < (inside + length) / sector_size; sector++)
            cluster.own.set(sector);
    }

    // Own sectors are copied at once; the runs between them are read from below into the guest's own buffers.
    void read(Request& request) {
        const auto pending = std::make_shared<Pending>();
        pending->done = std::move(request.done);
        Segments segments(request.segments);
        Request missing;
        const auto submit_missing = [&] {
            if (missing.length == 0) return;
            pending->outstanding++;
            missing.operation = Operation::read;
            missing.done = [pending](Status status) { pending->finish(status); };
            below_->submit(std::exchange(missing, Request{}));
        };
        for_each_cluster(request.offset, request.length, [&](u64 number, u64 inside, u64 length) {
            const auto found = clusters_.find(number);
            const u64 first = inside / sector_size, end = (inside + length) / sector_size;
            for (u64 sector = first; sector < end;) {
                const bool ours = found != clusters_.end() && found->second.own[sector];
                u64 run_end = sector + 1;
                while (run_end < end && (found != clusters_.end() && found->second.own[run_end]) == ours) run_end++;
                const u64 run = (run_end - sector) * sector_size;
                if (ours) {
                    submit_missing();
                    const auto* data = found->second.bytes.get();
                    const u8* from = data != nullptr ? data->data() + sector * sector_size : nullptr;
                    segments.next(run, [&](std::span<u8> part) {
                        if (from == nullptr) return void(std::memset(part.data(), 0, part.size()));
                        std::memcpy(part.data(), from, part.size());
                        from += part.size();
                    });
                } else {
                    if (missing.length == 0) missing.offset = number * cluster_size + sector * sector_size;
                    missing.length += run;
                    segments.next(run, [&](std::span<u8> part) { missing.segments.push_back(part); });
                }
                sector = run_end;
            }
        });
        submit_missing();
        pending->finish(Status::ok);
    }

    std::unique_ptr<Disk> below_;
    OverlayContent clusters_;
};

}  // namespace

std::unique_ptr<TemporaryOverlay> make_temporary_overlay(std::unique_ptr<Disk> below) {
    return std::make_unique<Overlay>(std::move(below));
}

}  // namespace viv::block
