// What the verbs share. See tool.h.
#include "native/img/tool.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <csignal>

#include "native/http.h"
#include "native/overlay_image.h"
#include "native/values.h"

namespace viv::native::img {

namespace {

constexpr u64 usual_key_milliseconds = 2000;

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(descriptor, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;
        text.remove_prefix(static_cast<usize>(count));
    }
}

}  // namespace

void print(std::string_view text) { write_all(STDOUT_FILENO, text); }
void complain(std::string_view line) { write_all(STDERR_FILENO, fmt::format("viv-img: {}\n", line)); }

CommandLine options_of(std::string_view verb) {
    const auto found = std::find_if(verbs().begin(), verbs().end(), [&](const auto& v) { return v.name == verb; });
    return CommandLine(std::string(verb), std::string(found->help), "viv-img");
}

Result<std::optional<int>> parse(CommandLine& options, Arguments arguments) {
    TRY_SET(const auto parsed, options.parse(arguments));
    if (parsed == CommandLine::Parsed::options) return std::optional<int>();
    print(options.help());
    return std::optional(exit_good);
}

Result<std::unique_ptr<block::Image>> open(const Source& source) {
    ImageFiles files(source.locking, {source.named_urls, "", nullptr});
    TRY_SET(auto file, files.open_named(source.path, source.access));
    block::OpenOptions options;
    options.format = source.format;
    options.access = source.access;
    options.chain = source.chain;
    options.opener = &files;
    options.damage = source.damage;
    options.key = source.key;
    options.content = source.content;
    return block::open_image(std::move(file), options);
}

Result<u64> parse_bytes(std::string_view option, std::string_view text) {
    double number = 0;
    u64 whole = 0;
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const auto parsed = std::from_chars(begin, end, whole);
    const char* rest = parsed.ptr;
    bool good = parsed.ec == std::errc{};
    const bool fraction = good && rest != end && *rest == '.';
    if (fraction) {
        const auto again = std::from_chars(begin, end, number, std::chars_format::fixed);
        good = again.ec == std::errc{};
        rest = again.ptr;
    }
    const std::string_view suffix(rest, static_cast<usize>(end - rest));
    constexpr std::string_view letters = "bkmgtpe";
    const auto letter = suffix.empty()       ? 0
                        : suffix.size() == 1 ? letters.find(static_cast<char>(suffix[0] | 0x20))
                                             : std::string_view::npos;
    if (!good || letter == std::string_view::npos || (fraction && letter == 0))
        return Error{fmt::format("{} {}: is no size; write bytes, or a number with k, M, G, T, P or E, as in 10G",
                                 option, text)};
    const auto shift = static_cast<unsigned>(letter * 10);
    const double value = (fraction ? number : static_cast<double>(whole)) * std::ldexp(1.0, static_cast<int>(shift));
    if (value >= std::ldexp(1.0, 62)) return Error{fmt::format("{} {}: is too large", option, text)};
    return fraction ? static_cast<u64>(value) : whole << shift;
}

std::string bytes_text(u64 bytes) {
    constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes);
    usize unit = 0;
    while (value >= 1000 && unit + 1 < std::size(units)) {
        value /= 1024;
        unit++;
    }
    return fmt::format("{:.3g} {}", value, units[unit]);
}

namespace {

Result<bool> on_or_off(std::string_view key, std::string_view value) {
    if (value == "on" || value == "true" || value == "yes") return true;
    if (value == "off" || value == "false" || value == "no") return false;
    return Error{fmt::format("-o {}={}: on or off is needed", key, value)};
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (!text.empty()) {
        words.push_back(text.substr(0, text.find(' ')));
        text.remove_prefix(std::min(text.size(), words.back().size() + 1));
    }
    return words;
}

// The words of `-o` for encryption, as luks has them; false: `key` is none of them.
Result<bool> set_encryption(NewImage& image, std::string_view key, std::string_view shown, const std::string& value) {
    auto& encryption = image.options.encryption;
    const auto one_of = [&](std::string& field, std::string_view list) -> Result<bool> {
        const auto known = words_of(list);
        if (std::find(known.begin(), known.end(), value) == known.end())
            return Error{fmt::format("-o {}={}: {} is needed", shown, value, fmt::join(known, " or "))};
        field = value;
        return true;
    };
    constexpr std::string_view hashes = "sha1 sha224 sha256 sha384 sha512 ripemd160";
    if (key == "cipher-mode") return one_of(encryption.mode, "xts cbc ecb");
    if (key == "hash-alg") return one_of(encryption.hash, hashes);
    if (key == "ivgen-alg") return one_of(encryption.start, "plain plain64 essiv");
    if (key == "ivgen-hash-alg") return one_of(encryption.start_hash, hashes);
    if (key == "cipher-alg") {
        std::string name;
        TRY(one_of(name, "aes-128 aes-192 aes-256"));
        encryption.aes_bits = name == "aes-128" ? 128 : name == "aes-192" ? 192 : 256;
        return true;
    }
    if (key == "iter-time") {
        u64 milliseconds = 0;
        const auto parsed = std::from_chars(value.data(), value.data() + value.size(), milliseconds);
        if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size() || milliseconds == 0 ||
            milliseconds > 60'000)
            return Error{fmt::format("-o {}={}: milliseconds from 1 to 60000 are needed", shown, value)};
        image.key_milliseconds = milliseconds;
        return true;
    }
    if (key == "key-secret") return Error{fmt::format("-o {}: the passphrase comes from --key-file", shown)};
    return false;
}

Result<void> set_option(NewImage& image, const block::FormatKind& kind, const std::string& key,
                        const std::string& value) {
    using block::CreateOption;
    auto& options = image.options;
    const auto wrong = [&](std::string_view right) {
        return Error{fmt::format("-o {}={}: {} is needed", key, value, right)};
    };
    const auto has = [&](CreateOption option) -> Result<void> {
        if (kind.has(option)) return {};
        return Error{fmt::format("-o {}: a {} image has no such option", key, kind.name)};
    };
    if (key == "size") {
        TRY_SET(options.size, parse_bytes("-o size", value));
    } else if (key == "cluster_size") {
        TRY(has(CreateOption::cluster_size));
        TRY_SET(options.cluster_size, parse_bytes("-o cluster_size", value));
        if (options.cluster_size == 0) return wrong("a power of two");
    } else if (key == "block_size") {
        TRY(has(CreateOption::block_size));
        TRY_SET(options.cluster_size, parse_bytes("-o block_size", value));
        if (options.cluster_size == 0) return wrong("a power of two");
    } else if (key == "data_file") {
        TRY(has(CreateOption::data_file));
        options.data_file = value;
    } else if (key == "data_file_raw") {
        TRY(has(CreateOption::data_file));
        TRY_SET(options.data_file_raw, on_or_off(key, value));
    } else if (key == "compat") {
        TRY(has(CreateOption::version));
        if (value != "0.10" && value != "v2" && value != "1.1" && value != "v3") return wrong("0.10 or 1.1");
        options.version = value == "0.10" || value == "v2" ? 2 : 3;
    } else if (key == "lazy_refcounts") {
        TRY(has(CreateOption::lazy_refcounts));
        TRY_SET(options.lazy_refcounts, on_or_off(key, value));
    } else if (key == "refcount_bits") {
        TRY(has(CreateOption::refcount_bits));
        const auto parsed = std::from_chars(value.data(), value.data() + value.size(), options.refcount_bits);
        if (parsed.ec != std::errc{} || parsed.ptr != value.data() + value.size())
            return wrong("1, 2, 4, 8, 16, 32 or 64");
    } else if (key == "compression_type") {
        TRY(has(CreateOption::compression));
        if (value != "zlib" && value != "zstd") return wrong("zlib or zstd");
        options.compression = value == "zstd" ? block::Compression::zstd : block::Compression::zlib;
    } else if (key == "backing_file" || key == "backing_fmt") {
        TRY(has(CreateOption::backing));
        (key == "backing_file" ? options.backing_file : options.backing_format) = value;
    } else if (key == "static") {
        TRY(has(CreateOption::fixed));
        TRY_SET(options.fixed, on_or_off(key, value));
    } else if (key == "subformat") {
        TRY(has(CreateOption::subformat));
        const auto known = words_of(kind.subformats);
        if (std::find(known.begin(), known.end(), value) == known.end())
            return wrong(fmt::format("{}", fmt::join(known, " or ")));
        options.subformat = value;
    } else if (key == "force_size") {
        TRY(has(CreateOption::exact_size));
        TRY_SET(const bool on, on_or_off(key, value));
        if (!on) return wrong("on (a disk always has the size that was asked for)");
    } else if (key == "encrypt.format") {
        TRY(has(CreateOption::encrypted));
        if (value != "luks") return wrong("luks");
        image.encrypted = true;
    } else if (key == "encryption") {
        return Error{"-o encryption: is the old way of encrypting, which is not supported; encrypt.format=luks is"};
    } else if (key == "preallocation") {
        if (value != "off") return wrong("off (this version allocates when something is written)");
    } else {
        const std::string_view prefix = "encrypt.", shown = key;
        const bool behind = shown.starts_with(prefix);
        if (kind.has(behind ? CreateOption::encrypted : CreateOption::encryption)) {
            TRY_SET(const bool known_word,
                    set_encryption(image, shown.substr(behind ? prefix.size() : 0), shown, value));
            if (known_word) return {};
        }
        constexpr std::string_view known[] = {
            "size",         "cluster_size",   "compat",        "lazy_refcounts", "refcount_bits", "compression_type",
            "backing_file", "backing_fmt",    "static",        "subformat",      "force_size",    "preallocation",
            "block_size",   "data_file",      "data_file_raw", "encrypt.format", "cipher-alg",    "cipher-mode",
            "ivgen-alg",    "ivgen-hash-alg", "hash-alg",      "iter-time"};
        return Error{fmt::format("-o {}: is no option of a {} image{}", key, kind.name, suggestion(key, known))};
    }
    return {};
}

}  // namespace

Result<void> parse_create_options(const std::string& list, NewImage& image) {
    TRY_SET(const auto* kind, block::find_format(image.format));
    if (kind->create == nullptr)
        return Error{fmt::format("{}: such images cannot be made by this version", image.format)};
    image.encrypted = kind->has(block::CreateOption::encryption);
    if (list.empty()) return {};
    TRY_SET(const auto properties, parse_properties("-o", list, Head::optional));
    if (!properties.head.empty()) TRY(set_option(image, *kind, properties.head, "on"));
    for (const auto& [key, value] : properties.properties) TRY(set_option(image, *kind, key, value));
    return {};
}

Result<void> check_backing(NewImage& image, bool size_given) {
    auto& options = image.options;
    if (options.backing_file.empty()) {
        if (!options.backing_format.empty()) return Error{"a format of the image below is given, but no image (-b)"};
        return {};
    }
    TRY_SET(const auto* kind, block::find_format(image.format));
    if (!kind->has(block::CreateOption::backing))
        return Error{fmt::format("-b {}: a {} image has none below it", options.backing_file, image.format)};
    const bool far = is_url(options.backing_file);
    Source below;
    TRY_SET(below.path, far ? Result<std::string>(split_name(options.backing_file).file)
                            : ImageFiles::path_of(options.backing_file, image.path));
    below.format = options.backing_format;
    below.content = block::Content::unused;
    auto opened = open(below);
    if (!opened.ok()) return Error{fmt::format("-b {}: {}", options.backing_file, opened.error().message)};
    if (options.backing_format.empty())
        return Error{
            fmt::format("-b {}: say its format with -F; it looks like {}", options.backing_file, (*opened)->format())};
    if (!size_given) options.size = (*opened)->size();
    if (far) {
        TRY_SET(options.backing_file, join_name(below.path, (*opened)->identity()));
    }
    return {};
}

Result<Made> make(const NewImage& image) {
    TRY_SET(const auto* kind, block::find_format(image.format));
    if (image.encrypted != (image.options.key != nullptr))
        return Error{image.encrypted
                         ? fmt::format("{}: is to be encrypted, and no passphrase is given (--key-file FILE, or of a "
                                       "copy: --target-key-file FILE)",
                                       image.path)
                         : fmt::format("{}: there is a passphrase for it, and it is not encrypted; -f luks is, and "
                                       "-f qcow2 -o encrypt.format=luks",
                                       image.path)};
    if (kind->create == nullptr)
        return Error{fmt::format("{}: such images cannot be made by this version", image.format)};
    Made made;
    const auto new_file = [&](const std::string& path) -> Result<std::unique_ptr<host::File>> {
        const bool there = access(path.c_str(), F_OK) == 0;
        TRY_SET(auto file, create_file(path));
        if (!there) made.files.push_back(path);
        return file;
    };
    const bool there = access(image.path.c_str(), F_OK) == 0;
    made.anew = !there;
    TRY_SET(auto file, new_file(image.path));
    auto options = image.options;
    options.size = align_up(options.size, 512);
    if (image.encrypted) {
        TRY_SET(options.encryption.iterations,
                iterations_in(options.encryption.hash, image.key_milliseconds.value_or(usual_key_milliseconds)));
    }
    const auto name_at = image.path.rfind('/') + 1;
    options.file_name = image.path.substr(name_at);
    options.make_part = [&](const std::string& name) { return new_file(image.path.substr(0, name_at) + name); };
    PosixEntropy().fill(options.unique);
    if (auto done = kind->create(*file, options); !done.ok()) {
        file.reset();
        made.remove();
        return Error{fmt::format("{}: {}", image.path, done.error().message)};
    }
    return made;
}

void Made::remove() const {
    for (const auto& path : files) unlink(path.c_str());
}

Result<Output> parse_output(const std::optional<std::string>& text) {
    if (!text || *text == "human") return Output::human;
    if (*text == "json") return Output::json;
    return Error{fmt::format("--output {}: human or json is needed", *text)};
}

}  // namespace viv::native::img
