// The host's services on this host: memory, files, threads, time, entropy.
#include "native/host_posix.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>

namespace viv::native {
namespace {

class TemporaryFile {
public:
    explicit TemporaryFile(u64 size) {
        char name[] = "/tmp/viv-file-test-XXXXXX";
        const int descriptor = mkstemp(name);
        EXPECT_GE(descriptor, 0);
        EXPECT_EQ(ftruncate(descriptor, static_cast<off_t>(size)), 0);
        close(descriptor);
        path = name;
    }
    ~TemporaryFile() { unlink(path.c_str()); }
    std::string path;
};

usize resident_pages(std::span<u8> memory) {
    std::vector<unsigned char> pages(memory.size() / 4096);
    EXPECT_EQ(mincore(memory.data(), memory.size(), pages.data()), 0);
    return static_cast<usize>(
        std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1) != 0; }));
}

TEST(PosixMemory, CostsNothingUntilTouchedAndAgainWhenDiscarded) {
    PosixMemory memory;
    auto block = memory.allocate(u64{1} << 36);  // 64 GiB, whatever this host has
    ASSERT_TRUE(block.ok()) << block.error().message;
    const auto all = (*block)->bytes();
    ASSERT_EQ(all.size(), usize{1} << 36);
    const auto part = all.first(1 << 20);
    EXPECT_EQ(part[12345], 0);
    std::fill(part.begin(), part.end(), u8{7});
    EXPECT_EQ(resident_pages(part), 256u);
    (*block)->discard(4096, (1 << 20) - 8192);
    EXPECT_LE(resident_pages(part), 2u);
    EXPECT_EQ(part[4095], 7);
    EXPECT_EQ(part[4096], 0);
    EXPECT_EQ(part[(1 << 20) - 4097], 0);
    EXPECT_EQ(part[(1 << 20) - 4096], 7);
}

TEST(PosixMemory, TooMuchIsAnErrorThatNamesTheSize) {
    PosixMemory memory;
    auto block = memory.allocate(u64{1} << 62);
    ASSERT_FALSE(block.ok());
    EXPECT_EQ(block.error().message.find("cannot allocate 4398046511104 MiB of guest memory"), 0u);
}

TEST(PosixFile, ReadsAndWritesWhereItIsTold) {
    TemporaryFile temporary(8192);
    auto file = open_file(temporary.path, FileAccess::read_write);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ((*file)->size(), 8192u);
    const std::array<u8, 4> written{1, 2, 3, 4};
    ASSERT_TRUE((*file)->write_at(4094, written).ok());
    ASSERT_TRUE((*file)->flush().ok());
    std::array<u8, 6> read{};
    ASSERT_TRUE((*file)->read_at(4093, read).ok());
    EXPECT_EQ(read, (std::array<u8, 6>{0, 1, 2, 3, 4, 0}));
    const auto beyond = (*file)->read_at(8188, read);
    ASSERT_FALSE(beyond.ok());
    EXPECT_EQ(beyond.error().message, temporary.path + ": ends before offset 8194");
}

TEST(PosixFile, HolesReadAsZeroAndKeepTheSize) {
    TemporaryFile temporary(1 << 20);
    auto file = open_file(temporary.path, FileAccess::read_write);
    ASSERT_TRUE(file.ok());
    std::vector<u8> full(1 << 20, 9);
    ASSERT_TRUE((*file)->write_at(0, full).ok());
    if ((*file)->punch_hole(512 << 10, 512 << 10)) {
        std::array<u8, 2> edge{};
        ASSERT_TRUE((*file)->read_at((512 << 10) - 1, edge).ok());
        EXPECT_EQ(edge, (std::array<u8, 2>{9, 0}));
    }
    EXPECT_EQ((*file)->size(), u64{1} << 20);
}

TEST(PosixFile, IsLockedAgainstASecondWriter) {
    TemporaryFile temporary(4096);
    {
        auto reader = open_file(temporary.path, FileAccess::read_only);
        auto another = open_file(temporary.path, FileAccess::read_only);
        ASSERT_TRUE(reader.ok() && another.ok());
        auto writer = open_file(temporary.path, FileAccess::read_write);
        ASSERT_FALSE(writer.ok());
        EXPECT_EQ(writer.error().message,
                  temporary.path + ": is in use by another program; end that one first, or give a copy of the file");
    }
    auto writer = open_file(temporary.path, FileAccess::read_write);
    ASSERT_TRUE(writer.ok());
    auto reader = open_file(temporary.path, FileAccess::read_only);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().message,
              temporary.path + ": is in use by another program that writes it; end that one first");
}

TEST(PosixFile, WhatIsNoDiskIsRefused) {
    EXPECT_EQ(open_file("/tmp", FileAccess::read_only).error().message,
              "/tmp: is a directory; a regular file or a block device is needed");
    EXPECT_EQ(open_file("/dev/null", FileAccess::read_only).error().message,
              "/dev/null: is no regular file; a regular file or a block device is needed");
    EXPECT_EQ(open_file("/no/such/disk", FileAccess::read_only).error().message,
              "/no/such/disk: cannot open: No such file or directory");
}

TEST(Descriptors, TheSoftLimitBecomesTheHardOne) {
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit low = before;
    low.rlim_cur = 64;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    raise_descriptor_limit();
    rlimit after{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
    EXPECT_EQ(after.rlim_cur, before.rlim_max);
    EXPECT_EQ(after.rlim_max, before.rlim_max);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST(PosixThreads, SharedWorkUnderALock) {
    PosixThreads threads;
    EXPECT_GE(threads.hardware_threads(), 1u);
    auto mutex = threads.make_mutex();
    auto condition = threads.make_condition();
    int turn = 0;
    {
        std::vector<std::unique_ptr<host::Thread>> players;
        for (int player = 0; player < 3; player++)
            players.push_back(threads.start("a name of more than fifteen letters", [&, player] {
                for (int round = 0; round < 100; round++) {
                    host::Lock lock(mutex.get());
                    while (turn % 3 != player) condition->wait(*mutex);
                    turn++;
                    condition->notify_all();
                }
            }));
    }
    EXPECT_EQ(turn, 300);
}

TEST(PosixThreads, AreKnownByTheirNumberInTheSystem) {
    PosixThreads threads;
    EXPECT_EQ(threads.current_id(), static_cast<u64>(getpid())) << "the first thread's is the process's";
    u64 own = 0;
    u64 told = 0;
    {
        auto thread = threads.start("number", [&] { own = threads.current_id(); });
        told = thread->id();
    }
    EXPECT_EQ(told, own);
    EXPECT_NE(told, threads.current_id());
}

TEST(PosixThreads, WaitsEnd) {
    PosixThreads threads;
    PosixClock clock;
    auto mutex = threads.make_mutex();
    auto condition = threads.make_condition();
    host::Lock lock(mutex.get());
    const u64 start = clock.monotonic_ns();
    // Wake-ups may be spurious, never late for ever.
    while (clock.monotonic_ns() < start + 2'000'000) condition->wait_for(*mutex, 2'000'000);
    EXPECT_LT(clock.monotonic_ns() - start, 10'000'000'000u);
}

TEST(PosixClock, RunsForward) {
    PosixClock clock;
    const u64 first = clock.monotonic_ns();
    EXPECT_GE(clock.monotonic_ns(), first);
    EXPECT_GT(clock.realtime_ns(), u64{1'600'000'000} * 1'000'000'000);
}

TEST(PosixEntropy, FillsEverything) {
    PosixEntropy entropy;
    std::vector<u8> bytes(100'000);
    entropy.fill(bytes);
    std::array<usize, 256> counts{};
    for (const u8 byte : bytes) counts[byte]++;
    EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 200u);  // 390 expected each
}

TEST(StandardErrorLog, FiltersAndEndsItsLines) {
    ::testing::internal::CaptureStderr();
    StandardErrorLog log(LogLevel::warning);
    log.write(LogLevel::error, "disk", "broken");
    log.write(LogLevel::warning, "uart", "odd");
    log.write(LogLevel::info, "uart", "never mind");
    log.set_line_end(StandardErrorLog::LineEnd::carriage_return_newline);
    log.write(LogLevel::warning, "uart", "raw");
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "viv: disk: error: broken\nviv: uart: odd\nviv: uart: raw\r\n");
}

}  // namespace
}  // namespace viv::native
