// Assembled code that runs: loops, calls, constants, atomics, and a jump that is patched between two runs. On x86-64
// hosts.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <span>

#include "engine/jit/x64/assembler.h"

namespace viv::jit::x64::test {
namespace {

using enum Gpr;
using enum Xmm;
using enum Width;

// Executable copy of code, made writable again by patch().
class Executable {
public:
    explicit Executable(std::span<const u8> code) : size_(code.size()) {
        void* place = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (place == MAP_FAILED) return;
        base_ = static_cast<u8*>(place);
        std::memcpy(base_, code.data(), size_);
        mprotect(base_, size_, PROT_READ | PROT_EXEC);
    }
    ~Executable() {
        if (base_) munmap(base_, size_);
    }
    Executable(const Executable&) = delete;
    Executable& operator=(const Executable&) = delete;

    template <class Function>
    Function* function(usize offset = 0) const {
        return std::bit_cast<Function*>(base_ + offset);
    }
    // The jump whose displacement is at `displacement` goes to `target`, both offsets, from now on.
    void patch(usize displacement, usize target) {
        mprotect(base_, size_, PROT_READ | PROT_WRITE);
        Assembler::patch_rel32(base_ + displacement, static_cast<i64>(target) - static_cast<i64>(displacement + 4));
        mprotect(base_, size_, PROT_READ | PROT_EXEC);
    }

private:
    u8* base_ = nullptr;
    usize size_;
};

// Arguments come in rdi, rsi, rdx, rcx and xmm0, results go in rax and xmm0: the System V ABI.
class Execution : public testing::Test {
protected:
    void SetUp() override {
#if !defined(__x86_64__)
        GTEST_SKIP() << "needs an x86-64 host";
#endif
    }
    Assembler a;
};

TEST_F(Execution, LoopWithJumpsBackAndForward) {
    // The sum of the numbers below rdi that are not multiples of 3.
    const Label loop = a.make_label(), skip = a.make_label(), done = a.make_label();
    a.xor_(b32, rax, rax);
    a.xor_(b32, rcx, rcx);
    a.mov(b32, r8, 3);
    a.bind(loop);
    a.cmp(b64, rcx, rdi);
    a.jcc(Condition::ae, done);
    a.mov(b64, r9, rax);
    a.mov(b64, rax, rcx);
    a.xor_(b32, rdx, rdx);
    a.div(b64, r8);
    a.mov(b64, rax, r9);
    a.test(b64, rdx, rdx);
    a.jcc(Condition::e, skip, Reach::rel8);
    a.add(b64, rax, rcx);
    a.bind(skip);
    a.inc(b64, rcx);
    a.jmp(loop);
    a.bind(done);
    a.ret();
    const Executable code(a.finish());
    u64 expected = 0;
    for (u64 i = 0; i < 1000; ++i) expected += i % 3 ? i : 0;
    EXPECT_EQ(code.function<u64(u64)>()(1000), expected);
    EXPECT_EQ(code.function<u64(u64)>()(0), 0u);
}

TEST_F(Execution, RecursionThroughALabel) {
    const Label factorial = a.make_label(), more = a.make_label();
    a.bind(factorial);
    a.cmp(b64, rdi, 1);
    a.jcc(Condition::a, more);
    a.mov(b64, rax, 1);
    a.ret();
    a.bind(more);
    a.push(rdi);
    a.sub(b64, rdi, 1);
    a.call(factorial);
    a.pop(rdi);
    a.imul(b64, rax, rdi);
    a.ret();
    const Executable code(a.finish());
    EXPECT_EQ(code.function<u64(u64)>()(20), 2432902008176640000u);
}

TEST_F(Execution, ConstantsInTheCode) {
    // xmm0 * 1.5 + 0.25
    const Label scale = a.make_label(), offset = a.make_label();
    a.mulsd(xmm0, at(scale));
    a.movsd(xmm15, at(offset));
    a.addsd(xmm0, xmm15);
    a.ret();
    a.align(8);
    a.bind(scale);
    a.dq(std::bit_cast<u64>(1.5));
    a.bind(offset);
    a.dq(std::bit_cast<u64>(0.25));
    const Executable code(a.finish());
    EXPECT_EQ(code.function<double(double)>()(3.0), 4.75);
}

u64 host_function(u64 a, u64 b) { return a * 1000 + b; }

TEST_F(Execution, HostFunctions) {
    a.sub(b64, rsp, 8);
    a.call_absolute(std::bit_cast<u64>(&host_function));
    a.add(b64, rsp, 8);
    a.ret();
    const Executable code(a.finish());
    EXPECT_EQ(code.function<u64(u64, u64)>()(12, 34), 12034u);
}

TEST_F(Execution, JumpTable) {
    const Label table = a.make_label();
    Label cases[4];
    a.lea(b64, rax, at(table));
    a.lea(b64, rdi, at(rdi, rdi, 2));  // three bytes of instruction and as many cases
    a.lea(b64, rax, at(rax, rdi, 2));
    a.jmp(rax);
    a.bind(table);
    for (Label& label : cases) {
        label = a.make_label();
        a.jmp(label);
        a.nop();
    }
    for (u32 i = 0; i < 4; ++i) {
        a.bind(cases[i]);
        a.mov(b32, rax, 100 + i);
        a.ret();
    }
    const Executable code(a.finish());
    for (u64 i = 0; i < 4; ++i) EXPECT_EQ(code.function<u64(u64)>()(i), 100 + i);
}

TEST_F(Execution, PatchedJump) {
    const usize displacement = a.jmp_rel32_placeholder();
    a.mov(b32, rax, 1);
    a.ret();
    const usize other = a.size();
    a.mov(b32, rax, 2);
    a.ret();
    Executable code(a.finish());
    const auto run = code.function<u64()>();
    EXPECT_EQ(run(), 1u);
    code.patch(displacement, other);
    EXPECT_EQ(run(), 2u);
    code.patch(displacement, displacement + 4);
    EXPECT_EQ(run(), 1u);
}

TEST_F(Execution, Atomics) {
    // Adds rsi to [rdi]; exchanges the result's low byte; returns the old value.
    a.mov(b64, rax, rsi);
    a.lock_xadd(b64, at(rdi), rax);
    a.mov(b32, rcx, 0x5a);
    a.xchg(b8, at(rdi), rcx);
    a.lock_or(b32, at(rdi, 4), rsi);
    a.ret();
    const Executable code(a.finish());
    u64 memory = 0x1122334455667788;
    EXPECT_EQ(code.function<u64(u64*, u64)>()(&memory, 0x11), 0x1122334455667788u);
    EXPECT_EQ(memory, 0x112233555566775au);
}

TEST_F(Execution, WidthsKeepOrClearTheUpperBits) {
    a.mov(b64, rax, -1);
    a.mov(b64, rcx, -1);
    a.mov(b64, rdx, -1);
    a.mov(b64, r8, -1);
    a.mov(b8, rax, 0);
    a.mov(b16, rcx, 0);
    a.mov(b32, rdx, 0);
    a.movzx(b8, r8, r8);
    a.mov(b64, at(rdi, 0), rax);
    a.mov(b64, at(rdi, 8), rcx);
    a.mov(b64, at(rdi, 16), rdx);
    a.mov(b64, at(rdi, 24), r8);
    a.ret();
    const Executable code(a.finish());
    u64 out[4];
    code.function<void(u64*)>()(out);
    EXPECT_EQ(out[0], 0xffffffffffffff00u);
    EXPECT_EQ(out[1], 0xffffffffffff0000u);
    EXPECT_EQ(out[2], 0u);
    EXPECT_EQ(out[3], 0xffu);
}

TEST_F(Execution, PackedIntegers) {
    // [rdi] = the larger of each pair of 16-bit lanes, doubled; rax = a bit for each byte whose sign is set
    a.movdqu(xmm0, at(rdi));
    a.movdqu(xmm9, at(rsi));
    a.pmaxsw(xmm0, xmm9);
    a.psllw(xmm0, u8{1});
    a.movdqu(at(rdi), xmm0);
    a.pmovmskb(rax, xmm0);
    a.ret();
    const Executable code(a.finish());
    i16 x[8] = {1, -2, 3, -4, 5, -6, 7, -20000};
    const i16 y[8] = {0, 0, 4, -3, -5, -7, 0x4000, -1};
    EXPECT_EQ(code.function<u64(i16*, const i16*)>()(x, y), 0xecc0u);
    const i16 expected[8] = {2, 0, 8, -6, 10, -12, -0x8000, -2};
    for (unsigned i = 0; i < 8; ++i) EXPECT_EQ(x[i], expected[i]) << i;
}

}  // namespace
}  // namespace viv::jit::x64::test
