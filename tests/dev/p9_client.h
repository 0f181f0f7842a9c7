// The client's side of 9P2000.L for tests: requests from fields, answers to fields.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/dev/virtio/p9_server.h"

namespace viv::test {

using virtio::p9::MessageReader;
using virtio::p9::MessageWriter;
using virtio::p9::Request;

inline void put_field(MessageWriter& out, std::string_view text) { out.text(text); }
inline void put_field(MessageWriter& out, const char* text) { out.text(text); }
inline void put_field(MessageWriter& out, const std::string& text) { out.text(text); }
template <class T>
requires std::is_integral_v<T>
void put_field(MessageWriter& out, T value) { out.store(value); }

template <class... Fields>
std::vector<u8> message(Request request, const Fields&... fields) {
    std::vector<u8> bytes(8192);
    MessageWriter out(bytes);
    out.store(u32{0});
    out.store(static_cast<u8>(request));
    out.store(u16{0x5a17});
    (put_field(out, fields), ...);
    EXPECT_TRUE(out.fits());
    bytes.resize(out.size());
    store_le(bytes.data(), static_cast<u32>(bytes.size()));
    return bytes;
}

struct Answer {
    // Reads the fields, and keeps their bytes.
    struct Body : MessageReader {
        explicit Body(std::shared_ptr<std::vector<u8>> all)
            : MessageReader(std::span(*all).subspan(std::min<usize>(7, all->size()))), kept(std::move(all)) {}
        std::shared_ptr<std::vector<u8>> kept;
    };
    explicit Answer(usize room) : kept(std::make_shared<std::vector<u8>>(room)) {}

    std::shared_ptr<std::vector<u8>> kept;
    Request request{};
    std::vector<u8>& bytes() const { return *kept; }

    Body body() const { return Body(kept); }
    // The errno of an Rlerror, 0 for the answer that belongs to the request.
    u32 error() const {
        EXPECT_GE(bytes().size(), 7u);
        if (bytes().size() < 7) return ~u32{0};
        EXPECT_EQ(load_le<u32>(bytes().data()), bytes().size());
        if (bytes()[4] == 7) {
            EXPECT_EQ(bytes().size(), 11u);
            return body().load32();
        }
        EXPECT_EQ(bytes()[4], static_cast<u8>(request) + 1);
        return 0;
    }
};

struct DirectoryEntry {
    u8 qid_type;
    u64 qid_path;
    u64 offset;
    u8 type;
    std::string name;
};

class Client {
public:
    explicit Client(virtio::p9::Server& to) : server(to) {}

    Answer raw(std::span<const u8> bytes) {
        Answer answer(room);
        answer.request = bytes.size() > 4 ? static_cast<Request>(bytes[4]) : Request{};
        answer.bytes().resize(server.answer(bytes, answer.bytes()));
        return answer;
    }
    template <class... Fields>
    Answer call(Request request, const Fields&... fields) {
        const Answer answer = raw(message(request, fields...));
        if (answer.bytes().size() >= 7) {
            EXPECT_EQ(load_le<u16>(answer.bytes().data() + 5), 0x5a17);
        }
        return answer;
    }

    u32 start(u32 msize = 64 * 1024) {
        if (const u32 error = call(Request::version, msize, "9P2000.L").error()) return error;
        return call(Request::attach, u32{0}, virtio::p9::no_fid, "user", "", u32{1000}).error();
    }
    // Walks from fid 0.
    u32 walk(u32 fid, std::string_view path) {
        std::vector<std::string> names;
        while (!path.empty()) {
            const auto slash = path.find('/');
            names.emplace_back(path.substr(0, slash));
            path = slash == path.npos ? std::string_view{} : path.substr(slash + 1);
        }
        std::vector<u8> bytes = message(Request::walk, u32{0}, fid, static_cast<u16>(names.size()));
        for (const auto& name : names) {
            bytes.push_back(static_cast<u8>(name.size()));
            bytes.push_back(static_cast<u8>(name.size() >> 8));
            bytes.insert(bytes.end(), name.begin(), name.end());
        }
        store_le(bytes.data(), static_cast<u32>(bytes.size()));
        const Answer answer = raw(bytes);
        if (const u32 error = answer.error()) return error;
        return answer.body().load16() == names.size() ? 0 : 2;
    }
    u32 open(u32 fid, u32 flags = 0) { return call(Request::lopen, fid, flags).error(); }
    u32 clunk(u32 fid) { return call(Request::clunk, fid).error(); }
    std::string read(u32 fid, u64 offset = 0, u32 count = 4096) {
        const Answer answer = call(Request::read, fid, offset, count);
        if (const u32 error = answer.error()) return "error " + std::to_string(error);
        auto in = answer.body();
        const auto data = in.data(in.load32());
        EXPECT_EQ(in.remaining(), 0u);
        return {data.begin(), data.end()};
    }
    std::string write(u32 fid, u64 offset, std::string_view text) {
        std::vector<u8> bytes = message(Request::write, fid, offset, static_cast<u32>(text.size()));
        bytes.insert(bytes.end(), text.begin(), text.end());
        store_le(bytes.data(), static_cast<u32>(bytes.size()));
        const Answer answer = raw(bytes);
        if (const u32 error = answer.error()) return "error " + std::to_string(error);
        return std::to_string(answer.body().load32());
    }
    u64 qid_path(u32 fid) {
        auto in = call(Request::getattr, fid, u64{0x7ff}).body();
        in.load64(), in.load<u8>(), in.load32();
        return in.load64();
    }
    u32 readdir(u32 fid, u64 offset, u32 count, std::vector<DirectoryEntry>& entries) {
        const Answer answer = call(Request::readdir, fid, offset, count);
        if (const u32 error = answer.error()) return error;
        auto in = answer.body();
        const u32 length = in.load32();
        EXPECT_LE(length, count);
        EXPECT_EQ(length, in.remaining());
        while (in.remaining() != 0) {
            DirectoryEntry entry;
            entry.qid_type = in.load<u8>();
            in.load32();
            entry.qid_path = in.load64();
            entry.offset = in.load64();
            entry.type = in.load<u8>();
            entry.name = in.text();
            EXPECT_TRUE(in.complete());
            entries.push_back(entry);
        }
        return 0;
    }

    virtio::p9::Server& server;
    usize room = 70'000;
};

}  // namespace viv::test
