// A region that is asked for: built and compiled from a copy of its page, on the vCPU's thread or beside it.
// Promises: work() reads and writes nothing but the job, its builder and what is constant of guest and backend; what
// the guest writes to the page meanwhile is noted by the vCPU, which then knows whether the result is of use.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <span>

#include "engine/jit/compile_queue.h"
#include "engine/jit/region.h"

namespace viv::jit {

class RegionJob final : public CompileQueue::Job {
public:
    struct Request {
        u64 physical_page = 0, virtual_page = 0, mode = 0, pc = 0;
        SeenCode seen;
        RegionLimits limits;
        u32 number = 0;  // of the translation to be
        u32 heat = 0;    // the counter that asked for it
    };

    // Jobs of one builder are not worked on at the same time.
    RegionJob(RegionBuilder& builder, const Backend& backend, const Request& wanted, std::span<const u8> page)
        : request(wanted), builder_(builder), backend_(backend) {
        std::copy_n(page.begin(), page_size, page_.begin());
    }

    void work() override {
        region = builder_.build(page_, request.physical_page, request.virtual_page, request.mode, request.pc,
                                request.seen, request.limits);
        made = !region.blocks.empty() && backend_.compile(region, exit_word::make(request.number, 0), compiled);
    }

    // For the vCPU's thread: these bytes of the page have changed.
    void note_written(u64 offset, u64 size) {
        for (u64 at = offset / granule; at <= (offset + size - 1) / granule; at++) written_.set(at);
    }
    // After work(): whether what the region was made from has changed.
    bool outdated() const {
        return written_.any() && std::any_of(region.blocks.begin(), region.blocks.end(), [&](const ir::Block& block) {
                   const u64 first = block.pc & page_mask;
                   for (u64 at = first / granule; at <= (first + block.size - 1) / granule; at++)
                       if (written_[at]) return true;
                   return false;
               });
    }

    const Request request;
    bool abandoned = false;  // for the vCPU's thread: nobody waits for it any more, nor for its number

    // By work().
    Region region;
    Compiled compiled;
    bool made = false;

private:
    static constexpr u64 granule = 64;  // bytes

    RegionBuilder& builder_;
    const Backend& backend_;
    std::array<u8, page_size> page_;
    std::bitset<page_size / granule> written_;
};

}  // namespace viv::jit
