// A saved machine's file is written in a hurry; one that is published is written once and fetched piece by piece, from
// far away. This makes the second out of the first. Promises: what is read from it is the same machine; equal machines
// become equal chunks.
#pragma once

#include <functional>

#include "engine/state/file.h"

namespace viv {

// Writes all of `from` to `to`, which has been begun, and finishes that. `progress` is told of the chunks of `from`
// that are done, and how many there are; false: stop, which is an error. Other errors: `from` is no machine's file or
// damaged, and those of the sinks.
Result<void> write_for_fetching(state::FileReader& from, state::FileWriter& to,
                                const std::function<bool(u64 done, u64 all)>& progress);

}  // namespace viv
