// Requests and task management of virtio-scsi. See scsi.h.
#include "engine/dev/virtio/scsi.h"

#include <fmt/core.h>

#include <algorithm>

#include "engine/dev/virtio/create.h"

namespace viv::virtio {

namespace {

constexpr u16 control_queue = 0, event_queue = 1, first_request_queue = 2;

enum ConfigOffset : usize {
    c_num_queues = 0,
    c_seg_max = 4,
    c_max_sectors = 8,
    c_cmd_per_lun = 12,
    c_event_info_size = 16,
    c_sense_size = 20,
    c_cdb_size = 24,
    c_max_channel = 28,
    c_max_target = 30,
    c_max_lun = 32,
};

constexpr u32 usual_sense_size = 96, usual_cdb_size = 32, largest_size = 256;
constexpr u32 commands_per_unit = 128, event_size = 16;
constexpr usize response_size = 12;                   // and the sense data
constexpr u64 work_per_notification = u64{64} << 20;  // bytes, then the rest waits for the timers
constexpr u64 work_per_request = u64{64} << 10;       // what a request counts for at least

enum ControlType : u32 { t_management = 0, t_query_notification = 1, t_subscribe_notification = 2 };
enum ManagementFunction : u32 {
    f_abort_task = 0,
    f_abort_task_set = 1,
    f_clear_aca = 2,
    f_clear_task_set = 3,
    f_nexus_reset = 4,
    f_unit_reset = 5,
    f_query_task = 6,
    f_query_task_set = 7,
};

Function::Identity identity(const Scsi::Options& options) {
    return {DeviceId::scsi, "virtio-scsi", 0,
            std::vector<u16>(usize{options.queues} + first_request_queue, options.queue_size)};
}

// 5.6.6.1: one level of addressing, or nothing.
std::optional<scsi::Place> place_of(const std::array<u8, 8>& lun) {
    constexpr u8 single_level = 1, flat = 0x40, method = 0xc0;
    if (lun[0] != single_level) return std::nullopt;
    if ((lun[2] & method) != flat && lun[2] != 0) return std::nullopt;
    return scsi::Place{lun[1], (u32{lun[2]} & 0x3f) << 8 | lun[3]};
}

std::vector<std::span<u8>> data_after(std::span<const Piece> pieces, u64 skip) {
    std::vector<std::span<u8>> data;
    for (const Piece& piece : pieces) {
        const u64 skipped = std::min<u64>(skip, piece.bytes.size());
        skip -= skipped;
        if (skipped != piece.bytes.size()) data.push_back(piece.bytes.subspan(skipped));
    }
    return data;
}

}  // namespace

Scsi::Scsi(const Wiring& wiring, const Options& options) : Function(wiring, identity(options)) {
    store_le<u32>(&config_[c_num_queues], options.queues);
    store_le<u32>(&config_[c_seg_max], options.queue_size - 2u);
    store_le<u32>(&config_[c_max_sectors], 0xffff);
    store_le<u32>(&config_[c_cmd_per_lun], std::min<u32>(commands_per_unit, options.queue_size));
    store_le<u32>(&config_[c_event_info_size], event_size);
    store_le<u16>(&config_[c_max_target], scsi::Bus::targets - 1);
    store_le<u32>(&config_[c_max_lun], scsi::Bus::luns - 1);
    sense_size_ = usual_sense_size;
    cdb_size_ = usual_cdb_size;
    show_sizes();
}

Scsi::~Scsi() { drop_chains(); }

void Scsi::show_sizes() {
    store_le<u32>(&config_[c_sense_size], sense_size_);
    store_le<u32>(&config_[c_cdb_size], cdb_size_);
}

void Scsi::config_written(u32 offset, std::span<const u8> bytes) {
    if (bytes.size() != 4 || (offset != c_sense_size && offset != c_cdb_size)) return;
    const u32 value = load_le<u32>(bytes.data());
    if (value == 0 || value > largest_size)
        return log().guest("{} as the size of {} is not possible", value,
                           offset == c_cdb_size ? "a command" : "sense data");
    (offset == c_cdb_size ? cdb_size_ : sense_size_) = value;
    show_sizes();
}

void Scsi::device_reset() {
    sense_size_ = usual_sense_size;
    cdb_size_ = usual_cdb_size;
    show_sizes();
    for (const auto& [place, unit] : bus_.units()) unit->reset(scsi::sense::power_on);
}

void Scsi::device_state(Archive& a) {
    a(1, "sense_size", sense_size_, largest_size);
    a(2, "cdb_size", cdb_size_, largest_size);
    a.require(sense_size_ != 0 && cdb_size_ != 0, "cdb_size", "is zero");
    a.section(3, "bus", [&](Archive& inner) { bus_.state(inner); });
}

void Scsi::drop_chains() {
    bus_.abandon();
    for (auto& pending : pending_) pending->ticket = 0;
    managements_.clear();
}

Scsi::Pending& Scsi::free_slot() {
    for (auto& pending : pending_)
        if (pending->ticket == 0) return *pending;
    Pending& added = *pending_.emplace_back(std::make_unique<Pending>());
    added.slot = pending_.size() - 1;
    return added;
}

void Scsi::notify(u16 queue) {
    if (queue == event_queue) return;  // its buffers wait for events
    if (queue != control_queue) {
        if (!take_requests(queue)) later(queue);
        return;
    }
    // A function is about the commands that the driver gave before it.
    Chain chain;
    do {
        if (!take_all_requests()) return later(control_queue);
        if (!pop(control_queue, chain)) return;
        control(chain);
    } while (running());
}

bool Scsi::take_all_requests() {
    for (u16 i = first_request_queue; i < queue_count(); i++)
        if (queue(i).ready() && !take_requests(i)) return false;
    return true;
}

// False if there may be more.
bool Scsi::take_requests(u16 queue) {
    u64 work = 0;
    while (work < work_per_notification) {
        Pending& pending = free_slot();
        if (!pop(queue, pending.chain)) return true;
        pending.ticket = next_ticket_++;
        pending.queue = queue;
        pending.task = 0;
        pending.ended_by = Response::aborted;
        work += std::max(start(pending), work_per_request);
    }
    return false;
}

// Begins one request; it may be complete when this returns. Returns the number of bytes that it may move.
u64 Scsi::start(Pending& pending) {
    ChainReader reader(pending.chain);
    std::array<u8, 8> lun{};
    reader.read(lun);
    const auto id = reader.load<u64>();
    std::array<u8, 3> attributes{};
    reader.read(attributes);
    scsi::Command command;
    const u64 header = 19 + u64{cdb_size_};
    if (!id || pending.chain.readable_size() < header || pending.chain.writable_size() < response_size + sense_size_) {
        pending.ticket = 0;
        needs_reset("a request without a whole header or without room for its response");
        return 0;
    }
    reader.read(std::span(command.cdb).first(std::min<usize>(cdb_size_, command.cdb.size())));
    pending.id = *id;
    pending.room_out = pending.chain.readable_size() - header;
    pending.room_in = pending.chain.writable_size() - response_size - sense_size_;
    const auto place = place_of(lun);
    if (!place || !bus_.has_target(place->target)) {
        answer(pending, Response::bad_target, {});
        return 0;
    }
    if (pending.room_out != 0 && pending.room_in != 0) {
        answer(pending, Response::failure, {});
        return 0;
    }
    pending.place = *place;
    command.data_out = data_after(pending.chain.readable(), header);
    command.data_in = data_after(pending.chain.writable(), response_size + sense_size_);
    command.done = [this, slot = pending.slot, ticket = pending.ticket](const scsi::Answer& given) {
        completed(slot, ticket, given);
    };
    const u64 ticket = pending.ticket, bytes = pending.room_in + pending.room_out;
    const u64 task = bus_.submit(*place, std::move(command));
    if (pending.ticket == ticket) pending.task = task;
    return bytes;
}

void Scsi::completed(usize slot, u64 ticket, const scsi::Answer& given) {
    using Delivery = scsi::Answer::Delivery;
    Pending& pending = *pending_[slot];
    if (pending.ticket != ticket) return;  // of a time before a reset
    answer(pending,
           given.delivery == Delivery::carried_out ? Response::ok
           : given.delivery == Delivery::overrun   ? Response::overrun
                                                   : pending.ended_by,
           given);
    tell_managements(ticket);
}

void Scsi::answer(Pending& pending, Response response, const scsi::Answer& given) {
    const bool checked = response == Response::ok && given.status == scsi::Status::check_condition;
    const u64 room = pending.room_in != 0 ? pending.room_in : pending.room_out;
    std::array<u8, response_size + largest_size> bytes{};
    if (checked) {
        const auto sense = scsi::sense_data(given.sense);
        const usize size = std::min<usize>(sense.size(), sense_size_);
        store_le<u32>(&bytes[0], static_cast<u32>(size));
        std::copy_n(sense.begin(), size, bytes.begin() + response_size);
    }
    store_le<u32>(&bytes[4], response == Response::ok ? static_cast<u32>(room - std::min(room, given.moved)) : 0);
    bytes[10] = response == Response::ok ? static_cast<u8>(given.status) : u8{0};
    bytes[11] = static_cast<u8>(response);
    ChainWriter writer(pending.chain);
    writer.write(std::span(bytes).first(response_size + sense_size_));
    const u64 moved = response == Response::ok && pending.room_in != 0 ? std::min(room, given.moved) : 0;
    pending.ticket = 0;
    push(pending.queue, pending.chain, response_size + sense_size_ + moved);
}

void Scsi::answer_control(const Chain& chain, std::span<const u8> bytes) {
    ChainWriter writer(chain);
    writer.write(bytes);
    push(control_queue, chain, writer.written());
}

void Scsi::control(const Chain& chain) {
    ChainReader reader(chain);
    const auto type = reader.load<u32>();
    if (type == t_management) {
        const auto function = reader.load<u32>();
        std::array<u8, 8> lun{};
        reader.read(lun);
        const auto id = reader.load<u64>();
        if (id && chain.writable_size() >= 1) return manage(chain, *function, lun, *id);
    } else if (type == t_query_notification || type == t_subscribe_notification) {
        std::array<u8, 8> lun{};
        reader.read(lun);
        if (reader.load<u32>() && chain.writable_size() >= 5) {
            // There are none to be told of.
            const auto place = place_of(lun);
            std::array<u8, 5> response{};
            if (!place || !bus_.has_target(place->target))
                response[4] = static_cast<u8>(Response::bad_target);
            else if (bus_.find(*place) == nullptr)
                response[4] = static_cast<u8>(Response::incorrect_lun);
            return answer_control(chain, response);
        }
    }
    needs_reset("a control request that is unknown or too short");
}

void Scsi::manage(const Chain& chain, u32 function, const std::array<u8, 8>& lun, u64 id) {
    const auto place = place_of(lun);
    const auto reply = [&](Response response) { answer_control(chain, std::array{static_cast<u8>(response)}); };
    if (!place || !bus_.has_target(place->target)) return reply(Response::bad_target);
    scsi::Unit* const unit = bus_.find(*place);
    if (unit == nullptr && function != f_nexus_reset) return reply(Response::incorrect_lun);
    Management management;
    switch (function) {
        case f_query_task: return reply(queried(*place, &id) ? Response::function_succeeded : Response::ok);
        case f_query_task_set: return reply(queried(*place, nullptr) ? Response::function_succeeded : Response::ok);
        case f_abort_task: end_tasks(Response::aborted, *place, false, &id, management); break;
        case f_abort_task_set:
        case f_clear_task_set: end_tasks(Response::aborted, *place, false, nullptr, management); break;
        case f_unit_reset:
            end_tasks(Response::reset, *place, false, nullptr, management);
            unit->reset(scsi::sense::unit_reset);
            break;
        case f_nexus_reset:
            end_tasks(Response::reset, *place, true, nullptr, management);
            for (const auto& [at, each] : bus_.units())
                if (at.target == place->target) each->reset(scsi::sense::bus_reset);
            break;
        default: return reply(Response::function_rejected);  // there is no auto contingent allegiance to clear
    }
    if (management.tickets.empty()) return reply(Response::ok);
    management.chain = chain;
    managements_.push_back(std::move(management));
}

// Asks for the end of the tasks of a unit or a whole target, or of the one of them that the driver calls `id`.
void Scsi::end_tasks(Response how, scsi::Place place, bool whole_target, const u64* id, Management& management) {
    for (auto& pending : pending_) {
        if (pending->ticket == 0 || pending->task == 0 || pending->place.target != place.target) continue;
        if ((!whole_target && pending->place != place) || (id != nullptr && pending->id != *id)) continue;
        pending->ended_by = how;
        management.tickets.push_back(pending->ticket);
        bus_.find(pending->place)->abort(pending->task);
    }
}

bool Scsi::queried(scsi::Place place, const u64* id) const {
    return std::any_of(pending_.begin(), pending_.end(), [&](const auto& pending) {
        return pending->ticket != 0 && pending->place == place && (id == nullptr || pending->id == *id);
    });
}

void Scsi::tell_managements(u64 ticket) {
    for (auto& management : managements_) std::erase(management.tickets, ticket);
    auto left = std::exchange(managements_, {});
    for (auto& management : left) {
        if (management.tickets.empty())
            answer_control(management.chain, std::array{static_cast<u8>(Response::ok)});
        else
            managements_.push_back(std::move(management));
    }
}

Result<std::unique_ptr<Function>> make_scsi(DeviceSpec&, const Properties& properties, const Wiring& wiring) {
    Scsi::Options options;
    TRY_SET(const u64 queues, properties.number("num_queues", 1, 1, Function::most_queues - first_request_queue));
    TRY_SET(const u64 size, properties.number("virtqueue_size", options.queue_size, 4, Queue::largest));
    if (!is_power_of_two(size)) return properties.error("virtqueue_size", "is not a power of two");
    options.queues = static_cast<u16>(queues);
    options.queue_size = static_cast<u16>(size);
    return std::unique_ptr<Function>(std::make_unique<Scsi>(wiring, options));
}

}  // namespace viv::virtio
