// Requests on names and attributes: stat and change, make, link, rename, unlink.
#include <utility>

#include "engine/dev/virtio/p9_server.h"

namespace viv::virtio::p9 {

namespace {

using host::AttributeChange;

constexpr u64 getattr_basic = 0x7ff;     // every field up to the number of blocks
constexpr u32 unlink_directory = 0x200;  // AT_REMOVEDIR

enum SetattrBit : u32 {
    set_mode = 1 << 0,
    set_uid = 1 << 1,
    set_gid = 1 << 2,
    set_size = 1 << 3,
    set_atime = 1 << 4,
    set_mtime = 1 << 5,
    set_ctime = 1 << 6,  // the host's own affair
    set_atime_given = 1 << 7,
    set_mtime_given = 1 << 8,
};

// A device number as struct stat carries it on Linux.
u64 device_number(u32 major, u32 minor) {
    return (minor & 0xff) | u64{major & 0xfff} << 8 | u64{minor & ~0xffu} << 12 | u64{major & ~0xfffu} << 32;
}

}  // namespace

u32 Server::statfs(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    auto statistics = folder_.statistics(*file.node);
    if (!statistics.ok()) return statistics.error();
    out.store(statistics->type);
    out.store(statistics->block_size);
    out.store(statistics->blocks);
    out.store(statistics->blocks_free);
    out.store(statistics->blocks_available);
    out.store(statistics->files);
    out.store(statistics->files_free);
    out.store(statistics->id);
    out.store(statistics->name_length);
    return 0;
}

u32 Server::getattr(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const u64 wanted = in.load64();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    auto attributes = folder_.attributes(*file.node);
    if (!attributes.ok()) return attributes.error();
    const auto time = [&](i64 seconds, u32 nanoseconds) {
        out.store(static_cast<u64>(seconds));
        out.store(u64{nanoseconds});
    };
    out.store(wanted & getattr_basic);
    out.store(qid(*attributes));
    out.store(attributes->mode);
    out.store(attributes->uid);
    out.store(attributes->gid);
    out.store(u64{attributes->links});
    out.store(attributes->special_device);
    out.store(attributes->size);
    out.store(attributes->block_size);
    out.store(attributes->blocks);
    time(attributes->accessed_s, attributes->accessed_ns);
    time(attributes->modified_s, attributes->modified_ns);
    time(attributes->changed_s, attributes->changed_ns);
    time(0, 0);         // time of birth
    out.store(u64{0});  // generation
    out.store(u64{0});  // version of the data
    return 0;
}

u32 Server::setattr(MessageReader& in) {
    const u32 number = in.load32(), valid = in.load32();
    AttributeChange change;
    change.mode = in.load32() & mode_permissions;
    change.uid = in.load32();
    change.gid = in.load32();
    change.size = in.load64();
    change.accessed_s = static_cast<i64>(in.load64());
    const u64 accessed_ns = in.load64();
    change.modified_s = static_cast<i64>(in.load64());
    const u64 modified_ns = in.load64();
    if (!in.complete()) return error_proto;
    if (accessed_ns >> 32 != 0 || modified_ns >> 32 != 0) return error_inval;
    change.accessed_ns = static_cast<u32>(accessed_ns);
    change.modified_ns = static_cast<u32>(modified_ns);
    Target file;
    if (const u32 error = target(number, file)) return error;
    const auto time = [&](u32 set, u32 given) {
        if ((valid & set) == 0) return AttributeChange::Time::keep;
        return (valid & given) != 0 ? AttributeChange::Time::given : AttributeChange::Time::now;
    };
    change.set_mode = (valid & set_mode) != 0;
    change.set_uid = (valid & set_uid) != 0;
    change.set_gid = (valid & set_gid) != 0;
    change.set_size = (valid & set_size) != 0;
    change.accessed = time(set_atime, set_atime_given);
    change.modified = time(set_mtime, set_mtime_given);
    return folder_.change(*file.node, change);
}

u32 Server::put_new(host::Outcome<NodePointer> made, MessageWriter& out) {
    if (!made.ok()) return made.error();
    auto attributes = folder_.attributes(**made);
    if (!attributes.ok()) return attributes.error();
    out.store(qid(*attributes));
    return 0;
}

u32 Server::symlink(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const std::string_view name = in.text(), points_to = in.text();
    in.load32();  // gid
    if (!in.complete()) return error_proto;
    Target directory;
    if (const u32 error = target(number, directory)) return error;
    if (const u32 error = check_name(name)) return error;
    return put_new(with_descriptors([&] { return folder_.make_symlink(*directory.node, name, points_to); }), out);
}

u32 Server::mknod(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const std::string_view name = in.text();
    const u32 mode = in.load32(), major = in.load32(), minor = in.load32();
    in.load32();  // gid
    if (!in.complete()) return error_proto;
    Target directory;
    if (const u32 error = target(number, directory)) return error;
    if (const u32 error = check_name(name)) return error;
    const u64 device = device_number(major, minor);
    return put_new(with_descriptors([&] { return folder_.make_node(*directory.node, name, mode, device); }), out);
}

u32 Server::mkdir(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const std::string_view name = in.text();
    const u32 mode = in.load32() & mode_permissions;
    in.load32();  // gid
    if (!in.complete()) return error_proto;
    Target directory;
    if (const u32 error = target(number, directory)) return error;
    if (const u32 error = check_name(name)) return error;
    return put_new(with_descriptors([&] { return folder_.make_directory(*directory.node, name, mode); }), out);
}

u32 Server::readlink(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    auto points_to = folder_.read_link(*file.node);
    if (!points_to.ok()) return points_to.error();
    out.text(*points_to);
    return 0;
}

u32 Server::link(MessageReader& in) {
    const u32 directory_number = in.load32(), number = in.load32();
    const std::string_view name = in.text();
    if (!in.complete()) return error_proto;
    Target directory, file;
    if (const u32 error = target(directory_number, directory)) return error;
    if (const u32 error = target(number, file)) return error;
    if (const u32 error = check_name(name)) return error;
    return folder_.link(*directory.node, name, *file.node);
}

// Moves `from`'s entry `old_name`, whose path is `old_path` if it has one.
u32 Server::move(host::FolderNode& from, const std::string& old_path, std::string_view old_name, u32 to_number,
                 std::string_view new_name) {
    Target to;
    if (const u32 error = target(to_number, to)) return error;
    if (const u32 error = check_name(old_name)) return error;
    if (const u32 error = check_name(new_name)) return error;
    if (const u32 error = folder_.rename(from, old_name, *to.node, new_name)) return error;
    if (old_path.empty()) return 0;
    if (to.fid->detached)
        fids_.removed(old_path);
    else
        fids_.renamed(old_path, join(to.fid->path, new_name));
    return 0;
}

u32 Server::rename(MessageReader& in) {
    const u32 number = in.load32(), directory_number = in.load32();
    const std::string_view new_name = in.text();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    NodePointer directory;
    if (const u32 error = parent(file, directory)) return error;
    const std::string path = file.fid->path;
    return move(*directory, path, name_of(path), directory_number, new_name);
}

u32 Server::renameat(MessageReader& in) {
    const u32 old_number = in.load32();
    const std::string_view old_name = in.text();
    const u32 new_number = in.load32();
    const std::string_view new_name = in.text();
    if (!in.complete()) return error_proto;
    Target from;
    if (const u32 error = target(old_number, from)) return error;
    // A directory whose own path is gone cannot have lent one to any fid.
    const std::string path = from.fid->detached ? std::string() : join(from.fid->path, old_name);
    return move(*from.node, path, old_name, new_number, new_name);
}

u32 Server::unlinkat(MessageReader& in) {
    const u32 number = in.load32();
    const std::string_view name = in.text();
    const u32 flags = in.load32();
    if (!in.complete()) return error_proto;
    if ((flags & ~u32{unlink_directory}) != 0) return error_inval;
    Target directory;
    if (const u32 error = target(number, directory)) return error;
    if (const u32 error = check_name(name)) return error;
    if (const u32 error = folder_.remove(*directory.node, name, (flags & unlink_directory) != 0)) return error;
    if (!directory.fid->detached) fids_.removed(join(directory.fid->path, name));
    return 0;
}

}  // namespace viv::virtio::p9
