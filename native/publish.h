// `viv publish`: a saved machine becomes a folder for a web server.
#pragma once

#include "native/options.h"

namespace viv::native {

// The exit code of the program.
int publish(const PublishOptions& options);

}  // namespace viv::native
