// From a region's blocks to the body of one WebAssembly function.
// Promises: as backend.h; a compiler is used for one region. What it cannot translate becomes an exit to the
// interpreter at the start of that guest instruction.
//
// Every value has a local of its own while it is wanted: i64, or i32 for all narrower types, zero above the type's
// width. Promoted slots have locals throughout the function, read at its start and written back where it is left. The
// host's compiler finds registers for them.
#pragma once

#include <optional>
#include <vector>

#include "engine/exec/translation.h"
#include "engine/ir/op_info.h"
#include "engine/jit/backend.h"
#include "engine/jit/wasm/frame.h"
#include "engine/jit/wasm/structure.h"
#include "engine/jit/wasm/writer.h"

namespace viv::jit::wasm {

class Compiler {
public:
    explicit Compiler(const exec::CpuLayout& layout) : layout_(layout) {}

    bool compile(const Region& region, u32 first_exit, Compiled& out);
    // As Backend::supported().
    static usize supported_size(const ir::Block& block);

private:
    enum class Where : u8 {
        nowhere,
        constant,  // what the instruction says
        local,     // in `place`, which belongs to it alone
        home,      // in that of the promoted slot homes_[place], as long as nothing is set there
    };
    struct Value {
        Where where = Where::nowhere;
        u32 place = 0;
        u32 uses = 0;  // that are still to come
    };
    struct Home {
        u64 slot = 0;
        u32 local = 0;
        bool written = false;
    };
    // What a branch can go to, from the outermost on; whatever else is open counts, too.
    enum class Target : u8 {
        none,
        tail,       // on at the record in `word_`, after the homes have been written back
        plain,      // out, with the exit word in `word_`
        exit,       // the same, after the homes have been written back
        component,  // to component `number` of `level`
        top,        // to the top of the loop that `level` is the inside of
    };
    struct Open {
        Target target = Target::none;
        u32 level = 0, number = 0;
    };
    struct Level {
        const std::vector<Component>* components = nullptr;
        u32 header = no_block;  // of the loop that this is the inside of
        u32 current = 0;        // component
    };
    static constexpr u32 no_block = Region::no_block;

    // ---- compile.cpp: the walk over the structure and its blocks ----
    std::vector<std::vector<u32>> find_edges();
    void level(const std::vector<Component>& components, u32 header);
    void dispatch(const std::vector<Component>& components);
    void block(u32 index);
    void begin_guest_instruction();
    void instruction(const ir::Inst& inst);
    void check_next_page();
    void finish();
    void open(Code code, Open what);
    void open(Code code) { open(code, Open{}); }
    void close();
    void branch(Code code, Target target, u32 level = 0, u32 number = 0);
    u32 depth(Target target, u32 level, u32 number) const;

    // ---- leave.cpp: ways out of a block ----
    void terminator(const ir::Inst& inst);
    void go_to(u64 pc);
    void go_to_block(u32 index);
    void jump_site(u64 pc);
    void probe();  // the address is in wide_
    void go_to_indirect(const ir::Inst& inst);
    void push_address(u64 pc);
    u32 add_exit(ExitKind kind, u64 pc, u32 rest);
    void leave_by(u32 exit, Target by);
    void give_up();
    void write_back();
    void read_homes();

    // ---- values.cpp: where values are ----
    ir::Type type_of(ir::ValueId id) const { return ir::result_type(block_->code[id]); }
    static bool wide(ir::Type type) { return type == ir::Type::i64; }
    void peek(ir::ValueId id);  // onto the stack
    void use(ir::ValueId id);   // one use has been made
    void push(ir::ValueId id) {
        peek(id);
        use(id);
    }
    void push_as_i64(ir::ValueId id);
    void give();           // the result of the instruction in progress is on the stack
    void keep(u32 local);  // it is in this local, which is its own
    u32 take_local(ir::Type type);
    u32 declare(ValueType type);
    u32 scratch_float(ValueType type);  // free between instructions
    void copy_home_readers(const Home* only);
    Home* home_of(u64 slot);

    // ---- operations.cpp ----
    void unary(const ir::Inst& inst);
    void binary(const ir::Inst& inst);
    void extreme(const ir::Inst& inst);
    void compare(const ir::Inst& inst);
    void convert(const ir::Inst& inst);
    void select(const ir::Inst& inst);
    void compute(const ir::Inst& inst, u32 what);
    void operate(ir::Op op, ir::Type type);  // on the two on top of the stack
    void narrow(ir::Type type);
    // The two operands, as their type and the signedness of the comparison want them.
    void push_compared(const ir::Inst& inst, bool is_signed);

    // ---- float.cpp ----
    bool native_float(const ir::Inst& inst) const;
    void float_operation(const ir::Inst& inst);
    void push_float(ir::ValueId id);
    void plain_float(const ir::Inst& inst);
    bool doubt(const ir::Inst& inst, u32 result);
    void push_out_of(const ir::Inst& inst, u32 result, u64 above);
    void push_exact_so_far(const ir::Inst& inst);
    void float_to_integer(const ir::Inst& inst, u32 to);
    void soft_float(const ir::Inst& inst);

    // ---- memory.cpp ----
    u32 state_base(i64 offset);  // pushes the base; the offset for the access
    void load_state(ir::Type type, i64 offset);
    void get(const ir::Inst& inst);
    void set(const ir::Inst& inst);
    enum class Aligned : u8 { no, yes };
    // Leaves the host address of the guest's in host_, and the TLB's entry in entry_.
    void find_host(ir::ValueId address, unsigned bytes, ir::MemoryAccess access, Aligned aligned);
    void load(const ir::Inst& inst);
    void store(const ir::Inst& inst);
    void atomic(const ir::Inst& inst);
    void physical(const ir::Inst& inst);
    void call(const ir::Inst& inst);
    void load_tlb();

    // Parameters and locals that every function has.
    static constexpr u32 state_ = 0, frame_ = 1, record_ = 2, page_ = 3, budget_ = 4, word_ = 5, selector_ = 6,
                         tlb_ = 7, entry_ = 8, host_ = 9, wide_ = 10, first_free_local = 11;

    const exec::CpuLayout layout_;
    const Region* region_ = nullptr;
    const ir::Block* block_ = nullptr;
    Compiled* out_ = nullptr;
    u32 first_exit_ = 0;
    Writer w_;
    std::vector<Open> open_;
    std::vector<Level> levels_;
    bool selects_ = false;  // some loop has a dispatch at its top
    std::vector<u64> return_points_;
    std::vector<Home> homes_;
    std::vector<ValueType> locals_;  // from first_free_local on
    std::vector<u32> free_locals_[2];
    u32 scratch_floats_[2] = {};  // a single and a double, if there are any
    std::vector<Value> values_;
    std::vector<ir::ValueId> home_readers_;
    u32 links_ = 0;
    std::vector<u32> link_exits_;
    ir::ValueId at_ = 0, supported_ = 0;
    u32 guest_count_ = 0, guest_index_ = 0;
    u64 guest_pc_ = 0;
    std::optional<u32> give_up_exit_;
    bool done_ = false;
};

}  // namespace viv::jit::wasm
