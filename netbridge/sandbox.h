// What the process gives up once its sockets are open: its user, and the system calls that it has no use for.
// Promises: after become() nothing of the old user is left, or it is an error; after close_sandbox() a system call that
// the relay does not use fails, in every thread, and no program can be started.
#pragma once

#include <string>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::netbridge {

// An empty name: whoever is root becomes nobody, everybody else stays.
Result<void> become(const std::string& user);
Result<void> close_sandbox();

}  // namespace viv::netbridge
