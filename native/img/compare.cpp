// viv-img compare, rebase and commit: what goes through two images side by side. See tool.h.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "native/http.h"
#include "native/img/tool.h"
#include "native/overlay_image.h"

namespace viv::native::img {

namespace {

constexpr u64 piece = 2 << 20;

// Reads; zeroes behind the end.
Result<void> read_beyond(block::Image* image, u64 offset, std::span<u8> out) {
    const u64 size = image == nullptr ? 0 : image->size();
    const u64 there = offset >= size ? 0 : std::min<u64>(out.size(), size - offset);
    std::memset(out.data() + there, 0, out.size() - there);
    return there == 0 ? Result<void>{} : image->read(offset, out.first(there));
}

// How far both are zeroes from `offset` on; 0: at least one has data.
Result<u64> zeroes_in_both(block::Image& a, block::Image& b, u64 offset, u64 length) {
    for (block::Image* image : {&a, &b}) {
        if (offset >= image->size()) continue;
        TRY_SET(const auto found, look_through(*image, offset, std::min(length, image->size() - offset)));
        if (found.extent.kind == block::Extent::Kind::data) return u64{0};
        length = std::min(length, found.extent.length);
    }
    return length;
}

}  // namespace

Result<int> compare(Arguments arguments) {
    constexpr int differ = 1;
    auto line = options_of("compare");
    std::optional<std::string> format, second_format;
    std::vector<std::string> words;
    WebFlag web;
    bool progress = false, quiet = false, strict = false, share = false;
    line.value("-f,--format", format, "FORMAT", "The first image's format (by its content)");
    line.value("-F,--second-format", second_format, "FORMAT", "The second one's");
    KeyOption key, second_key;
    key.declare(line, "--key-file", key_help);
    second_key.declare(line, "--second-key-file", "That of the second one");
    line.flag("-s,--strict", strict, "Different sizes are a difference, and so is data where there is none");
    line.flag("-p,--progress", progress, "Show how far it is");
    line.flag("-q,--quiet", quiet, "Say nothing; the exit code says it: 0 the same, 1 different, 2 failed");
    line.flag("-U,--force-share", share, "Read although another program is writing");
    web.declare(line);
    line.positionals("FILE FILE", words, "The images");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 2) return Error{"compare: two files are needed"};
    const auto locking = share ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
    Source first{words[0], format.value_or("")}, second{words[1], second_format.value_or("")};
    first.named_urls = second.named_urls = web.named();
    first.locking = second.locking = locking;
    TRY(key.read());
    TRY(second_key.read());
    first.key = key.key();
    second.key = second_key.key();
    TRY_SET(auto a, open(first));
    TRY_SET(auto b, open(second));
    const auto say = [&](const std::string& text) {
        if (!quiet) print(text + "\n");
    };
    if (strict && a->size() != b->size()) {
        say("Strict mode: Image size mismatch!");
        return differ;
    }
    const u64 size = std::max(a->size(), b->size());
    std::vector<u8> ours(piece), theirs(piece);
    Progress bar(progress ? Progress::Shown::yes : Progress::Shown::no, size);
    for (u64 at = 0; at < size;) {
        TRY_SET(const u64 zeroes, zeroes_in_both(*a, *b, at, size - at));
        if (zeroes != 0 && !strict) {
            at += zeroes;
            continue;
        }
        if (strict) {
            TRY_SET(const auto one, a->extent(at, size - at));
            TRY_SET(const auto other, b->extent(at, size - at));
            if ((one.kind == block::Extent::Kind::absent) != (other.kind == block::Extent::Kind::absent)) {
                say(fmt::format("Strict mode: Offset {} allocation mismatch!", at));
                return differ;
            }
            if (zeroes != 0) {
                at += std::min({zeroes, one.length, other.length});
                continue;
            }
        }
        const u64 length = std::min(piece, size - at);
        const auto left = std::span(ours).first(length), right = std::span(theirs).first(length);
        TRY(read_beyond(a.get(), at, left));
        TRY(read_beyond(b.get(), at, right));
        if (std::memcmp(left.data(), right.data(), length) != 0) {
            const auto place = std::mismatch(left.begin(), left.end(), right.begin());
            say(fmt::format("Content mismatch at offset {}!",
                            at + align_down(static_cast<u64>(place.first - left.begin()), 512)));
            return differ;
        }
        at += length;
        bar.at(at);
    }
    if (a->size() != b->size()) say("Warning: Image size mismatch!");
    say("Images are identical.");
    return exit_good;
}

namespace {

// With the key of the image above, which it may need or not.
Result<std::unique_ptr<block::Image>> open_below(Source source, const block::Key* key) {
    source.content = block::Content::unused;
    TRY_SET(auto image, open(source));
    bool encrypted = false;
    for (auto* layer = image.get(); layer != nullptr; layer = layer->backing()) encrypted |= layer->details().encrypted;
    if (!encrypted) return image;
    image.reset();
    source.content = block::Content::wanted;
    source.key = key;
    return open(source);
}

// The name of what is behind a URL may say which version of it is meant.
Result<void> check_identity(const std::string& name, block::Image& image) {
    const auto wanted = split_name(name).identity;
    if (wanted.empty() || wanted == image.identity()) return {};
    return Error{fmt::format("rebase: -b {}: another version of it is there", name)};
}

}  // namespace

Result<int> rebase(Arguments arguments) {
    auto line = options_of("rebase");
    std::optional<std::string> format, backing, backing_format;
    std::vector<std::string> words;
    WebFlag web;
    KeyOption key;
    bool progress = false, quiet = false, unsafe = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.value("-b,--backing", backing, "FILE", "The image that is to be below it; empty: none");
    line.value("-F,--backing-format", backing_format, "FORMAT", "Its format");
    line.flag("-u,--unsafe", unsafe, "Only write the name: what is below has the same content elsewhere");
    line.flag("-p,--progress", progress, "Show how far it is");
    line.flag("-q,--quiet", quiet, "Say nothing");
    web.declare(line);
    key.declare(line, "--key-file", key_help);
    line.positionals("FILE", words, "The image");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 1 || !backing) return Error{"rebase: a file and -b are needed"};
    if (!backing->empty() && !backing_format)
        return Error{fmt::format("rebase: -b {}: say its format with -F", *backing)};
    if (backing_format) TRY(block::find_format(*backing_format));
    Source source{words[0], format.value_or(""), block::Access::read_write};
    source.chain = unsafe ? block::Chain::first_only : block::Chain::whole;
    source.content = unsafe ? block::Content::unused : block::Content::wanted;
    source.named_urls = web.named();
    TRY(key.read());
    source.key = key.key();
    const bool far = is_url(*backing);
    if (far && !unsafe && web.named() == WebAccess::Named::refused)
        return Error{fmt::format("rebase: -b {}: --web allows what is behind a URL", *backing)};
    TRY_SET(auto image, open(source));
    std::string name = *backing;
    if (!unsafe) {
        std::unique_ptr<block::Image> below;
        if (!backing->empty()) {
            Source from;
            TRY_SET(from.path,
                    far ? Result<std::string>(split_name(*backing).file) : ImageFiles::path_of(*backing, words[0]));
            from.format = *backing_format;
            from.named_urls = web.named();
            TRY_SET(below, open_below(from, key.key()));
            // The content that was compared is what the image needs from now on.
            if (far) {
                TRY(check_identity(*backing, *below));
                TRY_SET(name, join_name(from.path, below->identity()));
            }
        }
        // What shows through from below and would show otherwise then becomes the image's own.
        Progress bar(progress ? Progress::Shown::yes : Progress::Shown::no, image->size());
        const u64 cluster = std::max<u64>(image->details().cluster_size, 512);
        std::vector<u8> now(piece), then(piece);
        for (u64 at = 0; at < image->size();) {
            TRY_SET(const auto extent, image->extent(at, std::min(image->size() - at, piece)));
            if (extent.kind == block::Extent::Kind::absent) {
                for (u64 done = 0; done < extent.length;) {
                    const u64 length = std::min(extent.length - done, cluster);
                    const auto old_bytes = std::span(now).first(length), new_bytes = std::span(then).first(length);
                    TRY(image->read(at + done, old_bytes));
                    TRY(read_beyond(below.get(), at + done, new_bytes));
                    if (std::memcmp(old_bytes.data(), new_bytes.data(), length) != 0) {
                        if (block::all_zero(old_bytes)) {
                            TRY(image->cover(at + done, length));
                        } else {
                            TRY(image->write(at + done, old_bytes));
                        }
                    }
                    done += length;
                }
            }
            at += extent.length;
            bar.at(at);
        }
        TRY(image->flush());
    }
    TRY(image->set_backing(name, backing_format.value_or("")));
    if (!quiet) print("Image rebased.\n");
    return exit_good;
}

Result<int> commit(Arguments arguments) {
    auto line = options_of("commit");
    std::optional<std::string> format;
    std::vector<std::string> words;
    KeyOption key;
    bool progress = false, quiet = false, keep = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.flag("-d,--keep", keep, "Leave the image as it is, instead of emptying it");
    line.flag("-p,--progress", progress, "Show how far it is");
    line.flag("-q,--quiet", quiet, "Say nothing");
    key.declare(line, "--key-file", key_help);
    line.positionals("FILE", words, "The image, which has another below it");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() != 1) return Error{"commit: one file is needed"};
    // The image below is opened apart, since it is written.
    Source source{words[0], format.value_or(""), block::Access::read_write};
    source.chain = block::Chain::first_only;
    TRY(key.read());
    source.key = key.key();
    TRY_SET(auto image, open(source));
    const auto details = image->details();
    if (details.backing_file.empty()) return Error{fmt::format("commit: {}: has no image below it", words[0])};
    TRY_SET(const auto path, ImageFiles::path_of(details.backing_file, words[0]));
    TRY_SET(auto below, open_below({path, details.backing_format, block::Access::read_write}, key.key()));
    if (below->size() < image->size()) TRY(below->resize(image->size()));
    Progress bar(progress ? Progress::Shown::yes : Progress::Shown::no, image->size());
    std::vector<u8> buffer(piece);
    for (u64 at = 0; at < image->size();) {
        TRY_SET(const auto extent, image->extent(at, std::min(image->size() - at, piece)));
        if (extent.kind == block::Extent::Kind::zero) {
            TRY(below->write_zeroes(at, extent.length));
        } else if (extent.kind == block::Extent::Kind::data) {
            const auto bytes = std::span(buffer).first(extent.length);
            TRY(image->read(at, bytes));
            TRY(below->write(at, bytes));
        }
        at += extent.length;
        bar.at(at);
    }
    TRY(below->flush());
    if (!keep) {
        TRY(image->forget(0, image->size()));
        TRY(image->flush());
    }
    if (!quiet) print("Image committed.\n");
    return exit_good;
}

}  // namespace viv::native::img
