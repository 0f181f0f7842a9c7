// `viv lab`: machines, switches and links of one file, started, watched and stopped together.
// Promises: whatever happens, no machine outlives the lab, and its folder of sockets is gone afterwards; a machine that
// ends is told of; while the lab runs, lines from standard input go to its machines.
#pragma once

#include "native/options.h"

namespace viv::native {

// The exit code of the program: 0; 1 if a machine did not start, its setup or a test failed; 2 for a bad file; 124
// after
// --timeout; 141 if nobody reads any more.
int run_lab(const LabOptions& options);

}  // namespace viv::native
