// The interpreter's machinery, the same for every guest: pages of decoded slots, block-wise instruction budget, and the
// way from slot to slot. Promises: `budget` is exact: at any slot, instructions executed = granted - budget -
// slot->run; a run stops at exactly the instruction asked for. How it works: each 4 KiB page of guest code has one Slot
// per possible instruction address. A slot holds its handler, the operands, and `run`: the number of instructions from
// it to the end of its block, itself included. Entering a block takes `run` off the budget; leaving early gives the
// rest back.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/exec/dispatch.h"
#include "engine/lang/bits.h"
#include "engine/mem/guest_memory.h"

namespace viv::exec {

class Engine;
class Translator;
struct Slot;

// Executes the slot's instruction and goes on; returns null when the run loop must look at interrupts, budget or mode.
using Handler = const Slot* (*)(Engine&, const Slot*);

struct Slot {
    Handler handler = nullptr;
    u16 run = 0;
    u8 a = 0, b = 0;
    i32 imm = 0;
};
static_assert(sizeof(void*) != 8 || sizeof(Slot) == 16);

// What is known of one physical page of code.
struct CodePage {
    u64 physical = 0;  // page address
    const u8* bytes = nullptr;
    u32 decoded = 0;  // slots that hold an instruction
    // What the translator keeps of this page, or null. Its own: it lives until Translator::forget_code().
    void* translations = nullptr;
    // One an instruction address, and one for the page's end: those of `own`, or Engine's for pages with none.
    const Slot* slots = nullptr;
    std::unique_ptr<Slot[]> own;  // once something has been decoded
};

// A page of code as found through virtual addresses; see Engine::enter.
struct FetchEntry {
    static constexpr u64 invalid = ~u64{0};
    u64 page = invalid;  // virtual page address
    CodePage* code = nullptr;
    bool global = false;  // mapped alike in all address spaces
};

class FetchTable {
public:
    static constexpr usize size = 1024;
    FetchEntry& at(u64 pc) { return entries_[(pc >> page_bits) & (size - 1)]; }
    void flush() {
        if (used_) entries_.fill(FetchEntry{});
        used_ = false;
    }
    void flush_page(u64 pc) {
        if (at(pc).page == (pc & ~page_mask)) at(pc) = FetchEntry{};
    }
    void insert(u64 pc, CodePage& code, bool global) {
        at(pc) = {pc & ~page_mask, &code, global};
        used_ = true;
    }

private:
    std::array<FetchEntry, size> entries_;
    bool used_ = false;
};

// A page that instructions are fetched from.
struct FetchedPage {
    const u8* bytes = nullptr;  // page_size of them; null: the fetch has faulted
    u64 physical = 0;           // page address
    bool global = false;        // mapped alike in all address spaces
};

// What the guest's decoder says about one instruction.
struct Decoded {
    unsigned length = 0;  // bytes
    bool ends_block = false;
};

// One vCPU's interpreter. The guest's hart derives from it and supplies the hooks; handlers see the public members.
class Engine {
public:
    static constexpr unsigned longest_instruction = 16;  // bytes

    // `slot_shift`: log2 of the guest's instruction alignment; `capacity`: how many code pages are kept decoded, 1 or
    // more.
    Engine(unsigned slot_shift, usize capacity);
    virtual ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    i64 budget = 0;                      // instructions left, less those of the block in progress
    std::atomic<bool> attention{false};  // makes the run return at the next block
    u64 page_va = 0;                     // virtual address of the page in execution
    const Slot* page_slots = nullptr;    // its slots
    FetchTable* fetch = nullptr;         // of the current address space and mode

    u64 pc_of(const Slot* slot) const { return pc_of(slot, slot_shift_); }
    u64 pc_of(const Slot* slot, unsigned shift) const {
        return page_va + (static_cast<u64>(slot - page_slots) << shift);
    }

    // The slot at `pc`, or null if fetching it trapped (the trap has been delivered, and the pc set).
    const Slot* enter(u64 pc) {
        const Slot* slot = find(pc, slot_shift_);
        return slot != nullptr ? slot : enter_slow(pc);
    }
    // The same for handlers: `shift` is the guest's own constant. Null: not known, so goto_target() has to find it.
    const Slot* find(u64 pc, unsigned shift) {
        const FetchEntry& entry = fetch->at(pc);
        if (entry.page != (pc & ~page_mask)) [[unlikely]]
            return nullptr;
        page_va = entry.page;
        page_slots = entry.code->slots;
        return page_slots + ((pc & page_mask) >> shift);
    }
    // A handler: goes on at `target`.
    u64 target = 0;
    static const Slot* goto_target(Engine& engine, const Slot* slot);

    // Leaves before the block at `slot`, whose instructions have been taken off the budget.
    const Slot* cut(const Slot* slot);
    // Leaves after the instruction at `slot`, with execution to go on at `pc`.
    const Slot* leave(const Slot* slot, u64 pc);

    // The bytes [physical, physical + size), within one page, have changed: forgets the page's decoded code if it is
    // touched. Called while this engine is at a leave or not running. Returns whether any decoded code of that page is
    // left.
    bool code_written(u64 physical, u64 size);
    // Forgets all decoded code, e.g. because a breakpoint came or went.
    void forget_code();

    // ---- For a translator (translation.h), between runs of generated code ----
    // The page of code at `pc`, or null if fetching there trapped (the trap has been delivered, and the pc set).
    CodePage* code_page(u64 pc);
    // The same if it is known how `pc` is mapped, else null; nothing happens.
    CodePage* known_code_page(u64 pc) const {
        return fetch->at(pc).page == (pc & ~page_mask) ? fetch->at(pc).code : nullptr;
    }
    // Translations of code on the page are about to exist.
    void will_hold_code(const CodePage& page);
    void go_to(u64 pc) { set_pc(pc); }
    enum class Ran : u8 {
        block,  // the block has ended, the guest goes on at its pc
        left,   // interrupts, mode, code, budget or attention must be looked at
    };
    // By the interpreter, from the vCPU's pc on: a block, as far as the budget goes, or one instruction.
    Ran run_block(u64 pc);
    Ran run_one(u64 pc);

protected:
    // Runs until `budget` instructions are used up, attention is wanted or a handler leaves; then next_pc() is where to
    // go on.
    void run_slots(u64 pc);
    // Exactly one instruction (or one trap).
    void step_slot(u64 pc);

    // Hooks of the guest.
    virtual void set_pc(u64 pc) = 0;
    // Translates `address` for execution by the instruction at `pc`. On a fault delivers the trap (which sets the pc)
    // and returns no bytes.
    virtual FetchedPage fetch_page(u64 address, u64 pc) = 0;
    // Whether the guest wants to look at `pc` before each execution of what is there (a breakpoint): then `slot` has a
    // handler that leaves, and the instruction is only ever executed by step_slot().
    virtual bool intercept(u64 /*pc*/, Slot& /*slot*/) { return false; }
    // Decodes the instruction at `bytes` (as many as the longest instruction may be read) into `slot`; the form says
    // whether in-page targets may be reached by slot arithmetic.
    enum class Form : u8 { in_page, alone };
    virtual Decoded decode(const u8* bytes, u64 pc, Form form, Slot& slot) = 0;
    // How long the instruction that starts with these bytes is; at least 1 << slot_shift bytes can be read.
    virtual unsigned instruction_length(const u8* bytes) = 0;
    // A page is about to hold decoded code: from now on every write to it must be reported (page_has_code), by every
    // vCPU.
    virtual void code_page_made(u64 physical_page) = 0;

    // Instructions granted to this run; see instructions_before().
    u64 granted_ = 0;
    u64 reserved_ = 0;  // held back while stepping, or while a translator has a block interpreted
    Translator* translator_ = nullptr;

    // Instructions of this run that were executed before the one at `slot`.
    u64 executed_before(const Slot* slot) const { return granted_ - reserved_ - static_cast<u64>(budget) - slot->run; }

private:
    const Slot* enter_slow(u64 pc);
    CodePage& page_for(u64 physical_page, const u8* bytes);
    // Decodes the block at the slot, which belongs to the page in execution; returns where that slot is then.
    const Slot* decode_block(const Slot* slot);
    void give_slots(CodePage& page);
    void reset(CodePage& page);
    void drive(const Slot* slot);
    bool cut_ = false;  // the last run ended before a block, not within one
    void place_alone(u64 pc, const u8* bytes, Handler after);

    static const Slot* run_undecoded(Engine& engine, const Slot* slot);
    static const Slot* run_page_end(Engine& engine, const Slot* slot);
    static const Slot* run_crossing(Engine& engine, const Slot* slot);
    static const Slot* run_stop(Engine& engine, const Slot* slot);
    static const Slot* run_resume(Engine& engine, const Slot* slot);

    static constexpr usize scratch_slots = 17;

    const unsigned slot_shift_;
    const usize slots_per_page_;
    const usize capacity_;
    std::unordered_map<u64, std::unique_ptr<CodePage>> pages_;
    std::deque<CodePage*> order_;  // those with slots of their own, oldest first
    std::vector<Slot> undecoded_;  // of pages without
    Slot scratch_[scratch_slots];  // one instruction on its own: when stepping, or across a page boundary
};

}  // namespace viv::exec
