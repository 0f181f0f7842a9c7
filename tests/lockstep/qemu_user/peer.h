// The other side of the fuzzer: QEMU's user mode with the guest program, run as a child process around a shared file.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/lang/result.h"
#include "tests/lockstep/qemu_user/protocol.h"

namespace viv::lockstep {

class Peer {
public:
    // `command` is what runs the guest program: QEMU with its options, the program last. The shared file lies in
    // `folder`.
    static Result<std::unique_ptr<Peer>> start(std::vector<std::string> command, const std::string& folder);
    ~Peer();
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    shared_file& shared() { return *shared_; }
    // Starts on the batch in the shared file.
    bool begin();
    // Waits until it is done; false if the process is gone.
    bool finish();

private:
    Peer() = default;

    pid_t process_ = -1;
    int to_ = -1, from_ = -1;
    std::string path_;
    shared_file* shared_ = nullptr;
};

}  // namespace viv::lockstep
