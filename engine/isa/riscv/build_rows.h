// From an instruction's body to the function that translates it: one row an instruction, in the order of the
// instruction table.
#pragma once

#include <array>
#include <span>

#include "engine/isa/riscv/build_emitter.h"
#include "engine/isa/riscv/groups.h"

namespace viv::riscv {

struct BuildRow {
    void (*of[2])(Translation& translation,
                  u32 word) = {};  // [xlen is 64]; null if that xlen does not have the instruction
};

template <class P>
constexpr auto build_rows() {
    std::array<BuildRow, count_of<P>()> rows{};
    usize at = 0;
    for_each(P{}, [&]<class I>(const char*, Xlen width) {
        BuildRow& row = rows[at++];
        const auto body = []<class X>(Translation& translation, u32 word) {
            Build<X> e(translation);
            I::run(e, I::Fields::decode(word));
        };
        if (width != Xlen::only64)
            row.of[0] = [](Translation& translation, u32 word) {
                decltype(body){}.template operator()<u32>(translation, word);
            };
        if (width != Xlen::only32)
            row.of[1] = [](Translation& translation, u32 word) {
                decltype(body){}.template operator()<u64>(translation, word);
            };
    });
    return rows;
}

std::span<const BuildRow> base_builders();    // build_base.cpp
std::span<const BuildRow> float_builders();   // build_float.cpp
std::span<const BuildRow> vector_builders();  // build_vector.cpp

}  // namespace viv::riscv
