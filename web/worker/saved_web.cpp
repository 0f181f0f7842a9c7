// See saved_web.h.
#include "web/worker/saved_web.h"

#include <emscripten.h>
#include <fmt/format.h>

#include <array>

#include "engine/lang/bytes.h"

namespace viv::web {

// As in host_web.cpp, places are made positive.
// clang-format off
// 1, or 0 and web_source_problem() says why not.
EM_JS(double, web_source_size, (unsigned number), { return Module["sources"].get(number).size; });

EM_JS(int, web_source_read, (unsigned number, double offset, u8* to, unsigned size), {
    const source = Module["sources"].get(number);
    try {
        source.read(offset, HEAPU8.subarray(to >>> 0, (to >>> 0) + size));
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});

EM_JS(int, web_source_chunk, (unsigned number, const char* name, unsigned name_size, u8* to, unsigned size), {
    const source = Module["sources"].get(number);
    try {
        source.chunk(new TextDecoder().decode(HEAPU8.slice(name >>> 0, (name >>> 0) + name_size)), HEAPU8.subarray(to >>> 0, (to >>> 0) + size));
        return 1;
    } catch (error) {
        source.problem = error;
        return 0;
    }
});

EM_JS(unsigned, web_source_problem, (unsigned number, char* to, unsigned size), {
    const { problem } = Module["sources"].get(number);
    const text = new TextEncoder().encode((problem instanceof Error ? problem.message : String(problem)).replaceAll("\n", " "));
    HEAPU8.set(text.subarray(0, size), to);
    return Math.min(text.length, size);
});
// clang-format on

Error source_problem(u32 number) {
    std::array<char, 1000> text;
    return Error{std::string(text.data(), web_source_problem(number, text.data(), text.size()))};
}

namespace {

class SourceFile final : public host::File {
public:
    explicit SourceFile(u32 number) : number_(number) {}
    u64 size() override { return static_cast<u64>(web_source_size(number_)); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), size())) return Error{"reads past the end"};
        if (web_source_read(number_, static_cast<double>(offset), out.data(), static_cast<unsigned>(out.size())) == 1)
            return {};
        return source_problem(number_);
    }
    Result<void> write_at(u64, std::span<const u8>) override { return Error{"can only be read"}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }

private:
    u32 number_;
};

class SourceChunks final : public state::ChunkStore {
public:
    explicit SourceChunks(u32 number) : number_(number) {}
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        const auto name = hash.hex();
        if (web_source_chunk(number_, name.data(), static_cast<unsigned>(name.size()), out.data(),
                             static_cast<unsigned>(out.size())) == 1)
            return {};
        return source_problem(number_);
    }

private:
    u32 number_;
};

class OutputSink final : public ByteSink {
public:
    explicit OutputSink(SavedOutput& output) : output_(output) {}
    Result<void> write(std::span<const u8> bytes) override {
        output_.bytes.insert(output_.bytes.end(), bytes.begin(), bytes.end());
        return {};
    }

private:
    SavedOutput& output_;
};

}  // namespace

std::unique_ptr<host::File> open_source_file(u32 number) { return std::make_unique<SourceFile>(number); }

Result<std::shared_ptr<state::Source>> open_source(u32 number) {
    auto source = state::Source::of(std::make_unique<SourceFile>(number));
    source->chunks = std::make_unique<SourceChunks>(number);
    std::array<u8, 16> head{};
    const auto size = static_cast<usize>(std::min<u64>(head.size(), source->file->size()));
    TRY(source->file->read_at(0, std::span(head).first(size)));
    if (state::FileReader::chunks_are(head) == state::Chunks::outside) source->reach = state::Source::Reach::far;
    return source;
}

std::unique_ptr<ByteSink> make_sink(SavedOutput& output) { return std::make_unique<OutputSink>(output); }

}  // namespace viv::web
