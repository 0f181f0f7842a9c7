// What every device is to the board and to control: a name, a reset, a state. MMIO (mem/bus.h), pins and ports come on
// top. A device is config (fixed), wiring (never saved) and state (all that a guest can see, all of it saved). Outputs
// follow from state by one `sync()`.
#pragma once

#include <string>
#include <string_view>

#include "engine/lang/result.h"
#include "engine/state/archive.h"

namespace viv {

class Device {
public:
    virtual ~Device() = default;
    // The kind, as the catalogue names it: "ns16550a".
    virtual std::string_view kind() const = 0;
    // To power-on state; drives the outputs accordingly.
    virtual void reset() = 0;
    // Save, load, hash, describe. Loading must leave no index or length that the device has not checked
    // (Archive::require).
    virtual void state(Archive& a) = 0;
    // After loading: recompute outputs and re-arm timers. Pins take levels without edges.
    virtual void restored() {}
};

}  // namespace viv
