// The table behind share.h.
#include "engine/ir/opt/share.h"

#include <algorithm>
#include <bit>

#include "engine/ir/opt/operands.h"

namespace viv::ir::opt {

namespace {

u64 hash_of(const Inst& inst) {
    u64 a = inst.a, b = inst.b;
    if (commutes(inst.op) && a > b) std::swap(a, b);
    u64 hash = static_cast<u64>(inst.op) << 8 | static_cast<u64>(inst.type);
    hash = (hash ^ a << 16 ^ b << 40) * 0x9e37'79b9'7f4a'7c15;
    hash = (hash ^ hash >> 29 ^ inst.imm ^ u64{inst.c} << 7 ^ inst.imm2 << 1) * 0xbf58'476d'1ce4'e5b9;
    return hash ^ hash >> 32;
}

bool equal(const Inst& x, const Inst& y) {
    if (x.op != y.op || x.type != y.type || x.imm != y.imm || x.imm2 != y.imm2 || x.c != y.c) return false;
    return (x.a == y.a && x.b == y.b) || (x.a == y.b && x.b == y.a && commutes(x.op));
}

}  // namespace

void Share::begin(usize expected) {
    const usize size = std::max<usize>(64, std::bit_ceil(expected * 2));
    table_.assign(size, no_value);
    mask_ = size - 1;
    used_ = 0;
}

ValueId Share::find(const Draft& draft, const Inst& inst) {
    for (place_ = hash_of(inst) & mask_; table_[place_] != no_value; place_ = (place_ + 1) & mask_)
        if (equal(draft[table_[place_]], inst)) return table_[place_];
    return no_value;
}

void Share::add(const Draft& draft, ValueId id) {
    table_[place_] = id;
    if (++used_ * 4 > table_.size() * 3) grow(draft);
}

void Share::grow(const Draft& draft) {
    std::vector<ValueId> before(table_.size() * 2, no_value);
    before.swap(table_);
    mask_ = table_.size() - 1;
    for (const ValueId id : before) {
        if (id == no_value) continue;
        usize place = hash_of(draft[id]) & mask_;
        while (table_[place] != no_value) place = (place + 1) & mask_;
        table_[place] = id;
    }
}

}  // namespace viv::ir::opt
