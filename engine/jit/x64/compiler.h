// From a region's blocks to x86-64 code, one pass over the instructions, registers allocated as they are needed.
// Promises: as backend.h; a compiler is used for one region. What it cannot translate becomes an exit to the
// interpreter at the start of that guest instruction, so every block can be compiled.
//
// Registers: rbp is the state (frame::state_bias into it), r12 the budget, r15 the TLB's entries; the stack frame
// (frame.h) holds the ways out. Some are homes: the place of a promoted slot throughout the region, whose memory is
// written back where the region is left. All others hold values. A value narrower than 64 bits lies in the low part of
// its register; what is above is zero if the value is `clean` and anything if not.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "engine/exec/translation.h"
#include "engine/ir/op_info.h"
#include "engine/jit/backend.h"
#include "engine/jit/x64/assembler.h"
#include "engine/jit/x64/frame.h"

namespace viv::jit::x64 {

class Compiler {
public:
    Compiler(const exec::CpuLayout& layout, const CpuFeatures& features) : layout_(layout), features_(features) {}

    bool compile(const Region& region, u32 first_exit, Compiled& out);
    // As Backend::supported().
    ir::ValueId supported_size(const ir::Block& block);

private:
    // Whether the homes have still to be written back on the way out.
    enum class Homes : u8 { to_write_back, written_back };
    enum class Where : u8 {
        nowhere,  // not made yet, or used up
        gpr,      // in `gpr`, which belongs to it alone
        stack,    // in spill place `place`
        slot,     // in the state, at byte offset `place`, as long as nothing is written there
        home,     // in the home `place`, likewise
        xmm,      // a vector, in `xmm`, which belongs to it alone
    };
    struct Value {
        Where where = Where::nowhere;
        bool clean = true;
        Gpr gpr = Gpr::rax;
        Xmm xmm = Xmm::xmm0;
        i32 place = 0;
        u32 uses = 0;           // that are still to come
        i32 backing = no_slot;  // of Where::gpr and Where::xmm: a slot that holds it, too
        i32 target = no_home;   // the home that is set to it before anything else can happen
    };
    static constexpr i32 no_home = -1;
    static constexpr i32 no_slot = -1;
    // Where a promoted slot lives.
    struct Home {
        i32 slot = 0;
        Promotion::Kind kind = Promotion::Kind::integer;
        bool written = false;
        Gpr gpr = Gpr::rax;                // integer
        Xmm xmm = Xmm::xmm0;               // floating
        std::vector<ir::ValueId> readers;  // values that may be Where::home here
    };
    // An access that missed the TLB, behind the code of the block.
    struct SlowAccess {
        Label slow, retry, give_up;
        Gpr address;
        unsigned thunk;
        unsigned alignment;  // in bytes, that the TLB's filling would not bring about
    };
    // Accesses of a block off the same base, whose places in guest memory are so close together that one question to
    // the TLB can serve all: asked at the first of them, for all the bytes in between. The answer is a value of its
    // own: what is added to guest addresses, or 0 where the bytes are not all in one page that may be used so. Then
    // each access asks for itself, behind the code of the block.
    struct Window {
        ir::ValueId base = ir::no_value;
        ir::ValueId addend = ir::no_value;  // the value's number, behind those of the block
        i64 first = 0, last = 0;            // bytes off the base
        ir::MemoryAccess access = ir::MemoryAccess::load;
        u32 count = 0;
        bool open = false;
    };
    struct Windowed {
        u32 window = no_window;
        i32 offset = 0;
    };
    static constexpr u32 no_window = ~u32{0};
    // The question, where the TLB could not answer it.
    struct SlowWindow {
        Label slow, opened, give_up;
        Gpr base, entry, scratch;
        i32 offset;
        unsigned thunk;
        i32 first, last;
        ir::MemoryAccess access;
    };
    // A question to the site of an access (see Tlb::sites), and what comes behind the code of the block: one to the
    // TLB, on to `slow` if that cannot answer it either. From `hit` on, `entry` is the addend.
    struct Site {
        Label miss, hit, slow;
        Gpr base, entry, scratch;
        i32 first, last;  // bytes off the base; so many as an access has at most
        ir::MemoryAccess access;
        i32 place = 0;
    };
    // An access of a window that is not open.
    struct SlowWindowed {
        Label slow, back, give_up;
        Gpr base, scratch;  // or none_free
        i32 offset;
        unsigned thunk;
        std::function<void(Mem)> access;
    };
    // A floating-point operation whose result the host's is not, behind the code of the block.
    struct SlowFloat {
        Label begin, end;
        Gpr to;
        Xmm to_home;  // where `to` is rsp
        const ir::Inst* inst;
        u32 operation;
        Xmm operands[3];
    };
    // An operation whose result is a NaN, behind the code of the block.
    struct CanonicalNan {
        Label begin, end;
        Gpr to;
        Xmm to_home;  // where `to` is rsp
        bool wide;
    };
    // A transfer between memory and vector registers that missed the TLB, behind the code of the block.
    struct SlowTransfer {
        Label slow, opened, give_up;
        Gpr base, entry, scratch;
        Gpr bytes;  // or none_free: then `last`
        i32 last;   // bytes behind the base
        ir::MemoryAccess access;
    };
    // Sixteen bytes behind the code.
    struct VectorConstant {
        Label label;
        u128 value;
    };
    struct PendingExit {
        Label label;
        u32 exit;
        Homes homes;
    };
    // A branch out of the region, behind its code.
    struct PendingJump {
        Label label;
        u64 pc;
    };

    // ---- compile.cpp ----
    void block(u32 index);
    void count_uses();
    void begin_guest_instruction();
    bool supported(const ir::Inst& inst) const;
    void instruction(const ir::Inst& inst);
    void terminator(const ir::Inst& inst);
    void slow_accesses();
    void exit_stubs();
    void entries();
    // Whether the entry comes before the only block and falls into it.
    bool entered_at_start() const { return homes_.empty() && region_->blocks.size() == 1; }
    void note_page();
    void check_next_page();
    void address(const ir::Inst& inst);
    void load_address(Gpr to, u64 pc);
    u32 add_exit(ExitKind kind, u64 pc, u32 rest);
    // Where to go if the guest instruction in progress is not for generated code.
    Label give_up();
    // Ends the block before the guest instruction in progress.
    void leave_to_interpreter();
    // On to a guest address: within the region, or out of it. `next` is the block that the code of the next one is of.
    void go_to(u64 pc, u32 next);
    void go_to_if(Condition condition, u64 pc);
    void go_to_indirect(const ir::Inst& inst);
    void jump_site(u64 pc);
    void probe_at_rcx();
    void probe(u64 pc);
    Label miss();
    void leave_by(u32 exit, Homes homes);

    // ---- registers.cpp ----
    Value& value(ir::ValueId id) { return values_[id]; }
    ir::Type type_of(ir::ValueId id) const { return ir::result_type(block_->code[id]); }
    bool is_constant(ir::ValueId id, i64& out) const;
    Gpr allocate();
    ir::ValueId next_use(ir::ValueId id) const;
    bool in_memory(ir::ValueId id) const;
    Mem memory_of(ir::ValueId id) const;
    bool extended_by_next() const;
    void take(Gpr gpr);                              // this very register, whoever has it
    void give(ir::ValueId id, Gpr gpr, bool clean);  // the result is there
    void give_copy(ir::ValueId from, bool clean);    // of the instruction in progress: what `from` is
    Gpr source(ir::ValueId id);  // a register that holds it, not to be written; locked until release()
    Gpr bring(ir::ValueId id);   // as source(), to a register of its own
    Gpr clean_source(ir::ValueId id);
    // A register to write the result of the instruction in progress to that begins as a copy of `id`, one use of which
    // this is. It is not where `other` is, which is still to be read.
    Gpr copy_for_writing(ir::ValueId id, ir::ValueId other = ir::no_value);
    void load_to(Gpr gpr, ir::ValueId id);
    void use(ir::ValueId id);  // one use has been made
    void lock(Gpr gpr) { locked_ |= 1u << number(gpr); }
    void unlock(Gpr gpr) { locked_ &= ~(1u << number(gpr)); }
    void release() { locked_ = locked_xmms_ = 0; }
    void spill(Gpr gpr);
    void hold(ir::ValueId id);            // in a register of either kind, since its slot is about to be written
    void back(ir::ValueId id, i32 slot);  // the slot holds what the value is
    void lose_backing(i32 offset, unsigned size);  // these bytes of the state are written
    void save_across_call();
    // Values that are to be read from these bytes of the state are read now.
    void read_before_write(i32 offset, unsigned size);
    Mem state(i64 offset) const { return at(Gpr::rbp, static_cast<i32>(offset) - frame::state_bias); }
    Mem stack_place(i32 place) const;

    // ---- homes.cpp ----
    void choose_homes(const Region& region);
    void choose_targets();
    bool uses_slot(u64 slot, ir::ValueId first, ir::ValueId last) const;
    void load_homes();
    void store_homes();
    // Before the slot is written: values that are still wanted are moved to registers of their own.
    void evict_readers(Home& home);
    void read_home(ir::ValueId id, i32 home, bool clean);  // the result is what the home holds
    void set_home(i32 home, ir::ValueId id);
    i32 home_of(u64 slot) const;
    // The home that the result of this instruction should be made in, or null.
    Home* target(ir::ValueId id, Promotion::Kind kind);
    bool lies_in(ir::ValueId id, const Home& home) const;
    bool in_home(ir::ValueId id, Promotion::Kind kind) const;
    // A register for the result of `id`, all whose operands have been used.
    Gpr result_register(ir::ValueId id);
    Gpr result_register() { return result_register(at_); }
    void save_homes_across_call(ir::Effects effects);
    void restore_homes_after_call(ir::Effects effects);

    // ---- integer.cpp ----
    void unary(const ir::Inst& inst);
    void binary(const ir::Inst& inst);
    void alu(const ir::Inst& inst);
    void shift(const ir::Inst& inst);
    void multiply(const ir::Inst& inst);
    void multiply_high(const ir::Inst& inst);
    void divide(const ir::Inst& inst);
    void extreme(const ir::Inst& inst);
    // After a comparison of its operands: whether a minimum or maximum is the second.
    static Condition takes_second(ir::Op op);
    void convert(const ir::Inst& inst);
    Condition compare(const ir::Inst& inst);  // sets the flags
    void compare_value(const ir::Inst& inst);
    void select(const ir::Inst& inst);
    void get(const ir::Inst& inst);
    void set(const ir::Inst& inst);
    // The flags say whether the i1 `id` is set; a comparison that only the next instruction uses is made only now.
    Condition condition_of(ir::ValueId id);
    bool compared_by_next() const;

    // ---- windows.cpp ----
    void choose_windows();
    void ask_tlb(Gpr base, i32 first, i32 last, unsigned alignment, ir::MemoryAccess access, Gpr entry, Gpr scratch);
    void open_window(Window& window, const Windowed& windowed, unsigned bytes, ir::MemoryAccess access);
    // Where the access in progress is to be made. The address has been used.
    struct Place {
        Mem memory;
        bool windowed = false;
        Gpr base = Gpr::rax;  // of the window
        i32 offset = 0;
    };
    Place find_place(ir::ValueId address, unsigned bytes, ir::MemoryAccess access);
    // Makes it, by `access`, which is called once or twice, now and at the end; `scratch` holds no operand and is free
    // for the result, or none_free.
    void access_place(const Place& place, unsigned bytes, ir::MemoryAccess kind, Gpr scratch,
                      std::function<void(Mem)> access);
    static constexpr Gpr none_free = Gpr::rsp;
    void slow_windows();

    // ---- sites.cpp ----
    // Whether an access at this address, a value of the block, is likely to be in the page of the one before it.
    bool is_steady(ir::ValueId address) const;
    // `scratch` is the address of the first byte; both it and `entry` are overwritten.
    void ask_site(Site site);
    Mem steady_memory(ir::ValueId address, unsigned bytes, ir::MemoryAccess access);
    void missed_sites();

    // ---- memory.cpp ----
    enum class Aligned : u8 { no, yes };
    // Asks the TLB; returns the offset of the entry, in a register of its own.
    Gpr tlb_entry(Gpr address, unsigned bytes, ir::MemoryAccess access, Aligned aligned);
    // The memory behind a guest address; its base is a register of its own.
    Mem host_memory(ir::ValueId address, unsigned bytes, ir::MemoryAccess access, Aligned aligned);
    void load(const ir::Inst& inst);
    void store(const ir::Inst& inst);
    void atomic(const ir::Inst& inst);
    void fetch_by_loop(const ir::Inst& inst);
    void physical(const ir::Inst& inst);
    void call(const ir::Inst& inst);

    // ---- vector.cpp, transfer.cpp: what makes or takes an i128 ----
    bool is_vector(const ir::Inst& inst) const;
    bool vector_supported(const ir::Inst& inst) const;
    void vector(const ir::Inst& inst);
    void vector_convert(const ir::Inst& inst);
    void lanes(const ir::Inst& inst);
    void lanes_of(ir::Op op, ir::Type lane, Xmm to, Xmm a, Xmm b);
    void multiply_lanes(ir::Type lane, Xmm to, Xmm a, Xmm b);
    void shift_lanes(const ir::Inst& inst, Xmm to, Xmm a);
    void shift_lanes_by(ir::Op op, ir::Type lane, Xmm to, Xmm a, unsigned count);
    void shift_bytes_by_xmm3(ir::Op op, Xmm to, Xmm a);
    void splat(const ir::Inst& inst);
    void lane_mask(const ir::Inst& inst);
    void bit_mask(const ir::Inst& inst);
    void expand_bits(const ir::Inst& inst);
    void insert_bits(const ir::Inst& inst);
    void transfer_lanes(const ir::Inst& inst);
    void copy_bytes(const ir::Inst& inst, Gpr from, Gpr at, u64 bytes);
    void copy_bytes(const ir::Inst& inst, Gpr from, Gpr at, Gpr bytes);
    void copy_piece(const ir::Inst& inst, Mem memory, Mem state, unsigned bytes);
    void ask_for_transfer(const SlowTransfer& transfer);
    void slow_transfers();
    void vector_constants();
    // An instruction of two operands, or its form of three.
    struct Packed {
        void (Assembler::*sse)(Xmm, Xmm) = nullptr;
        void (Assembler::*avx)(Xmm, Xmm, Xmm) = nullptr;
    };
    static Packed direct(ir::Op op, ir::Type lane);
    void packed(Packed instruction, Xmm to, Xmm a, Xmm b);  // `to` is not b, unless a is, too
    struct PackedShift {
        void (Assembler::*sse)(Xmm, u8) = nullptr;
        void (Assembler::*avx)(Xmm, Xmm, u8) = nullptr;
    };
    void packed(PackedShift instruction, Xmm to, Xmm from, unsigned count);
    void all_ones(Xmm to);
    void all_zero(Xmm to);
    Mem vector_constant(u128 value);
    Xmm allocate_xmm();
    void spill_xmm(Xmm xmm);
    Xmm vector_source(ir::ValueId id);    // as source()
    void give_xmm(Xmm xmm);               // the result of the instruction in progress is there
    u64 places_of(ir::ValueId id) const;  // the spill places that it takes, as bits from the first on
    void spill_xmms();
    bool has_vectors(const Region& region) const;

    // ---- float.cpp ----
    bool native_float(const ir::Inst& inst) const;
    void float_operation(const ir::Inst& inst);
    void float_compare(const ir::Inst& inst);
    void float_convert(const ir::Inst& inst);
    void float_to_signed(const ir::Inst& inst);
    Xmm begin_result(const ir::Inst& inst);
    void finish_result(const ir::Inst& inst, Xmm from);
    void canonical_nans();
    void finish_float(const ir::Inst& inst, bool wide, std::array<Xmm, 3> operands);
    void soft_operation(const ir::Inst& inst);
    u32 soft_number(const ir::Inst& inst) const;
    void use_operands(const ir::Inst& inst);
    void load_float(Xmm to, ir::ValueId id);
    // Where it is, or `otherwise`, where it is brought.
    Xmm float_source(ir::ValueId id, Xmm otherwise);
    void activate_float();
    void gather_flags();
    bool gathers_throughout();
    void merge_float();
    void slow_floats();

    const exec::CpuLayout layout_;
    const CpuFeatures features_;
    Assembler a_;
    Compiled* out_ = nullptr;
    const Region* region_ = nullptr;
    const ir::Block* block_ = nullptr;
    u32 first_exit_ = 0;
    std::vector<Label> labels_;  // of the region's blocks
    std::vector<u32> block_offsets_;
    std::vector<u64> return_points_;  // in the region, of calls within it
    std::vector<Home> homes_;
    u32 reserved_ = 0;  // registers that are homes

    ir::ValueId at_ = 0;              // the instruction in progress
    ir::ValueId supported_size_ = 0;  // up to which the block is translated
    std::vector<Window> windows_;
    std::vector<Windowed> windowed_;  // by instruction
    std::vector<Site> sites_;
    std::vector<SlowWindow> slow_windows_;
    std::vector<SlowWindowed> slow_windowed_;
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
    u64 spill_places_ = 0;  // those in use, as bits
    ir::ValueId xmm_owner_[16] = {};
    u32 locked_xmms_ = 0;
    std::vector<ir::ValueId> backed_;  // values that may have a backing
    u32 reserved_xmms_ = 0xf;          // homes, and those that instructions work in
    std::vector<SlowTransfer> slow_transfers_;
    std::vector<VectorConstant> vector_constants_;
    Label mask_table_{};
    bool has_mask_table_ = false;
    std::vector<SlowAccess> slow_;
    std::vector<SlowFloat> slow_floats_;
    std::vector<CanonicalNan> canonical_nans_;
    bool float_active_ = false;        // at this place, for certain
    bool gathers_throughout_ = false;  // at the start of each block
    std::vector<PendingExit> pending_exits_;
    std::vector<PendingJump> pending_jumps_;
    std::vector<u32> pending_branches_;  // exits whose jump is conditional and whose stub comes at the end
    Label write_back_{};                 // stores the homes and leaves
    bool has_write_back_ = false;
    Label miss_{};  // goes on where no code is known
    bool has_miss_ = false;
};

}  // namespace viv::jit::x64
