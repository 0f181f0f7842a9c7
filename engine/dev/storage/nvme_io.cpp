// Data of commands, the commands of a namespace, and what a controller saves. See nvme.h.
#include <algorithm>

#include "engine/dev/storage/nvme.h"
#include "engine/dev/storage/nvme_bits.h"

namespace viv {

using namespace nvme;

// The guest's memory by PRP1 and PRP2 (4.3): pages, the first of which may begin anywhere, and a list of them if there
// are more than two.
Nvme::Status Nvme::map_data(Command& command, u64 length) {
    constexpr unsigned prp1 = 6, prp2 = 8;
    constexpr u64 within = page_size - 1;
    const auto add = [&](u64 address, u64 size) {
        const auto bytes = wiring_.dma.view(address, size);
        if (bytes.empty()) return false;
        command.data.push_back({address, bytes});
        return true;
    };
    if (length > longest_transfer) return s_invalid_field;
    const u64 first = command.address(prp1);
    if ((first & 3) != 0) return s_invalid_prp_offset;
    u64 part = std::min(length, page_size - (first & within));
    if (length == 0) return s_success;
    if (!add(first, part)) return s_data_transfer_error;
    u64 left = length - part;
    if (left == 0) return s_success;
    u64 list = command.address(prp2);
    if (left <= page_size) {
        if ((list & within) != 0) return s_invalid_prp_offset;
        return add(list, left) ? s_success : s_data_transfer_error;
    }
    if ((list & 7) != 0) return s_invalid_prp_offset;
    while (left != 0) {
        auto entry = wiring_.dma.load<u64>(list);
        if (!entry) return s_data_transfer_error;
        if ((*entry & within) != 0) return s_invalid_prp_offset;
        // The last of a page of the list leads to the next, if it does not suffice.
        if ((list & within) == page_size - 8 && left > page_size) {
            list = *entry;
            entry = wiring_.dma.load<u64>(list);
            if (!entry) return s_data_transfer_error;
            if ((*entry & within) != 0) return s_invalid_prp_offset;
        }
        part = std::min(left, page_size);
        if (!add(*entry, part)) return s_data_transfer_error;
        left -= part;
        list += 8;
    }
    return s_success;
}

void Nvme::wrote(const Command& command) {
    for (const auto& piece : command.data) wiring_.dma.wrote(piece.address, piece.bytes.size());
}

Nvme::Status Nvme::give(Command& command, std::span<const u8> bytes) {
    if (const Status status = map_data(command, bytes.size()); status != s_success) return status;
    for (const auto& piece : command.data) {
        std::copy_n(bytes.begin(), piece.bytes.size(), piece.bytes.begin());
        bytes = bytes.subspan(piece.bytes.size());
    }
    wrote(command);
    return s_success;
}

std::optional<Nvme::Status> Nvme::transfer(Command& command) {
    const u8 opcode = static_cast<u8>(command.word(0));
    const u32 space = command.word(1);
    if (opcode == i_flush && (space == 1 || space == all_namespaces)) {
        command.steps.push_back({});
        return std::nullopt;
    }
    switch (opcode) {
        case i_flush:
        case i_read:
        case i_write:
        case i_compare:
        case i_write_zeroes:
        case i_dataset_management: break;
        default: return s_invalid_opcode;
    }
    if (space != 1) return s_invalid_namespace;
    if (opcode == i_dataset_management) return deallocate(command);
    return read_write(command, opcode, command.address(10), (command.word(12) & 0xffff) + u64{1});
}

std::optional<Nvme::Status> Nvme::read_write(Command& command, u8 opcode, u64 block, u64 count) {
    const bool forced = bit(command.word(12), 30);
    const bool writes = opcode == i_write || opcode == i_write_zeroes;
    if (!range_fits(block, count, disk_->size() / block_size)) return s_lba_out_of_range;
    if (writes && disk_->read_only()) return s_read_only;
    Step step{block::Operation::write_zeroes, block * block_size, count * block_size};
    if (opcode != i_write_zeroes) {
        if (const Status status = map_data(command, step.length); status != s_success) return status;
        step.operation = opcode == i_write ? block::Operation::write : block::Operation::read;
        if (opcode == i_compare) {
            command.buffer.resize(step.length);
            command.compares = true;
            step.segments.push_back(command.buffer);
        } else {
            for (const auto& piece : command.data) step.segments.push_back(piece.bytes);
        }
    }
    command.steps.push_back(std::move(step));
    if (writes && (forced || f_.writes_back == 0)) command.steps.push_back({});
    return std::nullopt;
}

std::optional<Nvme::Status> Nvme::deallocate(Command& command) {
    constexpr usize range_size = 16, most_ranges = 256;
    const usize count = (command.word(10) & 0xff) + 1;
    if (!bit(command.word(11), 2)) return s_success;  // hints
    if (disk_->read_only()) return s_read_only;
    if (const Status status = map_data(command, count * range_size); status != s_success) return status;
    std::array<u8, most_ranges * range_size> ranges;
    usize at = 0;
    for (const auto& piece : command.data) {
        std::copy(piece.bytes.begin(), piece.bytes.end(), ranges.begin() + static_cast<std::ptrdiff_t>(at));
        at += piece.bytes.size();
    }
    for (usize i = 0; i < count; i++) {
        const u64 length = load_le<u32>(&ranges[i * range_size + 4]);
        const u64 block = load_le<u64>(&ranges[i * range_size + 8]);
        if (!range_fits(block, length, disk_->size() / block_size)) return s_lba_out_of_range;
        if (length != 0) command.steps.push_back({block::Operation::discard, block * block_size, length * block_size});
    }
    if (command.steps.empty()) return s_success;
    return std::nullopt;
}

// When all steps have been done.
Nvme::Status Nvme::conclude(const Command& command) {
    if (command.queue == 0 || command.steps.empty()) return s_success;
    const Step& step = command.steps.front();
    switch (static_cast<u8>(command.word(0))) {
        case i_read:
            wrote(command);
            c_.reads++;
            c_.blocks_read += step.length / block_size;
            return s_success;
        case i_write:
            c_.writes++;
            c_.blocks_written += step.length / block_size;
            return s_success;
        case i_compare: {
            c_.reads++;
            std::span<const u8> have = command.buffer;
            for (const auto& piece : command.data) {
                if (!std::equal(piece.bytes.begin(), piece.bytes.end(), have.begin())) return s_compare_failure;
                have = have.subspan(piece.bytes.size());
            }
            return s_success;
        }
        default: return s_success;
    }
}

void Nvme::Submission::state(Archive& a) {
    a(1, "exists", exists);
    a(2, "ending", ending);
    a(3, "base", base);
    a(4, "entries", entries, most_entries * 4);
    a(5, "head", head);
    a(6, "tail", tail);
    a(7, "completion", completion, most_queues);
    a.require(!exists || (entries >= 2 && head < entries && tail < entries), "head", "is outside the queue");
}

void Nvme::Completion::state(Archive& a) {
    a(1, "exists", exists);
    a(2, "interrupts", interrupts);
    a(3, "phase", phase);
    a(4, "base", base);
    a(5, "entries", entries, most_entries * 4);
    a(6, "head", head);
    a(7, "tail", tail);
    a.require(!exists || (entries >= 2 && head < entries && tail < entries), "head", "is outside the queue");
}

void Nvme::Entry::state(Archive& a) {
    a(1, "bytes", std::span<u8>(bytes));
    a(2, "queue", queue, most_queues);
    a(3, "completion", completion, most_queues);
    a(4, "finished", finished);
    a(5, "status", status, 0x7ff);
    a(6, "result", result);
}

void Nvme::Error::state(Archive& a) {
    a(1, "number", number);
    a(2, "block", block);
    a(3, "queue", queue);
    a(4, "command", command);
    a(5, "status", status);
}

void Nvme::device_state(Archive& a) {
    a(1, "interrupt_mask", r_.interrupt_mask);
    a(2, "control", r_.control);
    a(3, "status", r_.status, 15);
    a(4, "admin_sizes", r_.admin_sizes);
    a(5, "admin_submission", r_.admin_submission);
    a(6, "admin_completion", r_.admin_completion);
    a(7, "submissions", submissions_);
    a(8, "completions", completions_);
    a(9, "arbitration", f_.arbitration);
    a(10, "power", f_.power);
    a(11, "over_temperature", f_.over_temperature);
    a(12, "under_temperature", f_.under_temperature);
    a(13, "recovery", f_.recovery);
    a(14, "writes_back", f_.writes_back, 1);
    a(15, "queues", f_.queues);
    a(16, "coalescing", f_.coalescing);
    a(17, "vector", f_.vector);
    a(18, "atomicity", f_.atomicity);
    a(19, "event_configuration", f_.events);
    a(20, "blocks_read", c_.blocks_read);
    a(21, "blocks_written", c_.blocks_written);
    a(22, "reads", c_.reads);
    a(23, "writes", c_.writes);
    a(24, "errors", c_.errors);
    a(25, "error_log", errors_);
    a(26, "events", events_, 3);
    a(27, "events_masked", events_masked_);
    std::vector<Entry> entries;
    if (!a.loading())
        for (const auto& command : commands_)
            if (command->number != 0) entries.push_back(*command);
    a.list(28, "commands", entries, most_in_flight);
    a(29, "resume", resume_ns_);
    if (!a.loading()) return;
    disk_->abandon();
    commands_.clear();
    shutdown_number_ = 0;
    for (const Entry& entry : entries) {
        Command& command = *commands_.emplace_back(std::make_unique<Command>());
        static_cast<Entry&>(command) = entry;
        command.number = next_number_++;
    }
}

// What was under way is carried out again, from the timers: other devices are not restored yet.
void Nvme::device_restored() {
    update_interrupt();
    const bool any = std::any_of(commands_.begin(), commands_.end(),
                                 [](const auto& command) { return command->number != 0 && !command->finished; });
    again_ = any || (r_.status & csts_shst) == csts_shutting;
    resume_.arm(again_ ? wiring_.timers.now_ns() : resume_ns_);
}

void Nvme::carry_out_again() {
    again_ = false;
    if ((r_.status & csts_shst) == csts_shutting) shut_down();
    // The vector may grow while commands run.
    for (usize i = 0, count = commands_.size(); i < count; i++)
        if (commands_[i]->number != 0 && !commands_[i]->finished) begin(*commands_[i]);
}

}  // namespace viv
