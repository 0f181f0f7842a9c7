// `viv info`: what there is to know of this host and of a running machine, one subject a word.
// Promises: nothing is changed, neither here nor in the machine; a machine's answer is printed as text without control
// characters, whatever it is.
#pragma once

#include <string>

#include "native/guest_catalog.h"
#include "native/options.h"

namespace viv::native {

// For standard output, ending with a newline. The error is bad input: nobody listens there, or it refuses.
Result<std::string> information(const InfoOptions& options, const GuestCatalog& catalog);

}  // namespace viv::native
