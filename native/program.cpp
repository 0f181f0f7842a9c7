// Dispatch of the verbs. See program.h.
#include "native/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <vector>

#include "native/exec.h"
#include "native/info.h"
#include "native/lab/lab.h"
#include "native/listing.h"
#include "native/lockstep.h"
#include "native/options.h"
#include "native/program_host.h"
#include "native/publish.h"
#include "native/run.h"
#include "native/save.h"
#include "native/session.h"
#include "native/snapshot.h"

namespace viv::native {

namespace {

// Whoever closed a standard descriptor meant it to lead nowhere, not to the next file that is opened.
void open_standard_descriptors() {
    for (int descriptor = 0; descriptor <= 2; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0) [[maybe_unused]]
            const int opened = open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY);
}

int print(const std::string& text) {
    usize done = 0;
    while (done < text.size()) {
        const ssize_t count = write(STDOUT_FILENO, text.data() + done, text.size() - done);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0)
            return errno == EPIPE ? 128 + SIGPIPE
                                  : complain(Error{fmt::format("standard output: {}", error_text(errno))}, exit_failed);
        done += static_cast<usize>(count);
    }
    return 0;
}

struct Dispatch {
    int operator()(const RunOptions& options) const { return run(options); }
    int operator()(const ExecOptions& options) const { return exec(options); }
    int operator()(const LockstepOptions& options) const { return lockstep(options); }
    int operator()(const SaveOptions& options) const { return save(options); }
    int operator()(const SnapshotOptions& options) const { return snapshot(options); }
    int operator()(const PublishOptions& options) const { return publish(options); }
    int operator()(const LabOptions& options) const { return run_lab(options); }
    int operator()(const ListOptions& options) const { return print(listing(options, GuestCatalog::of_this_user())); }
    int operator()(const InfoOptions& options) const {
        const auto text = information(options, GuestCatalog::of_this_user());
        return text.ok() ? print(*text) : complain(text.error(), exit_bad_input);
    }
    int operator()(const VersionOptions&) const { return print(fmt::format("viv {}\n", program_version())); }
    int operator()(const HelpOptions& options) const { return print(options.text); }
};

}  // namespace

int run_program(int argc, char** argv) {
    open_standard_descriptors();
    std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is an error of write(), not the end of the program
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const auto command = parse_command_line(arguments);
    if (!command.ok()) return complain(command.error(), exit_bad_input);
    return std::visit(Dispatch{}, *command);
}

}  // namespace viv::native
