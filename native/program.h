// The program: from its command line to its exit code.
#pragma once

namespace viv::native {

int run_program(int argc, char** argv);

}  // namespace viv::native
