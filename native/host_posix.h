// The host services of a POSIX system for the engine's interfaces in engine/host, and the log on standard error.
// Promises: guest memory costs nothing until it is touched and is given back when discarded; a log line is one write,
// whichever thread it comes from; no call here returns before it is done, none retries for ever.
#pragma once

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>

#include "engine/host/clock.h"
#include "engine/host/code_memory.h"
#include "engine/host/entropy.h"
#include "engine/host/file.h"
#include "engine/host/memory.h"
#include "engine/host/threads.h"
#include "engine/lang/log.h"

namespace viv::native {

class PosixClock final : public host::Clock {
public:
    u64 monotonic_ns() override;
    u64 realtime_ns() override;
};

class PosixEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override;
};

class PosixMemory final : public host::Memory {
public:
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override;
};

// Memory for generated code, mapped twice: for writing, and for execution.
class PosixCodeMemory final : public host::CodeMemory {
public:
    // Names of code go to the file in which perf(1) looks for those of this process: /tmp/perf-PID.map. Before
    // allocate().
    Result<void> write_perf_map();
    host::Architecture architecture() const override;
    host::X64Features x64_features() const override;
    Result<std::unique_ptr<host::CodeBlock>> allocate(u64 size) override;

private:
    std::shared_ptr<std::FILE> perf_map_;
};

class PosixThreads final : public host::Threads {
public:
    std::unique_ptr<host::Mutex> make_mutex() override;
    std::unique_ptr<host::Condition> make_condition() override;
    // A host that is out of threads ends the program with one line: harts cannot be left out.
    std::unique_ptr<host::Thread> start(std::string name, std::function<void()> body) override;
    unsigned hardware_threads() override;
    void give_way() override;
    u64 current_id() const override;
};

// unlocked: for looking at a file although somebody may be writing it.
enum class FileAccess : u8 { read_only, read_write, read_only_unlocked };
// A regular file or a block device, locked against a second writer (and against a writer while it is read). The error
// names `path`.
Result<std::unique_ptr<host::File>> open_file(const std::string& path, FileAccess access);
// The same to be written, made if it is missing, and empty once it is locked.
Result<std::unique_ptr<host::File>> create_file(const std::string& path);

// Lines of `level` and graver go to standard error, as "viv: component: line".
class StandardErrorLog final : public LogSink {
public:
    explicit StandardErrorLog(LogLevel level) : level_(level) {}
    void write(LogLevel level, std::string_view component, std::string_view line) override;
    // A terminal in raw mode needs the carriage return as well.
    enum class LineEnd : u8 { newline, carriage_return_newline };
    void set_line_end(LineEnd end) { end_.store(end, std::memory_order_relaxed); }
    LineEnd line_end() const { return end_.load(std::memory_order_relaxed); }

private:
    LogLevel level_;
    std::atomic<LineEnd> end_ = LineEnd::newline;
};

// Lets this process open as many files as it may (RLIMIT_NOFILE's soft limit becomes the hard one): shared folders hold
// many. Children inherit it, so it is called when no more of them are to be started.
void raise_descriptor_limit();

// "No such file or directory", without a final full stop.
std::string error_text(int error_number);

}  // namespace viv::native
