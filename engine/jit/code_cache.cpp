// The ring of translations, their links and their pages. See code_cache.h.
#include "engine/jit/code_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "engine/lang/check.h"

namespace viv::jit {

namespace {

constexpr u32 alignment = 16;
constexpr u32 tail_of_links = 8;  // kept free behind code, so that displacements at its end can be written whole

}  // namespace

CodeCache::CodeCache(Backend& backend, std::unique_ptr<host::CodeBlock> memory)
    : backend_(backend), memory_(std::move(memory)) {
    const std::vector<u8> thunks = backend_.make_thunks();
    CHECK(thunks.size() < memory_->size());
    std::memcpy(memory_->writable(), thunks.data(), thunks.size());
    memory_->synchronize(0, thunks.size());
    memory_->name(0, thunks.size(), "guest_entry_and_exit");
    first_ = next_ = static_cast<u32>(align_up(thunks.size(), alignment));
}

PageView& CodeCache::view(u64 physical_page, u64 virtual_page, u64 mode) {
    Page& page = pages_[physical_page];
    for (auto& view : page.views)
        if (view->virtual_page == virtual_page && view->mode == mode) return *view;
    page.views.push_back(std::make_unique<PageView>());
    page.views.back()->virtual_page = virtual_page;
    page.views.back()->mode = mode;
    return *page.views.back();
}

u32 CodeCache::next_number() {
    if (free_numbers_.empty()) {
        CHECK(translations_.size() < exit_word::maximum_translations - 1);
        free_numbers_.push_back(static_cast<u32>(translations_.size()));
        translations_.emplace_back();
    }
    return free_numbers_.back();
}

bool CodeCache::make_room(u32 size) {
    if (size > memory_->size() - first_) return false;
    if (next_ + u64{size} > memory_->size()) next_ = first_;
    // Translations do not overlap, so only the one that begins before `next_` and those behind it can be in the way.
    auto at = by_offset_.lower_bound(next_);
    if (at != by_offset_.begin()) {
        const auto before = std::prev(at);
        if (before->first + translations_[before->second]->size > next_) at = before;
    }
    while (at != by_offset_.end() && at->first < next_ + size) {
        const u32 number = at->second;
        ++at;
        drop(number);
    }
    return true;
}

const Translation* CodeCache::add(const Region& region, Tier tier, Compiled compiled) {
    const u32 size = static_cast<u32>(align_up(compiled.code.size() + tail_of_links, alignment));
    const u32 number = next_number();
    free_numbers_.pop_back();
    if (!make_room(size)) {
        free_numbers_.push_back(number);
        return nullptr;
    }
    free_dropped();
    auto made = std::make_unique<Translation>();
    made->number = number;
    made->tier = tier;
    made->offset = next_;
    made->size = size;
    made->physical_page = region.physical_page;
    made->virtual_page = region.virtual_page;
    made->mode = region.mode;
    for (const ir::Block& block : region.blocks) {
        const u64 first = block.pc & page_mask;
        made->ranges.push_back({static_cast<u16>(first), static_cast<u16>(first + block.size - 1)});
    }
    made->exits = std::move(compiled.exits);
    made->entries = std::move(compiled.entries);
    std::memcpy(memory_->writable() + next_, compiled.code.data(), compiled.code.size());
    memory_->synchronize(next_, compiled.code.size());
    memory_->name(next_, compiled.code.size(),
                  fmt::format("guest_{}_{:x}", tier == Tier::full ? "region" : "block", region.blocks.front().pc));

    PageView& view = this->view(region.physical_page, region.virtual_page, region.mode);
    for (const Compiled::Entry& entry : made->entries) {
        const u16 offset = static_cast<u16>(entry.pc & page_mask);
        if (const Translation* before = view.points[offset].translation; before != nullptr) {
            if (before->tier >= tier) continue;
            drop(before->number);
        }
        CodePoint& point = view.points[offset];
        point.translation = made.get();
        point.code = memory_->executable() + next_ + entry.offset;
        point.executions = 0;
    }
    pages_[region.physical_page].translations.push_back(number);
    by_offset_.emplace(next_, number);
    bytes_used_ += size;
    next_ += size;
    translations_[number] = std::move(made);
    return translations_[number].get();
}

std::vector<const Translation*> CodeCache::on_page(u64 physical_page) const {
    std::vector<const Translation*> all;
    const auto found = pages_.find(physical_page);
    if (found == pages_.end()) return all;
    for (const u32 number : found->second.translations) all.push_back(translations_[number].get());
    return all;
}

void CodeCache::set_jump(const Translation& from, u32 exit, const u8* target) {
    const u32 site = from.offset + from.exits[exit].site;
    backend_.link(memory_->writable() + site, target - (memory_->executable() + site));
    memory_->synchronize(site, 4);
}

void CodeCache::link(const Translation& from, u32 exit, const CodePoint& point) {
    CHECK(from.exits[exit].kind == ExitKind::jump && point.translation != nullptr);
    const u32 word = exit_word::make(from.number, exit);
    auto& target = *translations_[point.translation->number];
    if (std::find(target.incoming.begin(), target.incoming.end(), word) != target.incoming.end()) return;
    target.incoming.push_back(word);
    translations_[from.number]->outgoing.push_back(target.number);
    set_jump(from, exit, point.code);
}

void CodeCache::drop(u32 number) {
    Translation* gone = translations_[number].get();
    gone->dropped = true;
    for (const u32 word : gone->incoming) {
        const Translation& from = *translations_[exit_word::translation(word)];
        const u32 exit = exit_word::exit(word);
        set_jump(from, exit, memory_->executable() + from.offset + from.exits[exit].stub);
    }
    gone->incoming.clear();
    for (const u32 target : gone->outgoing)
        // It may have gone before, and its number may even be another's by now.
        if (translations_[target] != nullptr)
            std::erase_if(translations_[target]->incoming,
                          [&](u32 word) { return exit_word::translation(word) == number; });
    Page& page = pages_[gone->physical_page];
    std::erase(page.translations, number);
    for (auto& view : page.views) {
        if (view->virtual_page != gone->virtual_page || view->mode != gone->mode) continue;
        for (const Compiled::Entry& entry : gone->entries) {
            const auto point = view->points.find(static_cast<u16>(entry.pc & page_mask));
            if (point == view->points.end() || point->second.translation != gone) continue;
            view->points.erase(point);
            changed_.push_back(entry.pc);
        }
    }
    by_offset_.erase(gone->offset);
    bytes_used_ -= gone->size;
    dropped_numbers_.push_back(number);
}

void CodeCache::free_dropped() {
    for (const u32 number : dropped_numbers_) {
        translations_[number].reset();
        free_numbers_.push_back(number);
    }
    dropped_numbers_.clear();
}

bool CodeCache::code_written(u64 physical, u64 size) {
    const auto found = pages_.find(physical & ~page_mask);
    if (found == pages_.end()) return false;
    const u64 first = physical & page_mask, last = first + size - 1;
    const std::vector<u32> numbers = found->second.translations;
    for (const u32 number : numbers) {
        const auto& ranges = translations_[number]->ranges;
        const bool hit = std::any_of(ranges.begin(), ranges.end(), [&](const Translation::Range& range) {
            return range.first <= last && first <= range.last;
        });
        if (hit) drop(number);
    }
    if (!found->second.translations.empty()) return true;
    pages_.erase(found);
    return false;
}

void CodeCache::clear() {
    translations_.clear();
    free_numbers_.clear();
    dropped_numbers_.clear();
    by_offset_.clear();
    pages_.clear();
    bytes_used_ = 0;
    next_ = first_;
}

}  // namespace viv::jit
