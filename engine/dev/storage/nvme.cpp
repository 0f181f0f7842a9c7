// Registers, queues and the life of a command. See nvme.h; what commands do is in nvme_admin.cpp and nvme_io.cpp.
#include "engine/dev/storage/nvme.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/dev/catalog.h"
#include "engine/dev/properties.h"
#include "engine/dev/storage/nvme_bits.h"

namespace viv {

using namespace nvme;

namespace {

// QEMU's.
constexpr pci::Identity identity{.vendor = 0x1b36,
                                 .device = 0x0010,
                                 .subsystem_vendor = 0x1af4,
                                 .subsystem = 0x1100,
                                 .class_code = 0x01'08'02,
                                 .revision = 2,
                                 .interrupt_pin = 1};

// MQES, CQR, a time-out of 7.5 s, NVM commands; pages of 4 KiB and doorbells without gaps are zeros.
constexpr u64 capabilities = (Nvme::most_entries - 1) | 1 << 16 | 15 << 24 | u64{1} << 37;

constexpr u64 work_per_turn = u64{64} << 20;     // bytes, then the rest waits for the timers
constexpr u64 work_per_command = u64{64} << 10;  // what a command counts for at least
constexpr u64 pause_ns = 1000;
constexpr usize submission_size = 64, completion_size = 16;

}  // namespace

Nvme::Nvme(const Wiring& wiring, std::unique_ptr<block::Disk> disk, std::string serial)
    : pci::Function(identity),
      wiring_(wiring),
      log_(wiring.log, "nvme"),
      serial_(std::move(serial)),
      resume_(wiring.timers,
              [this] {
                  resume_ns_ = Timers::never;
                  if (again_) carry_out_again();
                  run();
              }),
      disk_(std::move(disk)) {
    add_bar(memory_bar, pci::BarKind::memory64, memory_size, window_);
}

Nvme::~Nvme() {
    disk_->abandon();
    for (auto& command : commands_) command->number = 0;
    shutdown_number_ = 0;
}

u32 Nvme::Command::word(unsigned index) const { return load_le<u32>(&bytes[4 * index]); }

u64 Nvme::Window::read(u64 offset, unsigned size) {
    const u32 word = static_cast<u32>(offset & ~u64{3});
    u64 value = nvme.read_word(word) >> (8 * (offset & 3));
    if (size == 8) value |= u64{nvme.read_word(word + 4)} << 32;
    return value & low_mask(8 * size);
}

void Nvme::Window::write(u64 offset, unsigned size, u64 value) {
    if (size < 4) return nvme.log_.guest("a write of {} bytes at {:#x} is ignored", size, offset);
    nvme.write_word(static_cast<u32>(offset), static_cast<u32>(value));
    if (size == 8) nvme.write_word(static_cast<u32>(offset + 4), static_cast<u32>(value >> 32));
}

u32 Nvme::read_word(u32 offset) const {
    switch (offset) {
        case o_cap: return static_cast<u32>(capabilities);
        case o_cap + 4: return static_cast<u32>(capabilities >> 32);
        case o_vs: return version;
        case o_intms:
        case o_intmc: return r_.interrupt_mask;
        case o_cc: return r_.control;
        case o_csts: return r_.status;
        case o_aqa: return r_.admin_sizes;
        case o_asq: return static_cast<u32>(r_.admin_submission);
        case o_asq + 4: return static_cast<u32>(r_.admin_submission >> 32);
        case o_acq: return static_cast<u32>(r_.admin_completion);
        case o_acq + 4: return static_cast<u32>(r_.admin_completion >> 32);
        default: return 0;
    }
}

void Nvme::write_word(u32 offset, u32 value) {
    constexpr u32 low_address = ~u32{0xfff};
    if (offset >= o_doorbells) return doorbell((offset - o_doorbells) / 4, value);
    switch (offset) {
        case o_intms: r_.interrupt_mask |= value; return update_interrupt();
        case o_intmc: r_.interrupt_mask &= ~value; return update_interrupt();
        case o_cc: return write_control(value & cc_writable);
        case o_aqa: r_.admin_sizes = value & 0x0fff'0fff; return;
        case o_asq: r_.admin_submission = deposit(r_.admin_submission, 0, 32, value & low_address); return;
        case o_asq + 4: r_.admin_submission = deposit(r_.admin_submission, 32, 32, value); return;
        case o_acq: r_.admin_completion = deposit(r_.admin_completion, 0, 32, value & low_address); return;
        case o_acq + 4: r_.admin_completion = deposit(r_.admin_completion, 32, 32, value); return;
        default: return;
    }
}

void Nvme::write_control(u32 value) {
    const u32 before = r_.control;
    r_.control = value;
    if ((value & cc_en) != 0 && (before & cc_en) == 0) enable();
    if ((value & cc_en) == 0 && (before & cc_en) != 0) disable();
    if ((value & cc_shn) != 0 && (before & cc_shn) == 0) shut_down();
    if ((value & cc_shn) == 0) r_.status &= ~u32{csts_shst};
}

void Nvme::enable() {
    const u32 submissions = (r_.admin_sizes & 0xfff) + 1, completions = (r_.admin_sizes >> 16) + 1;
    if ((r_.control & cc_css_mps_ams) != 0) return fail("enabled with what it is not capable of");
    if (submissions < 2 || completions < 2) return fail("enabled without admin queues");
    submissions_[0] = {};
    submissions_[0].exists = true;
    submissions_[0].base = r_.admin_submission;
    submissions_[0].entries = static_cast<u16>(submissions);
    completions_[0] = {};
    completions_[0].exists = completions_[0].interrupts = true;
    completions_[0].base = r_.admin_completion;
    completions_[0].entries = static_cast<u16>(completions);
    r_.status |= csts_rdy;
}

// A controller reset: but for the admin queues' registers nothing stays.
void Nvme::disable() {
    disk_->abandon();
    for (auto& command : commands_) command->number = 0;
    shutdown_number_ = 0;
    again_ = false;
    submissions_ = {};
    completions_ = {};
    f_ = {};
    events_ = 0;
    events_masked_ = false;
    r_.status = 0;
    r_.control = 0;
    r_.interrupt_mask = 0;
    resume_ns_ = Timers::never;
    resume_.cancel();
    update_interrupt();
}

void Nvme::shut_down() {
    r_.status = (r_.status & ~u32{csts_shst}) | csts_shutting;
    const u64 number = shutdown_number_ = next_number_++;
    disk_->submit(block::Request{block::Operation::flush, 0, 0, {}, [this, number](block::Status) {
                                     if (shutdown_number_ != number) return;
                                     shutdown_number_ = 0;
                                     r_.status = (r_.status & ~u32{csts_shst}) | csts_shut;
                                 }});
}

void Nvme::fail(const char* problem) {
    log_.guest("the controller has failed: {}", problem);
    r_.status |= csts_cfs;
}

void Nvme::doorbell(u32 index, u32 value) {
    constexpr u8 no_such_doorbell = 0, impossible_value = 1;
    if ((r_.status & csts_rdy) == 0) return;
    const u32 queue = index / 2;
    const bool head = (index & 1) != 0;
    if (queue > most_queues || !(head ? completions_[queue].exists : submissions_[queue].exists)) {
        log_.guest("doorbell {} belongs to no queue", index);
        return tell_event(no_such_doorbell);
    }
    if (value >= (head ? completions_[queue].entries : submissions_[queue].entries)) {
        log_.guest("{} is no place in the queue of doorbell {}", value, index);
        return tell_event(impossible_value);
    }
    if (head) {
        completions_[queue].head = static_cast<u16>(value);
        post_finished();
        update_interrupt();
    } else {
        submissions_[queue].tail = static_cast<u16>(value);
    }
    run();
}

void Nvme::update_interrupt() {
    const bool wanted = std::any_of(completions_.begin(), completions_.end(), [](const Completion& queue) {
        return queue.exists && queue.interrupts && queue.head != queue.tail;
    });
    set_interrupt(wanted && (r_.interrupt_mask & 1) == 0);
}

usize Nvme::in_flight() const {
    return static_cast<usize>(
        std::count_if(commands_.begin(), commands_.end(), [](const auto& command) { return command->number != 0; }));
}

Nvme::Command& Nvme::free_slot() {
    for (auto& command : commands_)
        if (command->number == 0) return *command;
    return *commands_.emplace_back(std::make_unique<Command>());
}

void Nvme::later() {
    resume_ns_ = wiring_.timers.now_ns() + pause_ns;
    resume_.arm(resume_ns_);
}

// Takes commands from all queues in turn.
void Nvme::run() {
    if (running_) return;
    running_ = true;
    u64 work = 0;
    bool any = true;
    while (any && work < work_per_turn) {
        any = false;
        for (u16 queue = 0; queue <= most_queues; queue++) any = fetch(queue, work) || any;
    }
    running_ = false;
    if (any) later();
}

// One command. False: there is none that could be taken.
bool Nvme::fetch(u16 number, u64& work) {
    Submission& queue = submissions_[number];
    if (!bus_master() || (r_.status & (csts_rdy | csts_cfs)) != csts_rdy) return false;
    if (!queue.exists || queue.ending || queue.head == queue.tail || in_flight() >= most_in_flight) return false;
    Command& command = free_slot();
    command = {};
    if (!wiring_.dma.read(queue.base + u64{queue.head} * submission_size, command.bytes)) {
        fail("a submission queue is not in memory");
        return false;
    }
    queue.head = static_cast<u16>((queue.head + 1) % queue.entries);
    command.queue = number;
    command.completion = queue.completion;
    command.number = next_number_++;
    begin(command);
    u64 bytes = 0;
    for (const Step& step : command.steps) bytes += step.length;
    work += std::max(bytes, work_per_command);
    return true;
}

void Nvme::begin(Command& command) {
    constexpr u32 fused_or_sgl = 0xc3 << 8;
    u32 result = 0;
    const u64 number = command.number;
    std::optional<Status> status = s_invalid_field;
    if ((command.word(0) & fused_or_sgl) == 0)
        status = command.queue == 0 ? administer(command, result) : transfer(command);
    if (command.number != number) return;
    if (status) return finish(command, *status, result);
    if (!command.steps.empty()) advance(command);
}

// Carries steps out one after the other; a disk that completes at once does not make this recursive.
void Nvme::advance(Command& command) {
    command.running = true;
    while (!command.waiting) {
        if (command.next != 0 && command.last != block::Status::ok) {
            const bool read = command.steps[command.next - 1].operation == block::Operation::read;
            return finish(command, read ? s_read_error : s_write_fault);
        }
        if (command.next == command.steps.size()) return finish(command, conclude(command));
        const Step& step = command.steps[command.next++];
        const usize slot = static_cast<usize>(
            std::find_if(commands_.begin(), commands_.end(), [&](const auto& each) { return each.get() == &command; }) -
            commands_.begin());
        command.waiting = true;
        disk_->submit(block::Request{
            step.operation, step.offset, step.length, step.segments,
            [this, slot, number = command.number](block::Status status) { step_done(slot, number, status); }});
    }
    command.running = false;
}

void Nvme::step_done(usize slot, u64 number, block::Status status) {
    Command& command = *commands_[slot];
    if (command.number != number) return;  // of a time before a reset
    command.waiting = false;
    command.last = status;
    if (!command.running) {
        advance(command);
        run();  // there is room for one more
    }
}

void Nvme::finish(Command& command, Status status, u32 result) {
    command.running = false;
    command.finished = true;
    command.status = status;
    command.result = result;
    command.data.clear();
    if (status != s_success && status != s_abort_requested) {
        std::move_backward(errors_.begin(), errors_.end() - 1, errors_.end());
        errors_[0] = {++c_.errors, command.queue == 0 ? 0 : command.address(10), command.queue, command.id(), status};
    }
    post_finished();
    // The end of a queue waits for its commands.
    for (auto& each : commands_)
        if (each->number != 0 && !each->finished && each->queue == 0 && deletion_over(*each))
            return finish(*each, s_success);
}

void Nvme::post_finished() {
    for (auto& command : commands_)
        if (command->number != 0 && command->finished && post(*command)) command->number = 0;
    update_interrupt();
}

// False: there is no room.
bool Nvme::post(const Command& command) {
    constexpr u16 do_not_retry = 0x4000;
    Completion& queue = completions_[command.completion];
    if (!queue.exists) return true;
    const u16 after = static_cast<u16>((queue.tail + 1) % queue.entries);
    if (after == queue.head) return false;
    const bool final_failure = command.status != s_success && command.status < s_write_fault;
    std::array<u8, completion_size> entry{};
    store_le<u32>(&entry[0], command.result);
    store_le<u16>(&entry[8], submissions_[command.queue].head);
    store_le<u16>(&entry[10], command.queue);
    store_le<u16>(&entry[12], command.id());
    store_le<u16>(&entry[14],
                  static_cast<u16>((command.status | (final_failure ? do_not_retry : 0)) << 1 | (queue.phase ? 1 : 0)));
    if (!wiring_.dma.write(queue.base + u64{queue.tail} * completion_size, entry)) {
        fail("a completion queue is not in memory");
        return true;
    }
    queue.tail = after;
    if (after == 0) queue.phase = !queue.phase;
    return true;
}

void Nvme::tell_event(u8 information) {
    events_ |= static_cast<u8>(1 << information);
    give_events();
}

void Nvme::give_events() {
    constexpr u32 error_log = 1;
    if (events_ == 0 || events_masked_) return;
    for (auto& command : commands_) {
        if (command->number == 0 || command->finished || command->queue != 0 ||
            (command->word(0) & 0xff) != a_event_request)
            continue;
        const u32 information = static_cast<u32>(std::countr_zero(events_));
        events_ &= static_cast<u8>(events_ - 1);
        events_masked_ = true;
        return finish(*command, s_success, information << 8 | error_log << 16);
    }
}

void Nvme::device_reset() {
    disable();
    r_ = {};
    c_ = {};
    errors_ = {};
}

// The driver may have allowed the use of memory.
void Nvme::config_written(u16, unsigned) { run(); }

Result<std::unique_ptr<pci::Function>> Nvme::create(DeviceSpec& spec, const Wiring& wiring) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    TRY_SET(const Properties properties, Properties::check(spec, kind->properties));
    const std::string serial(properties.text("serial").value_or(""));
    if (serial.empty())
        return viv::Error{
            fmt::format("{}: a serial is missing; each controller needs its own, as in serial=disk0", spec.name)};
    if (serial.size() > longest_serial)
        return properties.error("serial", fmt::format("is longer than {} characters", longest_serial));
    if (!std::all_of(serial.begin(), serial.end(), [](char letter) { return letter > 0x20 && letter < 0x7f; }))
        return properties.error("serial", "is not of printable ASCII characters");
    if (spec.disk == nullptr)
        return viv::Error{
            fmt::format("{}: no disk is connected to it; use --device nvme,file=FILE,serial=TEXT", spec.name)};
    return std::unique_ptr<pci::Function>(std::make_unique<Nvme>(wiring, std::move(spec.disk), serial));
}

}  // namespace viv
