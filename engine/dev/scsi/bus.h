// The logical units behind one host adapter, by target and number, and what a target answers in their place. SAM-5,
// SPC-4. Promises: REPORT LUNS tells what there is; a number without a unit, at a target that has others, is told so.
#pragma once

#include <map>
#include <memory>

#include "engine/dev/scsi/unit.h"
#include "engine/lang/result.h"

namespace viv::scsi {

struct Place {
    u32 target = 0, lun = 0;
    auto operator<=>(const Place&) const = default;
};

class Bus {
public:
    static constexpr u32 targets = 256;
    static constexpr u32 luns = 16384;

    using Units = std::map<Place, std::unique_ptr<Unit>>;

    // False if the place is taken. `place` is within the bounds above.
    bool attach(Place place, std::unique_ptr<Unit> unit);
    // The lowest target without a unit; none if all have one.
    std::optional<u32> free_target() const;
    bool has_target(u32 target) const;
    Unit* find(Place place);
    const Units& units() const { return units_; }

    // For a target that has_target(). The task's number as Unit::submit gives it.
    u64 submit(Place place, Command command);
    void abandon();
    void state(Archive& a);

private:
    Answer answer_luns(u32 target, const Command& command) const;
    static Answer answer_missing(const Command& command);
    Units units_;
};

}  // namespace viv::scsi
