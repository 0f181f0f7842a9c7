// Disks that keep snapshots, and a store of points, all in memory, and able to fail.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <mutex>

#include "engine/control/points.h"
#include "engine/host/bytes_file.h"
#include "tests/control/fake_command_host.h"

namespace viv::test {

// One number is all that it holds.
class FakeDisk final : public block::Disk {
public:
    explicit FakeDisk(std::string file, bool locked = false) : file_(std::move(file)), locked_(locked) {}
    u64 size() const override { return bytes; }
    bool read_only() const override { return locked_; }
    std::string_view file_name() const override { return file_; }
    std::string_view format() const override { return "fake"; }
    void submit(block::Request request) override { request.done(block::Status::unsupported); }

    Result<std::vector<block::DiskSnapshot>> snapshots() override {
        if (!keeps) return Error{file_ + ": keeps no snapshots"};
        std::vector<block::DiskSnapshot> all;
        for (const auto& [name, one] : *kept) all.push_back({name, one.bytes});
        return all;
    }
    Result<void> create_snapshot(const std::string& name, const SnapshotTime& time) override {
        if (fail_create) return Error{file_ + ": no space"};
        EXPECT_TRUE(kept->emplace(name, Kept{content, bytes, time}).second);
        return {};
    }
    Result<void> apply_snapshot(const std::string& name) override {
        if (fail_apply) return Error{file_ + ": cannot be read"};
        content = kept->at(name).content;
        return {};
    }
    Result<void> delete_snapshot(const std::string& name) override {
        EXPECT_EQ(kept->erase(name), 1U);
        return {};
    }
    Result<void> put_over(std::unique_ptr<block::Image> overlay) override {
        over = overlay->name();
        return {};
    }

    std::string names() const {
        std::string text;
        for (const auto& [name, one] : *kept) text += name + " ";
        return text;
    }

    struct Kept {
        u64 content, bytes;
        SnapshotTime time;
    };
    using AllKept = std::map<std::string, Kept>;
    std::shared_ptr<AllKept> kept = std::make_shared<AllKept>();  // outlives the disk where a test wants that
    u64 content = 0, bytes = 1 << 20;
    bool keeps = true, fail_create = false, fail_apply = false;
    std::string over;

private:
    std::string file_;
    bool locked_;
};

class FakePointStore final : public PointStore {
public:
    const PointTree& tree() const override { return tree_; }
    Result<NewFile> create_file() override {
        NewFile made;
        made.name = fmt::format("file {}", ++last_);
        made.sink = std::make_unique<Sink>(*this, made.name);
        return made;
    }
    void remove_file(const std::string& name) override { files.erase(name); }
    Result<void> add(Point point) override {
        if (fail_add) return Error{"the list cannot be written"};
        point.bytes = files.at(point.file).size();
        return tree_.add(std::move(point));
    }
    Result<std::shared_ptr<state::Source>> open(const Point& point) override {
        const auto found = files.find(point.file);
        if (found == files.end()) return Error{"the file is gone"};
        return state::Source::of(std::make_unique<Copy>(found->second));
    }
    Result<void> remove(const std::string& name) override {
        files.erase(tree_.find(name)->file);
        tree_.remove(name);
        return {};
    }

    std::map<std::string, std::vector<u8>> files;  // the finished ones
    usize room = ~usize{0};                        // bytes, for one of them
    bool fail_add = false;
    std::mutex* gate = nullptr;  // no file is finished while it is locked

private:
    // As an open file: it stays readable when it is removed.
    struct Copy final : host::File {
        explicit Copy(std::vector<u8> all) : bytes(std::move(all)), file(bytes) {}
        u64 size() override { return file.size(); }
        Result<void> read_at(u64 offset, std::span<u8> out) override { return file.read_at(offset, out); }
        Result<void> write_at(u64 offset, std::span<const u8> in) override { return file.write_at(offset, in); }
        Result<void> flush() override { return {}; }
        bool punch_hole(u64, u64) override { return false; }
        std::vector<u8> bytes;
        host::BytesFile file;
    };
    struct Sink final : ByteSink {
        Sink(FakePointStore& to, std::string with_name) : store(to), name(std::move(with_name)) {}
        Result<void> write(std::span<const u8> in) override {
            if (bytes.size() + in.size() > store.room) return Error{"disk full"};
            bytes.insert(bytes.end(), in.begin(), in.end());
            return {};
        }
        Result<void> finish() override {
            if (store.gate != nullptr) const std::lock_guard wait(*store.gate);
            store.files[name] = bytes;
            return {};
        }
        FakePointStore& store;
        std::string name;
        std::vector<u8> bytes;
    };
    PointTree tree_;
    unsigned last_ = 0;
};

}  // namespace viv::test
