// Blocks with many more values alive than there are registers, compiled and run on the host, against the oracle: what
// the allocator spills, evicts and brings back. Random ones of integer operations of every width, with and without
// promoted slots; everything follows from the seed. On x86-64 hosts.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "engine/ir/builder.h"
#include "engine/ir/oracle.h"
#include "engine/ir/print.h"
#include "engine/ir/verify.h"
#include "engine/jit/x64/backend.h"
#include "native/host_posix.h"

namespace viv::jit::x64 {
namespace {

using ir::Op;
using ir::Type;
using ir::ValueId;

constexpr u64 page = 0x5000, start = page + 0x100;
constexpr usize slot_count = 24;

struct State {
    u64 slots[slot_count] = {};
    u64 pc = 0;
    i64 budget = 1000;
    TlbEntry* tlb = nullptr;
    exec::JumpTable::Entry* jumps = nullptr;
};

class Guest final : public exec::Translatable {
public:
    State state;

    exec::CpuLayout layout() override {
        return {.cpu = this,
                .state = reinterpret_cast<u8*>(&state),
                .pc = offsetof(State, pc),
                .budget = offsetof(State, budget),
                .tlb = offsetof(State, tlb),
                .jumps = offsetof(State, jumps)};
    }
    ir::SlotTable slots() const override {
        std::vector<ir::Slot> all;
        for (u64 i = 0; i < slot_count; i++) all.push_back({8 * i, Type::i64, "slot" + std::to_string(i)});
        return ir::SlotTable(std::move(all));
    }
    u64 pc() const override { return state.pc; }
    u64 translation_mode() const override { return 0; }
    const exec::JumpTable& jump_table() override { return jumps_; }
    void insert_jump(u64, const u8*) override {}
    void forget_jumps(u64, const u8*, const u8*) override {}
    void flush_jump_tables() override {}
    ir::Block translate_block(std::span<const u8>, u64, u64, u64, unsigned) const override { return {}; }
    bool fill_tlb(u64, unsigned, ir::MemoryAccess) override { return false; }

private:
    exec::JumpTable jumps_;
};

struct NoMemory final : ir::OracleMemory {
    bool load(u64, std::span<u8>) override { return false; }
    bool store(u64, std::span<const u8>) override { return false; }
    u8* atomic(u64, unsigned, ir::MemoryAccess, u64&) override { return nullptr; }
};

class Pressure : public testing::Test {
protected:
    void SetUp() override {
        if (code_memory_.architecture() != host::Architecture::x64) GTEST_SKIP() << "needs an x86-64 host";
        backend_ = make_backend(guest_, code_memory_.x64_features());
        auto memory = code_memory_.allocate(1 << 20);
        ASSERT_TRUE(memory.ok());
        memory_ = std::move(*memory);
    }

    // Of a block that jumps away at its end.
    void run_both(const ir::Block& block, std::vector<Promotion> promoted) {
        const ir::SlotTable slots = guest_.slots();
        ASSERT_TRUE(ir::verify(block, slots).ok());
        Region region{.physical_page = page, .virtual_page = page, .blocks = {block}, .promoted = std::move(promoted)};
        Compiled compiled;
        ASSERT_EQ(backend_->supported(block), block.code.size());
        ASSERT_TRUE(backend_->compile(region, exit_word::make(1, 0), compiled));
        std::vector<u8> code = backend_->make_thunks();
        code.resize(align_up(code.size(), 16));
        const usize offset = code.size();
        code.insert(code.end(), compiled.code.begin(), compiled.code.end());
        std::memcpy(memory_->writable(), code.data(), code.size());
        memory_->synchronize(0, code.size());

        guest_.state.budget = 1000;
        for (u64& slot : guest_.state.slots) slot = random();
        State wanted = guest_.state;
        NoMemory nothing;
        const ir::Outcome outcome =
            ir::Oracle().run(block, {reinterpret_cast<u8*>(&wanted), sizeof wanted}, &guest_, nothing);
        const u8* const thunks = memory_->executable();
        const Left left = backend_->enter(thunks, &guest_.state, thunks + offset + compiled.entries[0].entry, start);
        const Exit& exit = compiled.exits[exit_word::exit(left.word)];
        EXPECT_EQ(exit.kind, ExitKind::jump);
        EXPECT_EQ(left.virtual_page + exit.offset, outcome.pc);
        for (usize i = 0; i < slot_count; i++)
            ASSERT_EQ(guest_.state.slots[i], wanted.slots[i]) << "slot " << i << "\n" << ir::print(block, slots);
    }

    u64 random() {  // SplitMix64 (Steele, Lea and Flood)
        u64 z = seed_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }
    u64 below(u64 limit) { return random() % limit; }
    template <class T>
    T one_of(std::initializer_list<T> all) {
        return all.begin()[below(all.size())];
    }

    Guest guest_;

private:
    native::PosixCodeMemory code_memory_;
    std::unique_ptr<Backend> backend_;
    std::unique_ptr<host::CodeBlock> memory_;
    u64 seed_ = 1;
};

// The last use of a value in a spill place makes the place free, but not before the value has been read: the register
// for the result may be one that is spilled just there.
TEST_F(Pressure, ASpilledValueIsReadBeforeItsPlaceIsUsedAgain) {
    for (const bool at_once : {false, true}) {
        ir::Block block{.pc = start, .size = 4};
        ir::Builder b(block);
        b.guest(start);
        std::vector<ValueId> wide, narrow, extended;
        for (u64 i = 0; i < 20; i++)
            wide.push_back(b.binary(Op::add, Type::i64, b.get(Type::i64, 8 * i),
                                    b.constant(Type::i64, u128{i} * 0x1234'5678'9abc)));
        // A sign extension comes right behind what makes its operand narrow, or later.
        if (!at_once)
            for (const ValueId value : wide) narrow.push_back(b.convert(Op::trunc, Type::i8, value));
        for (usize i = 0; i < wide.size(); i++)
            extended.push_back(
                b.convert(Op::sext, Type::i64, at_once ? b.convert(Op::trunc, Type::i8, wide[i]) : narrow[i]));
        for (u64 i = 0; i < extended.size(); i++) b.set(Type::i64, 8 * i, extended[i]);
        b.jump(start + 4);
        run_both(block, {});
    }
}

TEST_F(Pressure, RandomBlocks) {
    constexpr Type types[] = {Type::i8, Type::i16, Type::i32, Type::i64};
    for (int round = 0; round < 1500 && !HasFailure(); round++) {
        ir::Block block{.pc = start, .size = 4};
        ir::Builder b(block);
        b.guest(start);
        std::vector<ValueId> values[std::size(types)];
        const auto any = [&](usize type) { return values[type][below(values[type].size())]; };
        for (u64 i = 0; i < slot_count; i++)
            for (usize type = 0; type < std::size(types); type++)
                if (type == 3 || below(3) == 0) {
                    const ValueId whole = b.get(Type::i64, 8 * i);
                    values[type].push_back(type == 3 ? whole : b.convert(Op::trunc, types[type], whole));
                }
        for (usize type = 0; type < std::size(types); type++)
            values[type].push_back(b.constant(types[type], random() & low_mask(ir::bits_of(types[type]))));
        for (u64 steps = 20 + below(60); steps > 0; steps--) {
            const usize type = one_of<usize>({0, 1, 2, 2, 3, 3, 3});
            const Type t = types[type];
            const bool wide = type >= 2;
            switch (below(10)) {
                case 0: {
                    const usize from = below(type + 1);
                    if (from == type) break;
                    values[type].push_back(b.convert(one_of({Op::sext, Op::sext, Op::zext}), t, any(from)));
                    break;
                }
                case 1: {
                    const usize to = below(type + 1);
                    if (to == type) break;
                    const ValueId cut = b.convert(Op::trunc, types[to], any(type));
                    // Right behind it, which is made as one.
                    values[3].push_back(b.convert(Op::sext, Type::i64, cut));
                    break;
                }
                case 2:
                    values[type].push_back(
                        b.unary(wide ? one_of({Op::not_, Op::neg, Op::byte_swap}) : Op::not_, t, any(type)));
                    break;
                case 3:
                    if (!wide) break;
                    values[type].push_back(b.binary(one_of({Op::shl, Op::shr, Op::sar, Op::rotl, Op::rotr}), t,
                                                    any(type), below(2) == 0 ? any(type) : b.constant(t, below(32))));
                    break;
                case 4: {
                    const ValueId condition =
                        b.compare(wide ? one_of({Op::ne, Op::ltu, Op::lts, Op::ges}) : Op::eq, t, any(type), any(type));
                    if (below(2) == 0)
                        values[3].push_back(b.convert(Op::zext, Type::i64, condition));
                    else
                        values[type].push_back(b.select(t, condition, any(type), any(type)));
                    break;
                }
                case 5:
                    if (!wide) break;
                    values[type].push_back(b.binary(
                        one_of({Op::mul, type == 3 ? Op::mulhu : Op::mul, Op::divs, Op::remu, Op::minu, Op::maxs}), t,
                        any(type), any(type)));
                    break;
                case 6: b.set(Type::i64, 8 * below(slot_count), any(3)); break;
                default:
                    values[type].push_back(b.binary(one_of({Op::add, Op::sub, Op::and_, Op::or_, Op::xor_}), t,
                                                    any(type), below(4) == 0 ? b.constant(t, below(100)) : any(type)));
            }
        }
        for (u64 i = 0; i < slot_count; i++) {
            const usize type = below(std::size(types));
            b.set(Type::i64, 8 * i, type == 3 ? any(3) : b.convert(one_of({Op::sext, Op::zext}), Type::i64, any(type)));
        }
        b.jump(start + 4);
        std::vector<Promotion> promoted;
        for (u64 i = below(2) == 0 ? 8 : 0; i > 0; i--)
            promoted.push_back(
                {.slot = 8 * (3 * i - 1), .kind = Promotion::Kind::integer, .written = true, .weight = i});
        run_both(block, std::move(promoted));
    }
}

}  // namespace
}  // namespace viv::jit::x64
