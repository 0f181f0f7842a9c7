// A host file in memory for disk tests, with failures on demand.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/host/file.h"

namespace viv::test {

struct FileContent {
    std::vector<u8> bytes;
    bool fails = false;
    bool holes = false;
    unsigned flushes = 0;
    unsigned writes = 0;
};

class MemoryFile final : public host::File {
public:
    explicit MemoryFile(FileContent& content) : content_(content) {}
    u64 size() override { return content_.bytes.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (content_.fails || !range_fits(offset, out.size(), size())) return Error{"read failed"};
        std::copy_n(content_.bytes.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return {};
    }
    Result<void> write_at(u64 offset, std::span<const u8> in) override {
        if (content_.fails || !range_fits(offset, in.size(), size())) return Error{"write failed"};
        content_.writes++;
        std::copy(in.begin(), in.end(), content_.bytes.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Result<void> flush() override {
        content_.flushes++;
        if (content_.fails) return Error{"flush failed"};
        return {};
    }
    bool punch_hole(u64 offset, u64 length) override {
        if (!content_.holes) return false;
        std::fill_n(content_.bytes.begin() + static_cast<std::ptrdiff_t>(offset), length, u8{0});
        return true;
    }

private:
    FileContent& content_;
};

}  // namespace viv::test
