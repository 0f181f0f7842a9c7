// Finding files again: by path, one component at a time, and only if it is still the same file. See p9_fids.h.
#include "engine/dev/virtio/p9_fids.h"

#include <utility>

#include "engine/lang/check.h"

namespace viv::virtio::p9 {

using host::FileAttributes;
using host::Folder;
using host::OpenFile;
using host::Outcome;
using NodePointer = Folder::NodePointer;

bool is_within(std::string_view path, std::string_view above) {
    if (above.empty()) return true;
    return path.starts_with(above) && (path.size() == above.size() || path[above.size()] == '/');
}

std::string join(std::string_view directory, std::string_view name) {
    std::string path(directory);
    if (!path.empty()) path += '/';
    path += name;
    return path;
}

std::string_view parent_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == path.npos ? std::string_view{} : path.substr(0, slash);
}

std::string_view name_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == path.npos ? path : path.substr(slash + 1);
}

u32 check_name(std::string_view name) {
    if (name.empty()) return error_noent;
    if (name.size() > maximum_name) return error_nametoolong;
    if (name == "." || name == ".." || name.find('/') != name.npos || name.find('\0') != name.npos) return error_inval;
    return 0;
}

bool is_plain_path(std::string_view path) {
    if (path.size() > maximum_path) return false;
    while (!path.empty()) {
        const auto slash = path.find('/');
        if (check_name(path.substr(0, slash)) != 0) return false;
        if (slash == path.npos) return true;
        path.remove_prefix(slash + 1);
        if (path.empty()) return false;
    }
    return true;
}

void FidRecord::state(Archive& a) {
    a(1, "number", number);
    a.text(2, "path", path, maximum_path);
    a(3, "type", type, mode_type);
    a(4, "device", identity.device);
    a(5, "inode", identity.inode);
    a(6, "identified", identified);
    a(7, "detached", detached);
    a(8, "opened", opened);
    a(9, "open_flags", open_flags);
    a.require((type & ~u32{mode_type}) == 0, "type", "is not a file type");
    a.require(number != no_fid, "number", "is the number of no fid");
    a.require(is_plain_path(path), "path", "leads outside the share");
}

Fid* FidTable::find(u32 number) {
    const auto found = fids_.find(number);
    return found == fids_.end() ? nullptr : &found->second;
}

u32 FidTable::add(u32 number, std::string path, NodePointer node, const FileAttributes& attributes) {
    if (number == no_fid || fids_.contains(number)) return error_badf;
    if (fids_.size() >= maximum_fids || !has_room_for(path.size())) return error_nfile;
    Fid& fid = fids_[number];
    fid.number = number;
    set(fid, std::move(path), std::move(node), attributes);
    return 0;
}

void FidTable::set(Fid& fid, std::string path, NodePointer node, const FileAttributes& attributes) {
    release(fid);
    drop_path(fid);
    set_path(fid, std::move(path));
    fid.type = attributes.mode & mode_type;
    fid.identity = {attributes.device, attributes.inode};
    fid.identified = true;
    fid.detached = false;
    fid.node = std::move(node);
    touch(fid);
}

void FidTable::remove(u32 number) {
    Fid* fid = find(number);
    if (fid == nullptr) return;
    release(*fid);
    drop_path(*fid);
    fids_.erase(number);
}

void FidTable::clear() {
    by_path_.clear();
    fids_.clear();
    use_order_.clear();
    path_bytes_ = 0;
}

void FidTable::set_path(Fid& fid, std::string path) {
    fid.path = std::move(path);
    path_bytes_ += fid.path.size();
    by_path_.insert({fid.path, fid.number});
}

void FidTable::drop_path(Fid& fid) {
    by_path_.erase({fid.path, fid.number});
    path_bytes_ -= fid.path.size();
    fid.path.clear();
}

std::vector<u32> FidTable::within(std::string_view path) const {
    std::vector<u32> numbers;
    for (auto at = by_path_.lower_bound({path, 0}); at != by_path_.end() && at->first.starts_with(path); ++at)
        if (is_within(at->first, path)) numbers.push_back(at->second);
    return numbers;
}

void FidTable::release(Fid& fid) {
    forget_use(fid);
    fid.node.reset();
}

void FidTable::forget_use(Fid& fid) {
    if (!fid.in_use_order) return;
    use_order_.erase(fid.use);
    fid.in_use_order = false;
}

void FidTable::touch(Fid& fid) {
    forget_use(fid);
    if (fid.opened || fid.node == nullptr) return;
    fid.use = use_order_.insert(use_order_.end(), fid.number);
    fid.in_use_order = true;
    if (use_order_.size() > maximum_nodes) release(*find(use_order_.front()));
}

bool FidTable::shed() {
    const bool had_any = !use_order_.empty();
    while (!use_order_.empty()) release(*find(use_order_.front()));
    return had_any;
}

Outcome<NodePointer> FidTable::resolve(std::string_view path) {
    NodePointer node = folder_.root();
    while (!path.empty()) {
        const auto slash = path.find('/');
        auto next = folder_.lookup(*node, path.substr(0, slash));
        if (!next.ok()) return next;
        node = std::move(*next);
        path = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
    }
    return node;
}

Outcome<NodePointer> FidTable::node(Fid& fid) {
    if (fid.node == nullptr) {
        if (fid.detached) return Outcome<NodePointer>::fail(error_stale);
        auto found = resolve(fid.path);
        if (!found.ok()) {
            const u32 error = found.error();
            const bool gone = error == error_noent || error == error_notdir || error == error_loop;
            return gone ? Outcome<NodePointer>::fail(error_stale) : std::move(found);
        }
        auto attributes = folder_.attributes(**found);
        if (!attributes.ok()) return Outcome<NodePointer>::fail(attributes.error());
        const FileIdentity identity{attributes->device, attributes->inode};
        if ((attributes->mode & mode_type) != fid.type) return Outcome<NodePointer>::fail(error_stale);
        if (fid.identified && identity != fid.identity) return Outcome<NodePointer>::fail(error_stale);
        fid.identity = identity;
        fid.identified = true;
        fid.node = std::move(*found);
    }
    // The fid's own copy may be given back by touch() if every other is newer; the caller's keeps the file.
    NodePointer node = fid.node;
    touch(fid);
    return node;
}

Outcome<OpenFile*> FidTable::file(Fid& fid) {
    CHECK(fid.opened);
    if (fid.file == nullptr) {
        auto found = node(fid);
        if (!found.ok()) return Outcome<OpenFile*>::fail(found.error());
        auto opened = folder_.open(**found, fid.open_flags & (open_access | open_append));
        if (!opened.ok()) return Outcome<OpenFile*>::fail(opened.error());
        fid.file = std::move(*opened);
    }
    return fid.file.get();
}

void FidTable::set_opened(Fid& fid, u32 flags, Folder::FilePointer file) {
    forget_use(fid);
    fid.opened = true;
    fid.open_flags = flags & (open_access | open_append);
    fid.file = std::move(file);
}

void FidTable::renamed(std::string_view from, std::string_view to) {
    if (from == to) return;
    removed(to);
    for (const u32 number : within(from)) {
        Fid& fid = *find(number);
        if (fid.detached) continue;
        std::string path(to);
        path += std::string_view(fid.path).substr(from.size());
        const bool fits = path.size() <= maximum_path && has_room_for(path.size());
        if (!fits) {  // it cannot be found again, but what is held stays good
            fid.detached = true;
            continue;
        }
        drop_path(fid);
        set_path(fid, std::move(path));
    }
}

void FidTable::removed(std::string_view path) {
    for (const u32 number : within(path)) find(number)->detached = true;
}

void FidTable::state(Archive& a) {
    FileIdentity here;
    auto attributes = folder_.attributes(*folder_.root());
    if (attributes.ok()) here = {attributes->device, attributes->inode};
    FileIdentity saved = here;
    a(1, "root_device", saved.device);
    a(2, "root_inode", saved.inode);
    std::vector<FidRecord> records;
    if (!a.loading())
        for (const auto& [number, fid] : fids_) records.push_back(fid);
    a.list(3, "fids", records, maximum_fids);
    if (!a.loading()) return;
    clear();
    for (FidRecord& record : records) {
        const bool unique = !fids_.contains(record.number), fits = has_room_for(record.path.size());
        a.require(unique, "fids", "has a number twice");
        a.require(fits, "fids", "has too many bytes of paths");
        if (!unique || !fits) return;
        Fid& fid = fids_[record.number];
        static_cast<FidRecord&>(fid) = record;
        fid.path.clear();
        set_path(fid, std::move(record.path));
        // Inode numbers mean something only in the folder they come from.
        if (saved != here) fid.identified = false;
    }
}

}  // namespace viv::virtio::p9
