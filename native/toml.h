// toml++, the same for all who include it. Its assertions about malformed text are left to the errors that it reports
// for the same text: as they come, they would end the program, or, with NDEBUG, be promises to the compiler that a file
// can break.
#pragma once

#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>
