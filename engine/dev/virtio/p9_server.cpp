// The session: framing, version, attach, walk, clunk. Work on open files is in p9_files.cpp, on names and attributes in
// p9_names.cpp.
#include "engine/dev/virtio/p9_server.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/lang/hash.h"

namespace viv::virtio::p9 {

using host::FileAttributes;

Server::Server(host::Folder& folder, Log& log) : folder_(folder), log_(log), fids_(folder) {
    auto attributes = folder_.attributes(*folder_.root());
    if (attributes.ok()) root_device_ = attributes->device;
}

void Server::reset() {
    fids_.clear();
    locks_.clear();
    listings_.clear();
    msize_ = maximum_message;
    versioned_ = false;
}

usize Server::answer(std::span<const u8> message, std::span<u8> room) {
    const auto limit = std::min<usize>(room.size(), msize_);
    if (limit < error_size) {
        log_.guest("a 9p request leaves {} bytes for its answer; an error alone needs {}", room.size(), error_size);
        return 0;
    }
    MessageReader in(message);
    const u32 size = in.load32();
    const u8 type = in.load<u8>();
    const u16 tag = message.size() >= header_size ? in.load16() : no_tag;
    MessageWriter out(room.first(limit));
    out.store(u32{0});
    out.store(static_cast<u8>(type + 1));
    out.store(tag);

    u32 error = 0;
    if (message.size() < header_size || size < header_size || size > message.size()) {
        error = error_proto;
    } else if (size > msize_) {
        error = error_msgsize;
    } else {
        MessageReader body(message.first(size).subspan(header_size));
        const auto request = static_cast<Request>(type);
        const bool opens_session = request == Request::version || request == Request::auth;
        error = versioned_ || opens_session ? dispatch(request, body, out) : error_proto;
        // The answer did not fit into what the driver left for it.
        if (error == 0 && !out.fits()) error = error_msgsize;
    }
    if (error != 0) {
        out = MessageWriter(room.first(limit));
        out.store(error_size);
        out.store(reply_error);
        out.store(tag);
        out.store(error);
        if (error == error_proto) log_.guest("a 9p request of type {} is broken ({} bytes)", type, message.size());
    }
    out.patch(0, static_cast<u32>(out.size()));
    return out.size();
}

u32 Server::dispatch(Request request, MessageReader& in, MessageWriter& out) {
    switch (request) {
        case Request::version: return version(in, out);
        case Request::attach: return attach(in, out);
        case Request::flush: return flush(in);
        case Request::walk: return walk(in, out);
        case Request::clunk: return clunk(in);
        case Request::remove: return remove(in);
        case Request::lopen: return lopen(in, out);
        case Request::lcreate: return lcreate(in, out);
        case Request::read: return read(in, out);
        case Request::write: return write(in, out);
        case Request::fsync: return fsync(in);
        case Request::readdir: return readdir(in, out);
        case Request::lock: return lock(in, out);
        case Request::getlock: return getlock(in, out);
        case Request::statfs: return statfs(in, out);
        case Request::getattr: return getattr(in, out);
        case Request::setattr: return setattr(in);
        case Request::symlink: return symlink(in, out);
        case Request::mknod: return mknod(in, out);
        case Request::mkdir: return mkdir(in, out);
        case Request::readlink: return readlink(in, out);
        case Request::link: return link(in);
        case Request::rename: return rename(in);
        case Request::renameat: return renameat(in);
        case Request::unlinkat: return unlinkat(in);
        case Request::auth:
        case Request::xattrwalk:
        case Request::xattrcreate: return error_opnotsupp;
    }
    return error_opnotsupp;  // among others the messages that 9P2000.L has replaced
}

// Every answer is out before the next request is read, so there is never anything to take back.
u32 Server::flush(MessageReader& in) {
    in.load16();
    if (!in.complete()) return error_proto;
    return 0;
}

u32 Server::version(MessageReader& in, MessageWriter& out) {
    const u32 wanted = in.load32();
    const std::string_view name = in.text();
    if (!in.complete()) return error_proto;
    reset();
    if (wanted < minimum_message) return error_msgsize;
    const bool ours = name == "9P2000.L";
    msize_ = std::min(wanted, maximum_message);
    versioned_ = ours;
    out.store(msize_);
    out.text(ours ? "9P2000.L" : "unknown");
    return 0;
}

u32 Server::attach(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32(), afid = in.load32();
    in.text();  // uname: everything happens with the host user's rights
    std::string_view tree = in.text();
    in.load32();  // n_uname
    if (!in.complete()) return error_proto;
    if (afid != no_fid) return error_badf;  // none was ever given out
    while (tree.starts_with('/')) tree.remove_prefix(1);
    while (tree.ends_with('/')) tree.remove_suffix(1);
    if (!is_plain_path(tree)) return error_inval;
    auto node = with_descriptors([&] { return fids_.resolve(tree); });
    if (!node.ok()) return node.error();
    auto attributes = folder_.attributes(**node);
    if (!attributes.ok()) return attributes.error();
    if (const u32 error = fids_.add(number, std::string(tree), std::move(*node), *attributes)) return error;
    out.store(qid(*attributes));
    return 0;
}

u32 Server::walk(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32(), new_number = in.load32();
    const u16 count = in.load16();
    if (count > maximum_walk) return error_inval;
    std::array<std::string_view, maximum_walk> names;
    for (u16 i = 0; i < count; i++) names[i] = in.text();
    if (!in.complete()) return error_proto;
    Target from;
    if (const u32 error = target(number, from)) return error;
    if (new_number != number && (new_number == no_fid || fids_.find(new_number) != nullptr)) return error_badf;
    if (new_number == number && from.fid->opened && count != 0) return error_inval;
    if (count != 0 && from.fid->detached) return error_stale;

    std::string path = from.fid->path;
    NodePointer node = from.node;
    auto attributes = folder_.attributes(*node);
    if (!attributes.ok()) return attributes.error();
    out.store(u16{0});
    u16 walked = 0;
    u32 error = 0;
    for (; walked < count && error == 0; walked++) {
        const std::string_view name = names[walked];
        if (name == "..") {
            path = parent_of(path);
        } else if (error = check_name(name); error == 0) {
            path = join(path, name);
            if (path.size() > maximum_path) error = error_nametoolong;
        }
        if (error != 0) break;
        auto next = with_descriptors([&] { return name == ".." ? fids_.resolve(path) : folder_.lookup(*node, name); });
        if (!next.ok()) {
            error = next.error();
            break;
        }
        node = std::move(*next);
        attributes = folder_.attributes(*node);
        if (!attributes.ok()) {
            error = attributes.error();
            break;
        }
        out.store(qid(*attributes));
    }
    // Part of the way is an answer too, but makes no fid; not even the first step is an error.
    if (walked < count && walked == 0) return error;
    out.patch(header_size, walked);
    if (walked < count || !out.fits()) return 0;
    if (new_number == number) {
        if (count == 0) return 0;
        if (!fids_.has_room_for(path.size())) return error_nfile;
        fids_.set(*from.fid, std::move(path), std::move(node), *attributes);
        return 0;
    }
    const bool detached = from.fid->detached;
    if (error = fids_.add(new_number, std::move(path), std::move(node), *attributes); error != 0) return error;
    fids_.find(new_number)->detached = detached;
    return 0;
}

u32 Server::clunk(MessageReader& in) {
    const u32 number = in.load32();
    if (!in.complete()) return error_proto;
    if (fids_.find(number) == nullptr) return error_badf;
    drop(number);
    return 0;
}

u32 Server::remove(MessageReader& in) {
    const u32 number = in.load32();
    if (!in.complete()) return error_proto;
    Target file;
    u32 error = target(number, file);
    if (error == error_badf) return error;
    NodePointer directory;
    if (error == 0) error = parent(file, directory);
    if (error == 0) error = folder_.remove(*directory, name_of(file.fid->path), file.fid->is_directory());
    if (error == 0) fids_.removed(std::string(file.fid->path));
    drop(number);  // also where removing failed: so says the protocol
    return error;
}

void Server::drop(u32 number) {
    locks_.release(number);
    std::erase_if(listings_, [&](const Listing& listing) { return listing.fid == number; });
    fids_.remove(number);
}

u32 Server::target(u32 number, Target& target) {
    target.fid = fids_.find(number);
    if (target.fid == nullptr) return error_badf;
    auto node = with_descriptors([&] { return fids_.node(*target.fid); });
    if (!node.ok()) return node.error();
    target.node = std::move(*node);
    return 0;
}

u32 Server::parent(Target& target, NodePointer& directory) {
    const Fid& fid = *target.fid;
    if (fid.path.empty()) return error_busy;  // the root
    if (fid.detached) return error_stale;
    auto found = with_descriptors([&] { return fids_.resolve(parent_of(fid.path)); });
    if (!found.ok()) return found.error();
    auto named = with_descriptors([&] { return folder_.lookup(**found, name_of(fid.path)); });
    if (!named.ok()) return named.error();
    auto attributes = folder_.attributes(**named);
    if (!attributes.ok()) return attributes.error();
    // The host may have put another file there.
    if (FileIdentity{attributes->device, attributes->inode} != fid.identity) return error_stale;
    directory = std::move(*found);
    return 0;
}

u64 Server::qid_path(u64 device, u64 inode) const {
    if (device == root_device_) return inode;
    // Below a mount point inode numbers begin anew; the top bit keeps these apart from the share's own.
    u8 raw[16];
    store_le(raw, device);
    store_le(raw + 8, inode);
    return hash64(raw) | u64{1} << 63;
}

Qid Server::qid(const FileAttributes& attributes) const {
    Qid qid;
    const u32 type = attributes.mode & mode_type;
    qid.type = type == mode_directory ? qid_directory : type == mode_symlink ? qid_symlink : qid_file;
    // Changes with the contents, so that a caching client notices; 0 would mean "never cache".
    const u64 version =
        static_cast<u64>(attributes.modified_s) ^ (u64{attributes.modified_ns} << 2) ^ (attributes.size << 8);
    qid.version = std::max<u32>(1, static_cast<u32>(version ^ (version >> 32)));
    qid.path = qid_path(attributes.device, attributes.inode);
    return qid;
}

void Server::state(Archive& a) {
    a(1, "msize", msize_, maximum_message);
    a(2, "versioned", versioned_);
    a(3, "fids", fids_);
    a(4, "locks", locks_);
    a.require(msize_ >= minimum_message, "msize", "is too small");
    if (!a.loading()) return;
    msize_ = std::max(msize_, minimum_message);
    listings_.clear();
}

}  // namespace viv::virtio::p9
