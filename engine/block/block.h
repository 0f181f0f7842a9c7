// A disk as the storage devices see it: sectors behind an asynchronous interface.
// Promises: a completion is called exactly once, possibly before submit() returns, never from another thread; requests
// may complete in any order.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/host/file.h"
#include "engine/lang/bits.h"
#include "engine/lang/result.h"

namespace viv::block {

enum class Operation : u8 { read, write, flush, discard, write_zeroes };
enum class Status : u8 { ok, io_error, unsupported };

struct Request {
    Operation operation = Operation::read;
    u64 offset = 0;                       // bytes, a multiple of 512
    u64 length = 0;                       // bytes, a multiple of 512; for read and write the sum of the segments
    std::vector<std::span<u8>> segments;  // guest memory, valid until completion
    std::function<void(Status)> done;
};

class Image;
class TemporaryOverlay;

// A moment of a disk that its image has kept.
struct DiskSnapshot {
    std::string name;
    u64 disk_size = 0;  // bytes
};

class Disk {
public:
    virtual ~Disk() = default;
    virtual u64 size() const = 0;  // bytes, a multiple of 512
    virtual bool read_only() const = 0;
    // For people and monitors: the file that the disk's contents come from, and what it is ("raw"). Empty: none.
    virtual std::string_view file_name() const { return {}; }
    virtual std::string_view format() const { return {}; }
    // The range has been checked against size() by the caller and is checked again here: outside it is an io_error.
    virtual void submit(Request request) = 0;
    // After it returns, no segment of an earlier request is written any more; completions may still be called, with any
    // status. A device calls it when the guest resets it. A disk that completes requests within submit() has nothing to
    // do.
    virtual void abandon() {}
    // Itself, if what is written to it stays in memory (overlay.h).
    virtual TemporaryOverlay* temporary() { return nullptr; }

    // The moments that the image keeps inside itself, by name. A disk that cannot keep any says so, by its file's name.
    // Nothing of this is called while a request is under way; a call that fails has changed nothing.
    virtual Result<std::vector<DiskSnapshot>> snapshots();
    struct SnapshotTime {
        u64 realtime_ns = 0;  // since 1970
        u64 guest_ns = 0;     // since power-on
    };
    virtual Result<void> create_snapshot(const std::string& name, const SnapshotTime& time);
    // The disk is what it was; its size must be that of the snapshot.
    virtual Result<void> apply_snapshot(const std::string& name);
    virtual Result<void> delete_snapshot(const std::string& name);
    // Puts an empty image of the same size, whose name for what is below it is this disk's present one, over that.
    virtual Result<void> put_over(std::unique_ptr<Image> overlay);
    // What is written to it is encrypted.
    virtual bool encrypted() { return false; }
};

enum class Access : u8 { read_write, read_only };

// A raw image: the file's bytes are the disk's; a size that is no multiple of 512 is an error.
Result<std::unique_ptr<Disk>> open_raw(std::unique_ptr<host::File> file, std::string name, Access access);

}  // namespace viv::block
