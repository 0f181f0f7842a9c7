// Code memory for tests that never run what is in it.
#pragma once

#include <vector>

#include "engine/host/code_memory.h"

namespace viv::jit {

class HeapCode final : public host::CodeBlock {
public:
    explicit HeapCode(usize size) : bytes_(size) {}
    u8* writable() override { return bytes_.data(); }
    const u8* executable() override { return bytes_.data(); }
    u64 size() const override { return bytes_.size(); }
    void synchronize(u64, u64) override {}

private:
    std::vector<u8> bytes_;
};

}  // namespace viv::jit
