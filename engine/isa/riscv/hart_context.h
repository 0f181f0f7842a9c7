// The translation caches of one address space and mode, for mmu.cpp and hart.cpp only.
#pragma once

#include <algorithm>

#include "engine/isa/riscv/hart.h"

namespace viv::riscv {

// One jump table for each of the last translation modes.
class Hart::JumpTables {
public:
    exec::JumpTable& of(u64 mode) {
        if (last_ != nullptr && last_->mode == mode) return last_->table;
        auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& each) { return each->mode == mode; });
        if (found == all_.end() && all_.size() < most) {
            all_.push_back(std::make_unique<Table>());
            found = all_.end() - 1;
        } else if (found == all_.end()) {
            found = std::min_element(all_.begin(), all_.end(),
                                     [](const auto& a, const auto& b) { return a->last_use < b->last_use; });
            (*found)->table.flush();
        }
        last_ = found->get();
        last_->mode = mode;
        last_->last_use = ++clock_;
        return last_->table;
    }
    template <class Change>
    void change(Change&& change) {
        for (auto& each : all_) change(each->table);
    }
    void flush() {
        change([](exec::JumpTable& table) { table.flush(); });
    }
    void flush_page(u64 address) {
        change([&](exec::JumpTable& table) { table.flush_page(address); });
    }

private:
    struct Table {
        u64 mode = ~u64{0};
        u64 last_use = 0;
        exec::JumpTable table;
    };
    static constexpr usize most = 8;
    std::vector<std::unique_ptr<Table>> all_;
    Table* last_ = nullptr;  // the one asked for last
    u64 clock_ = 0;
};

struct Hart::Context {
    u64 satp = 0;        // 0: not translated
    u64 mode = ~u64{0};  // privilege, and SUM and MXR for data; ~0: unused
    u64 last_use = 0;
    Tlb tlb;
    exec::FetchTable fetch;
    JumpTables jumps;
};

}  // namespace viv::riscv
