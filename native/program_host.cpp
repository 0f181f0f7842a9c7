// The program's version, which the build defines, and what keeps a machine from being saved. See program_host.h.
#include "native/program_host.h"

#include <fmt/format.h>

namespace viv::native {

std::string_view program_version() {
#ifdef VIV_VERSION
    return VIV_VERSION;
#else
    return "0.0.0";
#endif
}

Result<void> ProgramHost::may_save() {
    if (temporary_disk_.empty()) return {};
    return Error{
        fmt::format("the changes to {} are kept in memory only and would be lost; give a disk without snapshot=on",
                    temporary_disk_)};
}

}  // namespace viv::native
