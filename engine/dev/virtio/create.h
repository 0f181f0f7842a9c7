// From a DeviceSpec to a virtio function: the one table of virtio devices by name, and the reading of their properties.
// Promises: an unknown property, a bad value or a missing back end is one line that names it and says what would be
// right; nothing is taken from the spec then.
#pragma once

#include <memory>

#include "engine/dev/device_spec.h"
#include "engine/dev/properties.h"
#include "engine/dev/virtio/virtio.h"
#include "engine/lang/result.h"

namespace viv::virtio {

// `spec.name` is a catalogue name on either bus ("virtio-blk-device", "virtio-blk-pci"). Back ends are moved out of the
// spec. A PCI address
// (`addr`) is the transport's affair: take it out with pci::take_slot() first.
Result<std::unique_ptr<Function>> create(DeviceSpec& spec, const Wiring& wiring);

// One maker a device, each in its device's own file; called by create() with the names of the properties already
// checked.
using Maker = Result<std::unique_ptr<Function>> (*)(DeviceSpec& spec, const Properties& properties,
                                                    const Wiring& wiring);
Result<std::unique_ptr<Function>> make_block(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_net(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_console(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_entropy(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_balloon(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_9p(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_keyboard(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_mouse(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_tablet(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_gpu(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);
Result<std::unique_ptr<Function>> make_scsi(DeviceSpec& spec, const Properties& properties, const Wiring& wiring);

}  // namespace viv::virtio
