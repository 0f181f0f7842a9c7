// A 9P2000.L file server over a host::Folder: one session, one message in, one answer out.
// Promises: any bytes get an answer (Rlerror at worst); counts are bounded by msize before anything is decoded; nothing
// outside the folder can be named; a file keeps its qid while it lives; offsets of directory entries mean the same in
// every Treaddir, also after a restore. Locks are granted within the share. Not offered: authentication and extended
// attributes. Results (times, inode numbers, order of hash cookies) come from the host's folder: a deterministic run
// repeats only as far as the folder does.
#pragma once

#include <list>
#include <span>
#include <string>
#include <vector>

#include "engine/dev/virtio/p9_fids.h"
#include "engine/dev/virtio/p9_locks.h"
#include "engine/dev/virtio/p9_wire.h"
#include "engine/host/folder.h"
#include "engine/lang/log.h"
#include "engine/state/archive.h"

namespace viv::virtio::p9 {

class Server {
public:
    // Both outlive the server.
    Server(host::Folder& folder, Log& log);

    // Answers one message. `message` is what the guest sent, its size field included; `room` is where the answer goes.
    // Returns the answer's length, 0 if there is not even room for an error.
    usize answer(std::span<const u8> message, std::span<u8> room);
    // The longest message that the session allows now.
    u32 message_limit() const { return msize_; }
    // Ends the session: no fids, no locks.
    void reset();
    void state(Archive& a);

    const FidTable& fids() const { return fids_; }
    const LockTable& locks() const { return locks_; }

private:
    using NodePointer = host::Folder::NodePointer;
    struct Entry {
        u64 cookie;  // where it stands in the directory: its name's hash, so that it stays there whatever else comes
                     // and goes
        host::FolderEntry entry;
    };
    // A directory being read, kept so that a large one is not listed again for every message.
    struct Listing {
        u32 fid;
        std::vector<Entry> entries;  // by cookie
    };
    // A fid and its handle, as most requests need them.
    struct Target {
        Fid* fid = nullptr;
        NodePointer node;
    };

    // Each decodes its request, does it and encodes the answer's fields; the result is 0 or an errno, and then nothing
    // is encoded.
    u32 dispatch(Request request, MessageReader& in, MessageWriter& out);
    u32 version(MessageReader& in, MessageWriter& out);
    u32 flush(MessageReader& in);
    u32 attach(MessageReader& in, MessageWriter& out);
    u32 walk(MessageReader& in, MessageWriter& out);
    u32 clunk(MessageReader& in);
    u32 remove(MessageReader& in);

    u32 lopen(MessageReader& in, MessageWriter& out);
    u32 lcreate(MessageReader& in, MessageWriter& out);
    u32 read(MessageReader& in, MessageWriter& out);
    u32 write(MessageReader& in, MessageWriter& out);
    u32 fsync(MessageReader& in);
    u32 readdir(MessageReader& in, MessageWriter& out);
    u32 lock(MessageReader& in, MessageWriter& out);
    u32 getlock(MessageReader& in, MessageWriter& out);

    u32 statfs(MessageReader& in, MessageWriter& out);
    u32 getattr(MessageReader& in, MessageWriter& out);
    u32 setattr(MessageReader& in);
    u32 symlink(MessageReader& in, MessageWriter& out);
    u32 mknod(MessageReader& in, MessageWriter& out);
    u32 mkdir(MessageReader& in, MessageWriter& out);
    u32 readlink(MessageReader& in, MessageWriter& out);
    u32 link(MessageReader& in);
    u32 rename(MessageReader& in);
    u32 renameat(MessageReader& in);
    u32 unlinkat(MessageReader& in);

    u32 target(u32 number, Target& target);
    // The directory that holds the fid's file, if the file still has that name.
    u32 parent(Target& target, NodePointer& directory);
    u32 move(host::FolderNode& from, const std::string& old_path, std::string_view old_name, u32 to_number,
             std::string_view new_name);
    u32 put_new(host::Outcome<NodePointer> made, MessageWriter& out);
    void drop(u32 number);
    u32 list(Target& target, bool again, const Listing*& listing);
    Qid qid(const host::FileAttributes& attributes) const;
    u64 qid_path(u64 device, u64 inode) const;

    // Runs `call`, and if the host's descriptors have run out gives some back and runs it again.
    template <class F>
    auto with_descriptors(F call) {
        auto result = call();
        if (!result.ok() && (result.error() == error_mfile || result.error() == error_nfile) && fids_.shed())
            return call();
        return result;
    }

    host::Outcome<host::OpenFile*> open_file(Fid& fid) {
        return with_descriptors([&] { return fids_.file(fid); });
    }

    host::Folder& folder_;
    Log& log_;
    FidTable fids_;
    LockTable locks_;
    std::list<Listing> listings_;  // most recently used first
    u32 msize_ = maximum_message;
    bool versioned_ = false;
    u64 root_device_ = 0;
};

}  // namespace viv::virtio::p9
