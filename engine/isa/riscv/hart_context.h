// The translation caches of one address space and mode, for mmu.cpp and hart.cpp only.
#pragma once

#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

struct Hart::Context {
    u64 satp = 0;        // 0: not translated
    u64 mode = ~u64{0};  // privilege, and SUM and MXR for data; ~0: unused
    u64 last_use = 0;
    Tlb tlb;
    exec::FetchTable fetch;
    // One for each of the last translation modes that code ran in here.
    struct Jumps {
        u64 mode = ~u64{0};
        u64 last_use = 0;
        exec::JumpTable table;
    };
    static constexpr usize most_jumps = 4;
    std::vector<std::unique_ptr<Jumps>> jumps;

    template <class Change>
    void change_jumps(Change&& change) {
        for (auto& each : jumps) change(each->table);
    }
    void flush_jumps() {
        change_jumps([](exec::JumpTable& table) { table.flush(); });
    }
};

}  // namespace viv::riscv
