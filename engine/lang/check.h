// CHECK: an invariant of our own. It is never reached by anything a guest, a file or a user does.
// Promises: prints the expression, the place and a message to standard error, then aborts; on in every build.
#pragma once

#include <string_view>

namespace viv {

[[noreturn]] void check_failed(const char* expression, const char* file, int line, std::string_view message);

}  // namespace viv

#define CHECK(condition, ...)                                                                        \
    do {                                                                                             \
        if (!(condition)) [[unlikely]]                                                               \
            ::viv::check_failed(#condition, __FILE__, __LINE__, ::std::string_view{"" __VA_ARGS__}); \
    } while (false)
