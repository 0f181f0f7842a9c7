// The bytes of 9P2000.L: message numbers, flags, Linux error numbers, and bounded reading and writing of fields.
// Promises: reading past a message's end yields zeros and empty strings and is remembered, so that a handler decodes
// all its fields and then asks once; writing past the room writes nothing and is remembered. Integers are little
// endian, strings have a 16-bit length. Protocol: Plan 9 manual section 5 and the 9P2000.L extension of the Linux v9fs
// client.
#pragma once

#include <span>
#include <string_view>

#include "engine/lang/bits.h"
#include "engine/lang/bytes.h"

namespace viv::virtio::p9 {

constexpr u32 maximum_message = 512 * 1024;  // bytes, the most that msize may be
constexpr u32 minimum_message = 4096;        // the least: room for any fixed reply and the longest name
constexpr u32 header_size = 7;               // size[4] type[1] tag[2]
constexpr u32 error_size = header_size + 4;
constexpr u32 io_overhead = 24;  // what the Linux client subtracts from msize for reads and writes
constexpr usize maximum_name = 255;
constexpr usize maximum_path = 4096;  // from the share's root, as one string
constexpr usize maximum_walk = 16;    // names in one Twalk
constexpr u32 no_fid = ~u32{0};
constexpr u16 no_tag = 0xffff;

// Requests; the answer's number is one more.
enum class Request : u8 {
    statfs = 8,
    lopen = 12,
    lcreate = 14,
    symlink = 16,
    mknod = 18,
    rename = 20,
    readlink = 22,
    getattr = 24,
    setattr = 26,
    xattrwalk = 30,
    xattrcreate = 32,
    readdir = 40,
    fsync = 50,
    lock = 52,
    getlock = 54,
    link = 70,
    mkdir = 72,
    renameat = 74,
    unlinkat = 76,
    version = 100,
    auth = 102,
    attach = 104,
    flush = 108,
    walk = 110,
    read = 116,
    write = 118,
    clunk = 120,
    remove = 122,
};
constexpr u8 reply_error = 7;  // Rlerror

// The errors of our own; others are the folder's.
enum LinuxError : u32 {
    error_perm = 1,
    error_noent = 2,
    error_io = 5,
    error_badf = 9,
    error_busy = 16,
    error_notdir = 20,
    error_isdir = 21,
    error_inval = 22,
    error_nfile = 23,
    error_mfile = 24,
    error_nametoolong = 36,
    error_loop = 40,
    error_proto = 71,
    error_msgsize = 90,
    error_opnotsupp = 95,
    error_stale = 116,
};

enum QidType : u8 { qid_file = 0, qid_symlink = 0x02, qid_directory = 0x80 };

enum OpenFlag : u32 {  // as of open(2) on x86-64
    open_access = 03,
    open_exclusive = 0200,
    open_truncate = 01000,
    open_append = 02000,
    open_directory = 0200000,
};

enum ModeBits : u32 {
    mode_type = 0170000,
    mode_directory = 0040000,
    mode_symlink = 0120000,
    mode_permissions = 07777,
};

struct Qid {
    u8 type = qid_file;
    u32 version = 0;
    u64 path = 0;
};
constexpr u32 qid_size = 13;

class MessageReader {
public:
    explicit MessageReader(std::span<const u8> bytes) : bytes_(bytes) {}
    template <class T>
    T load() {
        if (bytes_.size() < sizeof(T)) return overrun(), T{};
        const T value = load_le<T>(bytes_.data());
        bytes_ = bytes_.subspan(sizeof(T));
        return value;
    }
    u16 load16() { return load<u16>(); }
    u32 load32() { return load<u32>(); }
    u64 load64() { return load<u64>(); }
    std::span<const u8> data(usize count) {
        if (bytes_.size() < count) return overrun(), std::span<const u8>{};
        const auto data = bytes_.first(count);
        bytes_ = bytes_.subspan(count);
        return data;
    }
    // Points into the message.
    std::string_view text() {
        const auto bytes = data(load16());
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    usize remaining() const { return bytes_.size(); }
    // True if every field was there. Bytes after the last field are allowed.
    bool complete() const { return complete_; }

private:
    void overrun() {
        bytes_ = {};
        complete_ = false;
    }
    std::span<const u8> bytes_;
    bool complete_ = true;
};

class MessageWriter {
public:
    explicit MessageWriter(std::span<u8> room) : room_(room) {}
    template <class T>
    void store(T value) {
        if (u8* to = take(sizeof(T))) store_le(to, value);
    }
    void store(const Qid& qid) {
        store(qid.type);
        store(qid.version);
        store(qid.path);
    }
    void text(std::string_view text) {
        store(static_cast<u16>(text.size()));
        if (text.size() > 0xffff) fits_ = false;
        u8* to = take(text.size());
        if (to != nullptr && !text.empty()) std::memcpy(to, text.data(), text.size());
    }
    // Room that the caller fills itself, followed by used(); at most what remains.
    std::span<u8> rest() { return room_.subspan(used_); }
    void used(usize count) { used_ += count; }
    template <class T>
    void patch(usize at, T value) {
        store_le(room_.data() + at, value);
    }
    usize size() const { return used_; }
    void truncate(usize size) { used_ = size; }
    bool fits() const { return fits_; }

private:
    u8* take(usize count) {
        if (!fits_ || room_.size() - used_ < count) return fits_ = false, nullptr;
        u8* at = room_.data() + used_;
        used_ += count;
        return at;
    }
    std::span<u8> room_;
    usize used_ = 0;
    bool fits_ = true;
};

}  // namespace viv::virtio::p9
