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

// Whether `one` can be entered wherever `other` can.
bool covers(const Translation& one, const Translation& other) {
    return std::all_of(other.entries.begin(), other.entries.end(), [&](const Compiled::Entry& entry) {
        return std::any_of(one.entries.begin(), one.entries.end(),
                           [&](const Compiled::Entry& each) { return each.guest == entry.guest; });
    });
}

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

CodePoint& PageView::at(u16 offset) {
    // Code lies close together, so its offsets are a good hash.
    const auto place_of = [this](u16 of) { return usize{of} >> 1 & (table_.size() - 1); };
    usize place = place_of(offset);
    for (; table_[place] != 0; place = (place + 1) & (table_.size() - 1))
        if (CodePoint& point = points_[table_[place] - 1u]; point.offset == offset) return point;
    points_.push_back({.offset = offset});
    table_[place] = static_cast<u16>(points_.size());
    if (points_.size() * 2 > table_.size()) {
        table_.assign(table_.size() * 2, 0);
        for (usize i = 0; i < points_.size(); i++) {
            place = place_of(points_[i].offset);
            while (table_[place] != 0) place = (place + 1) & (table_.size() - 1);
            table_[place] = static_cast<u16>(i + 1);
        }
    }
    return points_.back();
}

PageView& TranslatedPage::view(u64 mode) {
    for (auto& view : views)
        if (view->mode() == mode) return *view;
    return *views.emplace_back(std::make_unique<PageView>(mode));
}

TranslatedPage& CodeCache::page(u64 physical_page) {
    auto& page = pages_[physical_page];
    if (page == nullptr) {
        page = std::make_unique<TranslatedPage>();
        page->physical = physical_page;
    }
    return *page;
}

u32 CodeCache::reserve_number() {
    if (free_numbers_.empty()) {
        CHECK(translations_.size() < exit_word::maximum_translations - 1);
        free_numbers_.push_back(static_cast<u32>(translations_.size()));
        translations_.emplace_back();
    }
    const u32 number = free_numbers_.back();
    free_numbers_.pop_back();
    return number;
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

const Translation* CodeCache::add(u32 number, const Region& region, Tier tier, Compiled compiled) {
    const u32 size = static_cast<u32>(align_up(compiled.code.size() + tail_of_links, alignment));
    if (!make_room(size)) {
        release_number(number);
        return nullptr;
    }
    free_dropped();
    auto made = std::make_unique<Translation>();
    made->number = number;
    made->tier = tier;
    made->offset = next_;
    made->size = size;
    made->physical_page = region.physical_page;
    made->mode = region.mode;
    made->first_pc = region.blocks.front().pc;
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

    if (region.next_page != nullptr) {
        made->next_page = region.next_page->physical;
        this->page(made->next_page).translations.push_back(number);
    }
    TranslatedPage& page = this->page(region.physical_page);
    PageView& view = page.view(region.mode);
    for (const Compiled::Entry& entry : made->entries) {
        const u16 offset = static_cast<u16>(entry.guest);
        if (const Translation* before = view.at(offset).translation; before != nullptr) {
            if (before->tier > tier || (before->tier == tier && !covers(*made, *before))) continue;
            drop(before->number);
        }
        CodePoint& point = view.at(offset);
        point.translation = made.get();
        point.code = memory_->executable() + next_ + entry.entry;
        point.link = memory_->executable() + next_ + entry.link;
        point.executions = 0;
    }
    if (tier == Tier::full) page.rewrites = 0;
    page.translated_since = true;
    page.translations.push_back(number);
    by_offset_.emplace(next_, number);
    bytes_used_ += size;
    next_ += size;
    translations_[number] = std::move(made);
    made_[static_cast<usize>(tier)]++;
    return translations_[number].get();
}

bool CodeCache::inside_region(const TranslatedPage& page, u32 offset) const {
    return std::any_of(page.translations.begin(), page.translations.end(), [&](u32 number) {
        const Translation& each = *translations_[number];
        return each.tier == Tier::full &&
               std::any_of(each.ranges.begin(), each.ranges.end(), [&](const Translation::Range& range) {
                   return range.first < offset && offset <= range.last;
               });
    });
}

std::vector<const Translation*> CodeCache::on_page(u64 physical_page) const {
    std::vector<const Translation*> all;
    const auto found = pages_.find(physical_page);
    if (found == pages_.end()) return all;
    for (const u32 number : found->second->translations)
        if (translations_[number]->physical_page == physical_page) all.push_back(translations_[number].get());
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
    set_jump(from, exit, point.link);
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
    TranslatedPage& page = this->page(gone->physical_page);
    std::erase(page.translations, number);
    if (gone->next_page != Translation::none) std::erase(this->page(gone->next_page).translations, number);
    PageView& view = page.view(gone->mode);
    const u8* const code = memory_->executable() + gone->offset;
    for (const Compiled::Entry& entry : gone->entries) {
        CodePoint& point = view.at(static_cast<u16>(entry.guest));
        if (point.translation != gone) continue;
        point = {.offset = point.offset};
        changes_.push_back({entry.guest, code, code + gone->size});
    }
    by_offset_.erase(gone->offset);
    bytes_used_ -= gone->size;
    dropped_numbers_.push_back(number);
}

void CodeCache::free_dropped() {
    for (const u32 number : dropped_numbers_) {
        backend_.dropped(memory_->executable() + translations_[number]->offset);
        translations_[number].reset();
        free_numbers_.push_back(number);
    }
    dropped_numbers_.clear();
}

bool CodeCache::code_written(u64 physical, u64 size) {
    const auto found = pages_.find(physical & ~page_mask);
    if (found == pages_.end() || found->second->translations.empty()) return false;
    TranslatedPage& page = *found->second;
    const auto is_hit = [&](u32 number) {
        const Translation& each = *translations_[number];
        const u64 first = (physical & page_mask) + (each.physical_page == page.physical ? 0 : page_size);
        const u64 last = first + size - 1;
        return std::any_of(each.ranges.begin(), each.ranges.end(),
                           [&](const Translation::Range& range) { return range.first <= last && first <= range.last; });
    };
    std::vector<u32> hit;
    std::copy_if(page.translations.begin(), page.translations.end(), std::back_inserter(hit), is_hit);
    if (hit.empty()) return true;
    if (std::exchange(page.translated_since, false)) page.rewrites++;
    if (page.rewrites > tolerated_rewrites) hit = page.translations;
    for (const u32 number : hit) drop(number);
    return !page.translations.empty();
}

void CodeCache::clear() {
    for (const auto& translation : translations_)
        if (translation != nullptr) backend_.dropped(memory_->executable() + translation->offset);
    translations_.clear();
    free_numbers_.clear();
    dropped_numbers_.clear();
    by_offset_.clear();
    pages_.clear();
    bytes_used_ = 0;
    next_ = first_;
}

}  // namespace viv::jit
