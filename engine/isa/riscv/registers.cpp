// A hart's registers as gdb numbers and names them.
// Specification: gdb's target-description features org.gnu.gdb.riscv.cpu, .fpu, .vector, .csr and .virtual (GDB manual,
// "RISC-V Features"). Promises: numbers without a gap are what `g` sends, so that one packet holds x, pc, f and v.
#include <fmt/core.h>

#include <algorithm>

#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/names.h"
#include "engine/lang/bytes.h"

namespace viv::riscv {

namespace {

// gdb takes the numbers from the description. Its own for CSRs begin at 65, where the vectors are here.
constexpr unsigned number_pc = 32, number_f0 = 33, number_v0 = 65, number_csr0 = 128, number_privilege = 4224;

struct CsrName {
    u16 number;
    const char* name;
};
constexpr CsrName shown_csrs[] = {
    {0x001, "fflags"},   {0x002, "frm"},    {0x003, "fcsr"},    {0x008, "vstart"},     {0x00f, "vcsr"},
    {0x100, "sstatus"},  {0x104, "sie"},    {0x105, "stvec"},   {0x106, "scounteren"}, {0x10a, "senvcfg"},
    {0x140, "sscratch"}, {0x141, "sepc"},   {0x142, "scause"},  {0x143, "stval"},      {0x144, "sip"},
    {0x14d, "stimecmp"}, {0x180, "satp"},   {0x300, "mstatus"}, {0x301, "misa"},       {0x302, "medeleg"},
    {0x303, "mideleg"},  {0x304, "mie"},    {0x305, "mtvec"},   {0x306, "mcounteren"}, {0x30a, "menvcfg"},
    {0x340, "mscratch"}, {0x341, "mepc"},   {0x342, "mcause"},  {0x343, "mtval"},      {0x344, "mip"},
    {0x7a0, "tselect"},  {0x7a1, "tdata1"}, {0x7a2, "tdata2"},  {0x7a4, "tinfo"},      {0x7a5, "tcontrol"},
    {0xc00, "cycle"},    {0xc01, "time"},   {0xc02, "instret"}, {0xc20, "vl"},         {0xc21, "vtype"},
    {0xc22, "vlenb"},    {0xf14, "mhartid"}};

std::vector<Cpu::Register> make_list(unsigned xlen, unsigned vlen) {
    std::vector<Cpu::Register> list;
    for (unsigned i = 0; i < 32; i++) {
        const char* type = i == 1 ? "code_ptr" : i == 2 || i == 3 || i == 4 ? "data_ptr" : "int";
        list.push_back({x_name(i), "org.gnu.gdb.riscv.cpu", xlen, type, i});
    }
    list.push_back({"pc", "org.gnu.gdb.riscv.cpu", xlen, "code_ptr", number_pc});
    for (unsigned i = 0; i < 32; i++)
        list.push_back({f_name(i), "org.gnu.gdb.riscv.fpu", 64, "ieee_double", number_f0 + i});
    if (vlen != 0)
        for (unsigned i = 0; i < 32; i++)
            list.push_back({fmt::format("v{}", i), "org.gnu.gdb.riscv.vector", vlen, "riscv_vector", number_v0 + i});
    for (const auto& csr : shown_csrs) {
        const bool fpu = csr.number <= 3;
        list.push_back({csr.name, fpu ? "org.gnu.gdb.riscv.fpu" : "org.gnu.gdb.riscv.csr", fpu ? 32 : xlen, "int",
                        number_csr0 + csr.number});
    }
    list.push_back({"priv", "org.gnu.gdb.riscv.virtual", xlen, "int", number_privilege});
    return list;
}

std::vector<u8> bytes_of(u64 value, unsigned bits) {
    std::vector<u8> bytes(bits / 8);
    for (usize i = 0; i < bytes.size(); i++) bytes[i] = static_cast<u8>(value >> (8 * i));
    return bytes;
}

}  // namespace

std::span<const Cpu::Register> Hart::registers() const {
    if (register_list_.empty()) register_list_ = make_list(config_.xlen, config_.vlen);
    return register_list_;
}

// `number`'s bytes, if it is a vector register of this hart.
std::span<u8> Hart::vector_bytes(unsigned number) {
    if (config_.vlen == 0 || number < number_v0 || number >= number_v0 + 32) return {};
    return {vector_register(number - number_v0), vlen_bytes()};
}

std::vector<u8> Hart::read_register(unsigned number) {
    if (const auto vector = vector_bytes(number); !vector.empty()) return {vector.begin(), vector.end()};
    if (number < 32) return bytes_of(s.x[number], config_.xlen);
    if (number == number_pc) return bytes_of(s.pc, config_.xlen);
    if (number >= number_f0 && number < number_f0 + 32) return bytes_of(s.f[number - number_f0], 64);
    if (number == number_privilege) return bytes_of(static_cast<u64>(s.privilege), config_.xlen);
    for (const auto& csr : shown_csrs) {
        if (number != number_csr0 + csr.number) continue;
        u64 value = 0;
        if (!debug_csr([&] { return read_csr(csr.number, value, false); })) return {};
        return bytes_of(value, csr.number <= 3 ? 32 : config_.xlen);
    }
    return {};
}

bool Hart::write_register(unsigned number, std::span<const u8> bytes) {
    if (const auto vector = vector_bytes(number); !vector.empty()) {
        if (bytes.size() != vector.size()) return false;
        std::copy(bytes.begin(), bytes.end(), vector.begin());
        return true;
    }
    u64 value = 0;
    if (bytes.size() > 8) return false;
    for (usize i = 0; i < bytes.size(); i++) value |= u64{bytes[i]} << (8 * i);
    if (number < 32) {
        if (bytes.size() != config_.xlen / 8) return false;
        if (number != 0) s.x[number] = value;
        return true;
    }
    if (number == number_pc) {
        s.pc = value & ~u64{1};
        return true;
    }
    if (number >= number_f0 && number < number_f0 + 32) {
        if (bytes.size() != 8) return false;
        s.f[number - number_f0] = value;
        return true;
    }
    for (const auto& csr : shown_csrs)
        if (number == number_csr0 + csr.number)
            return csr.number >> 10 != 3 && debug_csr([&] { return write_csr(csr.number, value); });
    return false;
}

// A debugger sees CSRs with machine-mode rights, and an access that traps has not happened.
bool Hart::debug_csr(const std::function<bool()>& access) {
    const State before = s;
    s.privilege = Privilege::machine;
    s.mstatus |= mstatus::fs | mstatus::vs;
    current_ = nullptr;
    const bool done = access();
    if (!done) {
        s = before;
    } else {
        s.privilege = before.privilege;
        if ((before.mstatus & mstatus::fs) == 0 || (before.mstatus & mstatus::vs) == 0)
            s.mstatus = (s.mstatus & ~(mstatus::fs | mstatus::vs)) | (before.mstatus & (mstatus::fs | mstatus::vs));
    }
    update_contexts();
    return done;
}

}  // namespace viv::riscv
