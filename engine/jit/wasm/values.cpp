// Where values are: constants, locals of their own, locals of promoted slots. See compiler.h.
#include <algorithm>

#include "engine/jit/wasm/compiler.h"
#include "engine/lang/check.h"

namespace viv::jit::wasm {

using ir::Type;

u32 Compiler::declare(ValueType type) {
    locals_.push_back(type);
    return first_free_local + static_cast<u32>(locals_.size()) - 1;
}

u32 Compiler::take_local(Type type) {
    auto& free = free_locals_[wide(type)];
    if (free.empty()) return declare(wide(type) ? ValueType::i64 : ValueType::i32);
    const u32 local = free.back();
    free.pop_back();
    return local;
}

void Compiler::peek(ir::ValueId id) {
    const Value& value = values_[id];
    switch (value.where) {
        case Where::constant:
            if (wide(type_of(id)))
                w_.i64_const(block_->code[id].imm);
            else
                w_.i32_const(static_cast<u32>(block_->code[id].imm));
            break;
        case Where::local: w_.get(value.place); break;
        case Where::home: w_.get(homes_[value.place].local); break;
        case Where::nowhere: CHECK(false, "a value that is not there"); break;
    }
}

void Compiler::use(ir::ValueId id) {
    Value& value = values_[id];
    if (--value.uses != 0 || value.where != Where::local) return;
    free_locals_[wide(type_of(id))].push_back(value.place);
    value.where = Where::nowhere;
}

void Compiler::push_as_i64(ir::ValueId id) {
    push(id);
    if (!wide(type_of(id))) w_.op(Code::i64_extend_i32_u);
}

void Compiler::give() {
    Value& value = values_[at_];
    if (value.uses == 0) return w_.op(Code::drop);
    value.where = Where::local;
    value.place = take_local(type_of(at_));
    w_.set(value.place);
}

void Compiler::keep(u32 local) {
    Value& value = values_[at_];
    if (value.uses == 0) return free_locals_[wide(type_of(at_))].push_back(local);
    value.where = Where::local;
    value.place = local;
}

u32 Compiler::scratch_float(ValueType type) {
    u32& local = scratch_floats_[type == ValueType::f64];
    if (local == 0) local = declare(type);
    return local;
}

Compiler::Home* Compiler::home_of(u64 slot) {
    const auto found = std::find_if(homes_.begin(), homes_.end(), [&](const Home& home) { return home.slot == slot; });
    return found != homes_.end() ? &*found : nullptr;
}

// Before the slot (or, with null, any) is written: values that are still wanted get locals of their own.
void Compiler::copy_home_readers(const Home* only) {
    std::erase_if(home_readers_, [&](ir::ValueId id) {
        Value& value = values_[id];
        if (value.where != Where::home || value.uses == 0) return true;
        const Home& home = homes_[value.place];
        if (only != nullptr && &home != only) return false;
        value.where = Where::local;
        value.place = take_local(Type::i64);
        w_.get(home.local);
        w_.set(value.place);
        return true;
    });
}

}  // namespace viv::jit::wasm
