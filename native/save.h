// `viv save`: asks a running viv, over its QMP endpoint, to save its machine.
// Promises: the other viv writes the file, under a temporary name until it is complete; its refusal is shown as it says
// it.
#pragma once

#include "native/options.h"

namespace viv::native {

// The exit code of the program.
int save(const SaveOptions& options);

}  // namespace viv::native
