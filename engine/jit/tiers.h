// The dispatcher of one vCPU: interprets what is cold, translates what is not, runs and links translations.
// Promises: exact in instructions (the budget ends a run where the interpreter would end it); state after run() is the
// same as if the interpreter alone had run, whenever regions are ready. Not thread safe: one vCPU, one thread at a
// time.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "engine/exec/exec.h"
#include "engine/exec/translation.h"
#include "engine/jit/code_cache.h"
#include "engine/jit/region_job.h"

namespace viv::jit {

struct Options {
    u64 cache_bytes = u64{256} << 20;
    // The best that code can get.
    Tier highest = Tier::full;
    // Executions by the interpreter before a block is translated; more where code is rewritten again and again, up to
    // 64 times as many. Empty: what is right for the backend.
    std::optional<u32> quick_after;
    // Executions of that before the region around it is.
    u32 full_after = 2000;
    unsigned block_limit = 64;  // guest instructions a block
    RegionLimits region;
    // How many translations may be held back to be made ready together, by backends for which that is worth while.
    unsigned batch = 64;
    // Where regions are compiled; outlives the Tiers. Null: on the vCPU's own thread, which waits.
    CompileQueue* queue = nullptr;
};

struct Statistics {
    u64 translations = 0, regions = 0, guest_instructions = 0, host_bytes = 0;
    u64 entries = 0;             // from the dispatcher into generated code
    u64 exits[exit_kinds] = {};  // by ExitKind
    u64 interpreted_blocks = 0;
    u64 outdated = 0;  // regions that came too late: their guest code had changed
};

class Tiers final : public exec::Translator {
public:
    // `engine` and `guest` are the two sides of one vCPU and outlive this.
    Tiers(const Options& options, exec::Engine& engine, exec::Translatable& guest, std::unique_ptr<Backend> backend,
          std::unique_ptr<host::CodeBlock> memory);
    ~Tiers() override;

    void run() override;
    bool code_written(u64 physical, u64 size) override;
    void forget_code() override;
    std::vector<exec::TranslatedCode> describe(const exec::CodeLocation& page, u64 pc) const override;
    exec::TranslatorReport report(usize most) const override;

    const Statistics& statistics() const { return statistics_; }
    const CodeCache& cache() const { return cache_; }

private:
    // Whether run() goes on.
    enum class Next : u8 { go_on, stop };

    Next handle(const Left& left);
    // What the cache knows of a page.
    TranslatedPage& translated(exec::CodePage& page);
    const u8* translate(const exec::CodePage& page, u64 mode, u64 pc);
    // The block of the one instruction at `pc`, which reaches into the next page.
    void translate_crossing(const exec::CodePage& page, u64 pc, Region& region);
    // Has the region around the block at `pc`, which has become hot, compiled.
    void ask_for_region(u64 pc);
    void install(RegionJob& job);
    void install_finished();
    const Translation* add(u32 number, const Region& region, Tier tier, Compiled compiled);
    void forget_changed();
    // Code for the vCPU's pc, translating if it is time; null: to be interpreted, and `point` tells where to count. A
    // fault of the fetch has been delivered if there is no `point` either.
    const u8* find(u64 pc, CodePoint*& point);

    Options options_;
    exec::Engine& engine_;
    exec::Translatable& guest_;
    std::unique_ptr<Backend> backend_;
    CodeCache cache_;
    RegionBuilder regions_;
    std::deque<std::shared_ptr<RegionJob>> jobs_;  // in the queue, or done and not yet installed
    Statistics statistics_;
    void* state_;
    exec::HeatTable& heat_;
    // The exit that waits to be linked to the code of the next pc.
    u32 pending_link_ = exit_word::no_code;
};

}  // namespace viv::jit
