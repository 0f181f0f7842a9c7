// A rehearsal: a published machine is opened here once, as somebody far away would, to learn which of its chunks are
// wanted first.
// Promises: what is opened is a copy with nothing behind its devices, so that nothing that the guest does in it leaves
// it; takes about `rehearsal_ns` of time and the guest's memory as far as it is touched.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "native/arrival.h"

namespace viv::native {

inline constexpr u64 rehearsal_ns = 1'500'000'000;

// Opens the machine of `source`, a far one, types `typed` and Enter at its first serial port, and says what it has
// asked for until its time was over, the first first, and then what is kept of earlier openings in `cache`, which is
// not changed. An error if it cannot be opened so: a machine with disks, or larger than this host. `go_on` false: an
// early end.
Result<KeptChunks> rehearse(const std::shared_ptr<state::Source>& source, const std::string& cache,
                            const std::string& typed, const std::function<bool()>& go_on);

}  // namespace viv::native
