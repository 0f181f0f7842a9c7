// A disk in memory that keeps requests for later when it is told to: for targets whose device has tasks under way.
// Promises: a request outside the disk, or whose segments are not what its length says, ends the run as a finding.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "engine/block/block.h"

namespace viv::fuzz {

class LateDisk final : public block::Disk {
public:
    // `late` outlives the disk, and may change at any time.
    explicit LateDisk(const bool& late) : late_(late) {}
    u64 size() const override { return bytes_.size(); }
    bool read_only() const override { return false; }
    void submit(block::Request request) override {
        if (late_) return waiting_.push_back(std::move(request));
        carry_out(request);
    }
    void abandon() override { waiting_.clear(); }
    void complete() {
        for (auto& request : std::exchange(waiting_, {})) carry_out(request);
    }

private:
    void carry_out(block::Request& request) {
        if (!range_fits(request.offset, request.length, bytes_.size())) std::abort();
        u8* at = bytes_.data() + request.offset;
        u64 moved = 0;
        for (auto& segment : request.segments) {
            if ((moved += segment.size()) > request.length) std::abort();
            if (request.operation == block::Operation::read)
                std::copy_n(at, segment.size(), segment.data());
            else
                std::copy_n(segment.data(), segment.size(), at);
            at += segment.size();
        }
        if (!request.segments.empty() && moved != request.length) std::abort();
        request.done(block::Status::ok);
    }
    const bool& late_;
    std::vector<u8> bytes_ = std::vector<u8>(256 << 10);
    std::vector<block::Request> waiting_;
};

}  // namespace viv::fuzz
