// capture=FILE of `--net`: what passes, as pcapng.
// Promises: the file is made anew when the machine is made, and is whole up to the last frame whenever the machine
// waits; a disk that is full ends the capture with one line in the log, and not the machine.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "engine/net/capture.h"
#include "native/host_network.h"

namespace viv::native {

Result<std::unique_ptr<net::FrameRecorder>> open_capture(Networks& networks, std::string_view where,
                                                         const std::string& file);

}  // namespace viv::native
