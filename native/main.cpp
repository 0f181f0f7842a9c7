// The program `viv`. Everything is in program.cpp, where tests reach it.
#include "native/program.h"

int main(int argc, char** argv) { return viv::native::run_program(argc, argv); }
