// `viv snapshot`: makes, lists and deletes points of a machine and goes back to them.
// Promises: a running viv does it itself, asked over its QMP endpoint; in a folder without one, no file is touched but
// the folder's own and the images that are named on the command line.
#pragma once

#include "native/options.h"

namespace viv::native {

// The exit code of the program.
int snapshot(const SnapshotOptions& options);

}  // namespace viv::native
