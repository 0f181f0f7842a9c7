// share in text: what is not computed again, and what must be.
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

TEST(Share, TheSameAgainIsTheFirst) {
    becomes({&Passes::share}, R"(
%x:i64 = get a
%y:i64 = get b
%s:i64 = add %x, %y
%t:i64 = add %y, %x
%d:i64 = sub %x, %y
%e:i64 = sub %y, %x
%m:i64 = mul %s, %t
set a, %m
set b, %d
set pc, %e
leave
)",
            R"(
%x:i64 = get a
%y:i64 = get b
%s:i64 = add %x, %y
%d:i64 = sub %x, %y
%e:i64 = sub %y, %x
%m:i64 = mul %s, %s
set a, %m
set b, %d
set pc, %e
leave
)");
}

TEST(Share, GetsUpToAWriteOfTheirSlot) {
    becomes({&Passes::share}, R"(
%x:i64 = get a
%y:i64 = get a
set a, %y
%z:i64 = get a
set b, %z
set pc, %x
leave
)",
            R"(
%x:i64 = get a
set a, %x
%z:i64 = get a
set b, %z
set pc, %x
leave
)");
}

TEST(Share, LoadsAndFloatOperationsAreNotShared) {
    const char* text = R"(
%x:i64 = get a
%l:i64 = load %x
%m:i64 = load %x
%f:i64 = float_add %l, %m unit 0 dynamic
%g:i64 = float_add %l, %m unit 0 dynamic
set a, %f
set b, %g
leave
)";
    becomes({&Passes::share}, text, text);
    becomes({&Passes::full}, text, text);
}

TEST(Share, TypesAndConstantsDiffer) {
    const char* text = R"(
%x:i64 = get a
%t:i32 = trunc %x
%u:i16 = trunc %x
%c:i32 = constant 0x1
%d:i16 = constant 0x1
%e:i32 = constant 0x2
%p:i1 = ltu.i32 %t, %c
%q:i1 = ltu.i16 %u, %d
%r:i1 = ltu.i32 %t, %e
%s:i32 = select %p, %t, %c
%v:i32 = select %p, %t, %e
%w:i32 = sub %t, %v
set word_a, %w
set half_a, %u
set bit_a, %p
set bit_b, %q
set word_b, %s
branch %r, 0x2000, 0x3000
)";
    becomes({&Passes::share}, text, text);
}

// Enough that some fall on the same place of the table.
TEST(Share, EveryOperandCounts) {
    std::string text = "%p:i1 = get bit_a\n%q:i1 = get bit_b\n%x:i64 = get a\n%y:i64 = get b\n%t0:i64 = get pc\n";
    for (unsigned i = 0; i < 300; i++) {
        const std::string previous = "%t" + std::to_string(i), next = std::to_string(i + 1);
        text += "%c" + next + ":i64 = select %p, %x, " + previous + "\n%d" + next + ":i64 = select %q, %c" + next +
                ", %y\n%t" + next + ":i64 = sub %c" + next + ", %d" + next + "\n";
    }
    text += "set a, %t300\nleave\n";
    becomes({&Passes::share}, text, text);
    becomes({&Passes::share, &Passes::dead}, text, text);
}

}  // namespace
}  // namespace viv::ir::opt::test
