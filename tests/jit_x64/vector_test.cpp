// Vectors in generated code, run on the host: each operation on lanes of each type against its meaning, for processors
// with AVX2, with AVX and with SSE4.2; transfers between memory and slots, of every length, at page ends, with and
// without a TLB that knows the page; more vectors than there are registers.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <memory>
#include <random>

#include "engine/exec/translation.h"
#include "engine/ir/builder.h"
#include "engine/ir/evaluate.h"
#include "engine/ir/op_info.h"
#include "engine/ir/verify.h"
#include "engine/jit/x64/backend.h"
#include "native/host_posix.h"

namespace viv::jit::x64::test {
namespace {

using ir::Op;
using ir::Type;
using ir::ValueId;

constexpr unsigned vector_slots = 40;

struct Cpu {
    u64 pc = 0;
    i64 budget = 0;
    TlbEntry* tlb = nullptr;
    exec::JumpTable::Entry* jumps = nullptr;
    u64 a = 0, b = 0;
    alignas(16) u128 v[vector_slots] = {};
};
constexpr u64 slot_a = offsetof(Cpu, a), slot_b = offsetof(Cpu, b);
constexpr u64 slot_v(unsigned i) { return offsetof(Cpu, v) + 16 * i; }

// Two pages of memory at `base`, of which the TLB may be made to hold `filled`.
class Guest final : public exec::Translatable {
public:
    static constexpr u64 base = 0x7'0000'0000, code = 0x1000;

    Guest() : tlb_(Tlb::size) {
        cpu.tlb = tlb_.data();
        cpu.jumps = jumps_->entries();
    }
    exec::CpuLayout layout() override {
        return {.cpu = &cpu,
                .state = reinterpret_cast<u8*>(&cpu),
                .pc = offsetof(Cpu, pc),
                .budget = offsetof(Cpu, budget),
                .tlb = offsetof(Cpu, tlb),
                .jumps = offsetof(Cpu, jumps),
                .heat = 0};
    }
    ir::SlotTable slots() const override {
        std::vector<ir::Slot> all{{slot_a, Type::i64, "a"}, {slot_b, Type::i64, "b"}};
        for (unsigned i = 0; i < vector_slots; i++) all.push_back({slot_v(i), Type::i128, "v" + std::to_string(i)});
        return ir::SlotTable(std::move(all));
    }
    u64 pc() const override { return code; }
    u64 translation_mode() const override { return 0; }
    const exec::JumpTable& jump_table() override { return *jumps_; }
    void insert_jump(u64, const u8*) override {}
    void forget_jumps(u64, const u8*, const u8*) override {}
    void flush_jump_tables() override {}
    ir::Block translate_block(std::span<const u8>, u64, u64, u64, unsigned) const override { return {}; }
    bool fill_tlb(u64 address, unsigned size, ir::MemoryAccess access) override {
        fills++;
        EXPECT_EQ(size, 1u);
        const u64 page = address & ~page_mask;
        if (page < base || page >= base + sizeof memory || (page == base ? !first_page : !second_page)) return false;
        hold(page, access);
        return true;
    }
    void hold(u64 page, ir::MemoryAccess access) {
        TlbEntry& entry = tlb_[Tlb::index(page)];
        (access == ir::MemoryAccess::load ? entry.read : entry.write) = page;
        entry.addend = reinterpret_cast<u64>(memory) + (page - base) - page;
    }
    void forget() { std::fill(tlb_.begin(), tlb_.end(), TlbEntry{}); }

    Cpu cpu;
    alignas(page_size) u8 memory[2 * page_size] = {};
    bool first_page = true, second_page = true;
    unsigned fills = 0;

private:
    std::vector<TlbEntry> tlb_;
    std::unique_ptr<exec::JumpTable> jumps_ = std::make_unique<exec::JumpTable>();
};

// A block's code, ready to run.
class Code {
public:
    Code(Guest& guest, const CpuFeatures& features, ir::Block block) : backend_(make_backend(guest, features)) {
        const auto verified = ir::verify(block, guest.slots());
        EXPECT_TRUE(verified.ok()) << verified.error().message;
        EXPECT_EQ(backend_->supported(block), block.code.size());
        const Region region{.physical_page = Guest::code,
                            .virtual_page = Guest::code,
                            .mode = 0,
                            .blocks = {std::move(block)},
                            .promoted = {}};
        Compiled compiled;
        EXPECT_TRUE(backend_->compile(region, 0, compiled));
        exits_ = compiled.exits;
        const std::vector<u8> thunks = backend_->make_thunks();
        code_ = (thunks.size() + 63) & ~usize{63};
        size_ = code_ + compiled.code.size();
        base_ = static_cast<u8*>(mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        std::memcpy(base_, thunks.data(), thunks.size());
        std::memcpy(base_ + code_, compiled.code.data(), compiled.code.size());
        mprotect(base_, size_, PROT_READ | PROT_EXEC);
        entry_ = compiled.entries[0].entry;
    }
    ~Code() { munmap(base_, size_); }
    Code(const Code&) = delete;
    Code& operator=(const Code&) = delete;

    ExitKind run(Guest& guest) {
        guest.cpu.budget = 1000;
        const Left left = backend_->enter(base_, &guest.cpu, base_ + code_ + entry_, Guest::code);
        EXPECT_LT(left.word, exits_.size());
        return exits_[left.word].kind;
    }

private:
    std::unique_ptr<Backend> backend_;
    std::vector<Exit> exits_;
    u8* base_ = nullptr;
    usize code_ = 0, size_ = 0, entry_ = 0;
};

struct Processor {
    const char* name;
    CpuFeatures features;
};

class Vectors : public testing::Test {
protected:
    void SetUp() override {
        native::PosixCodeMemory memory;
        if (memory.architecture() != host::Architecture::x64 || !memory.x64_features().sse42)
            GTEST_SKIP() << "needs an x86-64 host with SSE4.2";
        CpuFeatures features = memory.x64_features();
        if (features.avx2) processors.push_back({"avx2", features});
        features.avx2 = features.bmi2 = false;
        if (features.avx) processors.push_back({"avx", features});
        features.avx = features.fma = features.f16c = false;
        processors.push_back({"sse42", features});
    }
    u128 number() {
        // Lanes of corner values of some width, or anything.
        const u64 corners[] = {0,      1,      0x7f,        0x80,        0xff,    0x7fff,
                               0x8000, 0xffff, 0x7fff'ffff, 0x8000'0000, ~u64{0}, u64{1} << 63};
        if (random() % 2 == 0) return u128{random()} << 64 | random();
        u128 value = 0;
        const unsigned width = 8u << random() % 4;
        for (unsigned at = 0; at < 128; at += width)
            value |= u128{(random() % 4 == 0 ? random() : corners[random() % 12]) & low_mask(width)} << at;
        return value;
    }
    std::vector<Processor> processors;
    std::mt19937_64 random{1};
    Guest guest;
};

template <class Write>
ir::Block block_of(Write&& write) {
    ir::Block block{.pc = Guest::code, .size = 8};
    ir::Builder b(block);
    b.guest(Guest::code);
    write(b);
    b.leave();
    return block;
}

constexpr Type lane_types[] = {Type::i8, Type::i16, Type::i32, Type::i64};

TEST_F(Vectors, EveryOperationOnLanesIsItsMeaning) {
    for (const Processor& processor : processors)
        for (usize i = 0; i < ir::op_count; i++) {
            const Op op = static_cast<Op>(i);
            if (!ir::is_lane_operation(op)) continue;
            for (const Type lane : lane_types) {
                Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                              ValueId second =
                                  ir::is_shift(op) ? b.get(Type::i64, slot_a) : b.get(Type::i128, slot_v(1));
                              if (ir::is_shift(op) && lane != Type::i64) second = b.convert(Op::trunc, lane, second);
                              b.set(Type::i128, slot_v(2), b.lanes(op, lane, b.get(Type::i128, slot_v(0)), second));
                          }));
                for (unsigned run = 0; run < 300; run++) {
                    guest.cpu.v[0] = number();
                    guest.cpu.v[1] = run % 8 == 0 ? guest.cpu.v[0] : number();
                    guest.cpu.a = run % 2 == 0 ? run / 2 : random();
                    const u128 second = ir::is_shift(op) ? ir::truncate(lane, guest.cpu.a) : guest.cpu.v[1];
                    const u128 wanted = ir::evaluate_lanes(op, lane, guest.cpu.v[0], second);
                    ASSERT_EQ(code.run(guest), ExitKind::left);
                    ASSERT_TRUE(guest.cpu.v[2] == wanted)
                        << processor.name << ": " << ir::info_of(op).name << " of " << ir::name_of(lane);
                }
            }
        }
}

TEST_F(Vectors, ShiftsByConstants) {
    for (const Processor& processor : processors)
        for (const Op op : {Op::shl, Op::shr, Op::sar})
            for (const Type lane : lane_types)
                for (unsigned count = 0; count <= ir::bits_of(lane); count++) {
                    Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                                  b.set(Type::i128, slot_v(2),
                                        b.lanes(op, lane, b.get(Type::i128, slot_v(0)), b.constant(lane, count)));
                              }));
                    for (unsigned run = 0; run < 10; run++) {
                        guest.cpu.v[0] = number();
                        ASSERT_EQ(code.run(guest), ExitKind::left);
                        ASSERT_TRUE(guest.cpu.v[2] == ir::evaluate_lanes(op, lane, guest.cpu.v[0], count))
                            << processor.name << ": " << ir::info_of(op).name << " of " << ir::name_of(lane) << " by "
                            << count;
                    }
                }
}

TEST_F(Vectors, WhatMakesVectorsOfNumbersAndBack) {
    for (const Processor& processor : processors) {
        for (const Type lane : lane_types) {
            for (const u64 first : {0u, 1u, 8u, 100u}) {
                Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                              const ValueId a = b.get(Type::i64, slot_a);
                              const ValueId narrow = lane == Type::i64 ? a : b.convert(Op::trunc, lane, a);
                              b.set(Type::i128, slot_v(0), b.splat(narrow));
                              b.set(Type::i128, slot_v(1), b.lane_mask(lane, first, a));
                              b.set(Type::i128, slot_v(2), b.convert(Op::zext, Type::i128, narrow));
                              const ValueId back = b.convert(Op::trunc, lane, b.get(Type::i128, slot_v(3)));
                              b.set(Type::i64, slot_b, lane == Type::i64 ? back : b.convert(Op::zext, Type::i64, back));
                          }));
                for (unsigned run = 0; run < 300; run++) {
                    guest.cpu.a = run < 140 ? run : random() >> random() % 64;
                    guest.cpu.v[3] = number();
                    const u64 a = guest.cpu.a, narrow = a & low_mask(ir::bits_of(lane));
                    ASSERT_EQ(code.run(guest), ExitKind::left);
                    ASSERT_TRUE(guest.cpu.v[0] == ir::evaluate_splat(lane, narrow)) << processor.name;
                    ASSERT_TRUE(guest.cpu.v[1] == ir::evaluate_lane_mask(lane, first, a)) << processor.name << a;
                    ASSERT_TRUE(guest.cpu.v[2] == narrow);
                    ASSERT_EQ(guest.cpu.b, static_cast<u64>(ir::truncate(lane, guest.cpu.v[3])));
                }
            }
        }
        // Constants, and operations on all bits.
        const u128 odd = u128{0x0123'4567'89ab'cdef} << 64 | 0xfedc'ba98'7654'3210;
        Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                      const ValueId x = b.get(Type::i128, slot_v(0));
                      const ValueId k = b.constant(Type::i128, odd);
                      b.set(Type::i128, slot_v(1), b.binary(Op::and_, Type::i128, x, k));
                      b.set(Type::i128, slot_v(2), b.binary(Op::or_, Type::i128, x, k));
                      b.set(Type::i128, slot_v(3), b.binary(Op::xor_, Type::i128, x, k));
                      b.set(Type::i128, slot_v(4), b.unary(Op::not_, Type::i128, x));
                      b.set(Type::i128, slot_v(5), k);
                      b.set(Type::i128, slot_v(6), b.constant(Type::i128, 0));
                      b.set(Type::i128, slot_v(7), b.constant(Type::i128, ~u128{0}));
                  }));
        const u128 x = guest.cpu.v[0] = number();
        ASSERT_EQ(code.run(guest), ExitKind::left);
        const u128 wanted[] = {x, x & odd, x | odd, x ^ odd, ~x, odd, 0, ~u128{0}};
        for (unsigned i = 0; i < 8; i++) EXPECT_TRUE(guest.cpu.v[i] == wanted[i]) << i;
    }
}

TEST_F(Vectors, BitsBecomeLanesAndLanesBits) {
    for (const Processor& processor : processors) {
        for (const Type lane : lane_types)
            for (unsigned first = 0; first < 128; first += ir::lane_count(lane)) {
                Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                              const ValueId x = b.get(Type::i128, slot_v(0)), y = b.get(Type::i128, slot_v(1));
                              b.set(Type::i128, slot_v(2), b.expand_bits(lane, first, x));
                              b.set(Type::i128, slot_v(3), b.insert_bits(lane, first, x, y));
                          }));
                for (unsigned run = 0; run < 20; run++) {
                    const u128 x = guest.cpu.v[0] = number(), y = guest.cpu.v[1] = number();
                    ASSERT_EQ(code.run(guest), ExitKind::left);
                    ASSERT_TRUE(guest.cpu.v[2] == ir::evaluate_expand_bits(lane, first, x)) << processor.name << first;
                    ASSERT_TRUE(guest.cpu.v[3] == ir::evaluate_insert_bits(lane, first, x, y))
                        << processor.name << first;
                }
            }
        for (const u64 first : {0u, 1u, 64u, 128u, 300u}) {
            Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                          b.set(Type::i128, slot_v(0), b.lane_mask(Type::i1, first, b.get(Type::i64, slot_a)));
                      }));
            for (unsigned run = 0; run < 600; run++) {
                guest.cpu.a = run < 500 ? run : random() >> random() % 64;
                ASSERT_EQ(code.run(guest), ExitKind::left);
                ASSERT_TRUE(guest.cpu.v[0] == ir::evaluate_lane_mask(Type::i1, first, guest.cpu.a))
                    << processor.name << ' ' << first << ' ' << guest.cpu.a;
            }
        }
    }
}

u64 clobber(void* cpu, u64, u64, u64, u64) {
    // What is lazily read from the state must have been read before.
    for (u128& each : static_cast<Cpu*>(cpu)->v) each = ~each;
    return 1;
}

TEST_F(Vectors, MoreThanThereAreRegistersAndAcrossCalls) {
    for (const Processor& processor : processors) {
        constexpr unsigned count = 15;
        Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                      std::vector<ValueId> all, before;
                      for (unsigned i = 0; i < count; i++) {
                          before.push_back(b.get(Type::i128, slot_v(i)));
                          all.push_back(b.lanes(Op::add, Type::i16, before.back(), b.get(Type::i128, slot_v(i + 1))));
                      }
                      b.call({"clobber", clobber}, ir::effect_writes_state | ir::effect_reads_state,
                             {b.get(Type::i64, slot_a)});
                      for (unsigned i = 0; i < count; i++)
                          b.set(Type::i128, slot_v(count - 1 - i),
                                b.lanes(Op::sub, Type::i32, all[i], before[(i * 7) % count]));
                  }));
        u128 before[count + 1], wanted[count];
        for (unsigned i = 0; i <= count; i++) before[i] = guest.cpu.v[i] = number();
        for (unsigned i = 0; i < count; i++)
            wanted[count - 1 - i] =
                ir::evaluate_lanes(Op::sub, Type::i32, ir::evaluate_lanes(Op::add, Type::i16, before[i], before[i + 1]),
                                   before[(i * 7) % count]);
        ASSERT_EQ(code.run(guest), ExitKind::left);
        for (unsigned i = 0; i < count; i++) ASSERT_TRUE(guest.cpu.v[i] == wanted[i]) << processor.name << ' ' << i;
        EXPECT_TRUE(guest.cpu.v[count] == ~before[count]);
    }
}

// Sets are where their order says, though values are read as late as can be.
TEST_F(Vectors, ValuesAreThoseFromBeforeASet) {
    for (const Processor& processor : processors) {
        Code code(guest, processor.features, block_of([&](ir::Builder& b) {
                      const ValueId x = b.get(Type::i128, slot_v(0)), y = b.get(Type::i128, slot_v(1));
                      b.set(Type::i128, slot_v(0), y);
                      b.set(Type::i128, slot_v(1), x);
                  }));
        const u128 x = guest.cpu.v[0] = number(), y = guest.cpu.v[1] = number();
        ASSERT_EQ(code.run(guest), ExitKind::left);
        EXPECT_TRUE(guest.cpu.v[0] == y && guest.cpu.v[1] == x);
    }
}

class Transfers : public Vectors {
protected:
    static constexpr unsigned most_bytes = 256;  // of those with a length known only then

    ir::Block transfer(Op op, Type element, u64 most, bool known, u64 count) {
        return block_of([&](ir::Builder& b) {
            const ValueId address = b.get(Type::i64, slot_a);
            const ValueId elements = known ? b.constant(Type::i64, count) : b.get(Type::i64, slot_b);
            // Read before the transfer, used behind it.
            const ValueId before = b.get(Type::i128, slot_v(1));
            if (op == Op::load_lanes)
                b.load_lanes(element, slot_v(1), most, address, elements);
            else
                b.store_lanes(element, slot_v(1), most, address, elements);
            b.set(Type::i128, slot_v(39), before);
        });
    }
    // As the code should do it; whether it can.
    void expect_moved(Op op, u64 address, u64 bytes, const Cpu& cpu, const std::vector<u8>& memory, ExitKind exit) {
        const u64 offset = address - Guest::base;
        const bool one_page = bytes == 0 || ((address ^ (address + bytes - 1)) & ~page_mask) == 0;
        ASSERT_EQ(exit, one_page ? ExitKind::left : ExitKind::interpret);
        Cpu wanted = cpu;
        std::vector<u8> wanted_memory = memory;
        if (one_page) {
            u8* const state = reinterpret_cast<u8*>(&wanted.v[1]);
            wanted.v[39] = wanted.v[1];
            if (bytes != 0 && op == Op::load_lanes) std::memcpy(state, memory.data() + offset, bytes);
            if (bytes != 0 && op == Op::store_lanes) std::memcpy(wanted_memory.data() + offset, state, bytes);
        }
        ASSERT_EQ(std::memcmp(wanted.v, guest.cpu.v, sizeof wanted.v), 0) << bytes << " bytes at " << offset;
        ASSERT_EQ(std::memcmp(wanted_memory.data(), guest.memory, sizeof guest.memory), 0) << bytes;
    }
    void run(Code& code, Op op, u64 address, u64 bytes) {
        for (u128& each : guest.cpu.v) each = number();
        const Cpu before = guest.cpu;
        const std::vector<u8> memory(guest.memory, guest.memory + sizeof guest.memory);
        guest.fills = 0;
        const bool held = random() % 2 == 0;
        guest.forget();
        const ir::MemoryAccess access = op == Op::load_lanes ? ir::MemoryAccess::load : ir::MemoryAccess::store;
        if (held) guest.hold(address & ~page_mask, access);
        const ExitKind exit = code.run(guest);
        expect_moved(op, address, bytes, before, memory, exit);
        const bool crosses = bytes != 0 && ((address ^ (address + bytes - 1)) & ~page_mask) != 0;
        EXPECT_EQ(guest.fills, bytes != 0 && (!held || crosses) ? 1u : 0u);
    }
    u64 address(u64 bytes) {
        switch (random() % 3) {
            case 0: return Guest::base + page_size - bytes;
            case 1: return Guest::base + page_size - bytes + random() % (bytes + 1);
            default: return Guest::base + random() % page_size;
        }
    }
    void SetUp() override {
        Vectors::SetUp();
        for (u8& byte : guest.memory) byte = static_cast<u8>(random());
    }
};

TEST_F(Transfers, OfEveryLengthKnownOnlyThen) {
    for (const Processor& processor : processors)
        for (const Op op : {Op::load_lanes, Op::store_lanes})
            for (const Type element : lane_types)
                for (const u64 most : {1u, 2u, most_bytes / ir::bytes_of(element)}) {
                    const unsigned size = ir::bytes_of(element);
                    Code code(guest, processor.features, transfer(op, element, most, false, 0));
                    for (u64 count = 0; count <= most; count++)
                        for (unsigned again = 0; again < 3; again++) {
                            guest.cpu.a = address(count * size);
                            guest.cpu.b = count;
                            ASSERT_NO_FATAL_FAILURE(run(code, op, guest.cpu.a, count * size));
                        }
                    for (const u64 count : {most + 1, u64{1} << 32, ~u64{0}}) {
                        guest.cpu.b = count;
                        EXPECT_EQ(code.run(guest), ExitKind::interpret);
                    }
                }
}

TEST_F(Transfers, OfEveryLengthKnownBefore) {
    for (const Processor& processor : processors)
        for (const Op op : {Op::load_lanes, Op::store_lanes})
            for (u64 count = 0; count <= 200; count++) {
                Code code(guest, processor.features, transfer(op, Type::i8, 200, true, count));
                for (unsigned again = 0; again < 2; again++) {
                    guest.cpu.a = address(count);
                    ASSERT_NO_FATAL_FAILURE(run(code, op, guest.cpu.a, count));
                }
            }
}

TEST_F(Transfers, AreLeftToTheInterpreterWhereMemoryCannotBeHad) {
    guest.second_page = false;
    for (const Op op : {Op::load_lanes, Op::store_lanes}) {
        Code code(guest, processors[0].features, transfer(op, Type::i32, 8, false, 0));
        guest.forget();
        guest.cpu.a = Guest::base + page_size;
        guest.cpu.b = 8;
        const Cpu before = guest.cpu;
        EXPECT_EQ(code.run(guest), ExitKind::interpret);
        EXPECT_EQ(std::memcmp(before.v, guest.cpu.v, sizeof before.v), 0);
        guest.cpu.b = 0;
        EXPECT_EQ(code.run(guest), ExitKind::left) << "nothing is touched";
    }
}

TEST_F(Vectors, WithoutSse42TheInterpreterDoesThem) {
    CpuFeatures features = processors.back().features;
    features.sse42 = false;
    const ir::Block block = block_of([&](ir::Builder& b) {
        b.set(Type::i64, slot_a, b.constant(Type::i64, 1));
        b.guest(Guest::code + 4);
        b.set(Type::i128, slot_v(0), b.get(Type::i128, slot_v(1)));
    });
    EXPECT_EQ(make_backend(guest, features)->supported(block), 3u) << "up to the second instruction";
}

}  // namespace
}  // namespace viv::jit::x64::test
