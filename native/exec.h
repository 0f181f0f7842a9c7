// `viv exec`: one command in a guest, as if it ran here.
// Promises: the command's standard streams are viv's, apart and with back-pressure; the exit code is the command's, 128
// + n if signal n killed it, 124 after
// --timeout, 125 if viv itself failed (then the end of the guest's console is shown), 2 for bad input.
#pragma once

#include "native/options.h"

namespace viv::native {

// The exit code of the program.
int exec(const ExecOptions& options);

}  // namespace viv::native
