// The file's name goes to the other program, which writes it. See save.h.
#include "native/save.h"

#include <unistd.h>

#include <cstdlib>

#include "native/qmp_caller.h"
#include "native/session.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

// The other program may have another working folder.
std::string absolute_path(const std::string& path) {
    if (path.starts_with('/')) return path;
    char* folder = getcwd(nullptr, 0);
    const auto absolute = folder != nullptr ? std::string(folder) + "/" + path : path;
    std::free(folder);
    return absolute;
}

Result<void> save_machine(const SaveOptions& options) {
    TRY(check_writable("save", options.file));
    QmpCaller client("save", "--from", options.from);
    TRY(client.connect());
    TRY(client.execute("viv-save", {{"file", absolute_path(options.file)}}));
    return {};
}

}  // namespace

int save(const SaveOptions& options) {
    const auto saved = save_machine(options);
    return saved.ok() ? 0 : complain(saved.error(), exit_bad_input);
}

}  // namespace viv::native
