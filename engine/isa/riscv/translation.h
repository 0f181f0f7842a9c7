// A hart as translators to host code see it: its layout, its blocks, its TLB.
// Promises: as exec/translation.h says; the mode is block_mode_of() without the dirtiness of FS, since blocks that do
// not count on it are right for both.
#pragma once

#include "engine/exec/translation.h"
#include "engine/isa/riscv/build.h"
#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

class HartTranslation final : public exec::Translatable {
public:
    explicit HartTranslation(Hart& hart);

    exec::CpuLayout layout() override;
    ir::SlotTable slots() const override { return state_slots(); }
    u64 pc() const override { return hart_.s.pc; }
    u64 translation_mode() const override { return block_mode_of(hart_) & ~block_mode::float_dirty; }
    const exec::JumpTable& jump_table() override { return hart_.jump_table(translation_mode()); }
    void insert_jump(u64 pc, const u8* code) override { hart_.insert_jump(translation_mode(), pc, code); }
    void forget_jumps(u64 offset, const u8* first, const u8* last) override { hart_.forget_jumps(offset, first, last); }
    void flush_jump_tables() override { hart_.flush_jump_tables(); }
    ir::Block translate_block(std::span<const u8> page, u64 page_va, u64 pc, u64 mode, unsigned limit) const override;
    bool fill_tlb(u64 address, unsigned size, ir::MemoryAccess access) override;

private:
    Hart& hart_;
    BlockBuilder builder_;
};

}  // namespace viv::riscv
