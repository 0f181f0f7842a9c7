// Hostile 9p clients: random bytes, and requests that are almost right, by the hundred thousand. Every one is answered
// within its room, the bounds hold, and nothing outside the folder is named.
#include <gtest/gtest.h>

#include <random>

#include "tests/dev/p9_client.h"
#include "tests/dev/p9_memory_folder.h"

namespace viv::virtio::p9 {
namespace {

using test::Client;
using test::MemoryFolder;

void check_names(const MemoryFolder::Inode& directory) {
    for (const auto& [name, inode] : directory.names) {
        ASSERT_EQ(check_name(name), 0u) << name;
        if (inode->is_directory()) check_names(*inode);
    }
}

TEST(P9Random, RandomBytesAreAnswered) {
    NullLogSink sink;
    Log log(sink, "9p");
    MemoryFolder folder;
    Server server(folder, log);
    Client client(server);
    ASSERT_EQ(client.start(8192), 0u);
    std::mt19937_64 random(1);
    std::vector<u8> bytes, room;
    for (int i = 0; i < 50'000; i++) {
        bytes.resize(random() % 64);
        for (u8& byte : bytes) byte = static_cast<u8>(random());
        if (bytes.size() >= 4 && random() % 4 != 0) store_le(bytes.data(), static_cast<u32>(bytes.size()));
        room.assign(random() % 4 == 0 ? random() % 32 : 8192, 0);
        const usize length = server.answer(bytes, room);
        ASSERT_LE(length, room.size());
        if (length == 0) {
            ASSERT_LT(room.size(), error_size);
        } else {
            ASSERT_EQ(load_le<u32>(room.data()), length);
        }
    }
}

TEST(P9Random, RequestsThatAreAlmostRightAreAnswered) {
    NullLogSink sink;
    Log log(sink, "9p");
    MemoryFolder folder;
    folder.maximum_held = 60;
    folder.put_directory("d");
    folder.put("d/file", "text");
    folder.put("link", "../../etc/passwd", 0120777);
    Server server(folder, log);
    Client client(server);
    ASSERT_EQ(client.start(8192), 0u);
    std::mt19937_64 random(2);
    const u8 requests[] = {8,  12, 14, 16, 18, 20,  22,  24,  26,  30,  32,  40,  50,  52,
                           54, 70, 72, 74, 76, 100, 102, 104, 108, 110, 116, 118, 120, 122};
    const std::string_view names[] = {"a", "b", "d", "file", "link", "..", ".", "", "a/b", "/etc", "9P2000.L", "x"};
    usize succeeded = 0;
    std::vector<u8> bytes, room(8192);
    for (int i = 0; i < 100'000; i++) {
        // A request of plausible fields, in a plausible order for its kind half of the time.
        const u8 type = requests[random() % std::size(requests)];
        if ((type == 120 || type == 122) && random() % 4 != 0) continue;
        bytes.assign(7, 0);
        bytes[4] = type;
        const auto number = [&](u64 value, unsigned size) {
            for (unsigned at = 0; at < size; at++) bytes.push_back(static_cast<u8>(value >> (8 * at)));
        };
        const auto text = [&] {
            const auto name = names[random() % std::size(names)];
            number(name.size(), 2);
            bytes.insert(bytes.end(), name.begin(), name.end());
        };
        const auto fid = [&] { number(random() % 12, 4); };
        const auto small = [&](unsigned size) { number(random() % 8 == 0 ? random() : random() % 2048, size); };
        switch (type) {
            case 100:
                if (random() % 64 != 0) continue;  // each ends the session
                number(8192, 4), text();
                break;
            case 104: fid(), number(no_fid, 4), text(), number(0, 2), small(4); break;
            case 110: {
                fid(), fid();
                const u64 count = random() % 4;
                number(count, 2);
                for (u64 at = 0; at < count; at++) text();
                break;
            }
            case 14: fid(), text(), small(4), number(0644, 4), small(4); break;
            case 16: fid(), text(), text(), small(4); break;
            case 18: fid(), text(), number(0100644, 4), small(4), small(4), small(4); break;
            case 20:
            case 70: fid(), fid(), text(); break;
            case 72: fid(), text(), number(0755, 4), small(4); break;
            case 74: fid(), text(), fid(), text(); break;
            case 76: fid(), text(), number(random() % 2 * 0x200, 4); break;
            case 116:
            case 40: fid(), small(8), small(4); break;
            case 118: fid(), number(random() % 4096, 8), number(4, 4), number(random(), 4); break;
            case 52: fid(), number(random() % 4, 1), small(4), small(8), small(8), small(4), text(); break;
            case 54: fid(), number(random() % 4, 1), small(8), small(8), small(4), text(); break;
            case 26:
                fid(), number(random() % 512, 4), small(4), small(4), small(4), number(random() % 4096, 8);
                for (int at = 0; at < 4; at++) small(8);
                break;
            default: fid(), number(random() % 4, 4); break;
        }
        if (random() % 16 == 0) bytes.resize(7 + random() % 40);
        if (random() % 16 == 0) bytes[random() % bytes.size()] ^= static_cast<u8>(random());
        store_le(bytes.data(), static_cast<u32>(bytes.size()));
        const usize length = server.answer(bytes, room);
        ASSERT_GE(length, header_size);
        ASSERT_EQ(load_le<u32>(room.data()), length);
        if (room[4] != reply_error) {
            ASSERT_EQ(room[4], bytes[4] + 1);
            succeeded++;
        }
        ASSERT_LE(folder.held, folder.maximum_held + 1);
        if (i % 250 == 0) {
            check_names(*folder.at(""));
            // The session survives saving at any point.
            std::vector<u8> saved, again;
            Archive out = Archive::saver(saved);
            server.state(out);
            Archive in = Archive::loader(saved);
            server.state(in);
            ASSERT_TRUE(in.finish().ok()) << in.finish().error().message;
            Archive check = Archive::saver(again);
            server.state(check);
            ASSERT_EQ(saved, again);
            if (server.fids().size() == 0) {
                ASSERT_EQ(client.start(8192), 0u);
            }
        }
    }
    EXPECT_GT(succeeded, 10'000u);
}

}  // namespace
}  // namespace viv::virtio::p9
