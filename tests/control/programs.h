// Programs for the fake CPU that several tests run.
#pragma once

#include "tests/control/fake_machine.h"

namespace viv::test {

inline Instruction set(u8 a, i32 value) { return {Op::add, a, 0, 0, value}; }
inline Instruction jump(i32 instructions) {
    return {Op::branch, 1, 0, 0, instructions * static_cast<i32>(instruction_size)};
}

// Pads a program up to the interrupt vector and adds the handler.
inline std::vector<Instruction> with_handler(std::vector<Instruction> program,
                                             const std::vector<Instruction>& handler) {
    program.resize((FakeCpu::vector_address - ram_base) / instruction_size);
    program.insert(program.end(), handler.begin(), handler.end());
    return program;
}

// x1 must not be 0 for jump(): every program here sets it first.
// Each hart: a timer of its own whose interrupt logs the time in RAM, wakes the next hart and is armed again; between
// interrupts it counts, draws entropy, adds to a shared word and sometimes waits. Runs for ever.
inline std::vector<Instruction> busy_program(i32 interval = 777) {
    const std::vector<Instruction> program{
        set(1, 1),
        {Op::add, 5, 10, 10, 0},
        {Op::add, 5, 5, 5, 0},
        {Op::add, 5, 5, 5, 0},          // x5 = 8 * hart
        {Op::add, 11, 5, 0, 0x1'2000},  // x11: this hart's word
        {Op::add, 12, 5, 0, raise_address + 8},
        {Op::add, 5, 5, 0, timer_address},
        set(6, interval),
        {Op::add, 6, 6, 10, 0},
        set(13, 0x1'3000),        // the shared word
        {Op::store, 6, 5, 0, 0},  // arm
        {Op::enable, 0, 0, 0, 1},
        // loop:
        {Op::add, 2, 2, 0, 1},
        {Op::entropy, 3, 0, 0, 0},
        {Op::swap_add, 4, 13, 0, 3},
        {Op::add, 7, 3, 4, 0},
        {Op::store, 7, 11, 0, 0x100},
        {Op::time, 8, 0, 0, 0},
        {Op::store, 8, 11, 0, 0x200},
        {Op::add, 14, 14, 0, -1},
        {Op::branch, 14, 0, 0, -8 * 8},
        {Op::wait, 0, 0, 0, 0},
        {Op::add, 14, 0, 0, 40},
        jump(-11),
    };
    return with_handler(program, {
                                     {Op::time, 15, 0, 0, 0},
                                     {Op::store, 15, 11, 0, 0},
                                     {Op::add, 16, 16, 15, 0},
                                     {Op::store, 6, 5, 0, 0},
                                     {Op::store, 6, 12, 0, 0},  // raises the next hart (the last one: the first)
                                     {Op::from_interrupt, 0, 0, 0, 0},
                                 });
}

// Counts in x2 for ever.
inline std::vector<Instruction> counting_program() { return {set(1, 1), {Op::add, 2, 2, 0, 1}, jump(-1)}; }

}  // namespace viv::test
