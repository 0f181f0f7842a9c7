// All translations of one vCPU: where they lie, which guest code they were made from, and how they are linked.
// Promises: code memory is a ring: room for a new translation is made by dropping the oldest ones; a dropped
// translation is unlinked from all that jump to it before its memory can be used again. Translations belong to physical
// pages, wherever those are mapped. Nothing here is called while generated code runs, but for code_written() by a
// helper that the code has called: so what is dropped keeps its number and its memory until the next add().
#pragma once

#include <iterator>
#include <map>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/jit/backend.h"

namespace viv::jit {

enum class Tier : u8 { quick, full };
inline constexpr std::string_view tier_names[] = {"quick", "full"};  // by Tier

struct Translation {
    u32 number = 0;
    Tier tier = Tier::quick;
    bool dropped = false;  // unlinked and no longer found, but perhaps still on the way to its exit
    u32 offset = 0;        // into the code memory
    u32 size = 0;
    u64 physical_page = 0, mode = 0;
    static constexpr u64 none = ~u64{0};
    u64 next_page = none;  // physical; into which its only instruction reaches
    struct Range {
        u16 first = 0, last = 0;  // offsets of bytes within the page, or from it on
    };
    std::vector<Range> ranges;  // what it was made from
    std::vector<Exit> exits;
    std::vector<Compiled::Entry> entries;
    std::vector<u32> incoming;  // exit words that are linked to it
    std::vector<u32> outgoing;  // translations that it is linked to
    // As in exec::TranslatorReport::Translation.
    u64 first_pc = 0, samples = 0, exits_taken = 0;
};

// What is known of one guest address of a page.
struct CodePoint {
    u16 offset = 0;      // within the page
    u32 executions = 0;  // by the interpreter, since it was last translated or dropped
    const Translation* translation = nullptr;
    const u8* code = nullptr;  // where the jump table enters it
    const u8* link = nullptr;  // where jumps from the same page enter it
};

// The addresses of a page that have been executed in one mode.
class PageView {
public:
    explicit PageView(u64 mode) : mode_(mode) {}
    u64 mode() const { return mode_; }
    std::span<const CodePoint> points() const { return points_; }
    // The point, made if there is none yet; valid until the next is made.
    CodePoint& at(u16 offset);

private:
    static constexpr usize smallest = 32;

    u64 mode_;
    std::vector<CodePoint> points_;
    std::vector<u16> table_ =
        std::vector<u16>(smallest, u16{0});  // by hash of the offset: 1 + index of the point, or 0
};

// What is known of a physical page.
struct TranslatedPage {
    u64 physical = 0;
    std::vector<std::unique_ptr<PageView>> views;  // one for each mode
    std::vector<u32> translations;
    // How often code on it was overwritten since some of it last lived long enough to become hot: what is rewritten
    // again and again is worth less work.
    unsigned rewrites = 0;
    bool translated_since = false;  // the last of them: writing all over the page is one

    PageView& view(u64 mode);
};

class CodeCache {
public:
    // `thunks` come first in the memory and stay there.
    CodeCache(Backend& backend, std::unique_ptr<host::CodeBlock> memory);

    const u8* thunks() const { return memory_->executable(); }

    // Lives until clear().
    TranslatedPage& page(u64 physical_page);
    // A number for a translation, whose exits are compiled with it: to be given to add(), or back. clear() takes all.
    u32 reserve_number();
    void release_number(u32 number) { free_numbers_.push_back(number); }
    // Puts the code into memory, dropping what is in the way; null if it can never fit, and the number is free. From
    // now on it is what is found at its entries, but for those that belong to another one of the same tier or a better
    // one. Others of its tier all whose entries it has, too, are dropped.
    const Translation* add(u32 number, const Region& region, Tier tier, Compiled compiled);
    const Translation* find(u32 number) const {
        return number < translations_.size() ? translations_[number].get() : nullptr;
    }
    // Whether the address is in the middle of a block of a region on this page.
    bool inside_region(const TranslatedPage& page, u32 offset) const;
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

    // Where there is other code than before, or none: at `offset` within a page, no longer that in [first, last).
    struct Change {
        u32 offset = 0;
        const u8* first = nullptr;
        const u8* last = nullptr;
    };
    // Since this was last asked.
    std::vector<Change> take_changes() { return std::exchange(changes_, {}); }

    // The translation has given control back. Hotness is told by this alone, so that it costs generated code nothing:
    // one that ends because the budget does not suffice has a sample to its credit. Slices are granted in instructions,
    // so they end evenly all over the code that runs.
    void count_exit(u32 number, ExitKind kind) {
        Translation& from = *translations_[number];
        from.exits_taken++;
        from.samples += kind == ExitKind::budget;
    }
    // Adds what is held to the report: tiers, sizes, and at most the `most` hottest translations.
    void report(usize most, exec::TranslatorReport& into) const;

private:
    bool make_room(u32 size);
    void drop(u32 number);
    void free_dropped();
    void set_jump(const Translation& from, u32 exit, const u8* target);

    // Pages whose code has been overwritten more often are dropped whole, so that what else is written there costs
    // nothing.
    static constexpr unsigned tolerated_rewrites = 2;

    Backend& backend_;
    std::unique_ptr<host::CodeBlock> memory_;
    u32 first_ = 0;                                           // behind the thunks
    u32 next_ = 0;                                            // where the next translation goes
    std::vector<std::unique_ptr<Translation>> translations_;  // by number
    std::vector<u32> free_numbers_, dropped_numbers_;
    std::map<u32, u32> by_offset_;                                    // offset -> number
    std::unordered_map<u64, std::unique_ptr<TranslatedPage>> pages_;  // by physical page
    u64 bytes_used_ = 0;
    std::vector<Change> changes_;
    u64 made_[std::size(tier_names)] = {};  // by Tier
};

}  // namespace viv::jit
