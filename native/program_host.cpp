// The program's version, which the build defines. See program_host.h.
#include "native/program_host.h"

namespace viv::native {

std::string_view program_version() {
#ifdef VIV_VERSION
    return VIV_VERSION;
#else
    return "0.0.0";
#endif
}

}  // namespace viv::native
