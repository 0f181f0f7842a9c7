// Driving slots: entering pages, leaving blocks, stepping one instruction, and the handlers that every guest needs.
#include <cstring>

#include "engine/exec/exec.h"

namespace viv::exec {

const Slot* Engine::enter_slow(u64 pc) {
    // A fault here counts as an instruction; without budget it waits for the next run, so that runs can be cut anywhere
    // with the same result.
    if (budget <= 0) {
        set_pc(pc);
        return nullptr;
    }
    const FetchedPage fetched = fetch_page(pc, pc);
    if (fetched.bytes == nullptr) {
        budget--;
        return nullptr;
    }
    CodePage& code = page_for(fetched.physical, fetched.bytes);
    fetch->insert(pc, code, fetched.global);
    page_va = pc & ~page_mask;
    page_slots = code.slots;
    return page_slots + ((pc & page_mask) >> slot_shift_);
}

const Slot* Engine::cut(const Slot* slot) {
    budget += slot->run;
    set_pc(pc_of(slot));
    cut_ = true;
    return nullptr;
}

const Slot* Engine::leave(const Slot* slot, u64 pc) {
    budget += slot->run - 1;
    set_pc(pc);
    return nullptr;
}

void Engine::drive(const Slot* slot) {
    while (slot != nullptr) slot = slot->handler(*this, slot);
}

void Engine::run_slots(u64 pc) {
    const Slot* slot = enter(pc);
    if (slot == nullptr) return;
    budget -= slot->run;
    if (budget < 0) {
        budget += slot->run;
        return step_slot(pc);
    }
    drive(slot);
}

CodePage* Engine::code_page(u64 pc) { return enter(pc) != nullptr ? fetch->at(pc).code : nullptr; }

void Engine::will_hold_code(const CodePage& page) {
    if (page.decoded == 0) code_page_made(page.physical);
}

Engine::Ran Engine::run_block(u64 pc) {
    const Slot* slot = enter(pc);
    if (slot == nullptr) return Ran::left;
    if (slot->run == 0) slot = decode_block(slot);
    if (budget < slot->run) {
        run_slots(pc);
        return Ran::left;
    }
    // With nothing left behind it, the next block is cut.
    reserved_ = static_cast<u64>(budget - slot->run);
    budget = 0;
    cut_ = false;
    drive(slot);
    budget += static_cast<i64>(reserved_);
    reserved_ = 0;
    return cut_ && !attention.load(std::memory_order_relaxed) ? Ran::block : Ran::left;
}

Engine::Ran Engine::run_one(u64 pc) {
    cut_ = false;
    step_slot(pc);
    return cut_ && !attention.load(std::memory_order_relaxed) ? Ran::block : Ran::left;
}

void Engine::place_alone(u64 pc, const u8* bytes, Handler after) {
    scratch_[0] = Slot{};
    const Decoded decoded = decode(bytes, pc, Form::alone, scratch_[0]);
    scratch_[0].run = 1;
    scratch_[decoded.length >> slot_shift_] = Slot{.handler = after};
    page_va = pc;
    page_slots = scratch_;
}

void Engine::step_slot(u64 pc) {
    reserved_ = static_cast<u64>(budget - 1);
    budget = 1;
    if (const Slot* slot = enter(pc); slot != nullptr) {
        const u8* bytes = fetch->at(page_va).code->bytes + (pc & page_mask);
        budget = 0;
        if ((pc & page_mask) + instruction_length(bytes) > page_size) {
            drive(run_crossing(*this, slot));
        } else {
            place_alone(pc, bytes, run_stop);
            drive(scratch_);
        }
    }
    budget += static_cast<i64>(reserved_);
    reserved_ = 0;
}

const Slot* Engine::run_undecoded(Engine& engine, const Slot* slot) {
    // A slot that holds no instruction has run == 0, so nothing was taken off the budget for it yet.
    slot = engine.decode_block(slot);
    VIV_ENTER_BLOCK(engine, slot);
}

const Slot* Engine::run_page_end(Engine& engine, const Slot*) {
    const Slot* next = engine.enter(engine.page_va + page_size);
    VIV_ENTER_BLOCK(engine, next);
}

const Slot* Engine::run_crossing(Engine& engine, const Slot* slot) {
    const u64 pc = engine.pc_of(slot);
    const u64 next_page = (pc & ~page_mask) + page_size;
    u8 bytes[2 * longest_instruction] = {};
    const usize here = static_cast<usize>(next_page - pc);
    std::memcpy(bytes, engine.fetch->at(engine.page_va).code->bytes + (pc & page_mask), here);
    const u8* rest = engine.fetch_page(next_page, pc).bytes;
    if (rest == nullptr) return nullptr;
    std::memcpy(bytes + here, rest, longest_instruction);
    engine.place_alone(pc, bytes, run_resume);
    VIV_DISPATCH(engine, engine.scratch_);
}

const Slot* Engine::goto_target(Engine& engine, const Slot*) {
    const Slot* next = engine.enter(engine.target);
    VIV_ENTER_BLOCK(engine, next);
}

const Slot* Engine::run_stop(Engine& engine, const Slot* slot) {
    engine.set_pc(engine.pc_of(slot));
    engine.cut_ = true;
    return nullptr;
}

const Slot* Engine::run_resume(Engine& engine, const Slot* slot) {
    const Slot* next = engine.enter(engine.pc_of(slot));
    VIV_ENTER_BLOCK(engine, next);
}

}  // namespace viv::exec
