// See bus.h.
#include "engine/dev/scsi/bus.h"

#include <set>
#include <string_view>

#include "engine/lang/bytes.h"

namespace viv::scsi {

namespace {

Answer refuse(const Sense& why) {
    return {.delivery = Answer::Delivery::carried_out, .status = Status::check_condition, .sense = why, .moved = 0};
}

Answer give(const Command& command, std::span<const u8> bytes, u64 allocated) {
    const auto given = give_data(command, bytes, allocated);
    Answer answer;
    if (given)
        answer.moved = *given;
    else
        answer.delivery = Answer::Delivery::overrun;
    return answer;
}

}  // namespace

bool Bus::attach(Place place, std::unique_ptr<Unit> unit) {
    unit->placed(place.target, place.lun);
    return units_.try_emplace(place, std::move(unit)).second;
}

bool Bus::has_target(u32 target) const {
    const auto found = units_.lower_bound(Place{target, 0});
    return found != units_.end() && found->first.target == target;
}

std::optional<u32> Bus::free_target() const {
    for (u32 target = 0; target < targets; target++)
        if (!has_target(target)) return target;
    return std::nullopt;
}

Unit* Bus::find(Place place) {
    const auto found = units_.find(place);
    return found == units_.end() ? nullptr : found->second.get();
}

u64 Bus::submit(Place place, Command command) {
    const auto answer = [&](const Answer& given) {
        command.done(given);
        return u64{0};
    };
    if (command.cdb[0] == report_luns) return answer(answer_luns(place.target, command));
    if (Unit* const unit = find(place)) return unit->submit(std::move(command));
    return answer(answer_missing(command));
}

Answer Bus::answer_luns(u32 target, const Command& command) const {
    constexpr u32 least_allocation = 16;
    constexpr u8 all = 2, well_known = 1;
    const u32 allocated = load_be<u32>(&command.cdb[6]);
    if (allocated < least_allocation || command.cdb[2] > all) return refuse(sense::bad_field);
    std::vector<u8> data(8);
    const auto add = [&](u32 lun) {
        data.resize(data.size() + 8);
        // Up to 255 as a peripheral device's address, else in flat space (SAM-5, 4.7.7).
        store_be<u16>(&data[data.size() - 8], static_cast<u16>(lun < 256 ? lun : 0x4000 | lun));
    };
    if (command.cdb[2] != well_known) {
        for (const auto& [place, unit] : units_)
            if (place.target == target) add(place.lun);
    }
    store_be<u32>(&data[0], static_cast<u32>(data.size() - 8));
    return give(command, data, allocated);
}

// SPC-4, 6.6.1: there is nothing at this number, and could be nothing.
Answer Bus::answer_missing(const Command& command) {
    const auto& cdb = command.cdb;
    if (cdb[0] == inquiry) {
        if ((cdb[1] & 3) != 0 || cdb[2] != 0) return refuse(sense::bad_field);
        std::array<u8, 36> data{0x7f, 0, 6, 2, 36 - 5};
        return give(command, data, load_be<u16>(&cdb[3]));
    }
    if (cdb[0] == request_sense) return give(command, sense_data(sense::no_such_unit), cdb[4]);
    return refuse(sense::no_such_unit);
}

void Bus::abandon() {
    for (auto& [place, unit] : units_) unit->abandon();
}

void Bus::state(Archive& a) {
    u16 tag = 1;
    u32 count = static_cast<u32>(units_.size());
    a(0, "count", count);
    a.require(count == units_.size(), "count", "differs: the machine was configured with other units");
    const bool describing = !a.loading() && !a.saving();  // one unit stands for all of its kind
    std::set<std::string_view> described;
    for (auto& [place, unit] : units_) {
        if (describing && !described.insert(unit->kind()).second) continue;
        a.section(tag++, unit->kind(), [&, at = place, each = unit.get()](Archive& inner) {
            u32 target = at.target, lun = at.lun;
            inner(4, "target", target);
            inner(5, "lun", lun);
            inner.require(target == at.target && lun == at.lun, "unit", "is at another place");
            each->state(inner);
        });
    }
}

}  // namespace viv::scsi
