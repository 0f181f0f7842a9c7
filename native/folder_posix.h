// host::Folder on a Linux host: the folder that `--share` gives to a guest.
// Promises: every name is resolved as one component under a descriptor of its directory, with openat2(RESOLVE_BENEATH |
// RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS) or, on kernels without it, O_PATH | O_NOFOLLOW; before each use a node
// must still lie under the root, so a directory that somebody moves out of the share answers ESTALE. Only regular files
// and directories are ever opened (others: ENXIO, symbolic links: ELOOP). Nothing on procfs is reachable. The number of
// descriptors is bounded; at the bound the answer is EMFILE.
#pragma once

#include <memory>
#include <string>

#include "engine/host/folder.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::native {

struct FolderOptions {
    host::Folder::Mode mode = host::Folder::Mode::read_only;
    // best: openat2 where the kernel has it. portable: never, as on kernels before 5.6.
    enum class Resolution : u8 { best, portable } resolution = Resolution::best;
    // Host descriptors that nodes and open files may hold together, 8 to 1,000,000; 0: half of what the process may
    // still open.
    u32 maximum_descriptors = 0;
};

// Opens `path`, a directory (links in `path` itself are followed: it is the user's own word). Everything happens with
// the rights of the process: files that a guest creates belong to its user, and a chown that the host refuses is
// refused to the guest (EPERM). Guests may not make device nodes nor files with set-id bits (EPERM): those would act on
// the host. Modes of new files are exact, without umask.
Result<std::unique_ptr<host::Folder>> open_folder(const std::string& path, const FolderOptions& options);

}  // namespace viv::native
