// virtio-blk: a disk with one or more request queues. OASIS virtio 1.2, section 5.2.
// Promises: many requests in flight, completed as the disk completes them; a completion that comes after a reset
// touches nothing; a request outside the disk, unaligned, too long (over 64 MiB) or of an unknown kind fails with a
// status byte and no other effect. Without a negotiated write cache each write is followed by a flush.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "engine/block/block.h"
#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Block final : public Function {
public:
    struct Options {
        std::string serial;      // at most 20 bytes are shown
        bool read_only = false;  // a read-only disk is read-only in any case
        u16 queues = 1;          // 1 to most_queues
        u16 queue_size = 256;    // 4 to Queue::largest, a power of two
    };

    Block(const Wiring& wiring, std::unique_ptr<block::Disk> disk, const Options& options);
    ~Block() override;

    static constexpr usize serial_size = 20;

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void config_written(u32 offset, std::span<const u8> bytes) override;
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;
    void drop_chains() override;

private:
    enum class Answer : u8 { ok = 0, io_error = 1, unsupported = 2 };
    struct Pending {
        usize slot = 0;  // in pending_
        u64 ticket = 0;  // 0: free
        u16 queue = 0;
        bool flush_after = false;
        Chain chain;
    };
    u64 start(Pending& pending);
    u64 transfer(Pending& pending, ChainReader& reader, block::Operation operation, u64 sector);
    void clear_range(Pending& pending, ChainReader& reader, block::Operation operation);
    void give_serial(Pending& pending);
    void submit(Pending& pending, block::Operation operation, u64 offset, u64 length,
                std::vector<std::span<u8>> segments = {});
    void completed(usize slot, u64 ticket, block::Status status);
    void answer(Pending& pending, Answer answer);
    bool inside(u64 sector, u64 bytes) const;
    bool cached() const;
    Pending& free_slot();
    void show_cache_mode();

    static constexpr usize config_size = 60;
    Options options_;
    std::array<u8, config_size> config_{};
    std::vector<std::unique_ptr<Pending>> pending_;
    u64 next_ticket_ = 1;
    bool writeback_ = true;              // the one piece of state: the driver's choice with CONFIG_WCE
    std::unique_ptr<block::Disk> disk_;  // last, so that it goes first: it may hold completions
};

}  // namespace viv::virtio
