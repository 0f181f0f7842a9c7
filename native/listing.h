// `viv list`: tables of what there is, for standard output.
#pragma once

#include <string>

#include "native/guest_catalog.h"
#include "native/options.h"

namespace viv::native {

std::string listing(const ListOptions& options, const GuestCatalog& catalog);

}  // namespace viv::native
