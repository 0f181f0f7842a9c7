// The formats of disk images: the one list of them, opening by name or by content, and making new ones.
// Promises: content is looked at in the first 512 bytes only, and where these say nothing in the last 512, which nobody
// goes by: a file that a format may be meant by is opened if its format is said; an image that is found to be raw by
// its content keeps looking so (raw.h); a chain of images is at most deepest_chain long and holds no file twice; images
// below are opened for reading, by a FileOpener that may refuse; an image that names others is refused where there is
// no opener.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/block/image.h"
#include "engine/host/cipher.h"
#include "engine/state/file.h"

namespace viv::block {

inline constexpr unsigned deepest_chain = 64;

// Opens the files that images name. The names come from the images: whoever implements this decides what they may
// reach.
class FileOpener {
public:
    struct Opened {
        std::unique_ptr<host::File> file;
        std::string name;      // for messages, and for names relative to it
        std::string identity;  // the same for two names of one file
        // Random where the file is opened for writing: formats mark with it what they change.
        std::array<u8, 16> unique{};
        std::string content;  // the Image::identity() that it must have; empty: any
    };
    virtual ~FileOpener() = default;
    // `named_by`: Opened::name of the image that names it.
    virtual Result<Opened> open(const std::string& name, const std::string& named_by) = 0;
    // A file that is a part of the image itself, in the image's folder and nowhere else.
    virtual Result<Opened> open_part(const std::string& name, const std::string& image, Access access) = 0;
    // The chunks beside the index of a published disk. Those who do not override it reach none.
    virtual Result<std::unique_ptr<state::ChunkStore>> open_chunks(const std::string& index);
};

// What opens encrypted images.
struct Key {
    host::Ciphers& ciphers;
    Secret passphrase;  // any bytes
};
inline constexpr std::string_view needs_key =
    "is encrypted, and opens with its passphrase only; viv takes it from key-file=FILE, viv-img from --key-file FILE";

enum class Content : u8 {
    wanted,
    unused,  // an encrypted image may be opened without its key; then reading and writing its disk fails
};

enum class Chain : u8 {
    whole,
    first_only,  // what is below is not opened and reads as zero: for looking at an image, or for checking it
};

struct OpenOptions {
    std::string_view format;  // empty: by content
    Access access = Access::read_only;
    Chain chain = Chain::whole;
    FileOpener* opener = nullptr;  // null: images with others below them are refused
    // Opened by a check that will repair it: marks of damage do not matter.
    enum class Damage : u8 { refused, expected } damage = Damage::refused;
    // The file with the image's data, where the user names it; taken from here by an image that has its data in
    // another file, an error if this one has not.
    FileOpener::Opened* data_file = nullptr;
    // Of all images of the chain that are encrypted; an error if none of them is.
    const Key* key = nullptr;
    Content content = Content::wanted;
};

// What a format's open() is called with.
struct OpenContext {
    std::string name;
    Access access = Access::read_only;
    OpenOptions::Damage damage = OpenOptions::Damage::refused;
    std::array<u8, 16> unique{};  // as in FileOpener::Opened
    const Key* key = nullptr;     // both as in OpenOptions
    Content content = Content::wanted;
    // Null result: the chain is not wanted.
    std::function<Result<std::unique_ptr<Image>>(const std::string& name, const std::string& format)> open_backing;
    // A file that is a part of the image, with the image's access; an error for one that it has been opened with
    // already.
    std::function<Result<FileOpener::Opened>(const std::string& name)> open_part;
    // The part with all of the data: the file that the user has named, else the one that the image names.
    std::function<Result<FileOpener::Opened>(const std::string& name)> open_data_file;
    std::function<Result<std::unique_ptr<state::ChunkStore>>()> open_chunks;
};

enum class Compression : u8 { zlib, zstd };

// How a new image is encrypted (LUKS), in the words of its header.
struct Encryption {
    unsigned aes_bits = 256;  // 128, 192 or 256
    std::string mode = "xts", start = "plain64", start_hash, hash = "sha256";
    u32 iterations = 1'000'000;  // of deriving a key from the passphrase
};

struct CreateOptions {
    u64 size = 0;          // bytes, a multiple of 512
    u64 cluster_size = 0;  // bytes, or those of a block; 0: as the format has it
    unsigned version = 0;  // of the format; 0: the newest
    unsigned refcount_bits = 16;
    bool lazy_refcounts = false;
    Compression compression = Compression::zlib;
    bool fixed = false;     // all of it allocated at once: VDI's static images
    std::string subformat;  // one of the format's; empty: the usual
    std::string backing_file, backing_format;
    // Makes an empty file beside the image, for formats of several files.
    std::function<Result<std::unique_ptr<host::File>>(const std::string& name)> make_part;
    std::string data_file;        // of make_part(), for the data; empty: it is in the image
    bool data_file_raw = false;   // and that file alone is a raw disk
    std::string file_name;        // without its folder, for formats that name their own file
    std::array<u8, 32> unique{};  // random: what tells this image from all others
    const Key* key = nullptr;     // of an encrypted image; null: it is not
    Encryption encryption;
};

// The names that `-o` knows, which a format has or not.
enum class CreateOption : u16 {
    cluster_size = 1 << 0,
    version = 1 << 1,
    refcount_bits = 1 << 2,
    lazy_refcounts = 1 << 3,
    compression = 1 << 4,
    fixed = 1 << 5,
    backing = 1 << 6,
    subformat = 1 << 7,
    exact_size = 1 << 8,
    block_size = 1 << 9,
    data_file = 1 << 10,
    encryption = 1 << 11,  // as the format's own
    encrypted = 1 << 12,   // the same behind the word "encrypt.", for formats that may be encrypted
};

struct FormatKind {
    std::string_view name, title;
    bool (*probe)(std::span<const u8, 512> head);
    Result<std::unique_ptr<Image>> (*open)(std::unique_ptr<host::File> file, OpenContext context);  // null: cannot
    // Into an empty file. Null: cannot.
    Result<void> (*create)(host::File& file, const CreateOptions& options);
    u16 create_options = 0;            // CreateOption
    std::string_view subformats = {};  // names with spaces between, the usual first
    // For formats that show at the end of a file only. Null: it is not one.
    bool (*probe_end)(std::span<const u8, 512> tail) = nullptr;
    bool has(CreateOption option) const { return (create_options & static_cast<u16>(option)) != 0; }
};

std::span<const FormatKind> formats();
// By its name; the error names those there are.
Result<const FormatKind*> find_format(std::string_view name);
// What the first bytes of a file say; null: nothing known, which is raw.
const FormatKind* probe_format(std::span<const u8, 512> head);

Result<std::unique_ptr<Image>> open_image(FileOpener::Opened file, const OpenOptions& options);

// The error of a raw image whose size is that of no disk.
Result<void> check_raw_size(u64 size, std::string_view name);

}  // namespace viv::block
