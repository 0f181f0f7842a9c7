// viv-img create, resize and measure. See tool.h.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "native/img/tool.h"

namespace viv::native::img {

Result<int> create(Arguments arguments) {
    auto line = options_of("create");
    std::optional<std::string> format, list, backing, backing_format;
    std::vector<std::string> words;
    bool quiet = false, unsafe = false;
    line.value("-f,--format", format, "FORMAT", "The format of the new image (raw)");
    line.value("-o,--options", list, "KEY=VALUE,...",
               "cluster_size, compat, lazy_refcounts, refcount_bits, "
               "compression_type, static, subformat, force_size, block_size, data_file, data_file_raw; "
               "luks: cipher-alg, cipher-mode, ivgen-alg, ivgen-hash-alg, hash-alg, iter-time; "
               "qcow2: encrypt.format=luks, and these behind encrypt.");
    KeyOption key;
    key.declare(line, "--key-file", key_help);
    line.value("-b,--backing", backing, "FILE", "An image below the new one: what is not written shows what is there");
    line.value("-F,--backing-format", backing_format, "FORMAT", "Its format");
    line.flag("-u,--unsafe", unsafe, "Do not look whether the image below is there");
    line.flag("-q,--quiet", quiet, "Say nothing");
    line.positionals("FILE [SIZE]", words, "The image, and its disk's size: 10G");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    if (words.empty() || words.size() > 2)
        return Error{"create: a file and a size are needed, as in create -f qcow2 disk.qcow2 10G"};
    NewImage image;
    image.path = words[0];
    image.format = format.value_or("raw");
    image.options.size = ~u64{0};
    TRY(parse_create_options(list.value_or(""), image));
    if (backing) image.options.backing_file = *backing;
    if (backing_format) image.options.backing_format = *backing_format;
    if (words.size() == 2) {
        TRY_SET(image.options.size, parse_bytes("create: size", words[1]));
    }
    const bool size_given = image.options.size != ~u64{0};
    if (!unsafe) TRY(check_backing(image, size_given));
    if (image.options.size == ~u64{0})
        return Error{fmt::format("create: {}: a size is needed, as in create {} 10G", image.path, image.path)};
    TRY(key.read());
    image.options.key = key.key();
    TRY(make(image));
    if (!quiet)
        print(fmt::format("Formatting '{}', fmt={} size={}{}\n", image.path, image.format,
                          align_up(image.options.size, 512),
                          image.options.backing_file.empty()
                              ? ""
                              : fmt::format(" backing_file={} backing_fmt={}", image.options.backing_file,
                                            image.options.backing_format)));
    return exit_good;
}

Result<int> resize(Arguments arguments) {
    auto line = options_of("resize");
    std::optional<std::string> format;
    std::vector<std::string> words;
    bool quiet = false, shrink = false;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    KeyOption key;
    key.declare(line, "--key-file", key_help);
    line.flag("--shrink", shrink, "Allow the disk to become smaller: what is behind its new end is lost");
    line.flag("-q,--quiet", quiet, "Say nothing");
    line.positionals("FILE [+|-]SIZE", words, "The image, and the disk's new size, or how much is added or taken");
    // "-1G" is no option.
    std::vector<std::string> others(arguments.begin(), arguments.end());
    std::string size;
    if (!others.empty() && others.back().size() > 1 && others.back()[0] == '-' && others.back()[1] >= '0' &&
        others.back()[1] <= '9') {
        size = others.back();
        others.pop_back();
    }
    TRY_SET(const auto answered, parse(line, others));
    if (answered) return *answered;
    if (!size.empty()) words.push_back(size);
    if (words.size() != 2) return Error{"resize: a file and a size are needed, as in resize disk.qcow2 +10G"};
    size = words[1];
    const char sign = size[0] == '+' || size[0] == '-' ? size[0] : ' ';
    TRY_SET(u64 bytes, parse_bytes("resize:", std::string_view(size).substr(sign == ' ' ? 0 : 1)));
    TRY(key.read());
    Source source{words[0], format.value_or(""), block::Access::read_write};
    source.key = key.key();
    TRY_SET(auto image, open(source));
    const u64 now = image->size();
    if (sign == '-' && bytes >= now) return Error{fmt::format("resize: {}: the disk has only {} bytes", words[0], now)};
    if (sign != ' ') bytes = sign == '+' ? now + bytes : now - bytes;
    bytes = align_up(bytes, 512);
    if (bytes == 0) return Error{fmt::format("resize: {}: a disk has at least 512 bytes", words[0])};
    if (bytes < now && !shrink)
        return Error{
            fmt::format("resize: {}: the disk would lose what is behind its new end; --shrink allows that", words[0])};
    TRY(image->resize(bytes));
    TRY(image->flush());
    if (!quiet) print("Image resized.\n");
    return exit_good;
}

Result<int> measure(Arguments arguments) {
    auto line = options_of("measure");
    std::optional<std::string> format, target, list, size, output;
    std::vector<std::string> words;
    line.value("-f,--format", format, "FORMAT", "The image's format (by its content)");
    line.value("-O,--target-format", target, "FORMAT", "The format to measure for (raw)");
    line.value("-o,--options", list, "KEY=VALUE,...", "Options of the new image, as for create");
    line.value("--size", size, "SIZE", "Instead of a file: an empty disk of this size");
    line.value("--output", output, "human|json", "How to print it (human)");
    line.positionals("FILE", words, "The image");
    TRY_SET(const auto answered, parse(line, arguments));
    if (answered) return *answered;
    TRY_SET(const Output how, parse_output(output));
    if (words.size() + size.has_value() != 1) return Error{"measure: either a file or --size is needed"};
    NewImage image;
    image.format = target.value_or("raw");
    TRY(parse_create_options(list.value_or(""), image));
    const u64 cluster = image.options.cluster_size != 0 ? image.options.cluster_size : 64 << 10;
    u64 disk = 0, clusters = 0;
    if (size) {
        TRY_SET(disk, parse_bytes("--size", *size));
        disk = align_up(disk, 512);
    } else {
        Source from{words[0], format.value_or("")};
        from.content = block::Content::unused;
        TRY_SET(auto source, open(from));
        disk = source->size();
        u64 counted = 0;  // clusters below this one have been
        for (u64 at = 0; at < disk;) {
            TRY_SET(const auto found, look_through(*source, at, disk - at));
            const u64 end = at + found.extent.length;
            if (found.extent.kind == block::Extent::Kind::data) {
                const u64 first = std::max(counted, at / cluster), last = (end - 1) / cluster + 1;
                if (last > first) clusters += last - first;
                counted = std::max(counted, last);
            }
            at = end;
        }
    }
    u64 required = 0, full = 0;
    if (image.format == "raw") {
        required = full = disk;
    } else if (image.format == "qcow2") {
        // Header, L1 table, L2 tables and data, and what counts all of these.
        const u64 all = (disk + cluster - 1) / cluster, per_l2 = cluster / 8, l2 = (all + per_l2 - 1) / per_l2;
        const u64 l1 = (l2 * 8 + cluster - 1) / cluster;
        const u64 per_block = cluster * 8 / image.options.refcount_bits;
        const auto with_counts = [&](u64 others) {
            u64 blocks = 0, table = 0, total = others;
            while (true) {
                const u64 more_blocks = (total + per_block - 1) / per_block;
                const u64 more_table = (more_blocks * 8 + cluster - 1) / cluster;
                if (more_blocks == blocks && more_table == table) return total * cluster;
                blocks = more_blocks;
                table = more_table;
                total = others + blocks + table;
            }
        };
        full = with_counts(1 + l1 + l2 + all);
        required = full - (all - clusters) * cluster;
    } else {
        return Error{fmt::format("measure: {}: raw and qcow2 can be measured", image.format)};
    }
    if (how == Output::json) {
        nlohmann::ordered_json json{{"required", required}, {"fully-allocated", full}};
        print(json.dump(4) + "\n");
    } else {
        print(fmt::format("required size: {}\nfully allocated size: {}\n", required, full));
    }
    return exit_good;
}

}  // namespace viv::native::img
