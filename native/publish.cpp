// See publish.h.
#include "native/publish.h"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "native/guest_catalog.h"
#include "native/progress.h"
#include "native/published.h"
#include "native/rehearsal.h"
#include "native/session.h"
#include "native/values.h"

namespace viv::native {

namespace {

struct Done {
    Published published;
    u64 first = 0;           // chunks in NAME.first
    std::string why_not_it;  // without a rehearsal, although one was wanted
};

bool goes_on() { return Interruption::signal() == 0; }

Result<Done> carry_out(const PublishOptions& options) {
    Done done;
    std::optional<Progress> bar;
    TRY_SET(done.published, publish(options.from, options.folder, options.name, [&](u64 chunk, u64 all) {
                if (!bar) bar.emplace(Progress::Shown::yes, all);
                bar->at(chunk);
                return goes_on();
            }));
    bar.reset();
    const auto cache = GuestCatalog::of_this_user().cache_folder();
    TRY_SET(auto source, open_as_far(options.folder, options.name));
    TRY_SET(const auto head, Machine::read_head(source));
    auto first = kept_chunks(cache, head.identity);
    if (options.rehearse == OnOff::on) {
        auto rehearsed = rehearse(source, cache, options.typed, goes_on);
        if (!goes_on())
            return Error{fmt::format(
                "publish {}: interrupted; the machine is published, but not what it asks for first", options.from)};
        if (rehearsed.ok())
            first = std::move(*rehearsed);
        else
            done.why_not_it = rehearsed.error().message;
    }
    TRY(publish_first(options.folder, options.name, first));
    done.first = first.count;
    return done;
}

std::string report(const PublishOptions& options, const Done& done) {
    const auto& published = done.published;
    auto text = fmt::format("{}: {} chunks, {:.1f} MB; new of these {}, {:.1f} MB", options.folder, published.chunks,
                            static_cast<double>(published.bytes) / 1e6, published.new_chunks,
                            static_cast<double>(published.new_bytes) / 1e6);
    if (done.first != 0) text += fmt::format("; {} come first", done.first);
    if (!done.why_not_it.empty()) text += fmt::format("; not rehearsed: {}", done.why_not_it);
    return text + '\n';
}

}  // namespace

int publish(const PublishOptions& options) {
    Result<Done> done = Error{};
    {
        const Interruption interruption;
        done = carry_out(options);
    }
    if (!done.ok())
        return complain(done.error(), Interruption::signal() != 0 ? 128 + Interruption::signal() : exit_failed);
    const auto line = report(options, *done);
    return write(STDOUT_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : exit_failed;
}

}  // namespace viv::native
