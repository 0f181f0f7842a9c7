// viv-img, the program for disk images: its verbs, and what they share.
// Promises: every error is one line, "viv-img: ..."; exit codes are those of qemu-img.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/block/catalog.h"
#include "native/ciphers.h"
#include "native/command_line.h"
#include "native/image_files.h"
#include "native/progress.h"

namespace viv::native::img {

inline constexpr int exit_good = 0, exit_failed = 1;

using Arguments = std::span<const std::string>;

// Each returns its exit code, or an error, which is exit_failed.
struct Verb {
    std::string_view name, help;
    Result<int> (*run)(Arguments arguments);
};
std::span<const Verb> verbs();

Result<int> create(Arguments arguments);
Result<int> info(Arguments arguments);
Result<int> check(Arguments arguments);
Result<int> convert(Arguments arguments);
Result<int> compare(Arguments arguments);
Result<int> map(Arguments arguments);
Result<int> measure(Arguments arguments);
Result<int> resize(Arguments arguments);
Result<int> snapshot(Arguments arguments);
Result<int> rebase(Arguments arguments);
Result<int> commit(Arguments arguments);
Result<int> publish(Arguments arguments);

// A verb's options: parses, and answers --help. The code that it returns, if any, is the verb's.
CommandLine options_of(std::string_view verb);
Result<std::optional<int>> parse(CommandLine& options, Arguments arguments);

struct Source {
    std::string path, format;  // format empty: by content
    block::Access access = block::Access::read_only;
    block::Chain chain = block::Chain::whole;
    ImageFiles::Locking locking = ImageFiles::Locking::locked;
    block::OpenOptions::Damage damage = block::OpenOptions::Damage::refused;
    WebAccess::Named named_urls = WebAccess::Named::refused;
    const block::Key* key = nullptr;  // of what is encrypted
    block::Content content = block::Content::wanted;
};
Result<std::unique_ptr<block::Image>> open(const Source& source);
// The option --web of verbs that read whole chains.
class WebFlag {
public:
    void declare(CommandLine& line) {
        line.flag("--web", set_, "Follow the URLs that images name as what is below them");
    }
    WebAccess::Named named() const { return set_ ? WebAccess::Named::followed : WebAccess::Named::refused; }

private:
    bool set_ = false;
};
// Where a verb's passphrase comes from: --key-file and its like.
class KeyOption {
public:
    void declare(CommandLine& line, std::string_view name, std::string_view help) {
        line.value(std::string(name), source_, "FILE|fd:N", std::string(help));
    }
    // When the command line has been read; to be called once.
    Result<void> read() {
        if (!source_) return {};
        TRY_SET(auto key, read_key(*source_));
        key_.emplace(std::move(key));
        return {};
    }
    const block::Key* key() const { return key_ ? &*key_ : nullptr; }

private:
    std::optional<std::string> source_;
    std::optional<block::Key> key_;
};
inline constexpr std::string_view key_help =
    "The passphrase of an encrypted image: all of a file, or of an open descriptor";
// "10G", "1.5M", "512": bytes, rounded up to sectors by those who need that.
Result<u64> parse_bytes(std::string_view option, std::string_view text);
std::string bytes_text(u64 bytes);  // "1.5 GiB"

// -o key=value,... and the options of their own that mean the same.
struct NewImage {
    std::string path, format = "raw";
    block::CreateOptions options;
    bool encrypted = false;               // and options.key opens it
    std::optional<u64> key_milliseconds;  // that deriving its key takes; empty: the usual
};
Result<void> parse_create_options(const std::string& list, NewImage& image);
// Makes the file, and others that the format wants beside it, and the image in them.
struct Made {
    bool anew = false;               // the file was not there before
    std::vector<std::string> files;  // that were not there before
    void remove() const;             // these
};
Result<Made> make(const NewImage& image);
// Makes sure that the image below is there, and sets the size if none was given.
Result<void> check_backing(NewImage& image, bool size_given);

enum class Output : u8 { human, json };
Result<Output> parse_output(const std::optional<std::string>& text);

void print(std::string_view text);  // to standard output
void complain(std::string_view line);

}  // namespace viv::native::img
