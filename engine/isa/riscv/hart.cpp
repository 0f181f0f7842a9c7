// A hart's life outside its instructions: construction, reset, state, interrupt lines, starting and stopping.
#include "engine/isa/riscv/hart.h"

#include "engine/isa/riscv/hart_context.h"
#include "engine/lang/check.h"

namespace viv::riscv {

namespace {

constexpr usize context_count = 12;

// A pin into a bit of the hart's interrupt lines.
class LinePin final : public Pin {
public:
    LinePin(std::atomic<u64>& lines, unsigned bit, std::function<void()> raised)
        : lines_(lines), mask_(u64{1} << bit), raised_(std::move(raised)) {}
    void set(bool level) override {
        if (level) {
            if ((lines_.fetch_or(mask_, std::memory_order_release) & mask_) == 0) raised_();
        } else {
            lines_.fetch_and(~mask_, std::memory_order_release);
        }
    }

private:
    std::atomic<u64>& lines_;
    u64 mask_;
    std::function<void()> raised_;
};

}  // namespace

Hart::Hart(const HartConfig& config, HartWiring wiring)
    : exec::Engine(1, config.code_pages),
      config_(config),
      wiring_(std::move(wiring)),
      decoder_(config.xlen, config.vlen != 0),
      log_(wiring_.log, "hart") {
    CHECK(config_.xlen == 32 || config_.xlen == 64);
    CHECK(config_.vlen == 0 ||
          (is_power_of_two(config_.vlen) && config_.vlen >= 128 && config_.vlen <= 8 * maximum_vlen_bytes));
    for (usize i = 0; i < context_count; i++) contexts_.push_back(std::make_unique<Context>());
    global_jumps_ = std::make_unique<JumpTables>();
    for (unsigned bit = 0; bit < 16; bit++)
        pins_.push_back(std::make_unique<LinePin>(lines_, bit, [this] { interrupt_raised(); }));
    timer_ = std::make_unique<Timer>(wiring_.timers, [this] {
        lines_.fetch_or(u64{1} << irq_sti, std::memory_order_release);
        interrupt_raised();
    });
    reset();
}

Hart::~Hart() = default;

void Hart::reset() {
    s = State{};
    s.mstatus = 0;
    std::fill(std::begin(s.tdata1), std::end(s.tdata1), disabled_trigger());
    arm_triggers();
    executed_ = 0;
    lines_.store(0);
    soft_pending_.store(0);
    attention.store(false);
    timer_->cancel();
    leave_wanted = debug_hit_ = false;
    current_ = nullptr;
    forget_code();
    for (auto& context : contexts_) {
        context->tlb.flush();
        context->fetch.flush();
        context->jumps.flush();
    }
    global_jumps_->flush();
    update_pmp();
    update_contexts();
}

void Hart::interrupt_raised() {
    // Only a hart that is running in another thread needs to hear of it; one that runs in turn looks before its next
    // slice, and one that has just driven the device leaves after the access.
    if (wiring_.device_lock != nullptr) attention.store(true, std::memory_order_release);
    wake();
}

Pin& Hart::interrupt_line(Interrupt which) { return *pins_[which]; }

void Hart::set_pending(Interrupt which, bool level) {
    const u64 mask = u64{1} << which;
    if (level) {
        soft_pending_.fetch_or(mask, std::memory_order_release);
        interrupt_raised();
    } else {
        soft_pending_.fetch_and(~mask, std::memory_order_release);
        s.mip &= ~mask;
    }
}

void Hart::start(u64 pc, u64 a1) {
    s.x[10] = config_.index;
    s.x[11] = a1;
    s.pc = pc;
    s.satp = 0;
    s.privilege = Privilege::supervisor;
    s.mstatus &= ~mstatus::sie;
    s.waiting = false;
    s.halted = false;
    update_contexts();
    wake();
}

void Hart::prepare_supervisor() {
    s.mideleg = u64{1} << irq_ssi | u64{1} << irq_sti | u64{1} << irq_sei;
    s.medeleg = 0xb1ff;  // all that a supervisor can handle; environment calls from it come to the SBI
    s.mcounteren = s.scounteren = 0xffff'ffff;       // kernels leave user access to time as they find it
    s.menvcfg = u64{1} << 63 | u64{1} << 62 | 0xf0;  // STCE, PBMTE, CBZE, CBCFE, CBIE
    s.mseccfg = 1 << 9;                              // SSEED: the entropy source, as the device tree offers it
    s.pmpcfg[0] = 0x1f;                              // NAPOT, all rights
    s.pmpaddr[0] = config_.xlen == 64 ? low_mask(54) : low_mask(32);
    s.stimecmp = ~u64{0};
    update_pmp();
}

void Hart::set_timer(u64 ticks) {
    s.stimecmp = ticks;
    host::Lock lock(wiring_.device_lock);
    update_timer();
}

std::string_view Hart::mode_name() const {
    switch (s.privilege) {
        case Privilege::user: return "user";
        case Privilege::supervisor: return "supervisor";
        case Privilege::machine: break;
    }
    return "machine";
}

void Hart::state(Archive& a) {
    s.mip |= soft_pending_.exchange(0);
    u64 lines = lines_.load();
    s.x[discard_x] = 0;  // no tier need keep what is written there
    a(1, "x", s.x);
    a(2, "pc", s.pc);
    a(3, "f", s.f);
    a(4, "v", s.v);
    u8 privilege = static_cast<u8>(s.privilege);
    a(5, "privilege", privilege, 3);
    a.require(privilege != 2, "privilege", "is reserved");
    s.privilege = static_cast<Privilege>(privilege == 2 ? 3 : privilege);
    a(6, "fflags", s.fflags, 31);
    a(7, "frm", s.frm, 7);
    a(8, "vxsat", s.vxsat, 1);
    a(9, "vxrm", s.vxrm, 3);
    a(10, "vstart", s.vstart, config_.vlen == 0 ? 0 : config_.vlen - 1);
    a(11, "vl", s.vl, config_.vlen);
    a(12, "vtype", s.vtype);
    a(13, "mstatus", s.mstatus);
    a(14, "medeleg", s.medeleg);
    a(15, "mideleg", s.mideleg);
    a(16, "mie", s.mie);
    a(17, "mip", s.mip);
    a(18, "mtvec", s.mtvec);
    a(19, "mscratch", s.mscratch);
    a(20, "mepc", s.mepc);
    a(21, "mcause", s.mcause);
    a(22, "mtval", s.mtval);
    a(23, "mcounteren", s.mcounteren);
    a(24, "mcountinhibit", s.mcountinhibit);
    a(25, "menvcfg", s.menvcfg);
    a(26, "mseccfg", s.mseccfg);
    a(27, "stvec", s.stvec);
    a(28, "sscratch", s.sscratch);
    a(29, "sepc", s.sepc);
    a(30, "scause", s.scause);
    a(31, "stval", s.stval);
    a(32, "satp", s.satp);
    a(33, "scounteren", s.scounteren);
    a(34, "senvcfg", s.senvcfg);
    a(35, "stimecmp", s.stimecmp);
    a(36, "cycle_offset", s.cycle_offset);
    a(37, "instret_offset", s.instret_offset);
    a(38, "trapped", s.trapped);
    a(39, "cycle_stopped", s.cycle_stopped);
    a(40, "instret_stopped", s.instret_stopped);
    a(41, "pmpcfg", s.pmpcfg);
    a(42, "pmpaddr", s.pmpaddr);
    a(43, "reservation_valid", s.reservation_valid);
    a(44, "reservation_address", s.reservation_address);
    a(45, "reservation_value", s.reservation_value);
    a(46, "waiting", s.waiting);
    a(47, "halted", s.halted);
    a(48, "executed", executed_);
    a(49, "lines", lines);
    a(50, "tselect", s.tselect, trigger_count - 1);
    a(51, "tdata1", s.tdata1);
    a(52, "tdata2", s.tdata2);
    a(53, "tcontrol", s.tcontrol);
    if (!a.loading()) return;
    check_triggers();
    lines_.store(lines);
    s.x[0] = 0;
    check_vector_type(a);
}

void Hart::check_vector_type(Archive& a) {
    // vl never exceeds VLMAX of vtype; the vector helpers rely on it.
    const u64 vtype = s.vtype;
    if ((vtype >> 63) != 0) return a.require(s.vl == 0, "vl", "is set although vtype is illegal");
    const unsigned sew = 8u << (vtype >> 3 & 7);
    const int lmul = static_cast<int>(sign_extend(vtype & 7, 3));
    const u64 bits = lmul >= 0 ? u64{config_.vlen} << lmul : u64{config_.vlen} >> -lmul;
    a.require(config_.vlen != 0 && (vtype & ~u64{0xff}) == 0 && lmul != -4 && sew <= 64, "vtype",
              "is not one this hart supports");
    a.require(s.vl <= bits / sew, "vl", "is larger than vtype allows");
}

void Hart::restored() {
    leave_wanted = debug_hit_ = false;
    current_ = nullptr;
    forget_code();
    for (auto& context : contexts_) {
        context->tlb.flush();
        context->fetch.flush();
        context->jumps.flush();
        context->mode = ~u64{0};
    }
    global_jumps_->flush();
    arm_triggers();
    update_pmp();
    update_contexts();
    update_timer();
}

void Hart::pages_noted() {
    for (auto& context : contexts_) context->tlb.flush();
}

std::vector<exec::TranslatedCode> Hart::translated_code(u64 pc) {
    const auto physical = translate(pc);
    if (translator_ == nullptr || !physical) return {};
    const u64 page = *physical & ~page_mask;
    const u8* bytes = wiring_.memory.host(page, page_size);
    if (bytes == nullptr) return {};
    return translator_->describe({page, pc & ~page_mask, bytes}, pc);
}

std::optional<exec::TranslatorReport> Hart::translator_report(usize most) const {
    if (translator_ == nullptr) return {};
    return translator_->report(most);
}

void Hart::set_debug_points(const DebugPoints* points) {
    shared_debug_points_ = points;
    debug_changed();
}

void Hart::debug_changed() {
    debug_points_ = shared_debug_points_ != nullptr && !shared_debug_points_->empty() ? shared_debug_points_ : nullptr;
    forget_code();
    flush_tlb();
}

}  // namespace viv::riscv
