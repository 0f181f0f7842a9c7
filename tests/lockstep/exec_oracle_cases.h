// Random cases for the comparison of Exec with Build and the oracle: worlds (privilege, translation), pages full of
// instructions, states. Promises: everything follows from the seed. Registers lean towards corner values and towards
// addresses in and around the sandbox, so that accesses hit, miss, fault, cross pages and overwrite code.
#pragma once

#include <string>
#include <vector>

#include "engine/isa/riscv/table.h"
#include "tests/lockstep/exec_oracle_machine.h"

namespace viv::riscv::test {

class Random {  // SplitMix64 (Steele, Lea and Flood)
public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() {
        u64 z = state_ += 0x9e37'79b9'7f4a'7c15;
        z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9;
        z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11eb;
        return z ^ (z >> 31);
    }
    u64 below(u64 limit) { return next() % limit; }
    bool percent(unsigned chance) { return below(100) < chance; }
    template <class T, usize N>
    T one_of(const T (&all)[N]) {
        return all[below(N)];
    }

private:
    u64 state_;
};

// Wild code traps every second or third instruction. Tame code goes on for a dozen or more: jumps go to instructions
// nearby, before and behind, some registers are kept for addresses of memory and of code, what is illegal is rare.
enum class Behaviour : u8 { wild, tame };

class Cases {
public:
    Cases(const HartConfig& config, u64 seed, Behaviour behaviour = Behaviour::wild);

    // Privilege, translation, delegation: what stays for some hundreds of cases. Writes page tables.
    void new_world(Machine& a, Machine& b);
    // New random content of all RAM, its first two pages full of instructions.
    void new_code(Machine& a, Machine& b);
    // A state at one of the instructions of new_code(). Looks at the machine for what stands where.
    State new_state(Machine& machine);
    // Other numbers in the registers of `last`, for the same instruction in the same mode.
    State new_numbers(const State& last, Machine& machine);

    static constexpr u64 code_pages = 2;

private:
    u64 narrow(u64 value) const { return config_.xlen == 64 ? value : value & 0xffff'ffff; }
    void map(u8* tables, u64 index, u64 physical, u64 flags);
    u32 random_word();
    u32 tamed(u32 word, const InstructionInfo& info);
    u16 random_half();
    // One that sets vtype to a constant, and such as can be translated with that known.
    std::vector<u32> random_vectors();
    u32 random_vector(unsigned sew, int lmul);
    u64 random_address();
    u64 code_base() const;
    u64 random_integer();
    u64 random_float();
    void randomize_registers(State& s);
    void randomize_system(State& s);
    void randomize_vector(State& s);
    void aim(State& s, Machine& machine);

    HartConfig config_;
    Random random_;
    bool tame_;
    State world_;
    u64 registers_x_[32] = {}, registers_f_[32] = {};  // of the last state; a few change from one to the next
    bool translated_ = false;
    u64 sandbox_ = ram_base;                    // virtual address of the code pages
    std::vector<u16> offsets_;                  // of the instructions in the code pages
    std::vector<u16> vector_offsets_;           // of those that random_vectors() begins with
    std::vector<u16> plain_vectors_;            // rows of the instruction table that random_vector() prefers
    std::vector<std::vector<u16>> extensions_;  // rows of the instruction table that the hart has, an extension each
};

}  // namespace viv::riscv::test
