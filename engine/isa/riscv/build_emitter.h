// The recording emitter: an instruction body run with it appends to a block what Exec would do at once.
// Promises: the interface that bodies use is that of Exec (exec_emitter.h); values are ir::Ref; what bodies ask about
// the mode is answered from the block's key. A helper is called with the instruction's word, its address and that of
// the next one.
#pragma once

#include <cstddef>
#include <type_traits>

#include "engine/ir/builder.h"
#include "engine/ir/values.h"
#include "engine/isa/riscv/build.h"
#include "engine/isa/riscv/build_float.h"
#include "engine/isa/riscv/formats.h"
#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/rv_a.h"

namespace viv::riscv {

// Stands for an instruction that generated code executes, where the hart wants a slot of the interpreter's.
inline constexpr exec::Slot outside_slot{};

// What a block calls for a helper. 0: the pc is set, leave the block. The caller has made the hart's budget exact, so
// that instructions() counts those before this one (see ir::OracleMemory::calling()).
template <bool (*Body)(Hart&, u32)>
u64 call_helper(void* cpu, u64 word, u64 pc, u64 next_pc, u64) {
    Hart& hart = *static_cast<Hart*>(cpu);
    hart.page_va = pc;
    hart.page_slots = &outside_slot;
    hart.at(&outside_slot);
    hart.s.pc = next_pc;
    return Body(hart, static_cast<u32>(word)) && !hart.leave_wanted;
}

// As call_helper, for an instruction that may change what code means, or let interrupts in: then it leaves.
template <bool (*Body)(Hart&, u32)>
u64 call_system_helper(void* cpu, u64 word, u64 pc, u64 next_pc, u64 unused) {
    Hart& hart = *static_cast<Hart*>(cpu);
    const u64 mode = block_mode_of(hart) & ~block_mode::float_dirty;
    return call_helper<Body>(cpu, word, pc, next_pc, unused) != 0 &&
           (block_mode_of(hart) & ~block_mode::float_dirty) == mode && !hart.interrupt_wanted();
}

// x1 and x5 hold return addresses by convention (Unprivileged ISA, section 2.5.1).
constexpr bool is_link(unsigned r) { return r == 1 || r == 5; }

template <class XType>
struct Build : FloatBuild<Build<XType>> {
    using X = XType;

    Translation& t;
    ir::Builder& b;

    explicit Build(Translation& translation) : t(translation), b(translation.b) {}

    ir::Ref<X> x(unsigned r) { return r == 0 ? imm(0) : ir::trunc<X>(get<u64>(slots::x(r))); }
    void x(unsigned r, ir::Ref<X> v) {
        if (r != discard_x) set(slots::x(r), ir::zext<u64>(v));
    }
    ir::Ref<u32> w(unsigned r) { return r == 0 ? constant<u32>(0) : ir::trunc<u32>(get<u64>(slots::x(r))); }
    ir::Ref<X> imm(i64 v) { return constant(static_cast<X>(v)); }
    template <class T>
    ir::Ref<T> constant(T v) {
        return {&b, b.constant(ir::type_of<T>, v)};
    }
    template <class T>
    ir::Ref<X> sext(ir::Ref<T> v) {
        return ir::sext<X>(v);
    }
    template <class T>
    ir::Ref<X> zext(ir::Ref<T> v) {
        return ir::zext<X>(v);
    }

    ir::Ref<X> pc() { return ir::trunc<X>(address(t.pc)); }
    ir::Ref<X> next_pc() { return ir::trunc<X>(address(next())); }
    void branch(ir::Ref<bool> condition, i32 offset) { b.branch(condition.id, relative(offset), next()); }
    void jump(i32 offset, unsigned link) {
        b.jump(relative(offset), is_link(link) ? ir::JumpHint::call : ir::JumpHint::none);
    }
    void jump_indirect(ir::Ref<X> to, unsigned link, unsigned from) {
        const ir::JumpHint hint = is_link(link)   ? ir::JumpHint::call
                                  : is_link(from) ? ir::JumpHint::return_
                                                  : ir::JumpHint::none;
        b.jump_indirect(ir::zext<u64>(to).id, hint);
    }

    // Never false here: where the access cannot be made the block is left, and the rest of the body does not happen.
    template <class T>
    struct Loaded {
        ir::Ref<T> value;
        explicit operator bool() const { return true; }
        ir::Ref<T> operator*() const { return value; }
    };
    template <class T>
    Loaded<T> load(ir::Ref<X> address) {
        return {{&b, b.load(ir::type_of<T>, wide(address))}};
    }
    template <class T>
    bool store(ir::Ref<X> address, ir::Ref<T> value) {
        b.store(ir::type_of<T>, wide(address), value.id);
        return true;
    }
    void fence() { b.fence(); }

    template <class T>
    void load_reserved(AmoFields f) {
        const ir::ValueId address = wide(x(f.rs1));
        const ir::Ref<u64> physical{&b, b.physical(ir::type_of<T>, address, ir::MemoryAccess::load)};
        const ir::Ref<T> value{&b, b.load_acquire(ir::type_of<T>, address)};
        set(slots::reservation_valid, constant<u8>(1));
        set(slots::reservation_address, physical);
        set(slots::reservation_value, ir::zext<u64>(value));
        x(f.rd, sext(value));
    }
    // Without a reservation the exchange puts back what it finds: there is no branch, and nobody can tell.
    template <class T>
    void store_conditional(AmoFields f) {
        const ir::ValueId address = wide(x(f.rs1));
        const ir::Ref<T> desired = ir::trunc<T>(x(f.rs2));
        const ir::Ref<u64> physical{&b, b.physical(ir::type_of<T>, address, ir::MemoryAccess::store)};
        const ir::Ref<bool> valid = ir::ne(get<u8>(slots::reservation_valid), constant<u8>(0));
        const ir::Ref<bool> reserved = valid & ir::eq(get<u64>(slots::reservation_address), physical);
        const ir::Ref<T> expected = ir::trunc<T>(get<u64>(slots::reservation_value));
        const ir::Ref<T> found{
            &b, b.compare_exchange(ir::type_of<T>, address, expected.id, ir::select(reserved, desired, expected).id)};
        const ir::Ref<bool> done = reserved & ir::eq(found, expected);
        set(slots::reservation_valid, constant<u8>(0));
        x(f.rd, zext(~done));
    }
    template <class T, Rmw Kind>
    void atomic(AmoFields f) {
        const ir::Type type = ir::type_of<T>;
        const ir::ValueId address = wide(x(f.rs1));
        const ir::Ref<T> operand = ir::trunc<T>(x(f.rs2));
        ir::Ref<T> before{&b, ir::no_value};
        if constexpr (Kind == Rmw::swap)
            before.id = b.exchange(type, address, operand.id);
        else
            before.id = b.fetch_op(operation(Kind), type, address, operand.id);
        x(f.rd, sext(before));
    }

    void pause() { call_out("pause", call_helper<end_slice>, 0, everything | ir::effect_ends_block); }
    bool illegal() {
        call_out("illegal", call_helper<raise_illegal>, 0, everything | ir::effect_ends_block);
        return false;
    }
    template <bool (*Body)(Hart&, u32)>
    bool helper(const char* name, u32 word) {
        // The arithmetic vector instructions (OP-V) touch no memory.
        constexpr u32 op_v = 0x57, load_fp = 0x07, store_fp = 0x27;
        const u32 opcode = word & 0x7f;
        ir::Effects effects = opcode == op_v ? ir::Effects{state | ir::effect_may_leave} : everything;
        if (t.flow != Flow::system) {
            const bool vector = opcode == op_v || opcode == load_fp || opcode == store_fp;
            if (vector && build_lanes(t, 8 * sizeof(X), Body, word)) return true;
            call_out(name, call_helper<Body>, word, effects);
            if (vector) note_vector_call(t, Body);
            return true;
        }
        if (Hart::goes_on(word)) {
            t.flow = Flow::next;
            t.float_dirty = t.vector.dirty = false;  // what is written may say otherwise
        } else {
            effects |= ir::effect_ends_block;
        }
        call_out(name, call_system_helper<Body>, word, effects);
        return true;
    }

    // For FloatBuild.
    template <class T>
    ir::Ref<T> get(u64 slot) {
        return {&b, b.get(ir::type_of<T>, slot)};
    }
    template <class T>
    void set(u64 slot, ir::Ref<T> value) {
        b.set(ir::type_of<T>, slot, value.id);
    }

private:
    static constexpr ir::Effects state = ir::effect_reads_state | ir::effect_writes_state;
    static constexpr ir::Effects everything =
        state | ir::effect_reads_memory | ir::effect_writes_memory | ir::effect_may_leave;

    static bool end_slice(Hart& hart, u32) {
        hart.end_slice();
        return true;
    }
    static bool raise_illegal(Hart& hart, u32) { return hart.raise_illegal(); }

    void call_out(const char* name, ir::HelperFunction function, u32 word, ir::Effects effects) {
        const ir::ValueId word_value = b.constant(ir::Type::i64, word);
        const ir::ValueId pc_value = b.address(t.pc);
        const ir::ValueId next_value = b.address(next());
        b.call({name, function}, effects, {word_value, pc_value, next_value});
        if ((effects & ir::effect_ends_block) != 0) b.leave();
    }

    ir::Ref<u64> address(u64 of) { return {&b, b.address(of)}; }
    u64 relative(i32 offset) const { return static_cast<X>(t.pc + static_cast<u64>(i64{offset})); }
    u64 next() const { return static_cast<X>(t.pc + t.length); }
    ir::ValueId wide(ir::Ref<X> address) { return ir::zext<u64>(address).id; }

    static constexpr ir::Op operation(Rmw kind) {
        switch (kind) {
            case Rmw::add: return ir::Op::add;
            case Rmw::xor_: return ir::Op::xor_;
            case Rmw::and_: return ir::Op::and_;
            case Rmw::or_: return ir::Op::or_;
            case Rmw::mins: return ir::Op::mins;
            case Rmw::maxs: return ir::Op::maxs;
            case Rmw::minu: return ir::Op::minu;
            case Rmw::maxu:
            case Rmw::swap: break;
        }
        return ir::Op::maxu;
    }
};

}  // namespace viv::riscv
