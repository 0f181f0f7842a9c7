// Pages of decoded slots: made when something of a page is decoded, block by block, and forgotten when the guest writes
// to them or another page needs the room.
#include <algorithm>
#include <cstring>

#include "engine/exec/exec.h"
#include "engine/exec/translation.h"
#include "engine/lang/check.h"

namespace viv::exec {

Engine::Engine(unsigned slot_shift, usize capacity)
    : slot_shift_(slot_shift), slots_per_page_(page_size >> slot_shift), capacity_(capacity) {
    CHECK(capacity > 0);
    undecoded_.assign(slots_per_page_ + 1, Slot{.handler = run_undecoded});
    undecoded_[slots_per_page_].handler = run_page_end;
}

Engine::~Engine() = default;

void Engine::reset(CodePage& page) {
    if (page.decoded != 0) std::copy(undecoded_.begin(), undecoded_.end(), page.own.get());
    page.decoded = 0;
}

CodePage& Engine::page_for(u64 physical_page, const u8* bytes) {
    auto& page = pages_[physical_page];
    if (page != nullptr) return *page;
    page = std::make_unique<CodePage>();
    page->physical = physical_page;
    page->bytes = bytes;
    page->slots = undecoded_.data();
    return *page;
}

// Most pages are seen by the translator alone, and cost it little.
void Engine::give_slots(CodePage& page) {
    if (order_.size() == capacity_) {
        // The oldest gives its own away: close enough to least recently used for something refilled in microseconds.
        CodePage& oldest = *order_.front();
        order_.pop_front();
        page.own = std::move(oldest.own);
        oldest.slots = undecoded_.data();
        oldest.decoded = 0;
    } else {
        page.own = std::make_unique<Slot[]>(undecoded_.size());
    }
    std::copy(undecoded_.begin(), undecoded_.end(), page.own.get());
    page.slots = page.own.get();
    order_.push_back(&page);
}

const Slot* Engine::decode_block(const Slot* slot) {
    CodePage& page = *fetch->at(page_va).code;
    CHECK(page_slots == page.slots);
    if (page.decoded == 0) code_page_made(page.physical);

    const usize first = static_cast<usize>(slot - page_slots);
    if (page.own == nullptr) {
        give_slots(page);
        page_slots = page.slots;
    }
    Slot* const slots = page.own.get();
    usize at = first;
    std::array<u16, page_size> path;  // the slots decoded now, in order
    usize count = 0;
    u16 run = 0;  // of what follows the last one
    while (true) {
        Slot& here = slots[at];
        if (at == slots_per_page_) break;
        if (here.handler != run_undecoded) {
            run = here.run;
            break;
        }
        const u64 offset = static_cast<u64>(at) << slot_shift_;
        const u8* bytes = page.bytes + offset;
        path[count++] = static_cast<u16>(at);
        page.decoded++;
        if (intercept(page_va + offset, here)) break;
        const unsigned length = instruction_length(bytes);
        if (offset + length > page_size) {
            here = Slot{.handler = run_crossing};
            break;
        }
        const Decoded decoded = decode(bytes, page_va + offset, Form::in_page, here);
        if (decoded.ends_block) break;
        at += decoded.length >> slot_shift_;
    }
    while (count > 0) slots[path[--count]].run = ++run;
    return slots + first;
}

bool Engine::code_written(u64 physical, u64 size) {
    const bool translated = translator_ != nullptr && translator_->code_written(physical, size);
    const auto found = pages_.find(physical & ~page_mask);
    if (found == pages_.end() || found->second->decoded == 0) return translated;
    CodePage& page = *found->second;
    // An instruction that starts up to longest_instruction - 1 bytes earlier may reach into the range; so may one of
    // the page before, which the crossing handler reads anew each time.
    const u64 start = physical & page_mask;
    const u64 reach = start < longest_instruction ? 0 : start - (longest_instruction - 1);
    const usize first = static_cast<usize>(reach >> slot_shift_);
    const usize last = std::min(slots_per_page_, static_cast<usize>((start + size - 1) >> slot_shift_) + 1);
    const bool touched = std::any_of(page.slots + first, page.slots + last,
                                     [](const Slot& slot) { return slot.handler != run_undecoded; });
    if (touched) reset(page);
    return translated || page.decoded != 0;
}

void Engine::forget_code() {
    for (auto& [physical, page] : pages_) {
        reset(*page);
        page->translations = nullptr;
    }
    if (translator_ != nullptr) translator_->forget_code();
}

}  // namespace viv::exec
