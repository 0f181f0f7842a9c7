// dead in text: what goes because nobody uses it, and what stays for its effects.
#include "tests/ir_opt/passes_bench.h"

namespace viv::ir::opt::test {
namespace {

TEST(Dead, WhatNobodyUsesGoes) {
    becomes({&Passes::dead}, R"(
%x:i64 = get a
%y:i64 = not %x
%z:i64 = add %y, %x
%c:i64 = call record(%z) reads_state reads_memory
guest 0x1004
jump 0x2000
)",
            R"(
guest 0x1004
jump 0x2000
)");
}

TEST(Dead, WhatHasEffectsStays) {
    const char* text = R"(
%x:i64 = get a
%l:i64 = load %x
%p:i64 = physical.i64 store %x
%c:i64 = call record() reads_state may_leave
%d:i64 = call vector.sum(%x) writes_memory
%f:i64 = float_add %x, %x unit 0 nearest_even
%e:i64 = fetch_op add %x, %x
fence
jump 0x2000
)";
    // The law's order: fetch_op may leave, so nothing of its instruction comes before.
    const std::string lawful = [&] {
        std::string whole = text;
        whole.insert(whole.find("%e:"), "guest 0x1004\n");
        return whole;
    }();
    becomes({&Passes::dead}, lawful, lawful);
    becomes({&Passes::full}, lawful, lawful);
}

TEST(Dead, CallsThatStayKeepTheirArguments) {
    becomes({&Passes::dead}, R"(
%x:i64 = get a
%c:i64 = call vector.sum(%x) reads_memory
%y:i64 = not %x
%d:i64 = call record(%y, %x) writes_state
leave
)",
            R"(
%x:i64 = get a
%y:i64 = not %x
%d:i64 = call record(%y, %x) writes_state
leave
)");
}

}  // namespace
}  // namespace viv::ir::opt::test
