// See ours.h. A few instructions of machine mode surround each case: mret enters it, and every trap ends in a wfi that
// makes run() return.
#include "tests/lockstep/qemu_user/ours.h"

#include <algorithm>
#include <cstring>

#include "engine/isa/riscv/rv_c.h"
#include "engine/isa/riscv/vector.h"
#include "engine/jit/catalog.h"
#include "engine/lang/check.h"

namespace viv::lockstep {

namespace {

constexpr u64 monitor_base = 0x6e9d'3000;
constexpr u32 monitor[] = {0x3020'0073,   // mret
                           0x1050'0073,   // trap vector: wfi
                           0xffdf'f06f};  // j -4
// Far more than a case executes: only a mistake of ours takes as many.
constexpr u64 most_instructions = 200'000;
constexpr u32 endless = 99;  // a signal that there is not

constexpr u64 code_size = u64{MAXIMUM_CASES} * CODE_STRIDE;
static_assert(is_power_of_two(code_size) && CODE_BASE % code_size == 0);

// What a Linux kernel would send the process.
u32 signal_of(u64 cause) {
    switch (static_cast<riscv::Cause>(cause)) {
        case riscv::Cause::illegal: return 4;
        case riscv::Cause::breakpoint: return 5;
        case riscv::Cause::fetch_misaligned:
        case riscv::Cause::load_misaligned:
        case riscv::Cause::store_misaligned: return 7;
        default: return 11;
    }
}

// A 32-bit address space is so small that one often meets the process's stack and the like: only around the window is
// known what there is.
bool known_in_32_bits(u64 address) {
    return address - (WINDOW_BASE - 0x10000) < 0x20000 + WINDOW_BYTES || address < 0x1000;
}

bool comparable(u64 cause, u64 address, unsigned xlen) {
    switch (static_cast<riscv::Cause>(cause)) {
        case riscv::Cause::load_misaligned:
        case riscv::Cause::store_misaligned: return false;
        case riscv::Cause::load_access:
        case riscv::Cause::store_access: break;
        default: return true;
    }
    if (xlen == 32) return known_in_32_bits(address);
    return address - SHARED_BASE_64 >= sizeof(shared_file) && address - PROGRAM_BASE_64 >= PROGRAM_BYTES;
}

}  // namespace

Ours::Ours(unsigned xlen, unsigned vlen) {
    CHECK(memory_.add(CODE_BASE, code_size, GuestMemory::Kind::ram, "code").ok());
    CHECK(memory_.add(WINDOW_BASE, WINDOW_BYTES, GuestMemory::Kind::ram, "window").ok());
    CHECK(memory_.add(monitor_base, page_size, GuestMemory::Kind::ram, "monitor").ok());
    window_ = reinterpret_cast<u64*>(memory_.host(WINDOW_BASE, WINDOW_BYTES));
    CHECK(memory_.load(monitor_base, {reinterpret_cast<const u8*>(monitor), sizeof monitor}));
    const riscv::HartConfig config{.xlen = xlen, .vlen = vlen};
    hart_ =
        std::make_unique<riscv::Hart>(config, riscv::HartWiring{.memory = memory_,
                                                                .bus = bus_,
                                                                .time = time_,
                                                                .timers = bench_.timers,
                                                                .inlet = bench_.inlet,
                                                                .log = bench_.sink,
                                                                .protect_code = [this](u64 page) {
                                                                    memory_.page_flags(page)->fetch_or(page_has_code);
                                                                    hart_->protect_page(page);
                                                                }});
    memory_.set_page_listener([this](u64 address, u64 size) {
        if (!hart_->code_changed(address, size))
            memory_.page_flags(address)->fetch_and(static_cast<u8>(~page_has_code));
    });
    hart_->prepare_supervisor();
    hart_->s.medeleg = hart_->s.mideleg = 0;
    hart_->s.senvcfg = 0x80;  // as Linux has it: of the cache operations, programs may use cbo.zero
    hart_->s.mtvec = monitor_base + 4;
    // User mode may not write the code and may not touch the monitor; the rest is open.
    constexpr u16 csr_pmpcfg0 = 0x3a0, csr_pmpaddr0 = 0x3b0;
    constexpr u64 none = 0x18, read_execute = 0x1d, all = 0x1f;  // NAPOT
    const auto range = [](u64 base, u64 size) { return (base | (size / 2 - 1)) >> 2; };
    hart_->write_csr(csr_pmpaddr0, range(CODE_BASE, code_size));
    hart_->write_csr(csr_pmpaddr0 + 1, range(monitor_base, page_size));
    hart_->write_csr(csr_pmpaddr0 + 2, xlen == 64 ? low_mask(54) : low_mask(32));
    hart_->write_csr(csr_pmpcfg0, read_execute | none << 8 | all << 16);
}

Ours::~Ours() { hart_->set_translator(nullptr); }

Result<bool> Ours::translate(const jit::Options& options) {
    guest_ = std::make_unique<riscv::HartTranslation>(*hart_);
    TRY_SET(translator_, jit::make_translator(options, *hart_, *guest_, code_memory_));
    hart_->set_translator(translator_.get());
    return translator_ != nullptr;
}

// Of what the translator has run. An interpreted block is as good as never more than one instruction, since what can be
// translated is so at once.
u64 Ours::interpreted() const {
    if (translator_ == nullptr) return hart_->instructions();
    const jit::Statistics& statistics = tiers()->statistics();
    return statistics.exits[static_cast<usize>(jit::ExitKind::interpret)] + statistics.interpreted_blocks;
}

bool Ours::region_at(u64 code) const {
    if (translator_ == nullptr) return false;
    const auto all = tiers()->cache().on_page(code & ~page_mask);
    return std::any_of(all.begin(), all.end(), [&](const jit::Translation* each) {
        return each->tier == jit::Tier::full &&
               std::any_of(each->entries.begin(), each->entries.end(),
                           [&](const jit::Compiled::Entry& entry) { return entry.guest == (code & page_mask); });
    });
}

void Ours::load(std::span<const u8> code, std::span<const u64> window) {
    CHECK(memory_.load(CODE_BASE, code));
    pristine_.assign(window.begin(), window.end());
    std::memcpy(window_, pristine_.data(), WINDOW_BYTES);
    whole_with_vstart_.assign(MAXIMUM_CASES, false);
}

void Ours::set_state(const test_case& test) {
    riscv::State& s = hart_->s;
    const machine_state& from = test.before;
    s.mstatus |= riscv::mstatus::fs | riscv::mstatus::vs;
    if (test.uses_v != 0) {
        // As the guest program does: the length is what vsetvl makes of the one asked for.
        s.x[5] = from.vl;
        s.x[6] = from.vtype;
        riscv::vector::set_vl(*hart_, 0x8062'f057);  // vsetvl x0, x5, x6
        s.vxsat = from.vcsr & 1;
        s.vxrm = from.vcsr >> 1 & 3;
        s.vstart = from.vstart;
        std::memcpy(s.v, from.v, usize{32} * hart_->vlen_bytes());
    } else
        s.mstatus &= ~riscv::mstatus::vs;
    std::memcpy(s.x, from.x, sizeof from.x);
    std::memcpy(s.f, from.f, sizeof from.f);
    s.fflags = from.fcsr & 31;
    s.frm = from.fcsr >> 5 & 7;
    s.reservation_valid = false;
}

void Ours::get_state(machine_state& state) const {
    const riscv::State& s = hart_->s;
    std::memcpy(state.x, s.x, sizeof state.x);
    std::memcpy(state.f, s.f, sizeof state.f);
    state.fcsr = s.fflags | u64{s.frm} << 5;
    state.vcsr = s.vxsat | u64{s.vxrm} << 1;
    state.vstart = s.vstart;
    state.vl = s.vl;
    state.vtype = hart_->xlen() == 64 ? s.vtype : (s.vtype & 0x7fff'ffff) | s.vtype >> 63 << 31;
    std::memcpy(state.v, s.v, usize{32} * hart_->vlen_bytes());
}

namespace {

struct UnitStride {
    bool yes = false, whole = false, mask = false, fault_only_first = false;
    u64 element_bytes = 1;
    explicit UnitStride(u32 word) {
        const u32 opcode = word & 0x7f, width = word >> 12 & 7, kind = word >> 20 & 31;
        yes = (opcode == 0x07 || opcode == 0x27) && (width == 0 || width >= 5) && (word >> 26 & 3) == 0;
        whole = yes && kind == 8;
        mask = yes && kind == 11;
        fault_only_first = yes && opcode == 0x07 && kind == 16;
        element_bytes = width == 0 ? 1 : u64{1} << (width & 3);
    }
};

// VLMAX; what it is for no legal type does not matter.
u64 length_limit(u64 vtype, u64 vlen_bytes) {
    const unsigned group = vtype & 3, width = vtype >> 3 & 7;
    return ((vtype & 4) != 0 ? vlen_bytes >> (4 - group) : vlen_bytes << group) >> width;
}

}  // namespace

u32 Ours::word_at(u64 pc) const {
    u32 word = 0;
    if (const u8* at = memory_.host(pc, 4)) std::memcpy(&word, at, 4);
    return word;
}

// A fault-only-first load shows what there is without a trap. Known are addresses that registers hold from the start.
bool Ours::looks_far_without_a_trap(u64 code, const test_case& test) const {
    if (hart_->xlen() == 64) return false;
    u32 bases = 0, written = 0;
    for (u64 offset = 0; offset < CODE_STRIDE - EXIT_BYTES;) {
        u32 word = word_at(code + offset);
        offset += (word & 3) == 3 ? 4 : 2;
        if (UnitStride(word).fault_only_first) bases |= 1u << (word >> 15 & 31);
        if ((word & 3) != 3) word = riscv::expand_compressed(static_cast<u16>(word), 32);
        switch (word & 0x7f) {
            case 0x07:
            case 0x23:
            case 0x27:
            case 0x63: break;
            default: written |= 1u << (word >> 7 & 31);
        }
    }
    for (unsigned r = 0; r < 32; r++)
        if (bit(bases, r) && (bit(written, r) || !known_in_32_bits(test.before.x[r]))) return true;
    return false;
}

// QEMU 11.1 translates code for either vl = VLMAX and vstart = 0, or all else. From a block that ran with a vstart it
// goes on, that being 0 by then, to what was right the first time, whatever vl is now: once that was VLMAX it has to be
// again.
bool Ours::step_with_vstart(usize block, Outcome& outcome) {
    riscv::State& s = hart_->s;
    if (s.vstart == 0) return true;
    const bool whole = s.vl == length_limit(s.vtype, hart_->vlen_bytes());
    if (!whole && whole_with_vstart_[block]) return false;
    whole_with_vstart_[block] = whole_with_vstart_[block] || whole;
    while (s.vstart != 0 && s.privilege == riscv::Privilege::user) {
        const u32 word = word_at(s.pc);
        const UnitStride memory(word);
        if (memory.whole && s.vstart >= ((word >> 29) + 1) * hart_->vlen_bytes() / memory.element_bytes) return false;
        if (memory.mask && s.vstart >= (s.vl + 7) / 8) return false;
        hart_->run(1, Cpu::Step::single);
        outcome.interpreted++;
    }
    return true;
}

Ours::Outcome Ours::run(const test_case& test, u64 exit_stub, test_result& result) {
    Outcome outcome;
    riscv::State& s = hart_->s;
    set_state(test);
    const u64 code = CODE_BASE + test.block * CODE_STRIDE;
    outcome.region = region_at(code);
    const u64 interpreted_before = interpreted();
    if (looks_far_without_a_trap(code, test)) outcome.comparable = false;
    s.mepc = code;
    result.fault_count = 0;
    const u64 first = hart_->instructions();
    u64 ours = 0;  // of the monitor
    while (true) {
        s.pc = monitor_base;
        s.waiting = false;
        s.mstatus &= ~riscv::mstatus::mpp;
        if (s.vstart != 0) {
            hart_->run(1, Cpu::Step::single);  // the mret
            if (!step_with_vstart(test.block, outcome)) outcome.comparable = false;
        }
        Cpu::Exit exit = Cpu::Exit::budget;
        while (exit != Cpu::Exit::idle && hart_->instructions() - first < most_instructions)
            exit = hart_->run(most_instructions, Cpu::Step::run);
        if (exit != Cpu::Exit::idle) {
            result.faults[0] = {static_cast<u32>(s.pc - code), endless};
            result.fault_count = 1;
            break;
        }
        ours += 2;
        const u64 offset = s.mepc - code;
        if (static_cast<riscv::Cause>(s.mcause) == riscv::Cause::fetch_access && s.mepc == exit_stub) break;
        if (!comparable(s.mcause, s.mtval, hart_->xlen())) outcome.comparable = false;
        const UnitStride memory(word_at(s.mepc));
        if (memory.whole && s.vstart * memory.element_bytes % 8 != 0) outcome.comparable = false;
        if (result.fault_count < MAXIMUM_FAULTS) {
            result.faults[result.fault_count] = {static_cast<u32>(offset), signal_of(s.mcause)};
            result.fault_count++;
        }
        if (offset >= CODE_STRIDE - EXIT_BYTES || result.fault_count == MAXIMUM_FAULTS) {
            outcome.comparable = false;
            break;
        }
        const u8* at = memory_.host(s.mepc, 2);
        s.mepc += (at[0] & 3) == 3 ? 4 : 2;
    }
    get_state(result.after);
    for (usize group = 0; group < std::size(result.changed); group++) {
        u64 changed = 0;
        for (usize k = 0; k < 64; k++) {
            const usize i = group * 64 + k;
            if (window_[i] == pristine_[i]) continue;
            changed |= u64{1} << k;
            result.window[i] = window_[i];
            window_[i] = pristine_[i];
        }
        result.changed[group] = changed;
    }
    outcome.instructions = hart_->instructions() - first - ours;
    outcome.interpreted += interpreted() - interpreted_before;
    return outcome;
}

}  // namespace viv::lockstep
