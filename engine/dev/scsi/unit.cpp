// Tasks, unit attentions, INQUIRY and REQUEST SENSE. See unit.h.
#include "engine/dev/scsi/unit.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "engine/lang/bytes.h"

namespace viv::scsi {

namespace {

void append_padded(std::vector<u8>& to, std::string_view text, usize size) {
    for (usize i = 0; i < size; i++) to.push_back(i < text.size() ? static_cast<u8>(text[i]) : u8{' '});
}

}  // namespace

Extent extent_of(const std::array<u8, 16>& cdb) {
    switch (cdb_length(cdb[0])) {
        case 6: return {load_be<u32>(&cdb[0]) & 0x1f'ffff, cdb[4] == 0 ? u64{256} : cdb[4]};
        case 10: return {load_be<u32>(&cdb[2]), load_be<u16>(&cdb[7])};
        case 12: return {load_be<u32>(&cdb[2]), load_be<u32>(&cdb[6])};
        default: return {load_be<u64>(&cdb[2]), load_be<u32>(&cdb[10])};
    }
}

Unit::Unit(std::unique_ptr<block::Disk> disk, UnitNames names) : names_(std::move(names)), disk_(std::move(disk)) {}

Unit::~Unit() { abandon(); }

void Unit::placed(u32 target, u32 lun) { place_ = fmt::format("{}-{}", target, lun); }

Unit::Task& Unit::free_slot() {
    for (auto& task : tasks_)
        if (task->number == 0) return *task;
    Task& added = *tasks_.emplace_back(std::make_unique<Task>());
    added.slot = tasks_.size() - 1;
    return added;
}

u64 Unit::submit(Command command) {
    Task& task = free_slot();
    const usize slot = task.slot;
    const u64 number = next_number_++;
    task = {};
    task.slot = slot;
    task.number = number;
    task.command = std::move(command);
    const Sense problem = decode(task);
    if (task.overrun) {
        finish(task, {.delivery = Answer::Delivery::overrun, .status = Status::good, .sense = {}, .moved = 0});
    } else if (problem != sense::none) {
        finish(task, {.delivery = Answer::Delivery::carried_out,
                      .status = Status::check_condition,
                      .sense = problem,
                      .moved = 0});
    } else {
        run(task);
    }
    return task.number == number ? number : 0;
}

void Unit::abort(u64 number) {
    for (auto& task : tasks_)
        if (number != 0 && task->number == number) task->aborted = true;
}

void Unit::abandon() {
    if (disk_) disk_->abandon();
    for (auto& task : tasks_) task->number = 0;
}

void Unit::reset(const Sense& why) {
    attention_ = why;
    unit_reset(why);
}

// Carries steps out one after the other; a disk that completes at once does not make this recursive.
void Unit::run(Task& task) {
    task.running = true;
    const auto end = [&](Status status, const Sense& why) {
        task.running = false;
        finish(task, {.delivery = Answer::Delivery::carried_out, .status = status, .sense = why, .moved = task.moved});
    };
    while (!task.waiting) {
        if (task.aborted) {
            task.running = false;
            return finish(
                task, {.delivery = Answer::Delivery::aborted, .status = Status::task_aborted, .sense = {}, .moved = 0});
        }
        if (task.next != 0) {
            const Step& before = task.steps[task.next - 1];
            if (task.last != block::Status::ok) {
                task.moved = 0;
                return end(Status::check_condition,
                           before.operation == block::Operation::read ? sense::read_error : sense::write_error);
            }
            if (before.compare_at && !compares(task, before)) return end(Status::check_condition, sense::miscompare);
        }
        if (task.next == task.steps.size()) return end(Status::good, sense::none);
        Step& step = task.steps[task.next++];
        task.waiting = true;
        disk_->submit(block::Request{
            step.operation, step.offset, step.length, step.segments,
            [this, slot = task.slot, number = task.number](block::Status status) { completed(slot, number, status); }});
    }
    task.running = false;
}

void Unit::completed(usize slot, u64 number, block::Status status) {
    Task& task = *tasks_[slot];
    if (task.number != number) return;  // abandoned
    task.waiting = false;
    task.last = status;
    if (!task.running) run(task);
}

void Unit::finish(Task& task, const Answer& answer) {
    task.number = 0;
    const auto done = std::exchange(task.command.done, nullptr);
    if (done) done(answer);
}

bool Unit::compares(Task& task, const Step& step) const {
    u64 skip = *step.compare_at;
    std::span<const u8> have = std::span(task.buffer).first(step.length);
    for (const auto& piece : task.command.data_out) {
        const u64 skipped = std::min<u64>(skip, piece.size());
        skip -= skipped;
        const usize part = std::min<u64>(have.size(), piece.size() - skipped);
        if (!std::equal(have.begin(), have.begin() + static_cast<std::ptrdiff_t>(part),
                        piece.begin() + static_cast<std::ptrdiff_t>(skipped)))
            return false;
        have = have.subspan(part);
    }
    return true;
}

Sense Unit::decode(Task& task) {
    const auto& cdb = task.command.cdb;
    constexpr u8 naca = 4;
    if ((cdb[cdb_length(cdb[0]) - 1] & naca) != 0) return sense::bad_field;
    if (cdb[0] == inquiry) return answer_inquiry(task);
    if (cdb[0] == request_sense) {
        if ((cdb[1] & 1) != 0) return sense::bad_field;  // descriptors are not supported
        return give(task, sense_data(std::exchange(attention_, sense::none)), cdb[4]);
    }
    if (attention_ != sense::none) return std::exchange(attention_, sense::none);
    return carry_out(task);
}

Sense Unit::answer_inquiry(Task& task) {
    const auto& cdb = task.command.cdb;
    const u64 allocated = load_be<u16>(&cdb[3]);
    const auto first = type();
    std::vector<u8> data;
    if ((cdb[1] & 1) == 0) {
        if (cdb[2] != 0 || (cdb[1] & 2) != 0) return sense::bad_field;
        constexpr u8 spc_4 = 6, format_2_with_wide_luns = 0x12, queues_commands = 2;
        data = {first[0], first[1], spc_4, format_2_with_wide_luns, 36 - 5, 0, 0, queues_commands};
        append_padded(data, names_.vendor, 8);
        append_padded(data, names_.product, 16);
        append_padded(data, names_.revision, 4);
        return give(task, data, allocated);
    }
    const u8 page = cdb[2];
    const auto pages = vital_product_pages();
    if (std::find(pages.begin(), pages.end(), page) == pages.end()) return sense::bad_field;
    if (page == 0x80 && names_.serial.empty()) return sense::bad_field;
    std::vector<u8> body;
    if (page == 0x00) {
        std::copy_if(pages.begin(), pages.end(), std::back_inserter(body),
                     [&](u8 each) { return each != 0x80 || !names_.serial.empty(); });
    } else if (page == 0x80) {
        body.assign(names_.serial.begin(), names_.serial.end());
    } else if (page == 0x83) {
        body = identification();
    } else if (!vital_product_data(page, body)) {
        return sense::bad_field;
    }
    data = {first[0], page, static_cast<u8>(body.size() >> 8), static_cast<u8>(body.size())};
    data.insert(data.end(), body.begin(), body.end());
    return give(task, data, allocated);
}

// Designators (SPC-4, 7.8.6): a T10 vendor's with the serial or else the place, and the NAA identifier if there is one.
std::vector<u8> Unit::identification() const {
    constexpr u8 ascii = 2, binary = 1, vendor_specific = 1, naa = 3;
    std::vector<u8> body;
    const std::string_view name = names_.serial.empty() ? std::string_view(place_) : std::string_view(names_.serial);
    body = {ascii, vendor_specific, 0, static_cast<u8>(8 + name.size())};
    append_padded(body, names_.vendor, 8);
    body.insert(body.end(), name.begin(), name.end());
    if (names_.wwn != 0) {
        body.insert(body.end(), {binary, naa, 0, 8});
        body.resize(body.size() + 8);
        store_be<u64>(&body[body.size() - 8], names_.wwn);
    }
    return body;
}

Sense Unit::give(Task& task, std::span<const u8> bytes, u64 allocated) {
    const auto given = give_data(task.command, bytes, allocated);
    task.overrun = !given;
    task.moved = given.value_or(0);
    return sense::none;
}

std::optional<std::vector<u8>> Unit::take(Task& task, u64 size) {
    if (size > room_of(task.command.data_out)) {
        task.overrun = true;
        return std::nullopt;
    }
    std::vector<u8> bytes;
    bytes.reserve(size);
    for (const auto& piece : task.command.data_out) {
        const usize part = std::min<usize>(piece.size(), size - bytes.size());
        bytes.insert(bytes.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(part));
    }
    task.moved = size;
    return bytes;
}

Sense Unit::transfer(Task& task, block::Operation operation, u64 offset, u64 length) {
    auto& data = operation == block::Operation::read ? task.command.data_in : task.command.data_out;
    if (length > longest_transfer) return sense::bad_field;
    if (length > room_of(data)) {
        task.overrun = true;
        return sense::none;
    }
    if (length == 0) return sense::none;
    Step step{operation, offset, length, {}};
    u64 left = length;
    for (const auto& piece : data) {
        const usize part = static_cast<usize>(std::min<u64>(left, piece.size()));
        left -= part;
        if (part != 0) step.segments.push_back(piece.first(part));
    }
    task.moved = length;
    add(task, std::move(step));
    return sense::none;
}

void Unit::state(Archive& a) {
    a(1, "attention_key", attention_.key, 15);
    a(2, "attention_code", attention_.code);
    a(3, "attention_qualifier", attention_.qualifier);
    unit_state(a);
}

}  // namespace viv::scsi
