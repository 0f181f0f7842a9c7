// An NVM Express controller with one namespace of 512-byte blocks: a PCI function of class 0x0108. NVM Express base
// specification 1.4. Promises: up to 16 pairs of queues of 1024 entries; data by PRP entries and lists, every address
// checked before it is used; what a driver does wrong has a status, or a fatal one where there is no queue to tell it
// by; a long run of commands gives the machine time in between. A command that was under way when a machine was saved
// is carried out again when it is restored. Interrupts are INTA#. Not there: SGLs, formatting, namespace management,
// metadata, firmware updates, pages of other than 4 KiB.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/dev/cards.h"
#include "engine/dev/pci/function.h"

namespace viv {

class Nvme final : public pci::Function {
public:
    static constexpr unsigned memory_bar = 0;
    static constexpr u64 memory_size = 16 << 10;
    static constexpr u16 most_queues = 16;  // pairs, and the admin queues
    static constexpr u16 most_entries = 1024;
    static constexpr u64 page_size = 4096, block_size = 512;
    static constexpr u64 longest_transfer = u64{128} * page_size;
    static constexpr usize most_in_flight = 1024;
    static constexpr usize longest_serial = 20;

    using Wiring = CardWiring;

    Nvme(const Wiring& wiring, std::unique_ptr<block::Disk> disk, std::string serial);
    ~Nvme() override;

    // From a DeviceSpec, whose disk is taken if the properties are good; errors name the property.
    static Result<std::unique_ptr<pci::Function>> create(DeviceSpec& spec, const Wiring& wiring);

    std::string_view kind() const override { return "nvme"; }

protected:
    void device_reset() override;
    void device_state(Archive& a) override;
    void device_restored() override;
    void config_written(u16 offset, unsigned size) override;

private:
    struct Window final : Mmio {
        explicit Window(Nvme& device) : nvme(device) {}
        u64 read(u64 offset, unsigned size) override;
        void write(u64 offset, unsigned size, u64 value) override;
        Nvme& nvme;
    };
    using Status = u16;  // code, type at bit 8
    struct Submission {
        bool exists = false, ending = false;
        u64 base = 0;
        u16 entries = 0, head = 0, tail = 0, completion = 0;
        void state(Archive& a);
    };
    struct Completion {
        bool exists = false, interrupts = false, phase = true;
        u64 base = 0;
        u16 entries = 0, head = 0, tail = 0;
        void state(Archive& a);
    };
    struct Step {
        block::Operation operation = block::Operation::flush;
        u64 offset = 0, length = 0;
        std::vector<std::span<u8>> segments = {};
    };
    // A command from its fetching until its completion is in the queue.
    struct Entry {
        std::array<u8, 64> bytes{};
        u16 queue = 0, completion = 0;
        bool finished = false;  // only its completion has no room yet
        Status status = 0;
        u32 result = 0;
        void state(Archive& a);
    };
    struct Command : Entry {
        u64 number = 0;  // 0: free
        std::vector<Step> steps;
        usize next = 0;
        bool waiting = false, running = false, compares = false;
        block::Status last = block::Status::ok;
        std::vector<u8> buffer;
        struct Piece {
            u64 address;
            std::span<u8> bytes;
        };
        std::vector<Piece> data;
        u32 word(unsigned index) const;
        u64 address(unsigned index) const { return word(index) | u64{word(index + 1)} << 32; }
        u16 id() const { return static_cast<u16>(word(0) >> 16); }
    };
    struct Error {
        u64 number = 0, block = 0;
        u16 queue = 0, command = 0, status = 0;
        void state(Archive& a);
    };
    static constexpr usize kept_errors = 4;

    u32 read_word(u32 offset) const;
    void write_word(u32 offset, u32 value);
    void write_control(u32 value);
    void enable();
    void disable();
    void shut_down();
    void doorbell(u32 index, u32 value);
    void fail(const char* problem);
    void update_interrupt();

    // Queues.
    void run();
    bool fetch(u16 queue, u64& work);
    usize in_flight() const;
    void begin(Command& command);
    void advance(Command& command);
    void step_done(usize slot, u64 number, block::Status status);
    void finish(Command& command, Status status, u32 result = 0);
    void post_finished();
    bool post(const Command& command);
    void later();
    void carry_out_again();
    void tell_event(u8 information);
    void give_events();
    Command& free_slot();

    // Data of a command.
    Status map_data(Command& command, u64 length);
    Status give(Command& command, std::span<const u8> bytes);
    void wrote(const Command& command);

    // Commands: nothing means that it goes on by steps or waits.
    std::optional<Status> administer(Command& command, u32& result);
    Status create_completion(const Command& command);
    Status create_submission(const Command& command);
    std::optional<Status> delete_submission(Command& command);
    Status delete_completion(const Command& command);
    Status identify(Command& command);
    void identify_controller(std::span<u8> page) const;
    void identify_namespace(std::span<u8> page) const;
    Status get_log(Command& command);
    Status features(const Command& command, bool sets, u32& result);
    Status abort(const Command& command, u32& result);
    std::optional<Status> transfer(Command& command);
    std::optional<Status> read_write(Command& command, u8 opcode, u64 block, u64 count);
    std::optional<Status> deallocate(Command& command);
    Status conclude(const Command& command);
    bool deletion_over(const Command& command);

    Wiring wiring_;
    Log log_;
    Window window_{*this};
    std::string serial_;
    struct Registers {
        u32 interrupt_mask = 0, control = 0, status = 0, admin_sizes = 0;
        u64 admin_submission = 0, admin_completion = 0;
    } r_;
    std::array<Submission, most_queues + 1> submissions_{};
    std::array<Completion, most_queues + 1> completions_{};
    struct Features {
        u32 arbitration = 0, power = 0, over_temperature = 0, under_temperature = 0, recovery = 0;
        u32 writes_back = 1, queues = 0, coalescing = 0, vector = 0, atomicity = 0, events = 0;
    } f_;
    struct Counters {
        u64 blocks_read = 0, blocks_written = 0, reads = 0, writes = 0, errors = 0;
    } c_;
    std::array<Error, kept_errors> errors_{};  // the newest first
    u8 events_ = 0;                            // that wait for a request, by their information
    bool events_masked_ = false;               // until the log is read
    std::vector<std::unique_ptr<Command>> commands_;
    u64 next_number_ = 1;
    u64 shutdown_number_ = 0;
    bool running_ = false;
    bool again_ = false;  // after a restore, until what was under way has been begun
    u64 resume_ns_ = Timers::never;
    Timer resume_;
    std::unique_ptr<block::Disk> disk_;  // last: it may hold completions
};

}  // namespace viv
