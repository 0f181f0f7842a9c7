// See publish.h.
#include "native/publish.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "native/guest_catalog.h"
#include "native/progress.h"
#include "native/published.h"
#include "native/session.h"
#include "native/values.h"

namespace viv::native {

int publish(const PublishOptions& options) {
    Result<Published> done = Error{};
    {
        const auto catalog = GuestCatalog::of_this_user();
        const Interruption interruption;
        std::optional<Progress> bar;
        done = publish(options.from, options.folder, options.name, catalog.cache_folder(), [&](u64 chunk, u64 all) {
            if (!bar) bar.emplace(Progress::Shown::yes, all);
            bar->at(chunk);
            return Interruption::signal() == 0;
        });
    }
    if (!done.ok())
        return complain(done.error(), Interruption::signal() != 0 ? 128 + Interruption::signal() : exit_failed);
    const auto first = done->first_chunks == 0 ? std::string() : fmt::format("; {} come first", done->first_chunks);
    const auto line = fmt::format("{}: {} chunks, {:.1f} MB; new of these {}, {:.1f} MB{}\n", options.folder,
                                  done->chunks, static_cast<double>(done->bytes) / 1e6, done->new_chunks,
                                  static_cast<double>(done->new_bytes) / 1e6, first);
    return write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : exit_failed;
}

}  // namespace viv::native
