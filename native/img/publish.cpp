// viv-img publish. See tool.h.
// Promises: an index that is there already stays as it is until the new one is whole; what is left of an interrupted
// run are chunks, which the next one finds.
#include <fmt/format.h>

#include "engine/block/published/published.h"
#include "native/chunk_folder.h"
#include "native/img/tool.h"

namespace viv::native::img {

namespace {

constexpr std::string_view extension = ".disk";

// The image's file name without what is behind its last dot.
std::string usual_name(const std::string& path) {
    const auto file = path.substr(path.rfind('/') + 1);
    const auto dot = file.rfind('.');
    return dot == std::string::npos || dot == 0 ? file : file.substr(0, dot);
}

Result<void> check_name(const std::string& name) {
    if (!name.empty() && name.find('/') == std::string::npos) return {};
    return Error{fmt::format("--name {}: a word without slashes is needed", name)};
}

Result<u32> chunk_size_of(const std::string& text) {
    using namespace block::published;
    TRY_SET(const u64 bytes, parse_bytes("--chunk-size", text));
    if (is_power_of_two(bytes) && bytes >= least_chunk && bytes <= most_chunk) return static_cast<u32>(bytes);
    return Error{fmt::format("--chunk-size {}: a power of two from 4k to 1M is needed", text)};
}

}  // namespace

Result<int> publish(Arguments arguments) {
    auto line = options_of("publish");
    std::optional<std::string> format, name, chunk_size;
    std::vector<std::string> words;
    WebFlag web;
    bool quiet = false, share = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.value("--name", name, "NAME", "The index becomes DIR/NAME.disk (the image's name)");
    line.value("--chunk-size", chunk_size, "SIZE", "What is fetched at once: 4k to 1M before compression (64k)");
    line.flag("-q,--quiet", quiet, "Say nothing");
    line.flag("-U,--force-share", share, "Read although another program is writing");
    web.declare(line);
    KeyOption key;
    key.declare(line, "--key-file", key_help);
    line.positionals("FILE DIR", words, "The image, and the folder for a web server, which is made if it is missing");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 2) return Error{"publish: an image and a folder are needed"};
    const auto& folder = words[1];
    const auto wanted = name.value_or(usual_name(words[0]));
    TRY(check_name(wanted));
    Source source{words[0], format.value_or("")};
    source.named_urls = web.named();
    TRY(key.read());
    source.key = key.key();
    source.locking = share ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
    TRY_SET(auto image, open(source));
    u32 size = block::published::chunk_size_for(image->size());
    if (chunk_size) {
        TRY_SET(size, chunk_size_of(*chunk_size));
    }

    const Interruption interruption;
    TRY_SET(const auto target, PublishedFolder::open(folder, fmt::format("{}{}", wanted, extension)));
    state::FileWriter writer(target->index(), &target->chunks(), state::Content::disk);
    Result<void> done = writer.begin();
    if (done.ok()) {
        Progress bar(quiet ? Progress::Shown::no : Progress::Shown::yes, image->size());
        done = block::published::write(*image, writer, size, [&](u64 at, u64) {
            bar.at(at);
            return Interruption::signal() == 0;
        });
    }
    if (!done.ok()) {
        complain(fmt::format("publish: {}", done.error().message));
        return Interruption::signal() != 0 ? 128 + Interruption::signal() : exit_failed;
    }
    const auto& counts = target->counts();
    if (!quiet)
        print(fmt::format("{}/{}{}: {} chunks, {:.1f} MB; new of these {}, {:.1f} MB\n", folder, wanted, extension,
                          counts.chunks, static_cast<double>(counts.bytes) / 1e6, counts.new_chunks,
                          static_cast<double>(counts.new_bytes) / 1e6));
    return exit_good;
}

}  // namespace viv::native::img
