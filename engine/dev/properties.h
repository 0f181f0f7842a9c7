// The properties a user gave a device ("serial=x,readonly=on"), read with errors that name the property and what would
// be right. The catalogue's help text ("serial=TEXT, readonly=on|off") is the only list of names: one that it does not
// have is refused before any is read, save `id`, which every device may be given.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dev/device_spec.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv {

class Properties {
public:
    // `help` is DeviceKind::properties. An unknown name is an error that suggests the nearest and lists all. `spec`
    // must outlive the object.
    static Result<Properties> check(const DeviceSpec& spec, std::string_view help);

    // The value as given, if it was. Names that the help text lacks are our bug (CHECK), here and below.
    std::optional<std::string_view> text(std::string_view name) const;
    // Decimal, or hexadecimal with 0x; within [minimum, maximum].
    Result<u64> number(std::string_view name, u64 otherwise, u64 minimum, u64 maximum) const;
    // on or off (also true, false, yes, no).
    Result<bool> on_off(std::string_view name, bool otherwise) const;

    // "virtio-blk-pci: property 'x' <problem>"
    Error error(std::string_view name, std::string_view problem) const;

private:
    Properties(const DeviceSpec& spec, std::string_view help) : spec_(&spec), help_(help) {}
    const DeviceSpec* spec_;
    std::string_view help_;
};

// The names in a help text, in order.
std::vector<std::string_view> property_names(std::string_view help);

}  // namespace viv
