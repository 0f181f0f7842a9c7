// A device's register map as a table: one row a register, with its datasheet name and what reading and writing it does.
// Promises: lookup is one array access; two rows for one slot or a row outside the map do not compile; an offset
// without a row has no register, and the device decides what its guest then sees.
#pragma once

#include <algorithm>
#include <array>
#include <initializer_list>

#include "engine/lang/bits.h"
#include "engine/lang/check.h"

namespace viv {

// `Value` is the register's width; a null `read` or `write` marks a write-only or read-only register.
template <class Device, class Value>
struct Register {
    u32 offset = 0;  // bytes, a multiple of sizeof(Value)
    const char* name = nullptr;
    Value (*read)(Device&) = nullptr;
    void (*write)(Device&, Value) = nullptr;
};

// `slots` registers of `Value` side by side, from offset 0. Meant to be a `static constexpr` inside the device's own
// find function.
template <class Device, class Value, usize slots>
class RegisterMap {
public:
    using Row = Register<Device, Value>;

    constexpr RegisterMap(std::initializer_list<Row> rows) {
        for (const Row& row : rows) {
            const usize slot = row.offset / sizeof(Value);
            CHECK(row.offset % sizeof(Value) == 0 && slot < slots && rows_[slot].name == nullptr);
            rows_[slot] = row;
        }
    }

    // The register that starts at `offset`, or null.
    constexpr const Row* find(u64 offset) const {
        if (offset % sizeof(Value) != 0 || offset / sizeof(Value) >= slots) return nullptr;
        const Row& row = rows_[offset / sizeof(Value)];
        return row.name == nullptr ? nullptr : &row;
    }

private:
    std::array<Row, slots> rows_{};
};

// The same for a map with large holes: the rows, in order of their offsets, in which find() searches by halves. Rows
// out of order do not compile.
template <class Device, class Value, usize count>
class SparseRegisterMap {
public:
    using Row = Register<Device, Value>;

    constexpr explicit SparseRegisterMap(const std::array<Row, count>& rows) : rows_(rows) {
        for (usize i = 0; i < count; i++) {
            CHECK(rows[i].offset % sizeof(Value) == 0 && rows[i].name != nullptr);
            CHECK(i == 0 || rows[i - 1].offset < rows[i].offset);
        }
    }

    // The register that starts at `offset`, or null.
    constexpr const Row* find(u64 offset) const {
        const auto found = std::lower_bound(rows_.begin(), rows_.end(), offset,
                                            [](const Row& row, u64 wanted) { return row.offset < wanted; });
        return found == rows_.end() || found->offset != offset ? nullptr : &*found;
    }

private:
    std::array<Row, count> rows_{};
};

}  // namespace viv
