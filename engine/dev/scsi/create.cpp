// See create.h.
#include "engine/dev/scsi/create.h"

#include <fmt/core.h>

#include "engine/dev/catalog.h"
#include "engine/dev/properties.h"
#include "engine/dev/scsi/cd.h"
#include "engine/dev/scsi/disk.h"

namespace viv::scsi {

namespace {

Result<std::string> text(const Properties& properties, std::string_view name, std::string_view otherwise, usize most) {
    std::string value(properties.text(name).value_or(otherwise));
    if (value.size() > most) return properties.error(name, fmt::format("is longer than {} characters", most));
    for (const char letter : value)
        if (letter < 0x20 || letter > 0x7e) return properties.error(name, "is not of printable ASCII characters");
    return value;
}

}  // namespace

std::string bus_name(const DeviceSpec& spec) {
    const auto found = spec.properties.find("bus");
    if (found == spec.properties.end()) return {};
    // A bus is the first one of its adapter: scsi0 and scsi0.0 are the same.
    std::string_view name = found->second;
    if (name.ends_with(".0")) name.remove_suffix(2);
    return std::string(name);
}

Result<void> attach(Bus& bus, DeviceSpec& spec) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    TRY_SET(const Properties properties, Properties::check(spec, kind->properties));
    const bool cd = kind->name == "scsi-cd";
    UnitNames names;
    TRY_SET(names.vendor, text(properties, "vendor", "VIVARIUM", 8));
    TRY_SET(names.product, text(properties, "product", cd ? "CD-ROM" : "HARDDISK", 16));
    TRY_SET(names.revision, text(properties, "ver", "1.0", 4));
    TRY_SET(names.serial, text(properties, "serial", "", Unit::longest_serial));
    if (!cd) {
        TRY_SET(names.wwn, properties.number("wwn", 0, 0, ~u64{0}));
    }
    const auto free = bus.free_target();
    TRY_SET(const u64 target, properties.number("scsi-id", free.value_or(0), 0, Bus::targets - 1));
    TRY_SET(const u64 lun, properties.number("lun", 0, 0, Bus::luns - 1));
    const Place place{static_cast<u32>(target), static_cast<u32>(lun)};
    if (bus.find(place) != nullptr)
        return Error{
            fmt::format("{}: scsi-id={},lun={} is taken; give it another lun or scsi-id", spec.name, target, lun)};
    if (!cd && spec.disk == nullptr)
        return Error{fmt::format("{}: no disk is connected to it; use --device {},file=FILE", spec.name, spec.name)};
    if (!cd && spec.disk->size() == 0) return Error{fmt::format("{}: its disk is empty", spec.name)};
    std::unique_ptr<Unit> unit;
    if (cd)
        unit = std::make_unique<Cd>(std::move(spec.disk), std::move(names));
    else
        unit = std::make_unique<Disk>(std::move(spec.disk), std::move(names));
    bus.attach(place, std::move(unit));
    return {};
}

}  // namespace viv::scsi
