// See peer.h.
#include "tests/lockstep/qemu_user/peer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace viv::lockstep {

Result<std::unique_ptr<Peer>> Peer::start(std::vector<std::string> command, const std::string& folder) {
    std::unique_ptr<Peer> peer(new Peer);
    peer->path_ = folder + "/lockstep.XXXXXX";
    const int file = mkstemp(peer->path_.data());
    if (file < 0 || ftruncate(file, sizeof(shared_file)) != 0)
        return Error{fmt::format("{}: the shared file cannot be made: {}", peer->path_, std::strerror(errno))};
    void* at = mmap(nullptr, sizeof(shared_file), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (at == MAP_FAILED) return Error{fmt::format("{}: cannot be mapped: {}", peer->path_, std::strerror(errno))};
    peer->shared_ = static_cast<shared_file*>(at);
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        return Error{fmt::format("no pipe: {}", std::strerror(errno))};
    command.push_back(peer->path_);
    std::vector<char*> arguments;
    for (std::string& argument : command) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    signal(SIGPIPE, SIG_IGN);
    peer->process_ = fork();
    if (peer->process_ == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        execvp(arguments[0], arguments.data());
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    peer->to_ = to[1];
    peer->from_ = from[0];
    if (peer->process_ < 0 || !peer->finish() || peer->shared_->ready != 1)
        return Error{fmt::format("{}: does not run the guest program {}", command[0], command[command.size() - 2])};
    // Both sides have it mapped: nothing is left behind, however this process ends.
    unlink(peer->path_.c_str());
    return peer;
}

Peer::~Peer() {
    if (to_ >= 0) close(to_);
    if (from_ >= 0) close(from_);
    if (process_ > 0) {
        kill(process_, SIGKILL);
        waitpid(process_, nullptr, 0);
    }
    if (shared_ != nullptr) munmap(shared_, sizeof(shared_file));
    unlink(path_.c_str());
}

bool Peer::begin() {
    const char byte = 1;
    return write(to_, &byte, 1) == 1;
}

bool Peer::finish() {
    char byte = 0;
    ssize_t got = 0;
    do got = read(from_, &byte, 1);
    while (got < 0 && errno == EINTR);
    return got == 1;
}

}  // namespace viv::lockstep
