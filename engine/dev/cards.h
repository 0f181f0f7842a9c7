// PCI devices of makers other than virtio: the one table of them by name. A board asks it first, and virtio/create.h
// for the rest.
#pragma once

#include <memory>
#include <string_view>

#include "engine/dev/device_spec.h"
#include "engine/dev/pci/function.h"
#include "engine/lang/log.h"
#include "engine/lang/result.h"
#include "engine/mem/dma.h"
#include "engine/time/timers.h"

namespace viv {

// Everything outlives the card.
struct CardWiring {
    Dma& dma;
    Timers& timers;
    LogSink& log;
};

// An unknown property, a bad value or a missing back end is one line that names it; nothing is taken from the spec
// then. A PCI address (`addr`) is the bus's affair: take it out with pci::take_slot() first.
using CardMaker = Result<std::unique_ptr<pci::Function>> (*)(DeviceSpec& spec, const CardWiring& wiring);

// Null if the catalogue's `name` is no such card.
CardMaker find_card(std::string_view name);

}  // namespace viv
