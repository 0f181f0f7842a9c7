// See host_web.h.
#include "web/worker/host_web.h"

#include <emscripten.h>
#include <emscripten/heap.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/lang/check.h"

namespace viv::web {

namespace {

constexpr u64 page = 4096;

// From the C library's allocator; fresh memory of the module is zero.
class Block final : public host::MemoryBlock {
public:
    Block(u8* start, usize size) : start_(start), size_(size) {}
    ~Block() override { std::free(start_); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;

    std::span<u8> bytes() override { return {start_, size_}; }
    void discard(u64 offset, u64 size) override {
        CHECK(offset <= size_ && size <= size_ - offset);
        std::memset(start_ + offset, 0, static_cast<usize>(size));
    }

private:
    u8* start_;
    usize size_;
};

class CodeInMemory final : public host::CodeBlock {
public:
    explicit CodeInMemory(std::unique_ptr<host::MemoryBlock> block) : block_(std::move(block)) {}
    u8* writable() override { return block_->bytes().data(); }
    const u8* executable() override { return block_->bytes().data(); }
    u64 size() const override { return block_->bytes().size(); }
    void synchronize(u64, u64) override {}

private:
    std::unique_ptr<host::MemoryBlock> block_;
};

}  // namespace

// A place above 2 GiB comes as a negative number; what the linker does not see to is done here.
// clang-format off
EM_JS(int, web_random, (u8 * to, unsigned size), {
    try {
        // Not into the module's memory itself: that may be shared, which the call refuses.
        const bytes = new Uint8Array(size);
        crypto.getRandomValues(bytes);
        HEAPU8.set(bytes, to);
        return 1;
    } catch (error) {
        return 0;
    }
});

EM_JS(double, web_date_now, (), { return Date.now(); });

EM_JS(void, web_log, (int level, const char* text, unsigned size), {
    const line = new TextDecoder().decode(HEAPU8.slice(text >>> 0, (text >>> 0) + size));
    (level == 0 ? console.error : level == 1 ? console.warn : console.info)(line);
});
EM_JS(int, web_instantiate, (const u8 * start, unsigned size), {
    try {
        const module = new WebAssembly.Module(HEAPU8.slice(start >>> 0, (start >>> 0) + size));
        new WebAssembly.Instance(module, { e: { m: wasmMemory, t: wasmTable } });
        return 1;
    } catch (error) {
        console.error("viv: " + error);
        return 0;
    }
});

// The first of `count` new places at the table's end, or 0.
EM_JS(unsigned, web_grow_table, (unsigned count), {
    try {
        return wasmTable.grow(count);
    } catch (error) {
        return 0;
    }
});

EM_JS(void, web_clear_place, (unsigned place), { wasmTable.set(place, null); });
// clang-format on

u64 WebClock::monotonic_ns() { return static_cast<u64>(emscripten_get_now() * 1e6); }
u64 WebClock::realtime_ns() { return static_cast<u64>(web_date_now() * 1e6); }

void WebEntropy::fill(std::span<u8> out) {
    constexpr usize most_at_once = 65536;  // that the call gives
    for (usize done = 0; done < out.size();) {
        const usize size = std::min(out.size() - done, most_at_once);
        CHECK(web_random(out.data() + done, static_cast<unsigned>(size)) == 1, "the browser gives no random bytes");
        done += size;
    }
}

bool fits_in_memory(u64 bytes) {
    const u64 most = emscripten_get_heap_max(), used = reinterpret_cast<std::uintptr_t>(sbrk(0));
    return bytes <= most - std::min(most, used);
}

Result<std::unique_ptr<host::MemoryBlock>> WebMemory::allocate(u64 size) {
    const auto refused = [size](std::string_view why) {
        return Error{fmt::format("cannot allocate {} MiB of guest memory: {}", size >> 20, why)};
    };
    if (!fits_in_memory(size)) return refused("a module of WebAssembly has less than 4096 MiB in all; ask for less");
    const auto before = reinterpret_cast<std::uintptr_t>(sbrk(0));
    void* const start = std::aligned_alloc(page, static_cast<usize>(size));
    if (start == nullptr) return refused("the browser refuses; close other tabs or ask for less");
    // What lies above the end of the heap that there was has never been touched: the allocator never gives any back.
    const auto from = reinterpret_cast<std::uintptr_t>(start);
    if (from < before) std::memset(start, 0, std::min<u64>(size, before - from));
    return std::unique_ptr<host::MemoryBlock>(
        std::make_unique<Block>(static_cast<u8*>(start), static_cast<usize>(size)));
}

u32 WebModules::take_place() {
    if (free_.empty()) {
        constexpr u32 more = 1024;
        const u32 first = web_grow_table(more);
        CHECK(first != 0, "the browser refuses a larger table of functions");
        for (u32 i = more; i-- > 0;) free_.push_back(first + i);
    }
    const u32 place = free_.back();
    free_.pop_back();
    return place;
}

void WebModules::give_place(u32 place) {
    web_clear_place(place);
    free_.push_back(place);
}

bool WebModules::instantiate(std::span<const u8> module) {
    return web_instantiate(module.data(), static_cast<unsigned>(module.size())) == 1;
}

Result<std::unique_ptr<host::CodeBlock>> WebCodeMemory::allocate(u64 size) {
    TRY_SET(auto block, memory_.allocate(size));
    return std::unique_ptr<host::CodeBlock>(std::make_unique<CodeInMemory>(std::move(block)));
}

void ConsoleLog::write(LogLevel level, std::string_view component, std::string_view line) {
    if (level == LogLevel::error) last_error_ = line;
    if (level > level_) return;
    const auto text = fmt::format("viv: {}: {}", component, line);
    web_log(static_cast<int>(level), text.data(), static_cast<unsigned>(text.size()));
}

}  // namespace viv::web
