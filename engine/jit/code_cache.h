// All translations of one vCPU: where they lie, which guest code they were made from, and how they are linked.
// Promises: code memory is a ring: room for a new translation is made by dropping the oldest ones; a dropped
// translation is unlinked from all that jump to it before its memory can be used again. Nothing here is called while
// generated code runs, but for code_written() by a helper that the code has called: so what is dropped keeps its number
// and its memory until the next add().
#pragma once

#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/jit/backend.h"

namespace viv::jit {

enum class Tier : u8 { quick, full };

struct Translation {
    u32 number = 0;
    Tier tier = Tier::quick;
    bool dropped = false;  // unlinked and no longer found, but perhaps still on the way to its exit
    u32 offset = 0;        // into the code memory
    u32 size = 0;
    u64 physical_page = 0, virtual_page = 0, mode = 0;
    struct Range {
        u16 first = 0, last = 0;  // offsets of bytes within the page
    };
    std::vector<Range> ranges;  // what it was made from
    std::vector<Exit> exits;
    std::vector<Compiled::Entry> entries;
    std::vector<u32> incoming;  // exit words that are linked to it
    std::vector<u32> outgoing;  // translations that it is linked to
};

// What is known of one guest address of a page.
struct CodePoint {
    u32 executions = 0;  // by the interpreter, since it was last translated or dropped
    const Translation* translation = nullptr;
    const u8* code = nullptr;
};

// A physical page as seen at one virtual address in one mode.
struct PageView {
    u64 virtual_page = 0, mode = 0;
    std::unordered_map<u16, CodePoint> points;  // by offset of the pc within the page
};

class CodeCache {
public:
    // `thunks` come first in the memory and stay there.
    CodeCache(Backend& backend, std::unique_ptr<host::CodeBlock> memory);

    const u8* thunks() const { return memory_->executable(); }

    PageView& view(u64 physical_page, u64 virtual_page, u64 mode);
    // The number that the next translation will have: exits are compiled with it.
    u32 next_number();
    // Puts the code into memory, dropping what is in the way; null if it can never fit. From now on it is what is found
    // at its entries, but for those that belong to another one of the same tier or a better one.
    const Translation* add(const Region& region, Tier tier, Compiled compiled);
    const Translation* find(u32 number) const {
        return number < translations_.size() ? translations_[number].get() : nullptr;
    }
    // Those made from code of this page.
    std::vector<const Translation*> on_page(u64 physical_page) const;
    // Neither may have been dropped. Makes the jump of `exit` of `from` go to the code at `point` for as long as that
    // is there.
    void link(const Translation& from, u32 exit, const CodePoint& point);

    // As exec::Translator::code_written.
    bool code_written(u64 physical, u64 size);
    void clear();

    u64 capacity() const { return memory_->size(); }
    usize count() const { return by_offset_.size(); }
    u64 bytes_used() const { return bytes_used_; }
    // Guest addresses at which there is other code than before, or none, since this was last asked.
    std::vector<u64> take_changed() { return std::exchange(changed_, {}); }

private:
    struct Page {
        std::vector<std::unique_ptr<PageView>> views;
        std::vector<u32> translations;
    };

    bool make_room(u32 size);
    void drop(u32 number);
    void free_dropped();
    void set_jump(const Translation& from, u32 exit, const u8* target);

    Backend& backend_;
    std::unique_ptr<host::CodeBlock> memory_;
    u32 first_ = 0;                                           // behind the thunks
    u32 next_ = 0;                                            // where the next translation goes
    std::vector<std::unique_ptr<Translation>> translations_;  // by number
    std::vector<u32> free_numbers_, dropped_numbers_;
    std::map<u32, u32> by_offset_;         // offset -> number
    std::unordered_map<u64, Page> pages_;  // by physical page
    u64 bytes_used_ = 0;
    std::vector<u64> changed_;
};

}  // namespace viv::jit
