// The oracle on whole blocks: memory, atomics, helpers, how blocks end, and that a fault leaves its guest instruction
// undone.
#include <gtest/gtest.h>

#include "engine/ir/builder.h"
#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"
#include "tests/ir/ir_bench.h"

namespace viv::ir::test {
namespace {

u64 word(const Cpu& cpu, u64 offset) {
    u64 value;
    std::memcpy(&value, cpu.state + offset, sizeof value);
    return value;
}
void set_word(Cpu& cpu, u64 offset, u64 value) { std::memcpy(cpu.state + offset, &value, sizeof value); }

Block parsed(std::string_view lines) {
    const auto all = helpers();
    auto block = parse("block pc 0x10 mode 0x0 size 4\n" + std::string(lines), slots(), all);
    EXPECT_TRUE(block.ok()) << block.error().message;
    if (!block) return {};
    const auto verified = verify(*block, slots());
    EXPECT_TRUE(verified.ok()) << verified.error().message;
    return *block;
}

TEST(OracleBlock, LoadsAndStoresAreLittleEndianInEveryWidth) {
    for (const Type type : {Type::i8, Type::i16, Type::i32, Type::i64, Type::i128}) {
        for (const bool ordered : {false, true}) {
            Block block;
            Builder b(block);
            b.guest(0);
            const ValueId from = b.constant(Type::i64, Memory::base + 1);
            const ValueId value = ordered ? b.load_acquire(type, from) : b.load(type, from);
            b.guest(4);
            const ValueId to = b.constant(Type::i64, Memory::base + 33);
            if (ordered)
                b.store_release(type, to, value);
            else
                b.store(type, to, value);
            b.set(type, slots_of(type)[0], value);
            b.leave();
            ASSERT_TRUE(verify(block, slots()).ok());
            Cpu cpu;
            Memory memory;
            for (usize i = 0; i < Memory::size; i++) memory.bytes[i] = static_cast<u8>(i + 0x81);
            const Memory before = memory;
            const Outcome outcome = run(block, cpu, memory);
            EXPECT_EQ(outcome.why, Outcome::Why::leave);
            for (usize i = 0; i < Memory::size; i++) {
                const bool written = i >= 33 && i < 33 + bytes_of(type);
                EXPECT_EQ(memory.bytes[i], before.bytes[written ? i - 32 : i]) << i;
            }
            for (unsigned i = 0; i < bytes_of(type); i++)
                EXPECT_EQ(cpu.state[slots_of(type)[0] + i], before.bytes[1 + i]);
        }
    }
}

TEST(OracleBlock, AFaultNamesItsGuestInstructionAndLeavesItUndone) {
    const Block block = parsed(
        "guest 0x10\n%1:i64 = get a\n%2:i64 = constant 0x7\nset b, %2\nguest 0x14\n%5:i64 = load %1\nset b, %5\nguest "
        "0x16\nset pc, %5\nleave\n");
    Memory memory;
    memory.bytes[0] = 0x55;
    Cpu cpu;
    set_word(cpu, slot::a, Memory::base + Memory::size - 7);
    Outcome outcome = run(block, cpu, memory);
    EXPECT_EQ(outcome.why, Outcome::Why::load);
    EXPECT_TRUE(outcome.faulted());
    EXPECT_EQ(outcome.pc, 0x14u);
    EXPECT_EQ(outcome.instructions, 1u);
    EXPECT_EQ(outcome.at, 5u);
    EXPECT_EQ(word(cpu, slot::b), 7u) << "what came before is done";
    EXPECT_EQ(word(cpu, slot::pc), 0u) << "what comes behind is not";
    set_word(cpu, slot::a, Memory::base);
    outcome = run(block, cpu, memory);
    EXPECT_EQ(outcome.why, Outcome::Why::leave);
    EXPECT_TRUE(outcome.pc_in_state());
    EXPECT_EQ(outcome.instructions, 3u);
    EXPECT_EQ(word(cpu, slot::pc), 0x55u);
}

TEST(OracleBlock, EveryKindOfAccessCanFault) {
    const struct {
        const char* line;
        Outcome::Why why;
    } cases[] = {
        {"%2:i32 = load %1", Outcome::Why::load},
        {"%2:i32 = load_acquire %1", Outcome::Why::load},
        {"store.i64 %1, %1", Outcome::Why::store},
        {"store_release.i64 %1, %1", Outcome::Why::store},
        {"%2:i64 = exchange %1, %1", Outcome::Why::atomic},
        {"%2:i64 = fetch_op add %1, %1", Outcome::Why::atomic},
        {"%2:i64 = compare_exchange %1, %1, %1", Outcome::Why::atomic},
        {"%2:i64 = physical.i64 load %1", Outcome::Why::atomic},
    };
    for (const auto& [line, why] : cases) {
        const Block block =
            parsed(std::string("guest 0x10\n%1:i64 = get a\n") + line + "\nguest 0x12\nset b, %1\nleave\n");
        for (const u64 address : {u64{0}, Memory::base - 1, Memory::base + Memory::size, ~u64{0}}) {
            Cpu cpu;
            Memory memory;
            set_word(cpu, slot::a, address);
            const Outcome outcome = run(block, cpu, memory);
            EXPECT_EQ(outcome.why, why) << line;
            EXPECT_EQ(outcome.pc, 0x10u);
            EXPECT_EQ(outcome.instructions, 0u);
            EXPECT_EQ(word(cpu, slot::b), 0u);
            EXPECT_EQ(memory.bytes, Memory().bytes);
        }
    }
}

TEST(OracleBlock, AtomicsReturnTheOldValueAndStoreTheNew) {
    for (const Type type : {Type::i8, Type::i16, Type::i32, Type::i64, Type::i128}) {
        const u128 old = truncate(type, u128{0x8899'aabb'ccdd'eeff} << 64 | 0x8123'4567'89ab'cdef),
                   operand = truncate(type, 0x1000'f00d'0000'7771);
        const auto attempt = [&](u64 address, auto make, u128 expected_memory) {
            Block block;
            Builder b(block);
            b.guest(0x10);
            const ValueId at = b.constant(Type::i64, address);
            b.set(type, slots_of(type)[0], make(b, at));
            b.leave();
            ASSERT_TRUE(verify(block, slots()).ok());
            Cpu cpu;
            Memory memory;
            u8* place = memory.at(address, bytes_of(type));
            std::memcpy(place, &old, bytes_of(type));
            const Outcome outcome = run(block, cpu, memory);
            if (address % bytes_of(type) != 0) {
                EXPECT_EQ(outcome.why, Outcome::Why::atomic) << "misaligned";
                expected_memory = old;
            } else {
                EXPECT_EQ(outcome.why, Outcome::Why::leave);
                EXPECT_EQ(std::memcmp(cpu.state + slots_of(type)[0], &old, bytes_of(type)), 0);
            }
            EXPECT_EQ(std::memcmp(place, &expected_memory, bytes_of(type)), 0);
        };
        for (const u64 address : {Memory::base + 16, Memory::base + 17}) {
            attempt(
                address, [&](Builder& b, ValueId at) { return b.exchange(type, at, b.constant(type, operand)); },
                operand);
            for (usize op = 0; op < op_count; op++) {
                if (!is_fetch_operation(static_cast<Op>(op))) continue;
                attempt(
                    address,
                    [&](Builder& b, ValueId at) {
                        return b.fetch_op(static_cast<Op>(op), type, at, b.constant(type, operand));
                    },
                    evaluate_binary(static_cast<Op>(op), type, old, operand));
            }
            attempt(
                address,
                [&](Builder& b, ValueId at) {
                    return b.compare_exchange(type, at, b.constant(type, old), b.constant(type, operand));
                },
                operand);
            attempt(
                address,
                [&](Builder& b, ValueId at) {
                    return b.compare_exchange(type, at, b.constant(type, old ^ 1), b.constant(type, operand));
                },
                old);
        }
    }
}

TEST(OracleBlock, PhysicalAddresses) {
    const Block block = parsed("guest 0x10\n%1:i64 = get a\n%2:i64 = physical.i32 store %1\nset b, %2\nleave\n");
    Cpu cpu;
    Memory memory;
    set_word(cpu, slot::a, Memory::base + 0x44);
    EXPECT_EQ(run(block, cpu, memory).why, Outcome::Why::leave);
    EXPECT_EQ(word(cpu, slot::b), Memory::physical_base + 0x44);
    set_word(cpu, slot::a, Memory::base + 0x42);
    EXPECT_EQ(run(block, cpu, memory).why, Outcome::Why::atomic);
}

TEST(OracleBlock, HelpersGetArgumentsAndMayLeave) {
    const Block block = parsed(
        "guest 0x10\n%1:i64 = constant 0x1\n%2:i64 = constant 0x2\n%3:i64 = call vector.sum(%1, %2, %2)\nguest 0x14\n"
        "%5:i64 = call record(%3, %1) reads_state writes_state may_leave\nset a, %5\nguest 0x18\n"
        "%8:i64 = call record() writes_state\nset b, %8\njump 0x1c\n");
    Cpu cpu;
    Memory memory;
    cpu.answer = 9;
    Outcome outcome = run(block, cpu, memory);
    EXPECT_EQ(outcome.why, Outcome::Why::jump);
    EXPECT_EQ(outcome.pc, 0x1cu);
    EXPECT_EQ(outcome.instructions, 3u);
    EXPECT_EQ(word(cpu, slot::a), 9u);
    EXPECT_EQ(cpu.calls, (std::vector<std::array<u64, 4>>{{5, 1, 0, 0}, {0, 0, 0, 0}}));
    EXPECT_EQ(memory.counts, (std::vector<unsigned>{0, 1, 2})) << "instructions done before each call";

    Cpu leaving;
    leaving.answer = 0;
    outcome = run(block, leaving, memory);
    EXPECT_EQ(outcome.why, Outcome::Why::helper);
    EXPECT_TRUE(outcome.pc_in_state());
    EXPECT_EQ(outcome.instructions, 2u);
    EXPECT_EQ(leaving.calls.size(), 1u);

    const Block indifferent = parsed("guest 0x10\n%1:i64 = call record() writes_state\nset b, %1\njump 0x14\n");
    EXPECT_EQ(run(indifferent, leaving, memory).why, Outcome::Why::jump)
        << "0 means nothing where the effects do not say so";
}

TEST(OracleBlock, Terminators) {
    Memory memory;
    Cpu cpu;
    set_word(cpu, slot::a, 0x1234);
    const Outcome indirect = run(parsed("guest 0x10\n%1:i64 = get a\njump_indirect %1 return\n"), cpu, memory);
    EXPECT_EQ(indirect.why, Outcome::Why::indirect);
    EXPECT_EQ(indirect.pc, 0x1234u);
    EXPECT_EQ(indirect.instructions, 1u);
    const Block branch = parsed("guest 0x10\n%1:i1 = get bit_a\nbranch %1, 0x20, 0x14\n");
    EXPECT_EQ(run(branch, cpu, memory).why, Outcome::Why::not_taken);
    EXPECT_EQ(run(branch, cpu, memory).pc, 0x14u);
    cpu.state[slot::bit_a] = 1;
    EXPECT_EQ(run(branch, cpu, memory).why, Outcome::Why::taken);
    EXPECT_EQ(run(branch, cpu, memory).pc, 0x20u);
}

}  // namespace
}  // namespace viv::ir::test
