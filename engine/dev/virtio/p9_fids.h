// The fids of one 9p session: the guest's numbers for files of the share.
// Promises: a fid is known by its path and by the identity (device, inode) of its file. Its host handle may be given
// back at any time and is found again by path; what is then found is another file, or nothing, answers ESTALE, never
// the wrong file. Numbers of fids, bytes of paths and handles held are all bounded. Saved machines carry paths, so they
// go on wherever the same folder is.
#pragma once

#include <list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/dev/virtio/p9_wire.h"
#include "engine/host/folder.h"
#include "engine/state/archive.h"

namespace viv::virtio::p9 {

// Which file it is, whatever its name.
struct FileIdentity {
    u64 device = 0;
    u64 inode = 0;
    bool operator==(const FileIdentity&) const = default;
};

// What of a fid is saved.
struct FidRecord {
    u32 number = 0;
    std::string path;  // from the root, names parted by '/'; empty: the root
    u32 type = 0;      // of the mode: mode_directory, mode_symlink, ...
    FileIdentity identity;
    bool identified = true;  // false after a restore into another folder: the path alone is believed once
    bool detached = false;   // its name was removed or given to another file: never looked up again
    bool opened = false;
    u32 open_flags = 0;

    bool is_directory() const { return type == mode_directory; }
    void state(Archive& a);
};

struct Fid : FidRecord {
    host::Folder::NodePointer node;  // null until needed
    host::Folder::FilePointer file;  // of an opened fid; null after a restore until needed
    std::list<u32>::iterator
        use;  // its place in the order of use; valid while `node` is held and the fid is not opened
    bool in_use_order = false;
};

class FidTable {
public:
    static constexpr usize maximum_fids = 60'000;
    static constexpr usize maximum_path_bytes = 16 << 20;
    static constexpr usize maximum_nodes = 256;  // handles held for fids that are not open

    explicit FidTable(host::Folder& folder) : folder_(folder) {}
    FidTable(const FidTable&) = delete;
    FidTable& operator=(const FidTable&) = delete;

    Fid* find(u32 number);  // null if there is none; valid until that fid is removed
    // A new fid; 0 or an errno. Fails if the number is taken or a bound reached.
    u32 add(u32 number, std::string path, host::Folder::NodePointer node, const host::FileAttributes& attributes);
    // Lets a fid mean another file (it keeps its number).
    void set(Fid& fid, std::string path, host::Folder::NodePointer node, const host::FileAttributes& attributes);
    bool has_room_for(usize path_bytes) const { return path_bytes_ + path_bytes <= maximum_path_bytes; }
    void remove(u32 number);
    void clear();
    usize size() const { return fids_.size(); }
    const std::map<u32, Fid>& all() const { return fids_; }

    // The handle of a fid, found again if it was given back.
    host::Outcome<host::Folder::NodePointer> node(Fid& fid);
    // The handle of a path, for parents.
    host::Outcome<host::Folder::NodePointer> resolve(std::string_view path);
    // The open file of an opened fid, opened again after a restore.
    host::Outcome<host::OpenFile*> file(Fid& fid);
    void set_opened(Fid& fid, u32 flags, host::Folder::FilePointer file);

    // Gives back every handle that can be found again; false if there was none. For when the host's descriptors run
    // out.
    bool shed();

    // The guest moved or removed names: fids at or below them follow, or lose their name.
    void renamed(std::string_view from, std::string_view to);
    void removed(std::string_view path);

    void state(Archive& a);

private:
    // Fids in order of their paths, so that those below a directory are found at once. The views show the fids' own
    // strings.
    using PathKey = std::pair<std::string_view, u32>;

    void touch(Fid& fid);
    void forget_use(Fid& fid);
    void release(Fid& fid);
    void set_path(Fid& fid, std::string path);
    void drop_path(Fid& fid);
    std::vector<u32> within(std::string_view path) const;

    host::Folder& folder_;
    std::map<u32, Fid> fids_;
    std::set<PathKey> by_path_;
    std::list<u32> use_order_;  // fids with a handle that may be given back, least recently used first
    usize path_bytes_ = 0;
};

// True if `path` is `above` or lies below it.
bool is_within(std::string_view path, std::string_view above);
std::string join(std::string_view directory, std::string_view name);
// The path of the directory that holds `path`, and the last name; `path` is not empty.
std::string_view parent_of(std::string_view path);
std::string_view name_of(std::string_view path);
// 0 if `name` is one plain component, or the errno that Linux would give.
u32 check_name(std::string_view name);
// True for "" and for plain components parted by single slashes.
bool is_plain_path(std::string_view path);

}  // namespace viv::virtio::p9
