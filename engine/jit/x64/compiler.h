// From a region's blocks to x86-64 code, one pass over the instructions, registers allocated as they are needed.
// Promises: as backend.h; a compiler is used for one region. What it cannot translate becomes an exit to the
// interpreter at the start of that guest instruction, so every block can be compiled.
//
// Registers: rbp is the state, r12 the budget, r15 the TLB's entries; the stack frame (frame.h) holds the ways out. All
// others hold values. A value narrower than 64 bits lies in the low part of its register; what is above is zero if the
// value is `clean` and anything if not.
#pragma once

#include <span>
#include <vector>

#include "engine/exec/translation.h"
#include "engine/ir/op_info.h"
#include "engine/jit/backend.h"
#include "engine/jit/x64/assembler.h"

namespace viv::jit::x64 {

class Compiler {
public:
    Compiler(const exec::CpuLayout& layout, const CpuFeatures& features) : layout_(layout), features_(features) {}

    bool compile(const Region& region, u32 first_exit, Compiled& out);

private:
    enum class Where : u8 {
        nowhere,  // not made yet, or used up
        gpr,      // in `gpr`, which belongs to it alone
        stack,    // in spill place `place`
        slot,     // in the state, at byte offset `place`, as long as nothing is written there
    };
    struct Value {
        Where where = Where::nowhere;
        bool clean = true;
        Gpr gpr = Gpr::rax;
        i32 place = 0;
        u32 uses = 0;  // that are still to come
    };
    // An access that missed the TLB, behind the code of the block.
    struct SlowAccess {
        Label slow, retry, give_up;
        Gpr address;
        unsigned thunk;
        unsigned alignment;  // in bytes, that the TLB's filling would not bring about
    };
    // A floating-point operation whose result the host's is not, behind the code of the block.
    struct SlowFloat {
        Label begin, end;
        Gpr to;
        const ir::Inst* inst;
        u32 operation;
        Xmm operands[3];
    };
    struct PendingExit {
        Label label;
        u32 exit;
    };

    // ---- compile.cpp ----
    void block(const ir::Block& block);
    void begin_guest_instruction();
    bool supported(const ir::Inst& inst) const;
    void instruction(const ir::Inst& inst);
    void terminator(const ir::Inst& inst);
    void slow_accesses();
    void exit_stubs();
    u32 add_exit(ExitKind kind, u64 pc, u32 rest);
    // Where to go if the guest instruction in progress is not for generated code.
    Label give_up();
    // Ends the block before the guest instruction in progress.
    void leave_to_interpreter();
    void jump_site(u64 pc);
    void leave_by(u32 exit);

    // ---- registers.cpp ----
    Value& value(ir::ValueId id) { return values_[id]; }
    ir::Type type_of(ir::ValueId id) const { return ir::result_type(block_->code[id]); }
    bool is_constant(ir::ValueId id, i64& out) const;
    Gpr allocate();
    void take(Gpr gpr);                              // this very register, whoever has it
    void give(ir::ValueId id, Gpr gpr, bool clean);  // the result is there
    void give_copy(ir::ValueId from, bool clean);    // of the instruction in progress: what `from` is
    Gpr source(ir::ValueId id);  // a register that holds it, not to be written; locked until release()
    Gpr clean_source(ir::ValueId id);
    // A register to write a result to that begins as a copy of `id`, which is used up by it.
    Gpr copy_for_writing(ir::ValueId id);
    void load_to(Gpr gpr, ir::ValueId id);
    void use(ir::ValueId id);  // one use has been made
    void lock(Gpr gpr) { locked_ |= 1u << number(gpr); }
    void unlock(Gpr gpr) { locked_ &= ~(1u << number(gpr)); }
    void release() { locked_ = 0; }
    void spill(Gpr gpr);
    void save_across_call();
    // Values that are to be read from these bytes of the state are read now.
    void read_before_write(i32 offset, unsigned size);
    Mem state(u64 offset) const { return at(Gpr::rbp, static_cast<i32>(offset)); }
    Mem stack_place(i32 place) const;

    // ---- integer.cpp ----
    void unary(const ir::Inst& inst);
    void binary(const ir::Inst& inst);
    void alu(const ir::Inst& inst);
    void shift(const ir::Inst& inst);
    void multiply(const ir::Inst& inst);
    void multiply_high(const ir::Inst& inst);
    void divide(const ir::Inst& inst);
    void extreme(const ir::Inst& inst);
    void convert(const ir::Inst& inst);
    Condition compare(const ir::Inst& inst);  // sets the flags
    void compare_value(const ir::Inst& inst);
    void select(const ir::Inst& inst);
    void get(const ir::Inst& inst);
    void set(const ir::Inst& inst);
    // The flags say whether the i1 `id` is set; a comparison that only the next instruction uses is made only now.
    Condition condition_of(ir::ValueId id);
    bool compared_by_next() const;

    // ---- memory.cpp ----
    enum class Aligned : u8 { no, yes };
    // Asks the TLB; returns the offset of the entry, in a register of its own.
    Gpr tlb_entry(Gpr address, unsigned bytes, ir::MemoryAccess access, Aligned aligned);
    // The memory behind a guest address; its base is a register of its own.
    Mem host_memory(ir::ValueId address, unsigned bytes, ir::MemoryAccess access, Aligned aligned);
    void load(const ir::Inst& inst);
    void store(const ir::Inst& inst);
    void atomic(const ir::Inst& inst);
    void physical(const ir::Inst& inst);
    void call(const ir::Inst& inst);

    // ---- float.cpp ----
    bool native_float(const ir::Inst& inst) const;
    void float_operation(const ir::Inst& inst);
    void float_compare(const ir::Inst& inst);
    void float_convert(const ir::Inst& inst);
    void float_to_signed(const ir::Inst& inst);
    void finish_float(const ir::Inst& inst, bool wide);
    void soft_operation(const ir::Inst& inst);
    u32 soft_number(const ir::Inst& inst) const;
    void use_operands(const ir::Inst& inst);
    void load_float(Xmm to, ir::ValueId id);
    void activate_float();
    void merge_float();
    void slow_floats();

    const exec::CpuLayout layout_;
    const CpuFeatures features_;
    Assembler a_;
    Compiled* out_ = nullptr;
    const ir::Block* block_ = nullptr;
    u32 first_exit_ = 0;

    ir::ValueId at_ = 0;        // the instruction in progress
    u64 guest_pc_ = 0;          // the guest instruction in progress
    u32 guest_count_ = 0;       // instructions of the block
    u32 guest_index_ = 0;       // of the one in progress
    bool has_give_up_ = false;  // its exit has been asked for
    Label give_up_{};
    bool done_ = false;    // the rest of the block is not to be translated
    bool failed_ = false;  // out of spill places
    std::vector<Value> values_;
    std::vector<ir::ValueId> in_slots_;  // values that may be Where::slot
    ir::ValueId owner_[16] = {};
    u32 locked_ = 0;
    u32 spill_places_ = 0;  // those in use, as bits
    std::vector<SlowAccess> slow_;
    std::vector<SlowFloat> slow_floats_;
    bool float_active_ = false;  // since the block began, for certain
    std::vector<PendingExit> pending_exits_;
    std::vector<u32> pending_branches_;  // exits whose jump is conditional and whose stub comes at the end
};

}  // namespace viv::jit::x64
