// The end of the road for a broken invariant: say where, then abort so that a core dump or debugger sees it.
#include "engine/lang/check.h"

#include <cstdio>
#include <cstdlib>

namespace viv {

void check_failed(const char* expression, const char* file, int line, std::string_view message) {
    std::fprintf(stderr, "viv: internal error: CHECK(%s) failed at %s:%d%s%.*s\n", expression, file, line,
                 message.empty() ? "" : ": ", static_cast<int>(message.size()), message.data());
    std::abort();
}

}  // namespace viv
