// A guest whose translations are data, for tests of the tiers: a toy CPU, a backend that walks records instead of
// running code, and both with a dispatcher.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <numeric>

#include "engine/exec/dispatch.h"
#include "engine/ir/builder.h"
#include "engine/jit/tiers.h"
#include "tests/jit/heap_code.h"

namespace viv::jit::test {

inline constexpr u64 base = 0x10000, physical = 0x5000;

// A CPU of one-byte instructions: 0x80 + n jumps to base + n, all others do nothing that is seen here.
class Toy final : public exec::Engine, public exec::Translatable {
public:
    explicit Toy(std::initializer_list<u8> code) : Engine(0, 4), page_(2 * page_size) {
        std::copy(code.begin(), code.end(), page_.begin());
        fetch = &table_;
    }

    exec::CpuLayout layout() override {
        u8* state = reinterpret_cast<u8*>(this);
        exec::CpuLayout layout;
        layout.cpu = this;
        layout.state = state;
        layout.heat = static_cast<i32>(reinterpret_cast<u8*>(&heat) - state);
        return layout;
    }
    ir::SlotTable slots() const override {
        return ir::SlotTable({{8, ir::Type::i64, "one"}, {16, ir::Type::i64, "two"}});
    }
    u64 pc() const override { return pc_; }
    u64 translation_mode() const override { return 7; }
    const exec::JumpTable& jump_table() override { return jumps_; }
    void insert_jump(u64 pc, const u8* code) override { jumps_.insert(pc, code); }
    void forget_jumps(u64 offset, const u8* first, const u8* last) override { jumps_.forget(offset, first, last); }
    void flush_jump_tables() override { jumps_.flush(); }
    bool fill_tlb(u64, unsigned, ir::MemoryAccess) override { return false; }
    ir::Block translate_block(std::span<const u8> page, u64 start, u64 pc, u64 mode, unsigned limit) const override {
        ir::Block block{.pc = pc, .mode = mode};
        ir::Builder b(block);
        for (unsigned count = 0; count < limit && !b.terminated(); count++) {
            const u64 at = pc + block.size++;
            const u8 code = page[at - start];
            b.guest(at);
            if (code >= 0x80)
                b.jump(base + (code & 0x7f));
            else
                b.set(ir::Type::i64, 8, b.get(ir::Type::i64, 16));
        }
        if (!b.terminated()) b.jump(pc + block.size);
        return block;
    }

    void set_translator(exec::Translator* translator) { translator_ = translator; }

    exec::HeatTable heat;

private:
    void set_pc(u64 pc) override { pc_ = pc; }
    exec::FetchedPage fetch_page(u64 address, u64) override {
        EXPECT_EQ(address & ~page_mask, base);
        return {.bytes = page_.data(), .physical = physical};
    }
    exec::Decoded decode(const u8* bytes, u64, Form, exec::Slot& slot) override {
        slot.imm = bytes[0] & 0x7f;
        slot.handler = bytes[0] >= 0x80 ? jump : step;
        return {1, bytes[0] >= 0x80};
    }
    unsigned instruction_length(const u8*) override { return 1; }
    void code_page_made(u64) override {}

    static const exec::Slot* step([[maybe_unused]] exec::Engine& engine, const exec::Slot* slot) {
        const exec::Slot* next = slot + 1;
        VIV_DISPATCH(engine, next);
    }
    static const exec::Slot* jump(exec::Engine& engine, const exec::Slot* slot) {
        engine.target = base + static_cast<u64>(slot->imm);
        VIV_TAIL_CALL(exec::Engine::goto_target, engine, slot);
    }

    std::vector<u8> page_;
    exec::FetchTable table_;
    exec::JumpTable jumps_;
    u64 pc_ = base;
};

// Its code is one of these for each block, which enter() walks.
struct Record {
    u32 first_exit = 0;  // hot; then budget, and the jump at its end
    u32 instructions = 0;
    u32 heat = Region::not_counted;
    i32 distance = 0;  // from here to the next record; 0: not linked
};

class Walker : public Backend {
public:
    std::string_view name() const override { return "walker"; }
    std::vector<u8> make_thunks() override { return std::vector<u8>(16); }
    usize supported(const ir::Block& block) const override { return block.code.size(); }
    bool compile(const Region& region, u32 first_exit, Compiled& out) const override {
        for (u32 i = 0; i < region.blocks.size(); i++) {
            const ir::Block& block = region.blocks[i];
            const u32 offset = i * u32{sizeof(Record)};
            Record record;
            record.first_exit = first_exit + 3 * i;
            record.instructions = static_cast<u32>(std::count_if(
                block.code.begin(), block.code.end(), [](const ir::Inst& inst) { return inst.op == ir::Op::guest; }));
            if (i == 0) record.heat = region.heat;
            const u64 target = block.code.back().imm;
            if (const u32 next = region.block_at(target); next != Region::no_block)
                record.distance =
                    static_cast<i32>(next * sizeof(Record)) - static_cast<i32>(offset + offsetof(Record, distance));
            const u8* bytes = reinterpret_cast<const u8*>(&record);
            out.code.insert(out.code.end(), bytes, bytes + sizeof record);
            const u32 guest = static_cast<u32>(block.pc & page_mask);
            out.entries.push_back({.guest = guest, .entry = offset, .link = offset});
            out.exits.push_back({.kind = ExitKind::hot, .offset = guest});
            out.exits.push_back({.kind = ExitKind::budget, .rest = record.instructions, .offset = guest});
            const u32 site = offset + u32{offsetof(Record, distance)};
            out.exits.push_back(
                {.kind = ExitKind::jump, .offset = static_cast<u32>(target & page_mask), .site = site, .stub = site});
        }
        return true;
    }
    Left enter(const u8*, void* state, const u8* code, u64) override {
        const auto left_by = [](u32 word) { return Left{word, base}; };
        Toy& toy = *static_cast<Toy*>(state);
        while (true) {
            Record record;
            std::memcpy(&record, code, sizeof record);
            if (record.heat != Region::not_counted && toy.heat.left[record.heat]-- == 0)
                return left_by(record.first_exit);
            toy.budget -= record.instructions;
            if (toy.budget < 0) return left_by(record.first_exit + 1);
            if (record.distance == 0) return left_by(record.first_exit + 2);
            code += static_cast<std::ptrdiff_t>(offsetof(Record, distance)) + record.distance;
        }
    }
    void link(u8* site, i64 distance) override {
        const i32 short_distance = static_cast<i32>(distance);
        std::memcpy(site, &short_distance, sizeof short_distance);
    }
};

struct Bench {
    Bench(std::initializer_list<u8> code, const Options& options, usize cache = page_size)
        : Bench(code, options, cache, std::make_unique<Walker>()) {}
    Bench(std::initializer_list<u8> code, const Options& options, usize cache, std::unique_ptr<Backend> backend)
        : toy(code), tiers(options, toy, toy, std::move(backend), std::make_unique<HeapCode>(cache)) {
        toy.set_translator(&tiers);
    }

    void run(i64 instructions) {
        toy.budget = instructions;
        tiers.run();
        EXPECT_EQ(toy.budget, 0);
    }
    // What must hold of every report.
    exec::TranslatorReport report(usize most = 100) {
        const exec::TranslatorReport made = tiers.report(most);
        const auto sum = [](const auto& rows, auto member) {
            return std::accumulate(rows.begin(), rows.end(), u64{0},
                                   [&](u64 total, const auto& row) { return total + row.*member; });
        };
        EXPECT_EQ(sum(made.exits, &exec::TranslatorReport::Exit::count), made.entries);
        EXPECT_EQ(sum(made.tiers, &exec::TranslatorReport::Tier::host_bytes), made.cache_used);
        EXPECT_LE(made.cache_used, made.cache_capacity);
        for (const auto& tier : made.tiers) EXPECT_EQ(tier.made, tier.held + tier.dropped);
        EXPECT_EQ(made.hottest.size(), std::min<u64>(most, made.tiers[0].held + made.tiers[1].held));
        for (usize i = 1; i < made.hottest.size(); i++) EXPECT_GE(made.hottest[i - 1].samples, made.hottest[i].samples);
        return made;
    }
    static u64 count(const exec::TranslatorReport& report, std::string_view cause) {
        for (const auto& exit : report.exits)
            if (exit.cause == cause) return exit.count;
        ADD_FAILURE() << "there is no cause " << cause;
        return 0;
    }

    Toy toy;
    Tiers tiers;
};

}  // namespace viv::jit::test
