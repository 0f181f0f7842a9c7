// The generator behind exec_oracle_cases.h.
#include "tests/lockstep/exec_oracle_cases.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "engine/isa/riscv/rv_c.h"

namespace viv::riscv::test {

namespace {

constexpr u64 pte_v = 1, pte_r = 2, pte_w = 4, pte_x = 8, pte_u = 16, pte_a = 64, pte_d = 128;

// The pages seen at the sandbox's virtual address, one after another.
struct Window {
    u64 physical;
    u64 flags;
};
constexpr Window windows[] = {
    {ram_base, pte_r | pte_w | pte_x},
    {ram_base + 1 * page_size, pte_r | pte_x},
    {ram_base + 2 * page_size, pte_r | pte_w},
    {ram_base + 3 * page_size, pte_r | pte_w},
    {ram_base + 4 * page_size, pte_r},
    {ram_base + 5 * page_size, pte_r | pte_w},  // not dirty: the first store faults
    {0, 0},
    {ram_base + 3 * page_size, pte_r | pte_w},  // again, at another address
    {ram_base + 2 * page_size, pte_r | pte_w},
    {ram_base + 6 * page_size, pte_x},
    {ram_base + 7 * page_size, pte_r | pte_w | pte_u},  // the other privilege's; see SUM
    {device_base, pte_r | pte_w},
    {rom_base, pte_r | pte_w},
};
constexpr usize window_count = std::size(windows);
constexpr usize clean_window = 5;

constexpr u16 known_csrs[] = {
    0x001, 0x002, 0x003, 0x008, 0x009, 0x00a, 0x00f, 0x015, 0x100, 0x104, 0x105, 0x106, 0x10a, 0x140, 0x141,
    0x142, 0x143, 0x144, 0x14d, 0x15d, 0x180, 0x300, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x30a, 0x310,
    0x31a, 0x320, 0x323, 0x340, 0x341, 0x342, 0x343, 0x344, 0x3a0, 0x3a2, 0x3b0, 0x3b1, 0x747, 0x7a0, 0x7a4,
    0xb00, 0xb02, 0xb80, 0xb82, 0xc00, 0xc01, 0xc02, 0xc20, 0xc21, 0xc22, 0xc80, 0xf11, 0xf14,
};

constexpr u64 corners[] = {
    0,
    1,
    2,
    ~u64{0},
    ~u64{1},
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    0x7fff'ffff,
    0x8000'0000,
    0xffff'ffff,
    0xffff'ffff'8000'0000,
    0xffff'ffff'7fff'ffff,
    0x7fff'ffff'ffff'ffff,
    0x8000'0000'0000'0000,
    0x5555'5555'5555'5555,
    0x1'0000'0000,
    31,
    32,
    63,
    64,
};

// Registers of tame code for addresses of memory (compressed instructions know these), and of code.
constexpr u32 memory_registers[] = {2, 8, 9, 10}, code_registers[] = {1, 5};
constexpr u32 kept = 1u << 1 | 1u << 2 | 1u << 5 | 7u << 8;

bool is_plain_vector(std::string_view name) {
    const std::string_view stems[] = {
        "vadd.",  "vsub.",   "vrsub.",  "vand.",   "vor.",   "vxor.",   "vminu.", "vmin.",   "vmaxu.", "vmseq.",
        "vmsne.", "vmsltu.", "vmslt.",  "vmsleu.", "vmsle.", "vmsgtu.", "vmsgt.", "vmerge.", "vmacc.", "vnmsac.",
        "vmadd.", "vnmsub.", "vmand",   "vmnand",  "vmxor",  "vmor",    "vmnor",  "vmxnor",  "vfirst", "vcpop.m",
        "vid.",   "vmv.x.s", "vmv.s.x", "vmax.",   "vsll.",  "vsrl.",   "vsra.",  "vmul.",   "vmv.v.", "vle8.",
        "vle16.", "vle32.",  "vle64.",  "vse8.",   "vse16.", "vse32.",  "vse64.", "vl1r",    "vl2r",   "vl4r",
        "vl8r",   "vs1r",    "vs2r",    "vs4r",    "vs8r",   "vmv1r",   "vmv2r",  "vmv4r",   "vmv8r"};
    return std::any_of(std::begin(stems), std::end(stems),
                       [&](std::string_view stem) { return name.starts_with(stem); });
}

}  // namespace

Cases::Cases(const HartConfig& config, u64 seed, Behaviour behaviour)
    : config_(config), random_(seed), tame_(behaviour == Behaviour::tame) {
    std::map<std::string_view, std::vector<u16>> extensions;
    const auto table = instruction_table();
    for (usize row = 0; row < table.size(); row++) {
        if (table[row].xlen == (config.xlen == 64 ? Xlen::only32 : Xlen::only64)) continue;
        if (config.vlen == 0 && table[row].operands == Operands::vector) continue;
        extensions[table[row].extension].push_back(static_cast<u16>(row));
    }
    if (config.vlen != 0)
        for (usize row = 0; row < table.size(); row++)
            if (is_plain_vector(table[row].name)) plain_vectors_.push_back(static_cast<u16>(row));
    for (auto& [name, rows] : extensions) extensions_.push_back(std::move(rows));
    for (unsigned r = 0; r < 32; r++) {
        if (r != 0) registers_x_[r] = narrow(random_integer());
        registers_f_[r] = random_float();
    }
}

void Cases::map(u8* tables, u64 index, u64 physical, u64 flags) {
    // The root has one entry, which leads over the next page (or pages) to the last level in the table region.
    const bool rv32 = config_.xlen == 32;
    if (flags != 0) flags |= pte_v | pte_a;
    const u64 entry = physical >> page_bits << 10 | flags;
    const unsigned last = rv32 ? 1 : 2;
    if (rv32)
        store_le(tables + last * page_size + index * 4, static_cast<u32>(entry));
    else
        store_le(tables + last * page_size + index * 8, entry);
}

void Cases::new_world(Machine& a, Machine& b) {
    const bool rv32 = config_.xlen == 32;
    world_ = State{};
    // Firmware's usual protection: everything allowed.
    world_.pmpcfg[0] = 0x1f;
    world_.pmpaddr[0] = rv32 ? low_mask(32) : low_mask(54);
    world_.privilege = random_.one_of(
        {Privilege::machine, Privilege::supervisor, Privilege::supervisor, Privilege::user, Privilege::user});
    translated_ = random_.percent(60);
    // Not always the same place, since translations of code outlive the tables that it was found by.
    sandbox_ = ram_base;
    if (translated_)
        sandbox_ = rv32 ? random_.one_of<u64>({0x4000'0000, 0xffc0'0000})
                        : random_.one_of<u64>({0x10'0000'0000, 0x20'0000, 0xffff'ffff'c000'0000});
    const bool through_mprv = translated_ && world_.privilege == Privilege::machine && random_.percent(60);
    if (world_.privilege == Privilege::machine && !through_mprv) translated_ = false, sandbox_ = ram_base;
    // With MPRV data goes by the tables, code does not.
    const u64 code = through_mprv ? ram_base : sandbox_;
    Privilege data = world_.privilege;
    if (through_mprv) {
        data = random_.percent(50) ? Privilege::supervisor : Privilege::user;
        world_.mstatus |= mstatus::mprv | static_cast<u64>(data) << mstatus::mpp_shift;
    } else if (random_.percent(50)) {
        world_.mstatus |= static_cast<u64>(random_.one_of({Privilege::user, Privilege::supervisor, Privilege::machine}))
                          << mstatus::mpp_shift;
    }
    if (random_.percent(30)) world_.mstatus |= mstatus::sum;
    if (random_.percent(30)) world_.mstatus |= mstatus::mxr;
    world_.medeleg = random_.percent(50) ? random_.next() & 0xb3ff : 0;
    if (translated_) {
        const u64 root = table_base >> page_bits;
        world_.satp = rv32 ? u64{1} << 31 | root : u64{8} << 60 | root;
    }

    std::vector<u8> tables(table_pages * page_size);
    const auto pointer = [&](u64 page, u64 index, u64 to) {
        const u64 entry = (table_base + to * page_size) >> page_bits << 10 | pte_v;
        if (rv32)
            store_le(tables.data() + page * page_size + index * 4, static_cast<u32>(entry));
        else
            store_le(tables.data() + page * page_size + index * 8, entry);
    };
    if (rv32) {
        pointer(0, sandbox_ >> 22, 1);
    } else {
        pointer(0, sandbox_ >> 30 & 511, 1);
        pointer(1, sandbox_ >> 21 & 511, 2);
    }
    for (usize i = 0; i < window_count; i++) {
        u64 flags = windows[i].flags;
        if (flags != 0 && data == Privilege::user) flags ^= pte_u;
        if (i != clean_window && flags != 0) flags |= pte_d;
        map(tables.data(), i, windows[i].physical, flags);
    }
    for (Machine* machine : {&a, &b}) {
        machine->memory().write(table_base, tables);
        machine->set_code(code, code_pages);
        // What is known of code stays: it belongs to physical pages.
        machine->hart().flush_tlb();
        machine->set_state(world_);
    }
    randomize_vector(world_);
}

u16 Cases::random_half() {
    while (true) {
        const u16 half = static_cast<u16>(random_.next());
        if ((half & 3) == 3) continue;
        if (!tame_ || random_.percent(3)) return half;
        if (compressed_name(half, config_.xlen) == nullptr || (half & 0xe07f) == 0x8002) continue;  // c.jr and the like
        const u32 word = expand_compressed(half, config_.xlen);
        if ((word & 0x7f) == 0x23 || (word & 0x7f) == 0x27 || (word & 0x7f) == 0x63) return half;
        if (!bit(kept, word >> 7 & 31)) return half;
    }
}

u32 Cases::random_word() {
    if (tame_ ? random_.below(400) == 0 : random_.percent(3)) return static_cast<u32>(random_.next()) | 3;
    // An extension first: most of the table is vectors.
    const auto& rows = extensions_[random_.below(extensions_.size())];
    const InstructionInfo& info = instruction_table()[rows[random_.below(rows.size())]];
    if (tame_ && info.flow == Flow::system && !random_.percent(10)) return random_word();
    u32 word = info.encoding.value | (static_cast<u32>(random_.next()) & ~info.encoding.mask);
    if ((info.operands == Operands::csr || info.operands == Operands::csr_imm) && random_.percent(80))
        word = (word & 0xf'ffff) | u32{random_.one_of(known_csrs)} << 20;
    // Rounding modes, where the field is not fixed: the reserved ones are rare.
    if ((info.operands == Operands::fr || info.operands == Operands::fr2 || info.operands == Operands::r4) &&
        random_.percent(90)) {
        const u32 mode = static_cast<u32>(random_.percent(40) ? 7 : random_.below(5)) << 12;
        word = (word & (~u32{0x7000} | info.encoding.mask)) | (mode & ~info.encoding.mask);
    }
    return tame_ && random_.percent(97) ? tamed(word, info) : word;
}

u32 Cases::tamed(u32 word, const InstructionInfo& info) {
    const auto with_field = [&](unsigned low, u32 value) {
        const u32 mask = u32{31} << low;
        if ((info.encoding.mask & mask) == 0) word = (word & ~mask) | value << low;
    };
    // All bits of the offset from the sixth up are that of its sign: 64 bytes before to 62 behind.
    const auto shorten = [&](u32 higher) { word = word >> 31 != 0 ? word | higher : word & ~higher; };
    const u32 opcode = word & 0x7f;
    switch (info.flow) {
        case Flow::branch: shorten(0x7c00'0080); return word;
        case Flow::jump:
            shorten(0x7c1f'f000);
            if (random_.percent(50)) with_field(7, random_.one_of(code_registers));
            break;
        case Flow::indirect:
            shorten(0x7c00'0000);
            with_field(15, random_.one_of(code_registers));
            if (random_.percent(50)) with_field(7, random_.one_of(code_registers));
            break;
        default:
            if (bit(kept, word >> 7 & 31) && opcode != 0x23) with_field(7, 16 + static_cast<u32>(random_.below(16)));
    }
    const bool memory = opcode == 0x03 || opcode == 0x07 || opcode == 0x23 || opcode == 0x27 || opcode == 0x2f ||
                        info.operands == Operands::cbo;
    if (memory) with_field(15, random_.one_of(memory_registers));
    if (info.operands == Operands::vector && random_.percent(90)) {
        // Groups of four registers, mostly without a mask.
        with_field(7, word >> 7 & 28);
        if ((word & 0x7f) == 0x57) {
            with_field(20, word >> 20 & 28);
            if (const u32 kind = word >> 12 & 7; kind <= 2) with_field(15, word >> 15 & 28);
        } else if (random_.percent(80)) {
            word &= ~(u32{7} << 29 & ~info.encoding.mask);  // one field
        }
        if (random_.percent(70)) word |= 1u << 25 & ~info.encoding.mask;
    }
    return word;
}

u32 Cases::random_vector(unsigned sew, int lmul) {
    // Any of the extension now and then: what is known must be right behind them, too.
    if (random_.percent(15)) return random_word();
    const InstructionInfo& info = instruction_table()[plain_vectors_[random_.below(plain_vectors_.size())]];
    u32 word = info.encoding.value | (static_cast<u32>(random_.next()) & ~info.encoding.mask);
    const auto set_field = [&](unsigned shift, u32 mask, u32 field) {
        word = (word & (~(mask << shift) | info.encoding.mask)) | (field << shift & ~info.encoding.mask);
    };
    // Registers that a group may begin with, few, so that values meet; no mask, no segment; loads of elements of SEW.
    const u32 step = lmul > 0 ? 1u << lmul : 1;
    const u32 opcode = word & 0x7f;
    const bool memory = opcode == 0x07 || opcode == 0x27;
    if (random_.percent(95)) {
        const auto group = [&] { return static_cast<u32>(random_.below(4)) * std::max(step, 2u) & 31; };
        set_field(7, 31, group());
        if (!memory) set_field(20, 31, group());
        if (!memory && (word >> 12 & 7) != 4 && (word >> 12 & 7) != 6 && (word >> 12 & 7) != 3)
            set_field(15, 31, group());
        set_field(25, 1, random_.percent(75));
        if (memory) set_field(29, 7, 0);
    }
    if (memory && (word >> 20 & 31) == 0 && random_.percent(70)) {
        const u32 widths[] = {0, 5, 6, 7};
        word = (word & ~u32{0x7000}) | widths[sew] << 12;
    }
    return word;
}

std::vector<u32> Cases::random_vectors() {
    const unsigned sew = static_cast<unsigned>(random_.below(4));
    const int lmul = static_cast<int>(random_.below(7)) - 3;
    const u32 vtype = (static_cast<u32>(random_.next()) & 0xc0) | sew << 3 | (static_cast<u32>(lmul) & 7);
    const u32 rd = random_.percent(50) ? 0 : static_cast<u32>(random_.below(32));
    const u32 rs1 = random_.percent(25) ? 0 : static_cast<u32>(random_.below(32));
    std::vector<u32> words{(random_.percent(30) ? u32{3} << 30 : 0) | vtype << 20 | rs1 << 15 | 7 << 12 | rd << 7 |
                           0x57};
    for (u64 count = 1 + random_.below(8); count-- > 0;) words.push_back(random_vector(sew, lmul));
    return words;
}

void Cases::new_code(Machine& a, Machine& b) {
    std::vector<u8> ram(ram_pages * page_size);
    for (usize i = 0; i < ram.size(); i += 8)
        store_le(ram.data() + i, random_.percent(50) ? random_integer() : random_float());
    offsets_.clear();
    vector_offsets_.clear();
    for (usize at = 0; at < code_pages * page_size;) {
        if (config_.vlen != 0 && random_.percent(4)) {
            vector_offsets_.push_back(static_cast<u16>(at));
            for (const u32 word : random_vectors()) {
                if (at + 4 > code_pages * page_size) break;
                offsets_.push_back(static_cast<u16>(at));
                store_le(ram.data() + at, word);
                at += 4;
            }
            continue;
        }
        offsets_.push_back(static_cast<u16>(at));
        // The last one may go on behind the code pages.
        const bool compressed = random_.percent(20);
        if (at + 2 == code_pages * page_size && !compressed)
            store_le(ram.data() + at, static_cast<u16>(random_word()));
        else if (compressed)
            store_le(ram.data() + at, random_half());
        else
            store_le(ram.data() + at, random_word());
        at += compressed ? 2 : 4;
    }
    a.memory().write(ram_base, ram);
    b.memory().write(ram_base, ram);
    if (config_.vlen != 0)
        for (u8& byte : world_.v) byte = static_cast<u8>(random_.next());
}

u64 Cases::random_address() {
    u64 address = ram_base + random_.below(ram_pages + 1) * page_size;
    if (translated_) {
        // The pages that can be read and written, next to one another, more often than others.
        const u64 plain[] = {2, 3, 7, 8};
        address = sandbox_ + (random_.percent(50) ? random_.one_of(plain) : random_.below(window_count)) * page_size;
    } else if (random_.percent(20)) {
        const u64 others[] = {rom_base, device_base, table_base + table_pages * page_size};
        address = random_.one_of(others);
    }
    switch (random_.below(4)) {
        case 0: return address + random_.below(page_size);
        case 1: return address + page_size - random_.below(16);
        default: return address + (random_.below(page_size) & ~u64{7});
    }
}

u64 Cases::random_integer() {
    switch (random_.below(8)) {
        case 0: return random_.one_of(corners);
        case 1: return random_.one_of(corners) + random_.below(5) - 2;
        case 2: return random_.below(256);
        case 3: return u64{1} << random_.below(64);
        case 4: return static_cast<u64>(static_cast<i64>(random_.next()) >> random_.below(64));
        case 5:
        case 6: return random_address();
        default: return random_.next();
    }
}

// A register of any format: boxed or not, with exponents at their ends more often than chance would have it.
u64 Cases::random_float() {
    const auto value = [&](unsigned exponent_bits, unsigned fraction_bits) {
        const u64 top = low_mask(exponent_bits);
        const u64 exponents[] = {0, 1, top >> 1, (top >> 1) + random_.below(8), top - 1, top, random_.next() & top};
        const u64 fractions[] = {0, 1, low_mask(fraction_bits), u64{1} << (fraction_bits - 1),
                                 random_.next() & low_mask(fraction_bits)};
        return (random_.next() & 1) << (exponent_bits + fraction_bits) | random_.one_of(exponents) << fraction_bits |
               random_.one_of(fractions);
    };
    switch (random_.below(8)) {
        case 0:
        case 1: return ~low_mask(32) | value(8, 23);
        case 2: return ~low_mask(16) | value(5, 10);
        case 3: return random_.next();
        case 4: return random_integer();
        default: return value(11, 52);
    }
}

void Cases::randomize_vector(State& s) {
    if (config_.vlen == 0) return;
    const unsigned sew = tame_ ? random_.one_of({0u, 1u, 1u, 2u, 2u, 3u}) : static_cast<unsigned>(random_.below(4));
    const int lmul = tame_ ? random_.one_of({-1, 0, 0, 0, 1}) : static_cast<int>(random_.below(7)) - 3;
    const u64 vlmax = (lmul >= 0 ? u64{config_.vlen} << lmul : u64{config_.vlen} >> -lmul) >> (sew + 3);
    if (vlmax == 0 || random_.percent(4)) {
        s.vtype = u64{1} << 63;
        s.vl = 0;
    } else {
        s.vtype = (random_.next() & 0xc0) | sew << 3 | (static_cast<unsigned>(lmul) & 7);
        s.vl = random_.percent(50) ? vlmax : random_.below(vlmax + 1);
    }
    s.vstart = random_.percent(tame_ ? 99 : 90) ? 0 : random_.below(config_.vlen);
    s.vxrm = static_cast<u8>(random_.below(4));
    s.vxsat = static_cast<u8>(random_.below(2));
}

void Cases::randomize_system(State& s) {
    s.mstatus |= random_.one_of({u64{0}, u64{1}, u64{2}, u64{2}, u64{2}, u64{2}, u64{3}, u64{3}, u64{3}, u64{3}})
                 << mstatus::fs_shift;
    if (config_.vlen != 0)
        s.mstatus |= random_.one_of({u64{0}, u64{1}, u64{2}, u64{2}, u64{2}, u64{3}, u64{3}, u64{3}})
                     << mstatus::vs_shift;
    if (tame_ && random_.percent(90)) s.mstatus |= mstatus::fs | (config_.vlen != 0 ? mstatus::vs : 0);
    constexpr u64 free_bits = mstatus::sie | mstatus::mie | mstatus::spie | mstatus::mpie | mstatus::spp |
                              mstatus::tvm | mstatus::tw | mstatus::tsr;
    s.mstatus |= random_.next() & free_bits;
    s.frm = static_cast<u8>(random_.percent(50)                ? 0
                            : random_.percent(tame_ ? 95 : 80) ? random_.below(5)
                                                               : random_.below(8));
    s.fflags = random_.percent(40) ? 0 : static_cast<u8>(random_.below(32));
    s.mtvec = narrow(random_.next()) & ~u64{2};
    s.stvec = narrow(random_.next()) & ~u64{2};
    s.mepc = narrow(random_.next()) & ~u64{1};
    s.sepc = narrow(random_.next()) & ~u64{1};
    s.mscratch = narrow(random_.next());
    s.sscratch = narrow(random_.next());
    s.mcounteren = random_.next() & 7;
    s.scounteren = random_.next() & 7;
    s.mcountinhibit = random_.next() & 5;
    s.menvcfg = random_.next() & 0xd1;
    s.senvcfg = random_.next() & 0xd1;
    s.cycle_offset = random_.next();
    s.instret_offset = random_.next();
    s.cycle_stopped = random_.next();
    s.instret_stopped = random_.next();
    s.trapped = random_.below(1000);
}

// Memory accesses find the sandbox more often than chance would have it, atomics an aligned address, store-conditionals
// a reservation.
void Cases::aim(State& s, Machine& machine) {
    u8 bytes[4];
    if (machine.read(s.pc, bytes) < 4) return;
    const u32 word = load_le<u32>(bytes), opcode = word & 0x7f;
    const bool atomic = opcode == 0x2f, memory = opcode == 0x03 || opcode == 0x07 || opcode == 0x23 || opcode == 0x27;
    if ((!atomic && !memory) || random_.percent(tame_ ? 80 : 20) || reg(word, 15) == 0) return;
    u64& address = s.x[reg(word, 15)];
    address = random_address();
    if (memory && random_.percent(50)) {
        // The place itself is met, not one around it.
        const i32 offset = (opcode & 0x20) != 0 ? SFields::decode(word).imm : IFields::decode(word).imm;
        address = narrow(address - static_cast<u64>(i64{offset}));
    }
    if (memory) return;
    address &= ~u64{7};
    if (word >> 27 != 3 || random_.percent(20)) return;
    machine.set_state(s);
    const auto physical = machine.hart().translate(address);
    u8 there[8] = {};
    if (!physical || !machine.memory().read(*physical, there)) return;
    s.reservation_valid = true;
    s.reservation_address = *physical;
    s.reservation_value = (word >> 12 & 7) == 3 ? load_le<u64>(there) : load_le<u32>(there);
    if (random_.percent(20)) s.reservation_value ^= u64{1} << random_.below(64);
}

void Cases::randomize_registers(State& s) {
    for (unsigned i = 0; i < 8; i++) {
        registers_x_[1 + random_.below(31)] = narrow(random_integer());
        registers_f_[random_.below(32)] = random_float();
    }
    std::copy(std::begin(registers_x_), std::end(registers_x_), s.x);
    std::copy(std::begin(registers_f_), std::end(registers_f_), s.f);
    if (!tame_) return;
    for (const u32 r : code_registers) s.x[r] = code_base() + offsets_[random_.below(offsets_.size())];
    // Near the middle of two pages that can be read and written.
    for (const u32 r : memory_registers)
        if (random_.percent(95))
            s.x[r] = (translated_ ? sandbox_ : ram_base) + (translated_ && random_.percent(50) ? 8 : 3) * page_size -
                     1024 + (random_.below(2048) & (random_.percent(80) ? ~u64{15} : ~u64{0}));
}

u64 Cases::code_base() const { return (world_.mstatus & mstatus::mprv) != 0 ? ram_base : sandbox_; }

State Cases::new_numbers(const State& last, Machine& machine) {
    State s;
    std::memcpy(static_cast<void*>(&s), &last, sizeof s);
    randomize_registers(s);
    s.fflags = random_.percent(40) ? 0 : static_cast<u8>(random_.below(32));
    s.reservation_valid = false;
    aim(s, machine);
    return s;
}

State Cases::new_state(Machine& machine) {
    State s;
    std::memcpy(static_cast<void*>(&s), &world_, sizeof s);
    randomize_registers(s);
    const auto& starts = vector_offsets_.empty() || random_.percent(85) ? offsets_ : vector_offsets_;
    s.pc = code_base() + starts[random_.below(starts.size())];
    randomize_system(s);
    if (random_.percent(10)) randomize_vector(world_);
    s.reservation_valid = random_.percent(50);
    s.reservation_address = random_address() & ~u64{3};
    s.reservation_value = random_integer();
    aim(s, machine);
    return s;
}

}  // namespace viv::riscv::test
