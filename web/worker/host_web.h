// The host services of a JavaScript worker (or of Node) for the engine's interfaces in engine/host.
// Promises: nothing here needs threads, shared memory or the page; guest memory that was never touched takes none of
// the machine's; running out of memory is an error with a message.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/host/clock.h"
#include "engine/host/code_memory.h"
#include "engine/host/entropy.h"
#include "engine/host/memory.h"
#include "engine/lang/log.h"

namespace viv::web {

// performance.now() and Date.now(): as exact as the page's isolation allows, 5 or 100 microseconds.
class WebClock final : public host::Clock {
public:
    u64 monotonic_ns() override;
    u64 realtime_ns() override;
};

// crypto.getRandomValues().
class WebEntropy final : public host::Entropy {
public:
    void fill(std::span<u8> out) override;
};

// In the module's own linear memory, which grows and never shrinks.
class WebMemory final : public host::Memory {
public:
    Result<std::unique_ptr<host::MemoryBlock>> allocate(u64 size) override;
};

// Functions made at run time, in the module's own table.
class WebModules final : public host::WasmModules {
public:
    u32 take_place() override;
    void give_place(u32 place) override;
    bool instantiate(std::span<const u8> module) override;

private:
    std::vector<u32> free_;
};

// Translations lie in the module's own memory; what is executed are the functions made of them.
class WebCodeMemory final : public host::CodeMemory {
public:
    explicit WebCodeMemory(WebMemory& memory) : memory_(memory) {}
    host::Architecture architecture() const override { return host::Architecture::wasm; }
    host::X64Features x64_features() const override { return {}; }
    host::WasmModules* wasm_modules() override { return &modules_; }
    Result<std::unique_ptr<host::CodeBlock>> allocate(u64 size) override;

private:
    WebMemory& memory_;
    WebModules modules_;
};

// Lines of `level` and graver go to the console.
class ConsoleLog final : public LogSink {
public:
    explicit ConsoleLog(LogLevel level) : level_(level) {}
    void write(LogLevel level, std::string_view component, std::string_view line) override;
    const std::string& last_error() const { return last_error_; }

private:
    LogLevel level_;
    std::string last_error_;
};

// Whether so many bytes more can be had, below what a module can address; nothing is allocated.
bool fits_in_memory(u64 bytes);

}  // namespace viv::web
