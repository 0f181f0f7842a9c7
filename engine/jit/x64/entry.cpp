// The backend's interface, and the code around generated code: in, out, on to the next address, and to the TLB's
// filling. See frame.h for the stack.
#include "engine/jit/x64/backend.h"

#include <array>
#include <cstddef>

#include "engine/jit/x64/compiler.h"
#include "engine/jit/x64/frame.h"
#include "engine/jit/x64/soft_call.h"
#include "engine/mem/tlb.h"

namespace viv::jit::x64 {

namespace {

constexpr Gpr caller_saved[] = {Gpr::rax, Gpr::rcx, Gpr::rdx, Gpr::rsi, Gpr::rdi, Gpr::r8, Gpr::r9, Gpr::r10, Gpr::r11};
// What a thunk that saves them has put on the stack, with its return address.
constexpr i32 saved_xmms = 16 * 16;
constexpr i32 pushed = 8 * static_cast<i32>(std::size(caller_saved)) + saved_xmms + 8;
static_assert(pushed % 16 == 0);
constexpr Gpr callee_saved[] = {Gpr::rbx, Gpr::rbp, Gpr::r12, Gpr::r13, Gpr::r14, Gpr::r15};

Mem state(i32 offset) { return at(Gpr::rbp, offset - frame::state_bias); }

u64 fill_tlb(exec::Translatable* guest, u64 address, u64 bytes, u64 store) {
    return guest->fill_tlb(address, static_cast<unsigned>(bytes),
                           store != 0 ? ir::MemoryAccess::store : ir::MemoryAccess::load);
}

class X64Backend final : public Backend {
public:
    X64Backend(exec::Translatable& guest, const CpuFeatures& features)
        : guest_(guest), layout_(guest.layout()), features_(features) {}

    std::string_view name() const override { return "x86-64"; }

    std::vector<u8> make_thunks() override;

    usize supported(const ir::Block& block) const override {
        return Compiler(layout_, features_).supported_size(block);
    }
    bool compile(const Region& region, u32 first_exit, Compiled& out) const override {
        return Compiler(layout_, features_).compile(region, first_exit, out);
    }

    Left enter(const u8* thunks, void* state, const u8* code, u64 pc) override {
        using Enter = Left (*)(void* state, const u8* code, u64 pc);
        return reinterpret_cast<Enter>(const_cast<u8*>(thunks))(state, code, pc);
    }

    void link(u8* site, i64 distance) override { Assembler::patch_rel32(site, distance - 4); }

private:
    void fill_thunk(Assembler& a, unsigned bytes, bool store);
    void resolve_thunk(Assembler& a, unsigned bytes, bool store);
    void call_fill(Assembler& a, unsigned bytes, bool store);
    void soft_thunk(Assembler& a);
    void merge(Assembler& a, i32 depth, Label flags_of_mxcsr);

    exec::Translatable& guest_;
    const exec::CpuLayout layout_;
    const CpuFeatures features_;
};

// All registers that the callee may use are kept: the homes, and what the code works with.
void save_registers(Assembler& a) {
    for (const Gpr gpr : caller_saved) a.push(gpr);
    a.sub(Width::b64, Gpr::rsp, saved_xmms);
    for (i32 i = 0; i < 16; i++) a.movups(at(Gpr::rsp, 16 * i), static_cast<Xmm>(i));
}

void restore_registers(Assembler& a) {
    for (i32 i = 0; i < 16; i++) a.movups(static_cast<Xmm>(i), at(Gpr::rsp, 16 * i));
    a.lea(Width::b64, Gpr::rsp, at(Gpr::rsp, saved_xmms));
    for (usize i = std::size(caller_saved); i-- > 0;) a.pop(caller_saved[i]);
}

void X64Backend::fill_thunk(Assembler& a, unsigned bytes, bool store) {
    call_fill(a, bytes, store);
    a.ret();
}

void X64Backend::call_fill(Assembler& a, unsigned bytes, bool store) {
    save_registers(a);
    a.mov(Width::b64, Gpr::rsi, at(Gpr::rsp, pushed + frame::address));
    a.movabs(Gpr::rdi, reinterpret_cast<u64>(&guest_));
    a.mov(Width::b32, Gpr::rdx, i64{bytes});
    a.mov(Width::b32, Gpr::rcx, i64{store});
    a.call_absolute(reinterpret_cast<u64>(&fill_tlb));
    a.test(Width::b64, Gpr::rax, Gpr::rax);
    restore_registers(a);
}

void X64Backend::resolve_thunk(Assembler& a, unsigned bytes, bool store) {
    constexpr unsigned entry_bits = 5;
    static_assert(sizeof(TlbEntry) == 1 << entry_bits);
    const Label again = a.make_label(), miss = a.make_label();
    const Mem address = at(Gpr::rsp, 3 * 8 + frame::address);
    a.bind(again);
    a.push(Gpr::rax);
    a.push(Gpr::rdx);
    a.mov(Width::b64, Gpr::rdx, address);
    a.mov(Width::b64, Gpr::rax, Gpr::rdx);
    a.shr(Width::b64, Gpr::rax, page_bits - entry_bits);
    a.and_(Width::b32, Gpr::rax, i64{(Tlb::size - 1) << entry_bits});
    if (bytes > 1) a.add(Width::b64, Gpr::rdx, i64{bytes} - 1);
    a.and_(Width::b64, Gpr::rdx, static_cast<i64>(~page_mask));
    const i32 tag = store ? offsetof(TlbEntry, write) : offsetof(TlbEntry, read);
    a.cmp(Width::b64, Gpr::rdx, at(Gpr::r15, Gpr::rax, 1, tag));
    a.jcc(Condition::ne, miss, Reach::rel8);
    a.mov(Width::b64, Gpr::rax, at(Gpr::r15, Gpr::rax, 1, offsetof(TlbEntry, addend)));
    // A host address is not 0, so the zero flag is cleared.
    a.add(Width::b64, address, Gpr::rax);
    a.pop(Gpr::rdx);
    a.pop(Gpr::rax);
    a.ret();
    a.bind(miss);
    a.pop(Gpr::rdx);
    a.pop(Gpr::rax);
    call_fill(a, bytes, store);
    a.jcc(Condition::ne, again);
    a.ret();
}

void X64Backend::soft_thunk(Assembler& a) {
    save_registers(a);
    a.lea(Width::b64, Gpr::rdi, at(Gpr::rsp, pushed + frame::soft_values));
    a.mov(Width::b32, Gpr::rsi, at(Gpr::rsp, pushed + frame::soft_operation));
    a.mov(Width::b64, Gpr::rdx, Gpr::rax);
    a.call_absolute(reinterpret_cast<u64>(&soft_call));
    restore_registers(a);
    a.ret();
}

// With `depth` bytes on the stack above the frame. Uses rcx and rdx.
void X64Backend::merge(Assembler& a, i32 depth, Label flags_of_mxcsr) {
    a.stmxcsr(at(Gpr::rsp, depth + frame::mxcsr));
    a.mov(Width::b32, Gpr::rcx, at(Gpr::rsp, depth + frame::mxcsr));
    a.and_(Width::b32, Gpr::rcx, 0x3f);
    a.lea(Width::b64, Gpr::rdx, at(flags_of_mxcsr));
    a.movzx(Width::b8, Gpr::rcx, at(Gpr::rdx, Gpr::rcx));
    a.or_(Width::b8, state(layout_.float_flags), Gpr::rcx);
    a.mov(Width::b8, at(Gpr::rsp, depth + frame::float_active), 0);
}

std::vector<u8> X64Backend::make_thunks() {
    std::vector<u8> code;
    Assembler a(code);
    const Label exit = a.make_label(), miss = a.make_label(), unknown = a.make_label();
    const Label soft = a.make_label(), activate = a.make_label(), merge_flags = a.make_label();
    const Label flags_of_mxcsr = a.make_label(), host_mxcsr = a.make_label(), no_flags = a.make_label();
    Label fills[frame::fill_thunks], resolves[frame::fill_thunks];
    for (Label& label : fills) label = a.make_label();
    for (Label& label : resolves) label = a.make_label();

    for (const Gpr gpr : callee_saved) a.push(gpr);
    a.sub(Width::b64, Gpr::rsp, i64{frame::size});
    const auto put = [&](i32 place, Label label) {
        a.lea(Width::b64, Gpr::rax, at(label));
        a.mov(Width::b64, at(Gpr::rsp, place), Gpr::rax);
    };
    put(frame::exit, exit);
    put(frame::miss, miss);
    put(frame::soft, soft);
    put(frame::activate_float, activate);
    put(frame::merge_float, merge_flags);
    a.mov(Width::b8, at(Gpr::rsp, frame::float_active), 0);
    for (unsigned i = 0; i < frame::fill_thunks; i++) {
        put(frame::fill + 8 * static_cast<i32>(i), fills[i]);
        put(frame::resolve + 8 * static_cast<i32>(i), resolves[i]);
    }
    a.lea(Width::b64, Gpr::rbp, at(Gpr::rdi, frame::state_bias));
    a.mov(Width::b64, Gpr::r12, state(layout_.budget));
    a.mov(Width::b64, Gpr::r15, state(layout_.tlb));
    a.mov(Width::b64, Gpr::rcx, Gpr::rdx);
    a.jmp(Gpr::rsi);

    // The neighbour of the place at rax.
    a.align(16);
    a.bind(miss);
    a.xor_(Width::b64, Gpr::rax, i64{sizeof(exec::JumpTable::Entry)});
    a.cmp(Width::b64, Gpr::rcx, at(Gpr::rax));
    a.jcc(Condition::ne, unknown, Reach::rel8);
    a.jmp(at(Gpr::rax, 8));
    a.bind(unknown);
    a.mov(Width::b64, state(layout_.pc), Gpr::rcx);
    a.mov(Width::b32, Gpr::rax, i64{exit_word::no_code});

    a.bind(exit);
    a.cmp(Width::b8, at(Gpr::rsp, frame::float_active), 0);
    a.jcc(Condition::e, no_flags, Reach::rel8);
    merge(a, 0, flags_of_mxcsr);
    a.bind(no_flags);
    a.mov(Width::b64, state(layout_.budget), Gpr::r12);
    a.mov(Width::b64, Gpr::rdx, at(Gpr::rsp, frame::page));  // with rax: the two halves of Left
    a.add(Width::b64, Gpr::rsp, i64{frame::size});
    for (usize i = std::size(callee_saved); i-- > 0;) a.pop(callee_saved[i]);
    a.ret();

    for (unsigned i = 0; i < frame::fill_thunks; i++) {
        a.align(16);
        a.bind(fills[i]);
        fill_thunk(a, 1u << (i % 5), i >= 5);
        a.align(16);
        a.bind(resolves[i]);
        resolve_thunk(a, 1u << (i % 5), i >= 5);
    }
    a.align(16);
    a.bind(soft);
    soft_thunk(a);
    a.align(16);
    a.bind(activate);
    a.ldmxcsr(at(host_mxcsr));
    a.mov(Width::b8, at(Gpr::rsp, 8 + frame::float_active), 1);
    a.ret();
    a.align(16);
    a.bind(merge_flags);
    merge(a, 8, flags_of_mxcsr);
    a.ret();

    // All exceptions masked, to nearest even, no flag set: what C programs begin with, too.
    a.align(4);
    a.bind(host_mxcsr);
    a.dd(0x1f80);
    a.bind(flags_of_mxcsr);
    std::array<u8, 64> table{};
    for (unsigned flags = 0; flags < table.size(); flags++) {
        u8& to = table[flags];
        if ((flags & 1) != 0) to |= soft::invalid;
        if ((flags & 4) != 0) to |= soft::divide_by_zero;
        if ((flags & 8) != 0) to |= soft::overflow;
        if ((flags & 16) != 0) to |= soft::underflow;
        if ((flags & 32) != 0) to |= soft::inexact;
    }
    a.db(table);
    a.finish();
    return code;
}

}  // namespace

std::unique_ptr<Backend> make_backend(exec::Translatable& guest, const CpuFeatures& features) {
    return std::make_unique<X64Backend>(guest, features);
}

}  // namespace viv::jit::x64
