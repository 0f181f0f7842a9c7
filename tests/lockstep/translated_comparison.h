// Translated code against the interpreter, or against the IR's oracle: two machines of the same random world, one of
// which translates everything at once, run from the same random states; all state, memory and device accesses are
// compared after each run.
// Promises: everything follows from the seed and the options; stops at the first difference, which failure() tells,
// with the instructions that were executed. Knows no test framework and no host, so that the web build can use it, too.
#pragma once

#include <memory>
#include <string>

#include "engine/host/code_memory.h"
#include "engine/ir/oracle.h"
#include "engine/isa/riscv/translation.h"
#include "engine/jit/tiers.h"
#include "tests/lockstep/exec_oracle_cases.h"

namespace viv::riscv::test {

// The number in the environment, or the other one.
u64 from_environment(const char* name, u64 otherwise);

enum class Reference : u8 { interpreter, oracle };
// Whether translations are taken away at random: before and while the translator runs, by writes to pages of code that
// change nothing, from devices too, and by forgetting all code.
enum class Evictions : u8 { by_the_guest, forced };

struct TranslatedSetup {
    HartConfig config;
    jit::Options options;
    u64 seed = 1;
    Reference reference = Reference::interpreter;
    Evictions evictions = Evictions::by_the_guest;
    Behaviour behaviour = Behaviour::wild;
    unsigned runs = 1;  // in a row from the same instruction, so that it gets into a region
};

class TranslatedComparison {
public:
    // `code_memory` outlives this.
    TranslatedComparison(const TranslatedSetup& setup, host::CodeMemory& code_memory);
    ~TranslatedComparison();

    // A host without a backend has nothing to compare.
    bool usable() const { return translator_ != nullptr; }
    // Until the interpreter, or the oracle itself, has executed so many, or there is a failure().
    void run(u64 instructions);
    const std::string& failure() const { return failure_; }

    const jit::Tiers& tiers() const { return static_cast<const jit::Tiers&>(*translator_); }
    u64 executed() const { return executed_; }  // as above
    u64 forced() const { return forced_; }      // evictions
    u64 vectors() const { return vectors_; }    // blocks seen, now and then, that had arithmetic on vectors as IR
    std::string summary() const;

private:
    State start(u64 step);
    bool compare(u64 step, u64 count);
    // Both return the instructions executed, those that the oracle leaves to the interpreter included.
    u64 run_reference(u64 count);
    u64 run_oracle(u64 count);
    void run_translated(u64 count);
    void evict();
    void rewrite(u64 physical, u64 size);
    void count_vectors(u64 pc);
    std::string listing(const State& start, u64 count);

    TranslatedSetup setup_;
    Machine a_, b_;  // the reference, and what is translated
    Cases cases_;
    Random random_;
    BlockBuilder builder_;
    HartTranslation guest_;
    std::unique_ptr<exec::Translator> translator_;
    State last_;
    std::string failure_;
    u64 executed_ = 0, forced_ = 0, runs_ = 0, vectors_ = 0;
};

}  // namespace viv::riscv::test
