// From an instruction's body to the interpreter's handlers: one template for each way control flows on.
// Promises: a handler leaves the budget exact on every way out; see exec/exec.h.
#pragma once

#include "engine/exec/dispatch.h"
#include "engine/isa/riscv/exec_emitter.h"
#include "engine/isa/riscv/groups.h"

// Goes on at `pc` wherever it is.
#define VIV_JUMP(engine, slot, pc)                                         \
    do {                                                                   \
        const u64 jump_target = (pc);                                      \
        const ::viv::exec::Slot* found = (engine).find(jump_target, 1);    \
        if (found == nullptr) [[unlikely]] {                               \
            (engine).target = jump_target;                                 \
            VIV_TAIL_CALL(::viv::exec::Engine::goto_target, engine, slot); \
        }                                                                  \
        VIV_ENTER_BLOCK(engine, found);                                    \
    } while (false)

namespace viv::riscv {

struct Handlers {
    using Slot = exec::Slot;

    // The slot `offset` bytes of code away; in-page offsets are even.
    static const Slot* relative(const Slot* slot, i32 offset) {
        return reinterpret_cast<const Slot*>(reinterpret_cast<const char*>(slot) + i64{offset} * i64{sizeof(Slot) / 2});
    }
    template <class I>
    static auto fields(const Slot* slot) {
        return I::Fields::unpack({slot->a, slot->b, slot->imm});
    }

    // Falls through to the next slot.
    template <class I, class X, unsigned Length, Path Route = Path::quick>
    static const Slot* next(exec::Engine& engine, const Slot* slot) {
        Exec<X, Length, Route> e(static_cast<Hart&>(engine), slot);
        I::run(e, fields<I>(slot));
        if (e.left != Left::no) [[unlikely]] {
            if constexpr (Route == Path::quick)
                if (e.left == Left::again) VIV_TAIL_CALL((next<I, X, Length, Path::full>), engine, slot);
            return e.h.leave_after(slot, Length, e.left == Left::trapped);
        }
        VIV_DISPATCH(engine, slot + Length / 2);
    }
    // A conditional branch; InPage: its target lies in the same page and is reached by slot arithmetic.
    template <class I, class X, unsigned Length, bool InPage>
    static const Slot* branch(exec::Engine& engine, const Slot* slot) {
        Exec<X, Length, Path::full> e(static_cast<Hart&>(engine), slot);
        I::run(e, fields<I>(slot));
        if (e.taken) {
            if constexpr (InPage) {
                VIV_ENTER_BLOCK(engine, relative(slot, slot->imm));
            } else {
                VIV_JUMP(engine, slot, static_cast<X>(engine.pc_of(slot, 1) + static_cast<u64>(i64{slot->imm})));
            }
        }
        VIV_ENTER_BLOCK(engine, slot + Length / 2);
    }
    template <class I, class X, unsigned Length, bool InPage>
    static const Slot* jump(exec::Engine& engine, const Slot* slot) {
        Exec<X, Length, Path::full> e(static_cast<Hart&>(engine), slot);
        I::run(e, fields<I>(slot));
        if constexpr (InPage) {
            VIV_ENTER_BLOCK(engine, relative(slot, slot->imm));
        } else {
            VIV_JUMP(engine, slot, static_cast<X>(engine.pc_of(slot, 1) + static_cast<u64>(i64{slot->imm})));
        }
    }
    template <class I, class X, unsigned Length>
    static const Slot* indirect(exec::Engine& engine, const Slot* slot) {
        Exec<X, Length, Path::full> e(static_cast<Hart&>(engine), slot);
        I::run(e, fields<I>(slot));
        VIV_JUMP(engine, slot, e.target);
    }
    // Mode, translation or interrupts may have changed: back to the run loop. The body sees s.pc as the next
    // instruction's address.
    template <class I, class X, unsigned Length>
    static const Slot* system(exec::Engine& engine, const Slot* slot) {
        Hart& hart = static_cast<Hart&>(engine);
        Exec<X, Length, Path::full> e(hart, slot);
        hart.s.pc = static_cast<X>(engine.pc_of(slot, 1) + Length);
        I::run(e, fields<I>(slot));
        return engine.leave(slot, hart.s.pc);
    }

    template <unsigned Length>
    static const Slot* illegal(exec::Engine& engine, const Slot* slot) {
        Hart& hart = static_cast<Hart&>(engine);
        hart.at(slot);
        hart.raise_illegal();
        return hart.leave_after(slot, Length, true);
    }
    // A debugger's breakpoint may be here: the address decides.
    static const Slot* breakpoint(exec::Engine& engine, const Slot* slot);

    // The handlers of one instruction, by [length is 4][in page].
    struct Row {
        void (*pack)(u32 word, Slot& slot);
        exec::Handler of[2][2][2];  // [xlen is 64][length is 4][in page]
    };

    template <class I, class X, unsigned Length, bool InPage>
    static constexpr exec::Handler handler() {
        if constexpr (I::flow == Flow::next)
            return next<I, X, Length, Path::quick>;
        else if constexpr (I::flow == Flow::branch)
            return branch<I, X, Length, InPage>;
        else if constexpr (I::flow == Flow::jump)
            return jump<I, X, Length, InPage>;
        else if constexpr (I::flow == Flow::indirect)
            return indirect<I, X, Length>;
        else
            return system<I, X, Length>;
    }
    // Has16: whether the instruction has a 16-bit form.
    template <class I, class X, bool Has16>
    static constexpr void fill(exec::Handler (&of)[2][2]) {
        if constexpr (Has16) {
            of[0][0] = handler<I, X, 2, false>();
            of[0][1] = handler<I, X, 2, true>();
        }
        of[1][0] = handler<I, X, 4, false>();
        of[1][1] = handler<I, X, 4, true>();
    }
};

// The rows of a part list, in table order.
template <class P, bool Has16>
constexpr auto handler_rows() {
    std::array<Handlers::Row, count_of<P>()> rows{};
    usize at = 0;
    for_each(P{}, [&]<class I>(const char*, Xlen width) {
        Handlers::Row& row = rows[at++];
        row.pack = [](u32 word, exec::Slot& slot) {
            const Packed packed = I::Fields::decode(word).pack();
            slot.a = packed.a;
            slot.b = packed.b;
            slot.imm = packed.imm;
        };
        if (width != Xlen::only64) Handlers::fill<I, u32, Has16>(row.of[0]);
        if (width != Xlen::only32) Handlers::fill<I, u64, Has16>(row.of[1]);
    });
    return rows;
}

// In the order of the instruction table.
std::span<const Handlers::Row> base_handlers();    // exec_base.cpp
std::span<const Handlers::Row> float_handlers();   // exec_float.cpp
std::span<const Handlers::Row> vector_handlers();  // exec_vector.cpp
const Handlers::Row& handlers_of(usize table_index);

}  // namespace viv::riscv
