// The guests that can be named on the command line: recipes in the guests folder, built ones in the cache. Formats:
// guests/README.md. Promises: reads only; a missing, broken or foreign file is one line that names it and says what to
// run; building is done by guests/tools/guest.py with its progress on standard error.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::native {

// A built guest, as its ready.toml describes it. Paths are absolute.
struct Guest {
    std::string name, title;
    std::string board;
    u64 memory = 0;  // bytes
    unsigned cpus = 1;
    std::string kernel, initrd, append;  // no initrd: empty
    std::string console_ready;           // what the console shows when it waits for the user
    std::string exec_port, exec_append;  // the agent's console port, and what to add for `viv exec`
    struct Disk {
        std::string file, format, device;
        enum class Writes : u8 { discard, keep } writes = Writes::discard;
    };
    std::vector<Disk> disks;
};

class GuestCatalog {
public:
    // `guests` holds the recipes (empty: there are none), `cache` the built guests in `cache`/guests.
    GuestCatalog(std::string guests, std::string cache) : guests_(std::move(guests)), cache_(std::move(cache)) {}
    // $VIVARIUM_GUESTS or the source tree that this program was built in; $XDG_CACHE_HOME/vivarium or
    // ~/.cache/vivarium.
    static GuestCatalog of_this_user();

    const std::string& guests_folder() const { return guests_; }
    const std::string& cache_folder() const { return cache_; }

    struct Row {
        std::string name, title;
        enum class State : u8 { ready, missing } state = State::missing;
    };
    std::vector<Row> list() const;

    // Known by recipe or built? The error suggests the nearest name and lists them all.
    Result<void> check_name(std::string_view name) const;
    // The built guest; nullopt if it has not been built yet.
    Result<std::optional<Guest>> find(std::string_view name) const;
    // Runs the tool that builds it and waits for it; interrupting viv interrupts it too.
    Result<Guest> build(std::string_view name) const;

private:
    std::string ready_path(std::string_view name) const;

    std::string guests_, cache_;
};

// The contents of a ready.toml; `path` is named in errors.
Result<Guest> parse_ready(std::string_view text, const std::string& path);

}  // namespace viv::native
