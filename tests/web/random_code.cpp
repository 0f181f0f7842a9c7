// Random RISC-V code by the WebAssembly backend, against the interpreter and the IR's oracle: tests/lockstep's
// comparison as a module for Node. tests/web/random_code_test.mjs calls it.
// Promises: everything follows from the arguments.
#include <emscripten.h>
#include <fmt/format.h>

#include "tests/lockstep/translated_comparison.h"
#include "web/worker/host_web.h"

namespace {

using namespace viv;
using namespace viv::riscv::test;

constexpr u64 mebi = u64{1} << 20;

struct Kind {
    const char* name;
    unsigned xlen, vlen;
    jit::Tier tier;
    Reference reference;
    Evictions evictions;
    unsigned batch;
    u64 cache;
    // Which part of the instructions that are asked for. Against the interpreter hardly any block is run twice, and
    // hosts keep a module, which each of them is without batches, for as long as the table that it has been put into.
    unsigned part;
};
constexpr Kind kinds[] = {
    {"quick, 64 bits", 64, 128, jit::Tier::quick, Reference::interpreter, Evictions::by_the_guest, 1, 16 * mebi, 5},
    {"quick, 32 bits", 32, 128, jit::Tier::quick, Reference::interpreter, Evictions::by_the_guest, 1, 16 * mebi, 5},
    {"regions, 64 bits", 64, 0, jit::Tier::full, Reference::interpreter, Evictions::by_the_guest, 1, 16 * mebi, 5},
    {"regions, 32 bits", 32, 0, jit::Tier::full, Reference::interpreter, Evictions::by_the_guest, 1, 16 * mebi, 5},
    {"quick, 64 bits, oracle", 64, 0, jit::Tier::quick, Reference::oracle, Evictions::by_the_guest, 1, 16 * mebi, 1},
    {"regions, 64 bits, oracle", 64, 0, jit::Tier::full, Reference::oracle, Evictions::by_the_guest, 1, 16 * mebi, 1},
    {"regions, 32 bits, oracle", 32, 0, jit::Tier::full, Reference::oracle, Evictions::by_the_guest, 1, 16 * mebi, 1},
    {"batches", 64, 0, jit::Tier::full, Reference::oracle, Evictions::by_the_guest, 16, 16 * mebi, 1},
    {"a small cache", 64, 0, jit::Tier::full, Reference::interpreter, Evictions::by_the_guest, 4, mebi / 16, 1},
    {"evictions", 64, 0, jit::Tier::full, Reference::interpreter, Evictions::forced, 2, mebi / 4, 1},
};

struct Outcome {
    std::string text;
    bool failed = false;
    u64 regions = 0, entries = 0;
} outcome;

}  // namespace

extern "C" {

EMSCRIPTEN_KEEPALIVE unsigned random_kinds() { return std::size(kinds); }
EMSCRIPTEN_KEEPALIVE const char* random_name(unsigned kind) { return kinds[kind].name; }

// 1, or 0 if the two differ; random_text() says how, or what was done.
EMSCRIPTEN_KEEPALIVE int random_run(unsigned number, unsigned seed, unsigned instructions) {
    const Kind& kind = kinds[number];
    web::WebMemory memory;
    web::WebCodeMemory code_memory(memory);
    TranslatedSetup setup;
    setup.config = {.xlen = kind.xlen, .vlen = kind.vlen, .code_pages = 8};
    setup.options = {
        .cache_bytes = kind.cache, .highest = kind.tier, .quick_after = 0, .full_after = 1, .batch = kind.batch};
    setup.seed = seed;
    setup.reference = kind.reference;
    setup.evictions = kind.evictions;
    if (kind.reference == Reference::oracle) {
        setup.behaviour = Behaviour::tame;
        setup.runs = 8;
    }
    TranslatedComparison comparison(setup, code_memory);
    if (!comparison.usable()) {
        outcome = {"there is no backend", true};
        return 0;
    }
    comparison.run(instructions / kind.part);
    outcome.failed = !comparison.failure().empty();
    outcome.text = outcome.failed ? comparison.failure() : comparison.summary();
    outcome.regions = comparison.tiers().statistics().regions;
    outcome.entries = comparison.tiers().statistics().entries;
    return !outcome.failed;
}
EMSCRIPTEN_KEEPALIVE const char* random_text() { return outcome.text.c_str(); }
EMSCRIPTEN_KEEPALIVE unsigned random_regions() { return static_cast<unsigned>(outcome.regions); }
EMSCRIPTEN_KEEPALIVE unsigned random_entries() { return static_cast<unsigned>(outcome.entries); }

}  // extern "C"
