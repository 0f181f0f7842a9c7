// virtio-scsi: a host adapter with one or more request queues, and the units of scsi/bus.h behind it. OASIS virtio 1.2,
// section 5.6. Promises: many commands in flight, answered as the units carry them out; a task management function is
// answered once the tasks it ends are, and sees every command that was in a queue before it; nothing is touched for a
// command from before a reset. Not offered: commands with data both ways, plugging while the machine runs, protection
// information. Tasks begin in the order in which they come, whatever their attribute.
#pragma once

#include <memory>
#include <vector>

#include "engine/dev/scsi/bus.h"
#include "engine/dev/virtio/virtio.h"

namespace viv::virtio {

class Scsi final : public Function {
public:
    struct Options {
        u16 queues = 1;        // for requests, 1 to most_queues - 2
        u16 queue_size = 256;  // 4 to Queue::largest, a power of two
    };

    Scsi(const Wiring& wiring, const Options& options);
    ~Scsi() override;

    scsi::Bus* scsi_bus() override { return &bus_; }

protected:
    void notify(u16 queue) override;
    std::span<const u8> config() const override { return config_; }
    void config_written(u32 offset, std::span<const u8> bytes) override;
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override { show_sizes(); }
    void drop_chains() override;

private:
    enum class Response : u8 {
        ok = 0,
        overrun = 1,
        aborted = 2,
        bad_target = 3,
        reset = 4,
        failure = 9,
        function_succeeded = 10,
        function_rejected = 11,
        incorrect_lun = 12,
    };
    struct Pending {
        usize slot = 0;  // in pending_
        u64 ticket = 0;  // 0: free
        u64 task = 0;    // the unit's number of it
        u64 id = 0;      // the driver's
        scsi::Place place;
        u16 queue = 0;
        Response ended_by = Response::aborted;  // what an aborted task is answered with
        u64 room_in = 0, room_out = 0;          // bytes
        Chain chain;
    };
    // A task management function that waits for tasks to end.
    struct Management {
        Chain chain;
        std::vector<u64> tickets;
    };

    bool take_requests(u16 queue);
    bool take_all_requests();
    u64 start(Pending& pending);
    void completed(usize slot, u64 ticket, const scsi::Answer& answer);
    void answer(Pending& pending, Response response, const scsi::Answer& answer);
    void answer_control(const Chain& chain, std::span<const u8> bytes);
    void control(const Chain& chain);
    void manage(const Chain& chain, u32 function, const std::array<u8, 8>& lun, u64 id);
    void end_tasks(Response how, scsi::Place place, bool whole_target, const u64* id, Management& management);
    bool queried(scsi::Place place, const u64* id) const;
    void tell_managements(u64 ticket);
    Pending& free_slot();
    void show_sizes();

    static constexpr usize config_size = 36;
    std::array<u8, config_size> config_{};
    u32 sense_size_ = 0, cdb_size_ = 0;
    std::vector<std::unique_ptr<Pending>> pending_;
    std::vector<Management> managements_;
    u64 next_ticket_ = 1;
    scsi::Bus bus_;  // last: its disks may hold completions
};

}  // namespace viv::virtio
