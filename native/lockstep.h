// `viv lockstep`: two machines that differ in their tier, run and compared at once; a difference is searched for and
// shown. Promises: no file is changed; the exit code is 0 for no difference, 1 for one, 2 for wrong use, 125 if the
// guest did not get as far as its command.
#pragma once

#include "native/options.h"

namespace viv::native {

int lockstep(const LockstepOptions& options);

}  // namespace viv::native
