// The power goes at any moment: of what was written since the file's last barrier, any sectors may be on stable storage
// and others not. What the image had flushed must be there, and its tables whole.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <set>

#include "engine/block/catalog.h"
#include "engine/lang/bytes.h"

namespace viv::block {
namespace {

constexpr u64 sector = 512;

// What a power cut leaves of a file.
struct Storage {
    struct Change {
        u64 offset = 0, length = 0;
        std::vector<u8> bytes;  // empty: zeroes
    };
    std::vector<u8> now, stable;
    std::vector<Change> pending;
    std::function<void()> before_barrier;

    std::vector<u8> cut(std::mt19937_64& random) const {
        auto left = stable;
        const bool longer = random() % 2 != 0;
        if (longer) left.resize(std::max(left.size(), now.size()));
        for (const auto& change : pending)
            for (u64 at = 0; at < change.length; at += sector) {
                const u64 length = std::min(sector, change.length - at);
                if (random() % 2 == 0 || change.offset + at + length > left.size()) continue;
                const auto to = left.begin() + static_cast<std::ptrdiff_t>(change.offset + at);
                if (change.bytes.empty())
                    std::fill_n(to, length, u8{0});
                else
                    std::copy_n(change.bytes.begin() + static_cast<std::ptrdiff_t>(at), length, to);
            }
        return left;
    }
};

class StorageFile final : public host::File {
public:
    explicit StorageFile(Storage& storage) : storage_(storage) {}
    u64 size() override { return storage_.now.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), size())) return Error{"behind the end"};
        std::copy_n(storage_.now.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return {};
    }
    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        storage_.now.resize(std::max<u64>(size(), offset + in.size()));
        std::copy(in.begin(), in.end(), storage_.now.begin() + static_cast<std::ptrdiff_t>(offset));
        storage_.pending.push_back({offset, in.size(), {in.begin(), in.end()}});
        return {};
    }
    Result<void> flush() override {
        if (storage_.before_barrier) storage_.before_barrier();
        // Only what changed: images are large, and barriers many.
        storage_.stable.resize(size());
        for (const auto& change : storage_.pending) {
            const u64 length = change.offset < size() ? std::min(change.length, size() - change.offset) : 0;
            std::copy_n(storage_.now.begin() + static_cast<std::ptrdiff_t>(change.offset), length,
                        storage_.stable.begin() + static_cast<std::ptrdiff_t>(change.offset));
        }
        storage_.pending.clear();
        return {};
    }
    bool punch_hole(u64 offset, u64 length) override {
        std::fill_n(storage_.now.begin() + static_cast<std::ptrdiff_t>(offset), length, u8{0});
        storage_.pending.push_back({offset, length, {}});
        return true;
    }
    Result<void> resize(u64 size) override {
        storage_.now.resize(size);
        return {};
    }

private:
    Storage& storage_;
};

// Which writes a sector may hold.
using Model = std::vector<std::set<u64>>;

Result<std::unique_ptr<Image>> open(Storage& storage, Access access, u8 unique) {
    OpenOptions options;
    options.format = "vhdx";
    options.access = access;
    FileOpener::Opened opened;
    opened.file = std::make_unique<StorageFile>(storage);
    opened.name = opened.identity = "image";
    opened.unique.fill(unique);
    return open_image(std::move(opened), options);
}

void expect_good(const std::vector<u8>& left, const Model& model, Access access) {
    Storage storage{left, left, {}, {}};
    auto image = open(storage, access, 77);
    ASSERT_TRUE(image.ok()) << image.error().message;
    const auto report = (*image)->check(Repair::nothing);
    ASSERT_TRUE(report.ok());
    for (const auto& line : report.value().findings) ASSERT_NE(line.find("ERROR header"), std::string::npos) << line;
    std::vector<u8> bytes(model.size() * sector);
    ASSERT_TRUE((*image)->read(0, bytes).ok());
    for (u64 i = 0; i < model.size(); i++) {
        const u64 tag = load_le<u64>(&bytes[i * sector]);
        ASSERT_TRUE(model[i].contains(tag)) << "sector " << i << " holds " << tag;
        for (u64 at = 0; at < sector; at += 8) ASSERT_EQ(load_le<u64>(&bytes[i * sector + at]), tag);
    }
}

// At most a header is torn, of which there are two.
TEST(PowerCutTest, VhdxKeepsWhatWasFlushed) {
    constexpr u64 disk = 6 << 20;
    std::mt19937_64 random(5);
    for (unsigned round = 0; round < 4; round++) {
        Storage storage;
        CreateOptions create;
        create.size = disk;
        create.cluster_size = 1 << 20;
        create.unique.fill(static_cast<u8>(round));
        StorageFile file(storage);
        ASSERT_TRUE((*find_format("vhdx"))->create(file, create).ok());
        ASSERT_TRUE(file.flush().ok());
        Model model(disk / sector, std::set<u64>{0});
        storage.before_barrier = [&] { expect_good(storage.cut(random), model, Access::read_only); };
        for (u64 tag = 1; tag < 25;) {
            auto image = open(storage, Access::read_write, static_cast<u8>(tag));
            ASSERT_TRUE(image.ok()) << image.error().message;
            const u64 last = tag + 8;
            for (; tag < last; tag++) {
                const u64 at = random() % (disk / sector), count = std::min<u64>(random() % 40 + 1, disk / sector - at);
                std::vector<u8> bytes(count * sector);
                for (u64 i = 0; i < bytes.size(); i += 8) store_le<u64>(&bytes[i], tag);
                for (u64 i = at; i < at + count; i++) model[i].insert(tag);
                ASSERT_TRUE((*image)->write(at * sector, bytes).ok());
                if (random() % 3 == 0) {
                    ASSERT_TRUE((*image)->flush().ok());
                    for (u64 i = 0; i < model.size(); i++) model[i] = {*model[i].rbegin()};
                }
                if (HasFatalFailure()) return;
            }
            image->reset();
            expect_good(storage.cut(random), model, Access::read_write);
            if (HasFatalFailure()) return;
            for (auto& sector_tags : model) sector_tags = {*sector_tags.rbegin()};
            ASSERT_TRUE(StorageFile(storage).flush().ok());
        }
    }
}

}  // namespace
}  // namespace viv::block
