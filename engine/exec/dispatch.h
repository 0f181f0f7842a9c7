// How one instruction handler goes on to the next: a guaranteed tail call where the compiler has one, else a return to
// a loop. Promises: both forms run the same handlers with the same results; run_slots() drives either.
#pragma once

#if defined(__clang__) && defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::musttail) && !defined(VIV_NO_MUSTTAIL)
#define VIV_THREADED_DISPATCH 1
#endif
#endif

#ifdef VIV_THREADED_DISPATCH
#define VIV_DISPATCH(engine, slot) [[clang::musttail]] return (slot)->handler(engine, slot)
#else
#define VIV_DISPATCH(engine, slot) return slot
#endif

// Enters a block at `slot`: takes its instructions off the budget, and leaves if they do not fit or someone wants
// attention.
#define VIV_ENTER_BLOCK(engine, slot)                                                               \
    do {                                                                                            \
        const ::viv::exec::Slot* block_entry = (slot);                                              \
        if (block_entry == nullptr) [[unlikely]]                                                    \
            return nullptr;                                                                         \
        (engine).budget -= block_entry->run;                                                        \
        if ((engine).budget < 0 || (engine).attention.load(std::memory_order_relaxed)) [[unlikely]] \
            return (engine).cut(block_entry);                                                       \
        VIV_DISPATCH(engine, block_entry);                                                          \
    } while (false)

// Calls another handler in place of this one.
#ifdef VIV_THREADED_DISPATCH
#define VIV_TAIL_CALL(handler, engine, slot) [[clang::musttail]] return handler(engine, slot)
#else
#define VIV_TAIL_CALL(handler, engine, slot) return handler(engine, slot)
#endif
