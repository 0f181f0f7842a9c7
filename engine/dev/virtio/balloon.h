// virtio-balloon: takes pages from the guest and gives them back to the host, with memory statistics and free page
// reporting. OASIS virtio 1.2, section 5.5, and the reporting queue of Linux. Promises: only whole pages of RAM are
// discarded, and they read as zero afterwards; a page that the guest names but does not have is ignored.
#pragma once

#include <array>
#include <optional>

#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Balloon final : public Function {
public:
    struct Options {
        bool deflate_on_oom = false;      // the guest may take pages back when it runs out
        bool free_page_reporting = true;  // the guest tells of pages it does not use
    };
    static constexpr usize statistic_count = 16;  // tags that are kept, as numbered by the specification (5.5.6.3)

    Balloon(const Wiring& wiring, const Options& options);

    // The host's side. Pages of 4 KiB.
    void set_target(u32 pages);  // what the guest should give up in all
    u32 target() const { return target_; }
    u32 actual() const { return actual_; }  // what it says it has given up
    // The guest's latest figure for a tag, or nothing.
    std::optional<u64> statistic(usize tag) const;
    // Asks the guest for fresh ones; they arrive while it runs. False if it has not offered any.
    bool request_statistics();

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void config_written(u32 offset, std::span<const u8> bytes) override;
    void drop_chains() override { holding_ = false; }
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;

private:
    void take_pages(u16 queue);
    void inflate(const Chain& chain);
    void take_statistics();
    void take_reports();
    void discard(u64 address, u64 size);
    void show();

    static constexpr usize config_size = 8;
    std::array<u8, config_size> config_{};
    u32 target_ = 0, actual_ = 0;
    std::array<u64, statistic_count> statistics_{};
    u32 known_statistics_ = 0;  // bit by tag
    bool holding_ = false;      // the statistics buffer waits here until the host asks
    Chain statistics_chain_;
};

}  // namespace viv::virtio
