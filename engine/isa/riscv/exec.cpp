// The interpreter of a hart: decoding into slots and the run loop.
#include <algorithm>

#include "engine/isa/riscv/handlers.h"
#include "engine/isa/riscv/rv_c.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"

namespace viv::riscv {

const Handlers::Row& handlers_of(usize table_index) {
    for (const auto part : {base_handlers(), float_handlers(), vector_handlers()}) {
        if (table_index < part.size()) return part[table_index];
        table_index -= part.size();
    }
    CHECK(false);
    return base_handlers()[0];
}

const exec::Slot* Handlers::breakpoint(exec::Engine& engine, const exec::Slot* slot) {
    Hart& hart = static_cast<Hart&>(engine);
    const u64 pc = engine.pc_of(slot);
    // Shared physical code: the breakpoint may belong to another address. Triggers are looked at by the run loop.
    if (hart.debug_points_ == nullptr || !hart.debug_points_->breakpoints.contains(pc)) {
        hart.debug_step_ = true;
    } else {
        hart.debug_event_ = {Cpu::DebugEvent::Kind::breakpoint, pc, DebugPoints::Access::write};
        hart.debug_hit_ = true;
    }
    engine.budget++;  // the instruction has not been executed
    return engine.leave(slot, pc);
}

bool Hart::intercept(u64 pc, exec::Slot& slot) {
    // Pages are shared by address spaces, so the offset within the page decides here and the whole address at run time.
    const auto here = [&](u64 at) { return ((at ^ pc) & page_mask) == 0; };
    const bool marked = (debug_points_ != nullptr &&
                         std::any_of(debug_points_->breakpoints.begin(), debug_points_->breakpoints.end(), here)) ||
                        (fetch_triggers_ != 0 && trigger_near(pc));
    if (marked) slot = exec::Slot{.handler = Handlers::breakpoint};
    return marked;
}

exec::Decoded Hart::decode(const u8* bytes, u64 pc, Form form, exec::Slot& slot) {
    const unsigned length = instruction_length(bytes);
    const u32 word = length == 4 ? load_le<u32>(bytes) : expand_compressed(load_le<u16>(bytes), config_.xlen);
    const int index = decoder_.find(word);
    if (index < 0) {
        slot.handler = length == 4 ? Handlers::illegal<4> : Handlers::illegal<2>;
        return {length, true};
    }
    const InstructionInfo& info = instruction_table()[static_cast<usize>(index)];
    const Handlers::Row& row = handlers_of(static_cast<usize>(index));
    row.pack(word, slot);
    bool in_page = form == Form::in_page;
    if (info.flow == Flow::branch || info.flow == Flow::jump)
        in_page = in_page && (((pc + static_cast<u64>(i64{slot.imm})) ^ pc) & ~page_mask) == 0;
    slot.handler = row.of[config_.xlen == 64][length == 4][in_page];
    return {length, info.flow != Flow::next};
}

const exec::Slot* Hart::leave_after(const exec::Slot* slot, unsigned length, bool trapped) {
    return leave(slot, trapped ? s.pc : pc_of(slot) + length);
}

void Hart::drain_posted() {
    while (posted_lock_.test_and_set(std::memory_order_acquire)) {}
    const std::vector<u64> pages = std::exchange(posted_, {});
    posted_any_.store(false, std::memory_order_relaxed);
    posted_lock_.clear(std::memory_order_release);
    for (const u64 page : pages) code_written(page, page_size);
}

void Hart::post_code_changed(u64 physical) {
    while (posted_lock_.test_and_set(std::memory_order_acquire)) {}
    posted_.push_back(physical & ~page_mask);
    posted_any_.store(true, std::memory_order_relaxed);
    posted_lock_.clear(std::memory_order_release);
}

Cpu::Exit Hart::finish_run(Exit exit) {
    executed_ += granted_ - static_cast<u64>(budget);
    granted_ = 0;
    budget = 0;
    current_ = nullptr;
    return exit;
}

Cpu::Exit Hart::run(u64 count, Step step) {
    if (s.halted) return Exit::stopped;
    granted_ = count;
    budget = static_cast<i64>(count);
    while (true) {
        if (posted_any_.load(std::memory_order_relaxed)) drain_posted();
        if (triggers_written_) arm_triggers();
        if (s.halted) return finish_run(Exit::stopped);
        if (attention.exchange(false, std::memory_order_acquire)) return finish_run(Exit::budget);
        if (budget <= 0) return finish_run(Exit::budget);
        if (s.waiting) {
            if (!interrupt_ready()) return finish_run(Exit::idle);
            s.waiting = false;
        }
        take_interrupt();
        leave_wanted = false;
        debug_step_ = false;
        if (step == Step::run && translator_ != nullptr && debug_points_ == nullptr && fetch_triggers_ == 0)
            translator_->run();
        else if (step == Step::run)
            run_slots(s.pc);
        else if (!fire_fetch_triggers())
            step_slot(s.pc);
        current_ = nullptr;
        if (debug_hit_) {
            debug_hit_ = false;
            return finish_run(Exit::debug);
        }
        if (debug_step_) {
            leave_wanted = false;
            if (!fire_fetch_triggers()) step_slot(s.pc);
            current_ = nullptr;
        }
        if (step == Step::single) {
            debug_event_ = {DebugEvent::Kind::step, s.pc, DebugPoints::Access::write};
            return finish_run(Exit::debug);
        }
    }
}

u64 Hart::instructions() const {
    const u64 running =
        current_ != nullptr ? executed_before(current_) : granted_ - reserved_ - static_cast<u64>(budget);
    return executed_ + running;
}

}  // namespace viv::riscv
