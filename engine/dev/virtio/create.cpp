// The makers of virtio devices by the stem of their catalogue name. See create.h.
#include "engine/dev/virtio/create.h"

#include <fmt/core.h>

#include <array>

#include "engine/dev/catalog.h"

namespace viv::virtio {

namespace {

struct Row {
    std::string_view stem;
    Maker make;
};

constexpr std::array makers{
    Row{"virtio-blk", make_block},         Row{"virtio-net", make_net},         Row{"virtio-serial", make_console},
    Row{"virtio-rng", make_entropy},       Row{"virtio-balloon", make_balloon}, Row{"virtio-9p", make_9p},
    Row{"virtio-keyboard", make_keyboard}, Row{"virtio-mouse", make_mouse},     Row{"virtio-tablet", make_tablet},
    Row{"virtio-gpu", make_gpu},           Row{"virtio-scsi", make_scsi},
};

}  // namespace

Result<std::unique_ptr<Function>> create(DeviceSpec& spec, const Wiring& wiring) {
    TRY_SET(const DeviceKind* kind, find_device(spec.name));
    const auto stem = kind->name.substr(0, kind->name.rfind('-'));
    for (const Row& row : makers) {
        if (row.stem != stem) continue;
        TRY_SET(const Properties properties, Properties::check(spec, kind->properties));
        TRY_SET(const bool packed, properties.on_off("packed", false));
        TRY_SET(auto function, row.make(spec, properties, wiring));
        if (packed) function->offer(feature(ring_packed));
        return function;
    }
    return Error{fmt::format("{}: it is part of a board and cannot be added", spec.name)};
}

}  // namespace viv::virtio
