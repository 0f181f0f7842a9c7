// Requests on open files and directories: open, create, read, write, sync, list, lock.
#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/dev/virtio/p9_server.h"
#include "engine/lang/hash.h"

namespace viv::virtio::p9 {

namespace {

constexpr u32 entry_overhead = qid_size + 8 + 1 + 2;        // of one directory entry, besides its name
constexpr usize kept_listings = 4, kept_entries = 1 << 17;  // beyond the newest listing
constexpr u8 dirent_directory = 4, dirent_symlink = 10;     // DT_DIR, DT_LNK
// Directory offsets: an offset is the last entry's cookie, and 0 is the start.
constexpr u64 cookie_self = 1, cookie_parent = 2, first_cookie = 3, last_cookie = (u64{1} << 62) - 1;

u64 cookie_of(std::string_view name) {
    const u64 hash = hash64({reinterpret_cast<const u8*>(name.data()), name.size()});
    return std::max(first_cookie, hash & last_cookie);
}

bool lock_range(RecordLock& lock, u64 start, u64 length) {
    if (length != 0 && start + (length - 1) < start) return false;
    lock.first = start;
    lock.last = length == 0 ? ~u64{0} : start + (length - 1);
    return true;
}

}  // namespace

u32 Server::lopen(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32(), flags = in.load32();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    if (file.fid->opened) return error_inval;
    if ((flags & open_directory) != 0 && !file.fid->is_directory()) return error_notdir;
    const u32 wanted = flags & (open_access | open_truncate | open_append);
    auto opened = with_descriptors([&] { return folder_.open(*file.node, wanted); });
    if (!opened.ok()) return opened.error();
    auto attributes = folder_.attributes(*file.node);
    if (!attributes.ok()) return attributes.error();
    fids_.set_opened(*file.fid, wanted, std::move(*opened));
    out.store(qid(*attributes));
    out.store(msize_ - io_overhead);
    return 0;
}

u32 Server::lcreate(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const std::string_view name = in.text();
    const u32 flags = in.load32(), mode = in.load32();
    in.load32();  // gid: new files belong to the host's user
    if (!in.complete()) return error_proto;
    Target directory;
    if (const u32 error = target(number, directory)) return error;
    if (directory.fid->opened) return error_inval;
    if (const u32 error = check_name(name)) return error;
    std::string path = join(directory.fid->path, name);
    if (path.size() > maximum_path) return error_nametoolong;
    if (!fids_.has_room_for(path.size())) return error_nfile;
    const u32 wanted = flags & (open_access | open_exclusive | open_truncate | open_append);
    host::Folder::FilePointer opened;
    auto node = with_descriptors(
        [&] { return folder_.create(*directory.node, name, wanted, mode & mode_permissions, opened); });
    if (!node.ok()) return node.error();
    auto attributes = folder_.attributes(**node);
    if (!attributes.ok()) return attributes.error();
    const bool detached = directory.fid->detached;
    fids_.set(*directory.fid, std::move(path), std::move(*node), *attributes);
    directory.fid->detached = detached;
    fids_.set_opened(*directory.fid, wanted, std::move(opened));
    out.store(qid(*attributes));
    out.store(msize_ - io_overhead);
    return 0;
}

u32 Server::read(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const u64 offset = in.load64();
    const u32 count = in.load32();
    if (!in.complete()) return error_proto;
    Fid* fid = fids_.find(number);
    if (fid == nullptr || !fid->opened) return error_badf;
    if (fid->is_directory()) return error_isdir;
    auto file = open_file(*fid);
    if (!file.ok()) return file.error();
    const usize at = out.size();
    out.store(u32{0});
    if (!out.fits()) return error_msgsize;
    auto got = (*file)->read(offset, out.rest().first(std::min<usize>(count, out.rest().size())));
    if (!got.ok()) return got.error();
    out.patch(at, *got);
    out.used(*got);
    return 0;
}

u32 Server::write(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const u64 offset = in.load64();
    const auto bytes = in.data(in.load32());
    if (!in.complete()) return error_proto;
    Fid* fid = fids_.find(number);
    if (fid == nullptr || !fid->opened) return error_badf;
    if (fid->is_directory()) return error_isdir;
    auto file = open_file(*fid);
    if (!file.ok()) return file.error();
    auto put = (*file)->write(offset, bytes);
    if (!put.ok()) return put.error();
    out.store(*put);
    return 0;
}

u32 Server::fsync(MessageReader& in) {
    const u32 number = in.load32();
    const bool data_only = in.remaining() >= 4 && in.load32() != 0;  // old clients leave it out
    if (!in.complete()) return error_proto;
    Fid* fid = fids_.find(number);
    if (fid == nullptr || !fid->opened) return error_badf;
    auto file = open_file(*fid);
    return file.ok() ? (*file)->sync(data_only) : file.error();
}

u32 Server::list(Target& target, bool again, const Listing*& listing) {
    const auto kept = std::find_if(listings_.begin(), listings_.end(),
                                   [&](const Listing& old) { return old.fid == target.fid->number; });
    if (kept != listings_.end() && !again) {
        listings_.splice(listings_.begin(), listings_, kept);
        listing = &listings_.front();
        return 0;
    }
    if (kept != listings_.end()) listings_.erase(kept);
    auto names = with_descriptors([&] { return folder_.list(*target.node); });
    if (!names.ok()) return names.error();
    Listing fresh{target.fid->number, {}};
    fresh.entries.reserve(names->size());
    for (auto& entry : *names) {
        if (check_name(entry.name) != 0) continue;  // a name that the guest could never give back
        const u64 cookie = cookie_of(entry.name);
        fresh.entries.push_back({cookie, std::move(entry)});
    }
    std::sort(fresh.entries.begin(), fresh.entries.end(), [](const Entry& a, const Entry& b) {
        return a.cookie != b.cookie ? a.cookie < b.cookie : a.entry.name < b.entry.name;
    });
    for (usize i = 1; i < fresh.entries.size(); i++)
        fresh.entries[i].cookie = std::max(fresh.entries[i].cookie, fresh.entries[i - 1].cookie + 1);
    listings_.push_front(std::move(fresh));
    usize entries = 0;
    for (auto old = std::next(listings_.begin()); old != listings_.end(); ++old) entries += old->entries.size();
    while (listings_.size() > 1 && (listings_.size() > kept_listings || entries > kept_entries)) {
        entries -= listings_.back().entries.size();
        listings_.pop_back();
    }
    listing = &listings_.front();
    return 0;
}

u32 Server::readdir(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const u64 offset = in.load64();
    const u32 count = in.load32();
    if (!in.complete()) return error_proto;
    Target directory;
    if (const u32 error = target(number, directory)) return error;
    if (!directory.fid->opened) return error_badf;
    if (!directory.fid->is_directory()) return error_notdir;
    const Listing* listing = nullptr;
    if (const u32 error = list(directory, offset == 0, listing)) return error;
    auto self = folder_.attributes(*directory.node);
    if (!self.ok()) return self.error();

    const usize start = out.size();
    out.store(u32{0});
    if (!out.fits()) return error_msgsize;
    usize room = std::min<usize>(count, out.rest().size());
    bool full = false;
    const auto put = [&](const Qid& qid, u64 cookie, u8 type, std::string_view name) {
        full = full || entry_overhead + name.size() > room;
        if (full) return;
        room -= entry_overhead + name.size();
        out.store(qid);
        out.store(cookie);
        out.store(type);
        out.text(name);
    };
    if (offset < cookie_self) put(qid(*self), cookie_self, dirent_directory, ".");
    if (offset < cookie_parent) {
        auto above = fids_.resolve(parent_of(directory.fid->path));
        auto attributes = above.ok() ? folder_.attributes(**above) : folder_.attributes(*directory.node);
        put(qid(attributes.ok() ? *attributes : *self), cookie_parent, dirent_directory, "..");
    }
    auto next = std::upper_bound(listing->entries.begin(), listing->entries.end(), offset,
                                 [](u64 wanted, const Entry& entry) { return wanted < entry.cookie; });
    for (; next != listing->entries.end() && !full; ++next) {
        Qid qid;
        const u8 type = next->entry.type;
        qid.type = type == dirent_directory ? qid_directory : type == dirent_symlink ? qid_symlink : qid_file;
        qid.path = qid_path(self->device, next->entry.inode);
        put(qid, next->cookie, type, next->entry.name);
    }
    const usize length = out.size() - start - 4;
    // Nothing would mean the end.
    if (length == 0 && full) return error_inval;
    out.patch(start, static_cast<u32>(length));
    return 0;
}

u32 Server::lock(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const u8 type = in.load<u8>();
    in.load32();  // flags: a client that wants to wait asks again
    const u64 start = in.load64(), length = in.load64();
    RecordLock wanted;
    wanted.process = in.load32();
    wanted.client = in.text();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    if (!file.fid->opened) return error_badf;
    if (type > static_cast<u8>(LockType::unlock) || !lock_range(wanted, start, length)) return error_inval;
    auto attributes = folder_.attributes(*file.node);
    if (!attributes.ok()) return attributes.error();
    wanted.type = static_cast<LockType>(type);
    wanted.file = qid_path(attributes->device, attributes->inode);
    wanted.fid = number;
    out.store(static_cast<u8>(locks_.apply(wanted)));
    return 0;
}

u32 Server::getlock(MessageReader& in, MessageWriter& out) {
    const u32 number = in.load32();
    const u8 type = in.load<u8>();
    const u64 start = in.load64(), length = in.load64();
    RecordLock wanted;
    wanted.process = in.load32();
    wanted.client = in.text();
    if (!in.complete()) return error_proto;
    Target file;
    if (const u32 error = target(number, file)) return error;
    if (!file.fid->opened) return error_badf;
    if (type > static_cast<u8>(LockType::write) || !lock_range(wanted, start, length)) return error_inval;
    if (wanted.client.size() > LockTable::maximum_client) return error_inval;
    auto attributes = folder_.attributes(*file.node);
    if (!attributes.ok()) return attributes.error();
    wanted.type = static_cast<LockType>(type);
    wanted.file = qid_path(attributes->device, attributes->inode);
    const RecordLock* holder = locks_.conflict(wanted);
    const RecordLock& answer = holder != nullptr ? *holder : wanted;
    out.store(static_cast<u8>(holder != nullptr ? holder->type : LockType::unlock));
    out.store(answer.first);
    out.store(answer.last == ~u64{0} ? u64{0} : answer.last - answer.first + 1);
    out.store(answer.process);
    out.text(answer.client);
    return 0;
}

}  // namespace viv::virtio::p9
