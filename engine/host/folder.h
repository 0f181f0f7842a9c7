// A host folder shared with a guest (9p), as an injected interface.
// Promises an implementation must keep: nothing outside the root is ever reached, whatever names, links or races the
// guest makes; a name is one path component, never empty, ".", "..", nor with "/" or NUL inside; symbolic links are the
// guest's data, never followed on the host. Errors are Linux errno numbers (positive), the same on every host. Node
// handles stay valid until released, even if the file is renamed or removed.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "engine/lang/bits.h"

namespace viv::host {

// A value or a Linux errno.
template <class T>
class Outcome {
public:
    Outcome(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    static Outcome fail(u32 linux_errno) { return Outcome(Failure{linux_errno}); }
    bool ok() const { return content_.index() == 0; }
    T& operator*() { return *std::get_if<0>(&content_); }
    T* operator->() { return std::get_if<0>(&content_); }
    u32 error() const { return ok() ? 0 : std::get_if<1>(&content_)->linux_errno; }

private:
    struct Failure {
        u32 linux_errno;
    };
    explicit Outcome(Failure failure) : content_(std::in_place_index<1>, failure) {}
    std::variant<T, Failure> content_;
};

struct FileAttributes {  // fields as in struct stat
    u64 device = 0, inode = 0;
    u32 mode = 0, links = 0, uid = 0, gid = 0;
    u64 size = 0, block_size = 0, blocks = 0, special_device = 0;
    i64 accessed_s = 0, modified_s = 0, changed_s = 0;
    u32 accessed_ns = 0, modified_ns = 0, changed_ns = 0;
};

struct AttributeChange {
    bool set_mode = false, set_uid = false, set_gid = false, set_size = false;
    enum class Time : u8 { keep, now, given } accessed = Time::keep, modified = Time::keep;
    u32 mode = 0, uid = 0, gid = 0;
    u64 size = 0;
    i64 accessed_s = 0, modified_s = 0;
    u32 accessed_ns = 0, modified_ns = 0;
};

struct FolderEntry {
    std::string name;
    u64 inode = 0;
    u8 type = 0;  // DT_* as on Linux
};

struct FolderStatistics {
    u32 type = 0, block_size = 0;
    u64 blocks = 0, blocks_free = 0, blocks_available = 0, files = 0, files_free = 0, id = 0;
    u32 name_length = 0;
};

// A file, directory or link inside the share.
class FolderNode {
public:
    virtual ~FolderNode() = default;
};

// An open file.
class OpenFile {
public:
    virtual ~OpenFile() = default;
    virtual Outcome<u32> read(u64 offset, std::span<u8> out) = 0;  // bytes read, 0 at the end
    virtual Outcome<u32> write(u64 offset, std::span<const u8> in) = 0;
    virtual u32 sync(bool data_only) = 0;  // errno or 0
};

class Folder {
public:
    enum class Mode : u8 { read_only, read_write };
    using NodePointer = std::shared_ptr<FolderNode>;
    using FilePointer = std::unique_ptr<OpenFile>;

    virtual ~Folder() = default;
    virtual NodePointer root() = 0;
    virtual Outcome<NodePointer> lookup(FolderNode& directory, std::string_view name) = 0;
    virtual Outcome<FileAttributes> attributes(FolderNode& node) = 0;
    virtual u32 change(FolderNode& node, const AttributeChange& change) = 0;
    // `flags` are Linux open(2) flags on x86-64: access mode, O_TRUNC, O_APPEND; others are ignored.
    virtual Outcome<FilePointer> open(FolderNode& node, u32 flags) = 0;
    virtual Outcome<NodePointer> create(FolderNode& directory, std::string_view name, u32 flags, u32 mode,
                                        FilePointer& opened) = 0;
    virtual Outcome<NodePointer> make_directory(FolderNode& directory, std::string_view name, u32 mode) = 0;
    virtual Outcome<NodePointer> make_symlink(FolderNode& directory, std::string_view name,
                                              std::string_view target) = 0;
    virtual Outcome<NodePointer> make_node(FolderNode& directory, std::string_view name, u32 mode, u64 device) = 0;
    virtual u32 link(FolderNode& directory, std::string_view name, FolderNode& target) = 0;
    virtual Outcome<std::string> read_link(FolderNode& node) = 0;
    virtual Outcome<std::vector<FolderEntry>> list(FolderNode& directory) = 0;
    virtual u32 remove(FolderNode& directory, std::string_view name, bool directory_wanted) = 0;
    virtual u32 rename(FolderNode& from, std::string_view old_name, FolderNode& to, std::string_view new_name) = 0;
    virtual Outcome<FolderStatistics> statistics(FolderNode& node) = 0;
};

}  // namespace viv::host
