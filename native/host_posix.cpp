// Clocks, entropy, memory and the log on Linux and its relatives. See host_posix.h.
#include "native/host_posix.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "engine/lang/check.h"

namespace viv::native {

namespace {

u64 read_clock(clockid_t id) {
    timespec now{};
    CHECK(clock_gettime(id, &now) == 0);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

class Mapping final : public host::MemoryBlock {
public:
    Mapping(u8* start, usize size) : start_(start), size_(size) {}
    ~Mapping() override { munmap(start_, size_); }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;

    std::span<u8> bytes() override { return {start_, size_}; }

    void discard(u64 offset, u64 size) override {
        CHECK(range_fits(offset, size, size_));
        if (size == 0) return;
        // Memory that is locked or otherwise refused keeps its pages, but must still read as zero.
        if (madvise(start_ + offset, size, MADV_DONTNEED) != 0) std::memset(start_ + offset, 0, size);
    }

private:
    u8* start_;
    usize size_;
};

}  // namespace

void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);  // a refusal leaves what there was, which also works
}

std::string error_text(int error_number) {
    char buffer[128];
    return strerror_r(error_number, buffer, sizeof buffer);
}

u64 PosixClock::monotonic_ns() { return read_clock(CLOCK_MONOTONIC); }
u64 PosixClock::realtime_ns() { return read_clock(CLOCK_REALTIME); }

void PosixEntropy::fill(std::span<u8> out) {
    usize done = 0;
    while (done < out.size()) {
        const ssize_t got = getrandom(out.data() + done, out.size() - done, 0);
        if (got < 0 && errno == EINTR) continue;
        CHECK(got > 0, "the kernel refuses to give random bytes");
        done += static_cast<usize>(got);
    }
}

Result<std::unique_ptr<host::MemoryBlock>> PosixMemory::allocate(u64 size) {
    void* start = MAP_FAILED;
    if (size <= ~usize{0})
        start = mmap(nullptr, static_cast<usize>(size), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED)
        return Error{fmt::format("cannot allocate {} MiB of guest memory: {}", size >> 20, error_text(errno))};
    return std::unique_ptr<host::MemoryBlock>(
        std::make_unique<Mapping>(static_cast<u8*>(start), static_cast<usize>(size)));
}

void StandardErrorLog::write(LogLevel level, std::string_view component, std::string_view line) {
    if (level > level_) return;
    const auto text = fmt::format("viv: {}: {}{}{}", component, level == LogLevel::error ? "error: " : "", line,
                                  line_end() == LineEnd::newline ? "\n" : "\r\n");
    // A closed or full standard error must not stop the machine.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

}  // namespace viv::native
