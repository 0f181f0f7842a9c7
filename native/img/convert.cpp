// viv-img convert. See tool.h.
// Promises: a target that was made for the copy is gone if the copy fails or is interrupted; one that was there before
// is named as half-written.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "native/img/tool.h"

namespace viv::native::img {

namespace {

constexpr u64 piece = 2 << 20;         // bytes read at once
constexpr u64 flush_every = 16 << 20;  // bytes of the target, which the host then begins to put on stable storage

struct Wanted {
    NewImage target;
    bool compressed = false, target_there = false, backed = false;
    const block::Key* below_key = nullptr;  // of what is below a copy that is not encrypted itself
    u64 sparse = 4096;                      // so many zeroes are left out
    Progress::Shown progress = Progress::Shown::no;
};

class Copy {
public:
    Copy(const Wanted& wanted, block::Image& target, u64 total)
        : wanted_(wanted), target_(target), progress_(wanted.progress, total), buffer_(piece) {
        const u64 cluster = target.details().cluster_size;
        if (cluster != 0) cluster_ = cluster;
    }

    // The source's bytes to `start` of the target and on.
    Result<void> run(block::Image& source, u64 start) {
        for (u64 at = 0; at < source.size();) {
            if (Interruption::signal() != 0) return Error{"interrupted"};
            const u64 left = source.size() - at;
            TRY_SET(block::Found found, look_through(source, at, left));
            if (wanted_.backed && found.depth > 0) {
                at += found.extent.length;  // the target's image below has it
            } else if (wanted_.backed && found.extent.kind == block::Extent::Kind::absent) {
                at += found.extent.length;
            } else if (found.extent.kind == block::Extent::Kind::data) {
                // Whole clusters, so that none is compressed twice.
                u64 length = std::min(left, piece);
                if (!wanted_.compressed)
                    length = std::min(length, found.extent.length);
                else
                    length = std::min(length, std::max(align_up(at + found.extent.length, cluster_) - at, cluster_));
                if (wanted_.compressed && (start + at) % cluster_ != 0)
                    length = std::min(length, cluster_ - (start + at) % cluster_);
                const auto bytes = std::span(buffer_).first(length);
                TRY(source.read(at, bytes));
                TRY(put(start + at, bytes));
                at += length;
            } else {
                const u64 length =
                    wanted_.compressed && at + found.extent.length < source.size()
                        ? std::max<u64>(align_down(start + at + found.extent.length, cluster_), start + at) - start - at
                        : found.extent.length;
                if (length == 0) {
                    // The cluster's rest is data.
                    const u64 rest = std::min(left, cluster_ - (start + at) % cluster_);
                    const auto bytes = std::span(buffer_).first(rest);
                    TRY(source.read(at, bytes));
                    TRY(put(start + at, bytes));
                    at += rest;
                } else {
                    TRY(put_zeroes(start + at, length));
                    at += length;
                }
            }
            progress_.at(start + at);
            if (start + at >= flushed_ + flush_every) {
                target_.file().begin_flush();
                flushed_ = start + at;
            }
        }
        return {};
    }

private:
    // Most new images are all zeroes.
    Result<void> put_zeroes(u64 at, u64 length) {
        if (!wanted_.target_there && !wanted_.backed && target_.begins_zero()) return {};
        return target_.write_zeroes(at, length);
    }

    Result<void> put(u64 at, std::span<const u8> bytes) {
        if (wanted_.compressed) return put_compressed(at, bytes);
        const u64 step = wanted_.sparse;
        if (step == 0) return target_.write(at, bytes);
        for (usize first = 0; first < bytes.size();) {
            const auto zero_at = [&](usize from) {
                return block::all_zero(bytes.subspan(from, length_at(at, from, bytes.size())));
            };
            const bool zero = zero_at(first);
            usize end = first;
            while (end < bytes.size() && zero_at(end) == zero) end += length_at(at, end, bytes.size());
            const auto part = bytes.subspan(first, end - first);
            if (zero) {
                TRY(put_zeroes(at + first, part.size()));
            } else {
                TRY(target_.write(at + first, part));
            }
            first = end;
        }
        return {};
    }
    // Steps are aligned in the target.
    usize length_at(u64 start, usize from, usize size) const {
        return std::min<u64>(size - from, wanted_.sparse - (start + from) % wanted_.sparse);
    }

    Result<void> put_compressed(u64 at, std::span<const u8> bytes) {
        while (!bytes.empty()) {
            const u64 length = std::min<u64>(bytes.size(), cluster_ - at % cluster_);
            const auto part = bytes.first(length);
            if (block::all_zero(part)) {
                TRY(put_zeroes(at, length));
            } else if (at % cluster_ == 0 && (length == cluster_ || at + length == target_.size())) {
                TRY(target_.write_compressed(at, part));
            } else {
                TRY(target_.write(at, part));
            }
            at += length;
            bytes = bytes.subspan(length);
        }
        return {};
    }

    const Wanted& wanted_;
    block::Image& target_;
    Progress progress_;
    std::vector<u8> buffer_;
    u64 cluster_ = 64 << 10;
    u64 flushed_ = 0;  // up to here, or begun
};

Result<void> copy_all(const Wanted& wanted, std::vector<std::unique_ptr<block::Image>>& sources, u64 total) {
    Source place{wanted.target.path, wanted.target.format, block::Access::read_write};
    // What is below the target is not read, but zeroes must hide it.
    place.chain = block::Chain::whole;
    place.key = wanted.target.options.key != nullptr ? wanted.target.options.key : wanted.below_key;
    TRY_SET(auto target, open(place));
    if (target->size() < total)
        return Error{
            fmt::format("{}: has {} bytes, and {} are to be copied", wanted.target.path, target->size(), total)};
    Copy copy(wanted, *target, total);
    u64 start = 0;
    for (auto& source : sources) {
        TRY(copy.run(*source, start));
        start += source->size();
    }
    return target->flush();
}

}  // namespace

Result<int> convert(Arguments arguments) {
    auto line = options_of("convert");
    std::optional<std::string> format, target_format, list, backing, backing_format, sparse, snapshot_name;
    std::vector<std::string> words;
    WebFlag web;
    KeyOption key, target_key;
    bool compressed = false, progress = false, quiet = false, no_create = false, share = false;
    line.value("-f,--format", format, "FORMAT", "The format of what is copied (by its content)");
    line.value("-O,--target-format", target_format, "FORMAT", "The format of the copy (raw)");
    line.value("-o,--options", list, "KEY=VALUE,...", "Options of the copy, as for create");
    line.flag("-c,--compress", compressed, "Compress the copy (qcow2)");
    line.value("-B,--backing", backing, "FILE", "The copy has only what differs from this image, which is below both");
    line.value("-F,--backing-format", backing_format, "FORMAT", "Its format");
    line.value("-l,--snapshot", snapshot_name, "NAME", "Copy this snapshot, by name or ID");
    line.value("-S,--sparse", sparse, "SIZE", "So many zeroes become a hole (4k); 0: none do");
    line.flag("-n,--no-create", no_create, "Copy into an image that is there");
    line.flag("-p,--progress", progress, "Show how far it is");
    line.flag("-q,--quiet", quiet, "Say nothing");
    line.flag("-U,--force-share", share, "Read although another program is writing");
    web.declare(line);
    key.declare(line, "--key-file", key_help);
    target_key.declare(line, "--target-key-file", "That of the copy");
    line.positionals("FILE... TARGET", words, "The images to copy, one behind the other, and the copy");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.size() < 2) return Error{"convert: an image and the name of its copy are needed"};

    Wanted wanted;
    wanted.target.path = words.back();
    words.pop_back();
    wanted.target.format = target_format.value_or("raw");
    wanted.compressed = compressed;
    wanted.target_there = no_create;
    wanted.progress = progress ? Progress::Shown::yes : Progress::Shown::no;
    if (sparse) {
        TRY_SET(wanted.sparse, parse_bytes("-S", *sparse));
        if (wanted.sparse % 512 != 0) return Error{fmt::format("-S {}: a multiple of 512 is needed", *sparse)};
    }
    TRY(parse_create_options(list.value_or(""), wanted.target));
    auto& options = wanted.target.options;
    if (options.size != 0) return Error{"convert: -o size: the copy has the size of what is copied"};
    if (backing) options.backing_file = *backing;
    if (backing_format) options.backing_format = *backing_format;
    wanted.backed = !options.backing_file.empty();
    if (compressed && wanted.target.format != "qcow2")
        return Error{fmt::format("convert: -c: a {} image cannot hold compressed data", wanted.target.format)};

    TRY(key.read());
    TRY(target_key.read());
    options.key = target_key.key();
    if (wanted.backed) wanted.below_key = key.key();
    if (compressed && wanted.target.encrypted)
        return Error{"convert: -c: an encrypted image cannot hold compressed data"};
    std::vector<std::unique_ptr<block::Image>> sources;
    for (const auto& path : words) {
        Source source{path, format.value_or("")};
        source.named_urls = web.named();
        source.key = key.key();
        source.locking = share ? ImageFiles::Locking::unlocked : ImageFiles::Locking::locked;
        TRY_SET(auto image, open(source));
        if (snapshot_name) TRY(image->show_snapshot(*snapshot_name));
        options.size += image->size();
        sources.push_back(std::move(image));
    }
    Made made;
    if (!no_create) {
        TRY(check_backing(wanted.target, true));
        TRY_SET(made, make(wanted.target));
    }
    const Interruption interruption;
    const auto copied = copy_all(wanted, sources, options.size);
    if (copied.ok()) return exit_good;
    made.remove();
    const int signal = Interruption::signal();
    const auto left = made.anew ? fmt::format("{} is removed", wanted.target.path)
                                : fmt::format("{} is there half-written", wanted.target.path);
    if (signal == 0) return Error{fmt::format("convert: {}; {}", copied.error().message, left)};
    complain(fmt::format("convert: interrupted; {}", left));
    return 128 + signal;
}

}  // namespace viv::native::img
