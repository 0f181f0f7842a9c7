// `viv run`: a machine with its console, until the guest powers off or the user has enough.
// Promises: whatever is wrong with the input is said in one line before anything is created, with exit code 2; at the
// end all output is out, sockets are removed and the terminal is as it was.
#pragma once

#include "native/options.h"

namespace viv::native {

// The exit code of the program.
int run(const RunOptions& options);

}  // namespace viv::native
