// See sbi.h. Calls that reach into other harts do so while these stand still.
#include "engine/isa/riscv/sbi.h"

namespace viv::riscv {

namespace {

constexpr i64 sbi_success = 0, sbi_err_failed = -1, sbi_err_not_supported = -2, sbi_err_invalid_param = -3,
              sbi_err_invalid_address = -5, sbi_err_already_available = -6;

constexpr u64 extension_base = 0x10, extension_time = 0x54494d45, extension_ipi = 0x735049,
              extension_rfence = 0x52464e43, extension_hsm = 0x48534d, extension_srst = 0x53525354,
              extension_dbcn = 0x4442434e;

constexpr u64 specification_version = 2 << 24;  // 2.0
constexpr u64 implementation_id = 0x766976;     // "viv": not registered
constexpr u64 implementation_version = 1;
constexpr u64 longest_console_write = 4096;

// Arguments as they stand in a0 to a7.
u64 argument(const Hart& hart, unsigned n) { return hart.s.x[10 + n]; }

}  // namespace

void Sbi::hand_over(Hart& hart, u64 pc, u64 a1) {
    hart.prepare_supervisor();
    hart.start(pc, a1);
}

std::vector<Hart*> Sbi::select(u64 mask, u64 mask_base) const {
    if (mask_base == ~u64{0}) return harts_;
    std::vector<Hart*> chosen;
    for (unsigned bit = 0; bit < 64; bit++) {
        if ((mask >> bit & 1) == 0) continue;
        if (mask_base >= harts_.size() || bit >= harts_.size() - mask_base) return {};
        chosen.push_back(harts_[mask_base + bit]);
    }
    return chosen;
}

Sbi::Answer Sbi::base(u64 function, u64 wanted) {
    switch (function) {
        case 0: return {sbi_success, specification_version};
        case 1: return {sbi_success, implementation_id};
        case 2: return {sbi_success, implementation_version};
        case 3: {
            const bool known = wanted <= 8 || wanted == extension_base || wanted == extension_time ||
                               wanted == extension_ipi || wanted == extension_rfence || wanted == extension_hsm ||
                               wanted == extension_srst || wanted == extension_dbcn;
            return {sbi_success, known};
        }
        case 4:
        case 5:
        case 6: return {sbi_success, 0};  // mvendorid, marchid, mimpid
        default: return {sbi_err_not_supported, 0};
    }
}

Sbi::Answer Sbi::ipi(Hart& hart, u64 mask, u64 mask_base) {
    const auto targets = select(mask, mask_base);
    if (targets.empty() && mask != 0) return {sbi_err_invalid_param, 0};
    for (Hart* target : targets) target->set_pending(irq_ssi, true);
    hart.leave_wanted = true;
    return {};
}

Sbi::Answer Sbi::remote_fence(u64 function, Hart& hart) {
    const u64 mask = argument(hart, 0), mask_base = argument(hart, 1);
    const auto targets = select(mask, mask_base);
    if (targets.empty() && mask != 0) return {sbi_err_invalid_param, 0};
    if (function > 2) return {sbi_err_not_supported, 0};  // the hypervisor's fences
    if (function == 0) return {};                         // fence.i: decoded code is coherent with stores
    const u64 start = argument(hart, 2), size = argument(hart, 3);
    const u64 asid = function == 2 ? argument(hart, 4) & 0xffff : ~u64{0};
    constexpr u64 most_pages = 64;  // beyond that a whole flush is cheaper
    wiring_.exclusive([&] {
        for (Hart* target : targets) {
            if ((start == 0 && size == 0) || size == ~u64{0} || size > most_pages * page_size) {
                target->flush_tlb(~u64{0}, asid);
                continue;
            }
            for (u64 page = start & ~page_mask; page - (start & ~page_mask) < size + (start & page_mask);
                 page += page_size)
                target->flush_tlb(page, asid);
        }
    });
    return {};
}

Sbi::Answer Sbi::hart_state(u64 function, Hart& hart) {
    const u64 id = argument(hart, 0);
    switch (function) {
        case 0: {
            if (id >= harts_.size()) return {sbi_err_invalid_param, 0};
            Hart& target = *harts_[id];
            const u64 address = argument(hart, 1), opaque = argument(hart, 2);
            if (wiring_.dma.view(address & ~u64{1}, 2).empty()) return {sbi_err_invalid_address, 0};
            Answer answer;
            wiring_.exclusive([&] {
                if (!target.halted())
                    answer.error = sbi_err_already_available;
                else
                    hand_over(target, address, opaque);
            });
            return answer;
        }
        case 1: hart.halt(); return {};
        case 2:
            if (id >= harts_.size()) return {sbi_err_invalid_param, 0};
            return {sbi_success, harts_[id]->halted() ? u64{1} : u64{0}};
        case 3: {
            // Retentive suspension is a WFI; a non-retentive one resumes at the given address after it.
            const u32 type = static_cast<u32>(argument(hart, 0));
            if (type != 0 && type != 0x8000'0000) return {sbi_err_invalid_param, 0};
            const u64 address = argument(hart, 1), opaque = argument(hart, 2);
            if (type != 0) {
                if (wiring_.dma.view(address & ~u64{1}, 2).empty()) return {sbi_err_invalid_address, 0};
                hart.start(address, opaque);
            }
            hart.wait_for_interrupt();
            return {};
        }
        default: return {sbi_err_not_supported, 0};
    }
}

Sbi::Answer Sbi::system_reset(u64 type) {
    host::Lock lock(wiring_.device_lock);
    switch (type & 0xffff'ffff) {
        case 0: wiring_.shutdown(); return {};
        case 1:
        case 2: wiring_.reboot(); return {};  // cold, warm
        default: return {sbi_err_invalid_param, 0};
    }
}

Sbi::Answer Sbi::debug_console(u64 function, Hart& hart) {
    switch (function) {
        case 0: {
            const u64 length = std::min(argument(hart, 0), longest_console_write);
            const u64 address = argument(hart, 1);
            const auto text = argument(hart, 2) == 0 ? wiring_.dma.view(address, length) : std::span<u8>{};
            if (text.size() != length) return {sbi_err_invalid_param, 0};
            host::Lock lock(wiring_.device_lock);
            wiring_.console(text);
            return {sbi_success, length};
        }
        case 1: return {sbi_success, 0};  // there is never input: it goes to the UART
        case 2: {
            const u8 byte = static_cast<u8>(argument(hart, 0));
            host::Lock lock(wiring_.device_lock);
            wiring_.console({&byte, 1});
            return {};
        }
        default: return {sbi_err_not_supported, 0};
    }
}

bool Sbi::legacy(u64 extension, Hart& hart, Answer& answer) {
    // A mask in memory at a0; a null pointer means every hart.
    const auto mask_at = [&](u64 address, u64& mask, u64& mask_base) {
        mask = 0;
        mask_base = address == 0 ? ~u64{0} : 0;
        u64 value = 0;
        if (address == 0) return true;
        u8 raw[8];
        if (!hart.read_memory(address, raw)) return false;
        value = load_le<u64>(raw);
        mask = value;
        return true;
    };
    u64 mask = 0, mask_base = 0;
    switch (extension) {
        case 0: hart.set_timer(argument(hart, 0)); return true;
        case 1: {
            const u8 byte = static_cast<u8>(argument(hart, 0));
            host::Lock lock(wiring_.device_lock);
            wiring_.console({&byte, 1});
            return true;
        }
        case 2: answer.error = sbi_err_failed; return true;  // getchar: none
        case 3: hart.set_pending(irq_ssi, false); return true;
        case 4:
            if (mask_at(argument(hart, 0), mask, mask_base)) ipi(hart, mask, mask_base);
            return true;
        case 5: return true;
        case 6:
        case 7:
            wiring_.exclusive([&] {
                for (Hart* target : harts_) target->flush_tlb();
            });
            return true;
        case 8: system_reset(0); return true;
        default: return false;
    }
}

void Sbi::call(Hart& hart) {
    const u64 extension = argument(hart, 7), function = argument(hart, 6);
    Answer answer;
    if (legacy(extension, hart, answer)) {
        hart.s.x[10] = static_cast<u64>(answer.error);
        return;
    }
    switch (extension) {
        case extension_base: answer = base(function, argument(hart, 0)); break;
        case extension_time:
            if (function == 0)
                hart.set_timer(argument(hart, 0));
            else
                answer.error = sbi_err_not_supported;
            break;
        case extension_ipi:
            answer = function == 0 ? ipi(hart, argument(hart, 0), argument(hart, 1)) : Answer{sbi_err_not_supported, 0};
            break;
        case extension_rfence: answer = remote_fence(function, hart); break;
        case extension_hsm: {
            const u64 before = hart.s.pc;
            answer = hart_state(function, hart);
            if (hart.s.pc != before) return;  // a non-retentive suspension: a0 and a1 are the resumed code's
            break;
        }
        case extension_srst:
            answer = function == 0 ? system_reset(argument(hart, 0)) : Answer{sbi_err_not_supported, 0};
            break;
        case extension_dbcn: answer = debug_console(function, hart); break;
        default: answer.error = sbi_err_not_supported; break;
    }
    hart.s.x[10] = hart.xlen() == 64 ? static_cast<u64>(answer.error) : static_cast<u32>(answer.error);
    hart.s.x[11] = answer.value;
}

}  // namespace viv::riscv
