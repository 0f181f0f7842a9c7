// Atomic access to a plain object: std::atomic_ref, also where the standard library has none yet (libc++ 18).
// Promises: AtomicRef<T> has load() and store() of std::atomic_ref; orders given are kept or strengthened.
#pragma once

#include <atomic>

namespace viv {

#ifdef __cpp_lib_atomic_ref
template <class T>
using AtomicRef = std::atomic_ref<T>;
#else
template <class T>
class AtomicRef {
public:
    explicit AtomicRef(T& object) : object_(&object) {}
    T load(std::memory_order = std::memory_order_seq_cst) const { return __atomic_load_n(object_, __ATOMIC_SEQ_CST); }
    void store(T value, std::memory_order = std::memory_order_seq_cst) const {
        __atomic_store_n(object_, value, __ATOMIC_SEQ_CST);
    }

private:
    T* object_;
};
#endif

}  // namespace viv
