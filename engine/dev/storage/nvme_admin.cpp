// Admin commands: queues, what the controller says of itself, features, logs. See nvme.h.
#include <fmt/format.h>

#include <algorithm>

#include "engine/dev/storage/nvme.h"
#include "engine/dev/storage/nvme_bits.h"
#include "engine/lang/hash.h"

namespace viv {

using namespace nvme;

namespace {

void put_text(std::span<u8> to, std::string_view text) {
    for (usize i = 0; i < to.size(); i++) to[i] = i < text.size() ? static_cast<u8>(text[i]) : u8{' '};
}

constexpr u16 kelvin = 310, warning_kelvin = 343, critical_kelvin = 373;

}  // namespace

std::optional<Nvme::Status> Nvme::administer(Command& command, u32& result) {
    switch (static_cast<u8>(command.word(0))) {
        case a_delete_sq: return delete_submission(command);
        case a_create_sq: return create_submission(command);
        case a_delete_cq: return delete_completion(command);
        case a_create_cq: return create_completion(command);
        case a_get_log: return get_log(command);
        case a_identify: return identify(command);
        case a_abort: return abort(command, result);
        case a_set_features: return features(command, true, result);
        case a_get_features: return features(command, false, result);
        case a_event_request: {
            const auto waiting = std::count_if(commands_.begin(), commands_.end(), [](const auto& each) {
                return each->number != 0 && !each->finished && each->queue == 0 &&
                       (each->word(0) & 0xff) == a_event_request;
            });
            if (waiting > most_event_requests) return s_event_limit;
            give_events();
            return std::nullopt;
        }
        default: return s_invalid_opcode;
    }
}

Nvme::Status Nvme::create_completion(const Command& command) {
    const u32 id = command.word(10) & 0xffff, entries = (command.word(10) >> 16) + 1;
    const u32 flags = command.word(11);
    const u64 base = command.address(6);
    constexpr u32 completion_exponent = 4;
    if (id == 0 || id > most_queues || completions_[id].exists) return s_invalid_queue_id;
    if (entries < 2 || entries > most_entries) return s_invalid_queue_size;
    if ((flags >> 16) != 0) return s_invalid_vector;
    if ((flags & 1) == 0 || (base & (page_size - 1)) != 0 || (r_.control >> 20 & 15) != completion_exponent)
        return s_invalid_field;
    completions_[id] = {};
    completions_[id].exists = true;
    completions_[id].interrupts = bit(flags, 1);
    completions_[id].base = base;
    completions_[id].entries = static_cast<u16>(entries);
    return s_success;
}

Nvme::Status Nvme::create_submission(const Command& command) {
    const u32 id = command.word(10) & 0xffff, entries = (command.word(10) >> 16) + 1;
    const u32 completion = command.word(11) >> 16;
    const u64 base = command.address(6);
    constexpr u32 submission_exponent = 6;
    if (completion == 0 || completion > most_queues || !completions_[completion].exists)
        return s_invalid_completion_queue;
    if (id == 0 || id > most_queues || submissions_[id].exists) return s_invalid_queue_id;
    if (entries < 2 || entries > most_entries) return s_invalid_queue_size;
    if ((command.word(11) & 1) == 0 || (base & (page_size - 1)) != 0 || (r_.control >> 16 & 15) != submission_exponent)
        return s_invalid_field;
    submissions_[id] = {};
    submissions_[id].exists = true;
    submissions_[id].base = base;
    submissions_[id].entries = static_cast<u16>(entries);
    submissions_[id].completion = static_cast<u16>(completion);
    return s_success;
}

std::optional<Nvme::Status> Nvme::delete_submission(Command& command) {
    const u32 id = command.word(10) & 0xffff;
    if (id == 0 || id > most_queues || !submissions_[id].exists) return s_invalid_queue_id;
    submissions_[id].ending = true;
    if (deletion_over(command)) return s_success;
    return std::nullopt;
}

// Whether `command` deletes a queue of which nothing is under way any more; it is gone then.
bool Nvme::deletion_over(const Command& command) {
    const u32 id = command.word(10) & 0xffff;
    if ((command.word(0) & 0xff) != a_delete_sq || id == 0 || id > most_queues || !submissions_[id].ending)
        return false;
    for (const auto& each : commands_)
        if (each->number != 0 && each->queue == id && !each->finished) return false;
    submissions_[id] = {};
    return true;
}

Nvme::Status Nvme::delete_completion(const Command& command) {
    const u32 id = command.word(10) & 0xffff;
    if (id == 0 || id > most_queues || !completions_[id].exists) return s_invalid_queue_id;
    for (const Submission& queue : submissions_)
        if (queue.exists && queue.completion == id) return s_invalid_queue_deletion;
    completions_[id] = {};
    return s_success;
}

Nvme::Status Nvme::abort(const Command& command, u32& result) {
    constexpr u32 not_aborted = 1;
    const u16 queue = static_cast<u16>(command.word(10)), id = static_cast<u16>(command.word(10) >> 16);
    // What the disk works on cannot be taken back; what waits for an event can.
    result = not_aborted;
    for (auto& each : commands_) {
        const bool waits = each->number != 0 && !each->finished && each->queue == 0 && queue == 0 && each->id() == id &&
                           (each->word(0) & 0xff) == a_event_request;
        if (!waits) continue;
        result = 0;
        finish(*each, s_abort_requested);
        break;
    }
    return s_success;
}

Nvme::Status Nvme::identify(Command& command) {
    enum Structure : u8 { one_namespace = 0, controller = 1, active_namespaces = 2, descriptors = 3 };
    std::array<u8, page_size> page{};
    const u32 space = command.word(1);
    switch (command.word(10) & 0xff) {
        case one_namespace:
            if (space != 1) return s_invalid_namespace;
            identify_namespace(page);
            break;
        case controller: identify_controller(page); break;
        case active_namespaces:
            if (space >= all_namespaces - 1) return s_invalid_namespace;
            if (space == 0) store_le<u32>(&page[0], 1);
            break;
        case descriptors: {
            constexpr u8 eui64 = 1;
            if (space != 1) return s_invalid_namespace;
            std::array<u8, page_size> whole{};
            identify_namespace(whole);
            page[0] = eui64;
            page[1] = 8;
            std::copy_n(whole.begin() + 120, 8, page.begin() + 4);
            break;
        }
        default: return s_invalid_field;
    }
    return give(command, page);
}

void Nvme::identify_controller(std::span<u8> page) const {
    store_le<u16>(&page[0], 0x1b36);
    store_le<u16>(&page[2], 0x1af4);
    put_text(page.subspan(4, 20), serial_);
    put_text(page.subspan(24, 40), "Vivarium NVMe controller");
    put_text(page.subspan(64, 8), "1.0");
    page[72] = 6;  // arbitration burst
    page[77] = 7;  // MDTS: 128 pages
    store_le<u32>(&page[80], version);
    page[111] = 1;                        // an I/O controller
    page[258] = 3;                        // ACL
    page[259] = most_event_requests - 1;  // AERL
    page[260] = 3;                        // one firmware, which is read-only
    page[261] = 4;                        // LPA: offsets into logs
    page[262] = kept_errors - 1;          // ELPE
    store_le<u16>(&page[266], warning_kelvin);
    store_le<u16>(&page[268], critical_kelvin);
    page[512] = 0x66;                                // SQES
    page[513] = 0x44;                                // CQES
    store_le<u32>(&page[516], 1);                    // NN
    store_le<u16>(&page[520], 1 | 1 << 2 | 1 << 3);  // compare, dataset management, write zeroes
    page[525] = 7;                                   // a volatile cache; flush of all namespaces
    const std::string name = fmt::format("nqn.2026-01.org.vivarium:nvme:{}", serial_);
    std::copy(name.begin(), name.end(), page.begin() + 768);
    store_le<u16>(&page[2048], 2500);  // 25 W
}

void Nvme::identify_namespace(std::span<u8> page) const {
    constexpr u64 most_oui_bits = 40;
    const u64 blocks = disk_->size() / block_size;
    for (const usize at : {0u, 8u, 16u}) store_le<u64>(&page[at], blocks);
    page[24] = 1 | 1 << 4;  // thin, with the sizes that follow
    for (const usize at : {64u, 66u, 68u, 70u, 72u}) store_le<u16>(&page[at], page_size / block_size - 1);
    page[99] = disk_->read_only() ? 1 : 0;
    // An identifier of local administration that follows from the serial.
    const u64 low = hash64(std::span(reinterpret_cast<const u8*>(serial_.data()), serial_.size()));
    store_be<u64>(&page[120], u64{0x525400} << most_oui_bits | (low & low_mask(most_oui_bits)));
    page[128 + 2] = 9;  // blocks of 2^9 bytes
}

Nvme::Status Nvme::get_log(Command& command) {
    enum Page : u8 { errors = 1, health = 2, firmware = 3 };
    const u64 length = ((command.word(10) >> 16 | u64{command.word(11) & 0xffff} << 16) + 1) * 4;
    const u64 offset = command.address(12);
    constexpr u8 retain_event = 0x80;
    std::vector<u8> log(512);
    switch (command.word(10) & 0xff) {
        case errors:
            for (usize i = 0; i < kept_errors; i++) {
                u8* const entry = &log[i * 64];
                const Error& error = errors_[i];
                store_le<u64>(entry, error.number);
                store_le<u16>(entry + 8, error.queue);
                store_le<u16>(entry + 10, error.command);
                store_le<u16>(entry + 12, static_cast<u16>(error.status << 1));
                store_le<u64>(entry + 16, error.block);
                store_le<u32>(entry + 24, error.queue != 0);
            }
            log.resize(kept_errors * 64);
            break;
        case health:
            log[0] = disk_->read_only() ? 1 << 3 : 0;
            store_le<u16>(&log[1], kelvin);
            log[3] = 100;  // percent spare
            log[4] = 10;   // its threshold
            store_le<u64>(&log[32], (c_.blocks_read + 999) / 1000);
            store_le<u64>(&log[48], (c_.blocks_written + 999) / 1000);
            store_le<u64>(&log[64], c_.reads);
            store_le<u64>(&log[80], c_.writes);
            store_le<u64>(&log[176], c_.errors);
            break;
        case firmware:
            log[0] = 1;
            put_text(std::span(log).subspan(8, 8), "1.0");
            break;
        default: return s_invalid_log;
    }
    if ((offset & 3) != 0 || offset > log.size() || length > longest_transfer) return s_invalid_field;
    log.erase(log.begin(), log.begin() + static_cast<std::ptrdiff_t>(offset));
    log.resize(length);
    const Status status = give(command, log);
    if (status == s_success && (command.word(10) & 0xff) == errors && (command.word(10) & retain_event << 8) == 0) {
        events_masked_ = false;
        give_events();
    }
    return status;
}

Nvme::Status Nvme::features(const Command& command, bool sets, u32& result) {
    enum Feature : u8 {
        arbitration = 1,
        power = 2,
        temperature = 4,
        recovery = 5,
        write_cache = 6,
        queue_count = 7,
        coalescing = 8,
        vector_configuration = 9,
        atomicity = 10,
        event_configuration = 11,
    };
    const u32 value = command.word(11);
    if (sets && bit(command.word(10), 31)) return s_not_saveable;
    if (!sets && (command.word(10) >> 8 & 7) != 0) return s_invalid_field;  // only what is set now
    u32* held = nullptr;
    u32 writable = ~u32{0};
    switch (command.word(10) & 0xff) {
        case arbitration: held = &f_.arbitration; break;
        case power:
            held = &f_.power;
            if (sets && (value & 31) != 0) return s_invalid_field;
            break;
        case temperature: {
            if ((value >> 16 & 15) != 0 || (value >> 20 & 3) > 1) return s_invalid_field;
            held = bit(value, 20) ? &f_.under_temperature : &f_.over_temperature;
            writable = 0xffff;
            break;
        }
        case recovery: held = &f_.recovery; break;
        case write_cache:
            held = &f_.writes_back;
            writable = 1;
            break;
        case queue_count: {
            held = &f_.queues;
            if (!sets) break;
            if ((value & 0xffff) == 0xffff || value >> 16 == 0xffff) return s_invalid_field;
            for (usize i = 1; i <= most_queues; i++)
                if (submissions_[i].exists || completions_[i].exists) return s_sequence_error;
            f_.queues = result = (most_queues - 1) | (most_queues - 1) << 16;
            return s_success;
        }
        case coalescing: held = &f_.coalescing; break;
        case vector_configuration:
            if ((value & 0xffff) != 0) return s_invalid_field;
            held = &f_.vector;
            break;
        case atomicity: held = &f_.atomicity; break;
        case event_configuration: held = &f_.events; break;
        default: return s_invalid_field;
    }
    if (sets)
        *held = value & writable;
    else
        result = *held;
    return s_success;
}

}  // namespace viv
