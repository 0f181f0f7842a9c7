// Memory for generated code on Linux: shared memory that is mapped once for writing and once for execution.
// Promises: neither mapping ever has both rights; nothing of it outlives the block.
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

#include "native/host_posix.h"

namespace viv::native {

namespace {

class DoubleMapping final : public host::CodeBlock {
public:
    DoubleMapping(u8* writable, u8* executable, usize size, std::shared_ptr<std::FILE> perf_map)
        : writable_(writable), executable_(executable), size_(size), perf_map_(std::move(perf_map)) {}
    ~DoubleMapping() override {
        munmap(writable_, size_);
        munmap(executable_, size_);
    }
    DoubleMapping(const DoubleMapping&) = delete;
    DoubleMapping& operator=(const DoubleMapping&) = delete;

    u8* writable() override { return writable_; }
    const u8* executable() override { return executable_; }
    u64 size() const override { return size_; }
    void synchronize(u64 offset, u64 size) override {
        char* first = reinterpret_cast<char*>(executable_ + offset);
        __builtin___clear_cache(first, first + size);
    }
    void name(u64 offset, u64 size, std::string_view name) override {
        if (perf_map_ == nullptr) return;
        fmt::print(perf_map_.get(), "{:x} {:x} {}\n", reinterpret_cast<std::uintptr_t>(executable_ + offset), size,
                   name);
        std::fflush(perf_map_.get());
    }

private:
    u8* writable_;
    u8* executable_;
    usize size_;
    std::shared_ptr<std::FILE> perf_map_;
};

}  // namespace

host::Architecture PosixCodeMemory::architecture() const {
#if defined(__x86_64__)
    return host::Architecture::x64;
#else
    return host::Architecture::other;
#endif
}

host::X64Features PosixCodeMemory::x64_features() const {
    host::X64Features features;
#if defined(__x86_64__)
    __builtin_cpu_init();
    features.sse3 = __builtin_cpu_supports("sse3");
    features.ssse3 = __builtin_cpu_supports("ssse3");
    features.sse41 = __builtin_cpu_supports("sse4.1");
    features.sse42 = __builtin_cpu_supports("sse4.2");
    features.popcnt = __builtin_cpu_supports("popcnt");
    features.bmi1 = __builtin_cpu_supports("bmi");
    features.bmi2 = __builtin_cpu_supports("bmi2");
    // Every processor with AVX2 has LZCNT; compilers of 2022 cannot ask for it by name.
    features.lzcnt = features.bmi1 && __builtin_cpu_supports("avx2");
    features.pclmul = __builtin_cpu_supports("pclmul");
    features.avx = __builtin_cpu_supports("avx");
    features.avx2 = __builtin_cpu_supports("avx2");
    features.fma = __builtin_cpu_supports("fma");
#endif
    return features;
}

Result<void> PosixCodeMemory::write_perf_map() {
    const std::string path = fmt::format("/tmp/perf-{}.map", getpid());
    std::FILE* file = std::fopen(path.c_str(), "we");
    if (file == nullptr) return Error{fmt::format("--perf-map: {}: {}", path, error_text(errno))};
    perf_map_ = std::shared_ptr<std::FILE>(file, [](std::FILE* open) { std::fclose(open); });
    return {};
}

Result<std::unique_ptr<host::CodeBlock>> PosixCodeMemory::allocate(u64 size) {
    const auto refuse = [&](std::string_view what) {
        return Error{fmt::format("{} of {} MiB for translated code: {}; --jit off needs none", what, size >> 20,
                                 error_text(errno))};
    };
    // Shared and anonymous, so that it can be mapped once more; and perf(1) takes no named file for generated code.
    void* writable = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (writable == MAP_FAILED) return refuse("no memory");
    void* executable = mremap(writable, 0, size, MREMAP_MAYMOVE);
    if (executable == MAP_FAILED || mprotect(executable, size, PROT_READ | PROT_EXEC) != 0) {
        const Error error = refuse("no mapping");
        munmap(writable, size);
        if (executable != MAP_FAILED) munmap(executable, size);
        return error;
    }
    return std::unique_ptr<host::CodeBlock>(
        std::make_unique<DoubleMapping>(static_cast<u8*>(writable), static_cast<u8*>(executable), size, perf_map_));
}

}  // namespace viv::native
