// See translation.h.
#include "engine/isa/riscv/translation.h"

#include <algorithm>

namespace viv::riscv {

namespace {

class PageReader final : public CodeReader {
public:
    PageReader(std::span<const u8> page, u64 page_va) : page_(page), page_va_(page_va) {}
    unsigned read(u64 pc, std::span<u8> out) const override {
        const u64 offset = pc - page_va_;
        if (offset >= page_.size()) return 0;
        const usize count = std::min(out.size(), page_.size() - static_cast<usize>(offset));
        std::copy_n(page_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
        return static_cast<unsigned>(count);
    }

private:
    std::span<const u8> page_;
    u64 page_va_;
};

}  // namespace

HartTranslation::HartTranslation(Hart& hart) : hart_(hart), builder_(hart.config().xlen, hart.config().vlen != 0) {}

exec::CpuLayout HartTranslation::layout() {
    u8* const state = reinterpret_cast<u8*>(&hart_.s);
    const auto offset = [&](const void* member) { return static_cast<i32>(static_cast<const u8*>(member) - state); };
    return {.cpu = &hart_,
            .state = state,
            .pc = offset(&hart_.s.pc),
            .budget = offset(&hart_.budget),
            .tlb = offset(&hart_.tlb),
            .jumps = offset(&hart_.jumps),
            .heat = offset(&hart_.heat),
            .fetch = offset(&hart_.fetch),
            .float_flags = offset(&hart_.s.fflags),
            .address_bits = hart_.config().xlen};
}

ir::Block HartTranslation::translate_block(std::span<const u8> page, u64 page_va, u64 pc, u64 mode,
                                           unsigned limit) const {
    return builder_.build_block(PageReader(page, page_va), pc, mode, limit);
}

bool HartTranslation::fill_tlb(u64 address, unsigned size, ir::MemoryAccess access) {
    return hart_.fill_tlb(address, size, access == ir::MemoryAccess::load ? AccessKind::load : AccessKind::store);
}

}  // namespace viv::riscv
