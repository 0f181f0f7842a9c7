// Dispatching. See tiers.h.
#include "engine/jit/tiers.h"

#include <algorithm>
#include <array>

#include "engine/ir/opt/pipeline.h"
#include "engine/ir/print.h"
#include "engine/lang/check.h"

namespace viv::jit {

namespace {

u32 heat_index(u64 physical) {
    return static_cast<u32>((physical >> 1) ^ (physical >> 13)) & (exec::HeatTable::size - 1);
}

// Doublings of Options::quick_after.
constexpr unsigned most_patience = 6;

// Regions that a vCPU asks for beyond this number have to be asked for again.
constexpr usize most_jobs = 32;

}  // namespace

Tiers::Tiers(const Options& options, exec::Engine& engine, exec::Translatable& guest, std::unique_ptr<Backend> backend,
             std::unique_ptr<host::CodeBlock> memory)
    : options_(options),
      engine_(engine),
      guest_(guest),
      backend_(std::move(backend)),
      cache_(*backend_, std::move(memory)),
      regions_(guest, *backend_),
      state_(guest.layout().state),
      heat_(*reinterpret_cast<exec::HeatTable*>(guest.layout().state + guest.layout().heat)) {
    if (!options_.quick_after) options_.quick_after = backend_->quick_after();
}

Tiers::~Tiers() {
    for (const auto& job : jobs_) options_.queue->withdraw(*job);
}

const Translation* Tiers::add(u32 number, const Region& region, Tier tier, Compiled compiled) {
    (tier == Tier::full ? statistics_.regions : statistics_.translations)++;
    statistics_.host_bytes += compiled.code.size();
    const Translation* made = cache_.add(number, region, tier, std::move(compiled));
    forget_changed();
    return made;
}

TranslatedPage& Tiers::translated(exec::CodePage& page) {
    if (page.translations == nullptr) page.translations = &cache_.page(page.physical);
    return *static_cast<TranslatedPage*>(page.translations);
}

void Tiers::translate_crossing(const exec::CodePage& page, u64 pc, Region& region) {
    const u64 next = region.virtual_page + page_size;
    const exec::CodePage* const next_page = engine_.known_code_page(next);
    // One page, mapped twice, would have to be told apart from itself.
    if (next_page == nullptr || next_page == &page) return;
    engine_.will_hold_code(*next_page);
    std::array<u8, page_size + exec::Engine::longest_instruction> bytes;
    const auto end = std::copy_n(page.bytes, page_size, bytes.begin());
    std::copy_n(next_page->bytes, exec::Engine::longest_instruction, end);
    region.blocks.front() = guest_.translate_block(bytes, region.virtual_page, pc, region.mode, 1);
    region.next_page = next_page;
}

const u8* Tiers::translate(const exec::CodePage& page, u64 mode, u64 pc) {
    Region region{.physical_page = page.physical,
                  .virtual_page = pc & ~page_mask,
                  .mode = mode,
                  .blocks = {},
                  .promoted = {},
                  .steady = {}};
    region.blocks.push_back(
        guest_.translate_block(std::span(page.bytes, page_size), region.virtual_page, pc, mode, options_.block_limit));
    if (region.blocks.front().code.empty()) translate_crossing(page, pc, region);
    if (region.blocks.front().code.empty()) return nullptr;
    if (options_.highest == Tier::full && region.next_page == nullptr) {
        region.heat = heat_index(page.physical | (pc & page_mask));
        heat_.left[region.heat] = options_.full_after;
    }
    Compiled compiled;
    const u32 number = cache_.reserve_number();
    if (!backend_->compile(region, exit_word::make(number, 0), compiled)) {
        cache_.release_number(number);
        return nullptr;
    }
    const Translation* made = add(number, region, Tier::quick, std::move(compiled));
    if (made == nullptr) return nullptr;
    return cache_.thunks() + made->offset + made->entries.front().entry;
}

void Tiers::ask_for_region(u64 pc) {
    exec::CodePage* page = engine_.code_page(pc);
    if (page == nullptr) return;  // the fetch has trapped
    const u64 mode = guest_.translation_mode();
    const u32 heat = heat_index(page->physical | (pc & page_mask));
    heat_.left[heat] = options_.full_after;
    // What is asked for may well contain this block, too.
    const bool asked = std::any_of(jobs_.begin(), jobs_.end(), [&](const auto& job) {
        return job->request.physical_page == page->physical && job->request.mode == mode && !job->abandoned;
    });
    if (asked || jobs_.size() >= most_jobs) return;
    engine_.will_hold_code(*page);
    TranslatedPage& known = translated(*page);
    // Where a run happened to stop within a block of a region, it is gone on with there. That is worth no copy of the
    // region, only a way back into it.
    const bool inside = cache_.inside_region(known, static_cast<u32>(pc & page_mask));
    RegionJob::Request request{.physical_page = page->physical,
                               .virtual_page = pc & ~page_mask,
                               .mode = mode,
                               .pc = pc,
                               .seen = {},
                               .limits = options_.region,
                               .number = cache_.reserve_number(),
                               .heat = heat};
    for (const CodePoint& point : known.view(mode).points())
        if (point.code != nullptr && (!inside || point.translation->tier != Tier::full)) request.seen.set(point.offset);
    const auto job = std::make_shared<RegionJob>(regions_, *backend_, request, std::span(page->bytes, page_size));
    if (options_.queue != nullptr) {
        jobs_.push_back(job);
        options_.queue->post(job);
    } else {
        job->work();
        install(*job);
    }
}

void Tiers::install(RegionJob& job) {
    if (job.abandoned) return;
    const u32 number = job.request.number;
    if (job.outdated()) {
        statistics_.outdated++;
        return cache_.release_number(number);
    }
    // What cannot be compiled is not asked for again and again.
    heat_.left[job.request.heat] = exec::HeatTable::never;
    if (!job.made) return cache_.release_number(number);
    add(number, job.region, Tier::full, std::move(job.compiled));
}

void Tiers::install_finished() {
    while (!jobs_.empty() && jobs_.front()->finished()) {
        install(*jobs_.front());
        jobs_.pop_front();
    }
    // Its translation may be gone, and the number another's.
    pending_link_ = exit_word::no_code;
}

const u8* Tiers::find(u64 pc, CodePoint*& point) {
    exec::CodePage* page = engine_.code_page(pc);
    if (page == nullptr) return nullptr;
    TranslatedPage& known = translated(*page);
    PageView& view = known.view(guest_.translation_mode());
    const u16 offset = static_cast<u16>(pc & page_mask);
    point = &view.at(offset);
    const u8* code = point->code;
    if (code == nullptr && point->executions >= *options_.quick_after << std::min(known.rewrites, most_patience)) {
        engine_.will_hold_code(*page);
        code = translate(*page, view.mode(), pc);
        // Translating may have dropped others, and made points for them.
        point = &view.at(offset);
        if (code == nullptr) point->executions = 0;  // tried again, but not each time
    }
    if (code != nullptr && !backend_->ready(code)) return nullptr;
    if (code != nullptr) guest_.insert_jump(pc, code);
    return code;
}

void Tiers::run() {
    pending_link_ = exit_word::no_code;
    while (engine_.budget > 0 && !engine_.attention.load(std::memory_order_relaxed)) {
        if (!jobs_.empty() && jobs_.front()->finished()) install_finished();
        const u64 pc = guest_.pc();
        CodePoint* point = nullptr;
        const u8* code = nullptr;
        if (pending_link_ == exit_word::no_code) code = guest_.jump_table().find(pc);
        if (code == nullptr) code = find(pc, point);
        if (code == nullptr) {
            pending_link_ = exit_word::no_code;
            if (point == nullptr) return;  // the fetch has trapped
            point->executions++;
            statistics_.interpreted_blocks++;
            if (engine_.run_block(pc) == exec::Engine::Ran::left) return;
            continue;
        }
        if (pending_link_ != exit_word::no_code) {
            // Making the target's code may have dropped the one that jumps there.
            const Translation* from = cache_.find(exit_word::translation(pending_link_));
            if (from != nullptr && !from->dropped) cache_.link(*from, exit_word::exit(pending_link_), *point);
            pending_link_ = exit_word::no_code;
        }
        statistics_.entries++;
        if (handle(backend_->enter(cache_.thunks(), state_, code, pc)) == Next::stop) return;
    }
}

Tiers::Next Tiers::handle(const Left& left) {
    const u32 word = left.word;
    if (word == exit_word::no_code) {
        statistics_.exits[static_cast<usize>(ExitKind::dispatch)]++;
        return Next::go_on;
    }
    const Translation* from = cache_.find(exit_word::translation(word));
    CHECK(from != nullptr);
    const Exit exit = from->exits[exit_word::exit(word)];
    statistics_.exits[static_cast<usize>(exit.kind)]++;
    cache_.count_exit(from->number, exit.kind);
    engine_.budget += exit.rest;
    const u64 pc = left.virtual_page | exit.offset;
    switch (exit.kind) {
        case ExitKind::jump:
            engine_.go_to(pc);
            // Within its page: the target is where it is, however that page is mapped.
            if (!from->dropped) pending_link_ = word;
            return Next::go_on;
        case ExitKind::hot:
            engine_.go_to(pc);
            ask_for_region(pc);
            return Next::go_on;
        case ExitKind::budget:
            engine_.go_to(pc);
            while (engine_.budget > 0)
                if (engine_.run_one(guest_.pc()) == exec::Engine::Ran::left) return Next::stop;
            return Next::stop;
        case ExitKind::interpret: {
            const bool crosses = from->next_page != Translation::none;
            engine_.go_to(pc);
            if (engine_.run_one(pc) == exec::Engine::Ran::left) return Next::stop;
            // It may have been left because the way to the next page was not known.
            return crosses && engine_.code_page(guest_.pc()) == nullptr ? Next::stop : Next::go_on;
        }
        case ExitKind::dispatch: return Next::go_on;
        case ExitKind::left: return Next::stop;
    }
    return Next::stop;
}

void Tiers::forget_changed() {
    for (const CodeCache::Change& change : cache_.take_changes())
        guest_.forget_jumps(change.offset, change.first, change.last);
}

bool Tiers::code_written(u64 physical, u64 size) {
    bool left = cache_.code_written(physical, size);
    forget_changed();
    for (const auto& job : jobs_)
        if (job->request.physical_page == (physical & ~page_mask)) {
            job->note_written(physical & page_mask, size);
            left = true;
        }
    // What waits to be linked may be gone.
    pending_link_ = exit_word::no_code;
    return left;
}

void Tiers::forget_code() {
    cache_.clear();
    std::erase_if(jobs_, [this](const auto& job) { return options_.queue->take_back(*job); });
    for (const auto& job : jobs_) job->abandoned = true;
    guest_.flush_jump_tables();
    pending_link_ = exit_word::no_code;
}

std::vector<exec::TranslatedCode> Tiers::describe(const exec::CodeLocation& page, u64 pc) const {
    std::vector<exec::TranslatedCode> all;
    const ir::SlotTable slots = guest_.slots();
    for (const Translation* made : cache_.on_page(page.physical_page)) {
        for (const Compiled::Entry& entry : made->entries) {
            if (entry.guest != (pc & page_mask)) continue;
            ir::Block block = guest_.translate_block(std::span(page.bytes, page_size), page.virtual_page, pc,
                                                     made->mode, options_.block_limit);
            exec::TranslatedCode code;
            code.pc = pc;
            code.mode = made->mode;
            code.size = block.size;
            code.tier = backend_->name();
            code.ir = ir::print(block, slots);
            ir::opt::Passes passes;
            passes.quick(block);
            code.ir_after = ir::print(block, slots);
            const u8* host = cache_.thunks() + made->offset;
            code.host.assign(host, host + made->size);
            code.host_address = reinterpret_cast<u64>(host);
            code.entry_offset = entry.entry;
            all.push_back(std::move(code));
        }
    }
    return all;
}

}  // namespace viv::jit
