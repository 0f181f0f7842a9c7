// Bytes in memory as a file that can be read only: a tab's files, tests, checkpoints. The bytes are the caller's and
// outlive it.
#pragma once

#include <algorithm>

#include "engine/host/file.h"

namespace viv::host {

class BytesFile final : public File {
public:
    explicit BytesFile(std::span<const u8> bytes) : bytes_(bytes) {}
    u64 size() override { return bytes_.size(); }
    Result<void> read_at(u64 offset, std::span<u8> out) override {
        if (!range_fits(offset, out.size(), bytes_.size())) return Error{"reads past the end"};
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
        return {};
    }
    Result<void> write_at(u64, std::span<const u8>) override { return Error{"can only be read"}; }
    Result<void> flush() override { return {}; }
    bool punch_hole(u64, u64) override { return false; }

private:
    std::span<const u8> bytes_;
};

}  // namespace viv::host
