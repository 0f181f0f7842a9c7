// The interpreter's emitter: an instruction body run with it does its work at once on the hart's state.
// Promises: a body that meets a fault has changed nothing; `left` then tells the handler what to do.
// There are two paths: `quick` gives up at a TLB miss, before anything has happened, and the handler runs the
// instruction again on the `full` one. So the handlers that matter make no call and save no registers.
#pragma once

#include "engine/ir/values.h"
#include "engine/isa/riscv/float_exec.h"
#include "engine/isa/riscv/formats.h"
#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/rv_a.h"

namespace viv::riscv {

enum class Path : u8 { quick, full };
enum class Left : u8 { no, again, after, trapped };

template <class XType, unsigned Length, Path Route>
struct Exec : FloatExec<Exec<XType, Length, Route>> {
    using X = XType;

    static constexpr unsigned slot_shift = 1;

    Hart& h;
    const exec::Slot* slot;
    Left left = Left::no;
    bool taken = false;  // branch
    u64 target = 0;      // indirect jump

    Exec(Hart& hart, const exec::Slot* at) : h(hart), slot(at) {}

    ir::Num<X> x(unsigned r) { return {static_cast<X>(h.s.x[r])}; }
    void x(unsigned r, ir::Num<X> v) { h.s.x[r] = v.v; }
    ir::Num<u32> w(unsigned r) { return {static_cast<u32>(h.s.x[r])}; }
    ir::Num<X> imm(i64 v) { return {static_cast<X>(v)}; }
    template <class T>
    ir::Num<T> constant(T v) {
        return {v};
    }
    template <class T>
    ir::Num<X> sext(ir::Num<T> v) {
        return ir::sext<X>(v);
    }
    template <class T>
    ir::Num<X> zext(ir::Num<T> v) {
        return ir::zext<X>(v);
    }

    ir::Num<X> pc() { return {static_cast<X>(h.pc_of(slot, slot_shift))}; }
    ir::Num<X> next_pc() { return {static_cast<X>(h.pc_of(slot, slot_shift) + Length)}; }
    void branch(ir::Num<bool> condition, i32) { taken = condition.v; }
    void jump(i32, unsigned /*link*/) {}  // the handler knows the target
    void jump_indirect(ir::Num<X> to, unsigned /*link*/, unsigned /*from*/) { target = to.v; }

    template <class T>
    struct Loaded {
        ir::Num<T> value;
        bool ok;
        explicit operator bool() const { return ok; }
        ir::Num<T> operator*() const { return value; }
    };
    template <class T>
    Loaded<T> load(ir::Num<X> address) {
        const TlbEntry& entry = Tlb::at(h.tlb, address.v);
        if ((u64{address.v} & (~page_mask | (sizeof(T) - 1))) == entry.read) [[likely]]
            return {{__atomic_load_n(reinterpret_cast<const T*>(u64{address.v} + entry.addend), __ATOMIC_RELAXED)},
                    true};
        if constexpr (Route == Path::quick) {
            left = Left::again;
            return {{}, false};
        } else {
            h.at(slot);
            u64 value = 0;
            const bool ok = outcome(h.load(address.v, sizeof(T), value));
            return {{static_cast<T>(value)}, ok};
        }
    }
    template <class T>
    bool store(ir::Num<X> address, ir::Num<T> value) {
        const TlbEntry& entry = Tlb::at(h.tlb, address.v);
        if ((u64{address.v} & (~page_mask | (sizeof(T) - 1))) == entry.write) [[likely]] {
            __atomic_store_n(reinterpret_cast<T*>(u64{address.v} + entry.addend), value.v, __ATOMIC_RELAXED);
            return true;
        }
        if constexpr (Route == Path::quick) {
            left = Left::again;
            return false;
        } else {
            h.at(slot);
            return outcome(h.store(address.v, sizeof(T), value.v));
        }
    }
    void fence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

    template <class T>
    void load_reserved(AmoFields f) {
        u64 physical = 0;
        const T* at = pointer<T>(h.s.x[f.rs1], physical, AccessKind::load, trigger::load);
        if (at == nullptr) return;
        const T value = __atomic_load_n(at, __ATOMIC_SEQ_CST);
        h.s.reservation_valid = true;
        h.s.reservation_address = physical;
        h.s.reservation_value = value;
        x(f.rd, sext(ir::Num<T>{value}));
    }
    // Succeeds if the word still has the value that was reserved: stronger than the specification needs against other
    // harts' writes of the same value, which no program can tell from their not having happened.
    template <class T>
    void store_conditional(AmoFields f) {
        u64 physical = 0;
        T* at = pointer<T>(h.s.x[f.rs1], physical, AccessKind::store, trigger::store);
        if (at == nullptr) return;
        bool done = false;
        if (h.s.reservation_valid && h.s.reservation_address == physical) {
            T expected = static_cast<T>(h.s.reservation_value);
            done = __atomic_compare_exchange_n(at, &expected, static_cast<T>(h.s.x[f.rs2]), false, __ATOMIC_SEQ_CST,
                                               __ATOMIC_SEQ_CST);
            if (done) wrote(physical, sizeof(T));
        }
        h.s.reservation_valid = false;
        x(f.rd, imm(done ? 0 : 1));
    }
    template <class T, Rmw Kind>
    void atomic(AmoFields f) {
        u64 physical = 0;
        T* at = pointer<T>(h.s.x[f.rs1], physical, AccessKind::store, trigger::load | trigger::store);
        if (at == nullptr) return;
        const T operand = static_cast<T>(h.s.x[f.rs2]);
        const T before = modify<T, Kind>(at, operand);
        wrote(physical, sizeof(T));
        x(f.rd, sext(ir::Num<T>{before}));
    }

    void pause() {
        h.end_slice();
        left = Left::after;
    }
    bool illegal() {
        h.at(slot);
        return outcome(h.raise_illegal());
    }
    template <bool (*Body)(Hart&, u32)>
    bool helper(const char*, u32 word) {
        h.at(slot);
        return outcome(Body(h, word));
    }

private:
    bool outcome(bool ok) {
        if (!ok)
            left = Left::trapped;
        else if (h.leave_wanted)
            left = Left::after;
        return ok;
    }
    template <class T>
    T* pointer(u64 address, u64& physical, AccessKind kind, u64 accesses) {
        h.at(slot);
        auto* at = reinterpret_cast<T*>(h.atomic_pointer(static_cast<X>(address), sizeof(T), kind, accesses, physical));
        if (at == nullptr) left = Left::trapped;
        return at;
    }
    void wrote(u64 physical, unsigned size) {
        h.wrote_atomically(physical, size);
        if (h.leave_wanted) left = Left::after;
    }
    template <class T, Rmw Kind>
    static T modify(T* at, T operand) {
        if constexpr (Kind == Rmw::swap)
            return __atomic_exchange_n(at, operand, __ATOMIC_SEQ_CST);
        else if constexpr (Kind == Rmw::add)
            return __atomic_fetch_add(at, operand, __ATOMIC_SEQ_CST);
        else if constexpr (Kind == Rmw::xor_)
            return __atomic_fetch_xor(at, operand, __ATOMIC_SEQ_CST);
        else if constexpr (Kind == Rmw::and_)
            return __atomic_fetch_and(at, operand, __ATOMIC_SEQ_CST);
        else if constexpr (Kind == Rmw::or_)
            return __atomic_fetch_or(at, operand, __ATOMIC_SEQ_CST);
        else {
            T before = __atomic_load_n(at, __ATOMIC_SEQ_CST);
            T after;
            do {
                if constexpr (Kind == Rmw::mins)
                    after = ir::meaning::mins(before, operand);
                else if constexpr (Kind == Rmw::maxs)
                    after = ir::meaning::maxs(before, operand);
                else if constexpr (Kind == Rmw::minu)
                    after = ir::meaning::minu(before, operand);
                else
                    after = ir::meaning::maxu(before, operand);
            } while (!__atomic_compare_exchange_n(at, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
            return before;
        }
    }
};

}  // namespace viv::riscv
