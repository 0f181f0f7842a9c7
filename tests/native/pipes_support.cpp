// The tests run as viv does (native/program.cpp): a reader that has gone is an error of write(), not the end of the
// program. libslirp writes to sockets and commands of the host without asking for that.
#include <csignal>

namespace {

[[maybe_unused]] const auto sigpipe_ignored = std::signal(SIGPIPE, SIG_IGN);

}  // namespace
