// Saved machines that are written anew for whoever fetches them piece by piece: the same machine, in small chunks.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "engine/control/publishing.h"
#include "tests/control/programs.h"

namespace viv::test {
namespace {

constexpr u64 memory_size = 16 << 20, noise_begin = 0x10'0000;
constexpr usize small_chunk = 4 * page_size;

class Chunks final : public state::ChunkSink {
public:
    Result<void> put(const state::PackedChunk& chunk) override {
        EXPECT_LE(chunk.plain, small_chunk);
        stored[{chunk.hash.high, chunk.hash.low}] = chunk.stored;
        return {};
    }
    std::map<std::pair<u64, u64>, std::vector<u8>> stored;
};

class Store final : public state::ChunkStore {
public:
    explicit Store(const Chunks& chunks, u64& fetched) : chunks_(chunks), fetched_(fetched) {}
    Result<void> fetch(const Hash128& hash, std::span<u8> out) override {
        const auto found = chunks_.stored.find({hash.high, hash.low});
        if (found == chunks_.stored.end() || found->second.size() != out.size()) return Error{"it is not there"};
        std::copy(found->second.begin(), found->second.end(), out.begin());
        fetched_++;
        return {};
    }

private:
    const Chunks& chunks_;
    u64& fetched_;
};

struct Saved {
    Saved() {
        Bench::Options options;
        options.memory = memory_size;
        bench = std::make_unique<Bench>(std::vector<Instruction>{set(1, 1), {Op::add, 2, 2, 0, 1}, jump(-1)}, options);
        std::mt19937_64 random(1);
        std::vector<u8> page(page_size);
        for (u64 at = noise_begin; at < memory_size; at += page_size) {
            for (u8& byte : page) byte = static_cast<u8>(random());
            EXPECT_TRUE(bench->board().memory().write(ram_base + at, page));
        }
        EXPECT_TRUE(bench->machine->save(file).ok());
    }
    state::FileReader reader() const {
        auto opened = state::FileReader::open(state::Source::of(std::make_unique<host::BytesFile>(file.bytes)));
        EXPECT_TRUE(opened.ok());
        return std::move(opened).value();
    }
    Result<void> write(const std::function<bool(u64, u64)>& progress) {
        auto from = reader();
        state::FileWriter writer(index, &chunks);
        TRY(writer.begin());
        return write_for_fetching(from, writer, progress);
    }
    std::shared_ptr<state::Source> source(u64& fetched) const {
        return std::make_shared<state::Source>(state::Source{std::make_unique<host::BytesFile>(index.bytes),
                                                             std::make_unique<Store>(chunks, fetched),
                                                             state::Source::Reach::far});
    }

    std::unique_ptr<Bench> bench;
    VectorSink file, index;
    Chunks chunks;
};

TEST(Publishing, IsTheSameMachineInSmallChunks) {
    Saved saved;
    u64 last = 0;
    ASSERT_TRUE(saved
                    .write([&](u64 done, u64 all) {
                        EXPECT_LT(done, all);
                        last = done;
                        return true;
                    })
                    .ok());
    EXPECT_GT(last, 100U);
    EXPECT_TRUE(saved.index.finished);
    EXPECT_GE(saved.chunks.stored.size(), (memory_size - noise_begin) / small_chunk);
    Bench::Options options;
    options.memory = memory_size;
    Bench other({set(1, 1), {Op::add, 2, 2, 0, 1}, jump(-1)}, options);
    u64 fetched = 0;
    ASSERT_TRUE(other.machine->open(saved.source(fetched)).ok());
    other.machine->resume();
    other.machine->run({100, 0});
    EXPECT_LT(fetched, 20U);
    saved.bench->machine->run({100, 0});
    EXPECT_EQ(other.machine->hash(), saved.bench->machine->hash());
    EXPECT_GT(fetched, (memory_size - noise_begin) / small_chunk);
}

TEST(Publishing, EqualMachinesShareTheirChunks) {
    Saved first, second;
    ASSERT_TRUE(first.write([](u64, u64) { return true; }).ok());
    ASSERT_TRUE(second.write([](u64, u64) { return true; }).ok());
    EXPECT_EQ(first.chunks.stored, second.chunks.stored);
}

TEST(Publishing, StopsWhenItIsToldTo) {
    Saved saved;
    const auto done = saved.write([](u64 chunk, u64) { return chunk < 10; });
    ASSERT_FALSE(done.ok());
    EXPECT_NE(done.error().message.find("interrupted"), std::string::npos);
    EXPECT_FALSE(saved.index.finished);
}

TEST(Publishing, DamagedFilesAreRefused) {
    Saved saved;
    saved.file.bytes[saved.file.bytes.size() / 2] ^= 1;
    const auto done = saved.write([](u64, u64) { return true; });
    ASSERT_FALSE(done.ok());
    EXPECT_NE(done.error().message.find("damaged"), std::string::npos);
    EXPECT_FALSE(saved.index.finished);
}

}  // namespace
}  // namespace viv::test
