// The sandbox behind exec_oracle_machine.h.
#include "tests/lockstep/exec_oracle_machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/lang/check.h"

namespace viv::riscv::test {

void normalize(State& s, u64 executed_before) {
    s.cycle_offset -= executed_before;
    s.instret_offset -= executed_before;
    s.x[discard_x] = 0;
}

std::string differences(const State& a, std::string_view name_a, const State& b, std::string_view name_b) {
    const ir::SlotTable slots = state_slots();
    std::string text;
    const auto* bytes_a = reinterpret_cast<const u8*>(&a);
    const auto* bytes_b = reinterpret_cast<const u8*>(&b);
    for (usize at = 0; at + 8 <= sizeof(State); at += 8) {
        const u64 left = load_host<u64>(bytes_a + at), right = load_host<u64>(bytes_b + at);
        if (left == right) continue;
        std::string name = fmt::format("state+{:#x}", at);
        for (const ir::Slot& slot : slots.all())
            if (slot.offset >= at && slot.offset < at + 8) name += " " + slot.name;
        text += fmt::format("  {}: {} {:#018x}, {} {:#018x}\n", name, name_a, left, name_b, right);
    }
    return text;
}

Machine::Machine(const HartConfig& config) {
    CHECK(memory_.add(ram_base, ram_pages * page_size, GuestMemory::Kind::ram, "ram").ok());
    CHECK(memory_.add(table_base, table_pages * page_size, GuestMemory::Kind::ram, "tables").ok());
    CHECK(memory_.add(rom_base, page_size, GuestMemory::Kind::rom, "rom").ok());
    CHECK(bus_.map(device_base, page_size, device_, "recorder").ok());
    clock_.set_instruction_source([] { return u64{0}; }, 1);
    hart_ = std::make_unique<Hart>(config, HartWiring{memory_, bus_, time_, timers_, inlet_, log_, nullptr, nullptr,
                                                      [this](u64 page) { protect(page); }});
    memory_.set_page_listener([this](u64 address, u64 size) {
        // The next block is built anew, whatever was written: its page is protected again then.
        if (!hart_->code_changed(address, size))
            memory_.page_flags(address)->fetch_and(static_cast<u8>(~page_has_code));
    });
}

void Machine::protect(u64 physical_page) {
    std::atomic<u8>* flags = memory_.page_flags(physical_page);
    if (flags == nullptr || (flags->fetch_or(page_has_code) & page_has_code) != 0) return;
    hart_->protect_page(physical_page);
}

void Machine::set_state(const State& wanted) {
    State& s = hart_->s;
    const auto same_array = [](const auto& a, const auto& b) {
        return std::equal(std::begin(a), std::end(a), std::begin(b));
    };
    const bool same_protection = same_array(s.pmpcfg, wanted.pmpcfg) && same_array(s.pmpaddr, wanted.pmpaddr);
    constexpr u64 translation = mstatus::mprv | mstatus::sum | mstatus::mxr | mstatus::mpp;
    const bool same_mode =
        s.privilege == wanted.privilege && s.satp == wanted.satp && ((s.mstatus ^ wanted.mstatus) & translation) == 0;
    std::memcpy(static_cast<void*>(&s), &wanted, sizeof s);
    if (!same_protection) {
        hart_->restored();
    } else if (!same_mode) {
        // Through instructions that change the mode, which is cheaper than forgetting everything.
        s.privilege = Privilege::machine;
        if (wanted.privilege == Privilege::machine) {
            hart_->write_csr(0x300, wanted.mstatus);
        } else {
            s.mstatus = (wanted.mstatus & ~mstatus::mpp) | static_cast<u64>(wanted.privilege) << mstatus::mpp_shift;
            hart_->return_from_trap(Privilege::machine);
        }
        std::memcpy(static_cast<void*>(&s), &wanted, sizeof s);
    }
    hart_->attention.store(false);
    hart_->leave_wanted = false;
}

unsigned Machine::read(u64 pc, std::span<u8> out) const {
    const u64 offset = pc - code_base_, size = code_pages_ * page_size;
    if (offset >= size) return 0;
    const usize count = static_cast<usize>(std::min<u64>(out.size(), size - offset));
    return memory_.read(ram_base + offset, out.first(count)) ? static_cast<unsigned>(count) : 0;
}

Machine::Result Machine::run_block(const BlockBuilder& builder, unsigned limit) {
    block_ = build_block(builder, limit);
    return run(block_);
}

ir::Block Machine::build_block(const BlockBuilder& builder, unsigned limit) const {
    return builder.build_block(*this, hart_->s.pc, block_mode_of(*hart_), limit);
}

Machine::Result Machine::run(const ir::Block& block) {
    Result result;
    State& s = hart_->s;
    if (block.code.empty()) {
        hart_->run(1, Cpu::Step::run);
        result.instructions = 1;
        return result;
    }
    result.built = true;
    // As for generated code: writes to these pages must not go past the hart.
    for (u64 at = block.pc & ~page_mask; at < block.pc + block.size; at += page_size)
        protect(ram_base + (at - code_base_));
    result.outcome = oracle_.run(block, {reinterpret_cast<u8*>(&s), sizeof s}, hart_.get(), *this);
    hart_->budget = 0;
    hart_->leave_wanted = false;
    result.instructions = result.outcome.instructions;
    if (!result.outcome.pc_in_state()) s.pc = result.outcome.pc;
    if (result.outcome.faulted()) {
        hart_->run(1, Cpu::Step::run);
        result.instructions++;
    }
    return result;
}

u8* Machine::cached(u64 address, ir::MemoryAccess access) {
    const TlbEntry& entry = hart_->tlb[Tlb::index(address)];
    const u64 tag = access == ir::MemoryAccess::load ? entry.read : entry.write;
    return tag == (address & ~page_mask) ? reinterpret_cast<u8*>(address + entry.addend) : nullptr;
}

void Machine::count(u64 address, usize size) {
    if (address % size != 0) accesses_.misaligned++;
    if ((address & page_mask) + size > page_size) accesses_.crossing++;
}

bool Machine::load(u64 address, std::span<u8> out) {
    const usize here = std::min<usize>(out.size(), page_size - (address & page_mask));
    const u64 mask = low_mask(hart_->xlen());
    const u8* first = cached(address, ir::MemoryAccess::load);
    const u8* second = here < out.size() ? cached((address + here) & mask, ir::MemoryAccess::load) : first;
    if (first == nullptr || second == nullptr) return false;
    std::memcpy(out.data(), first, here);
    std::memcpy(out.data() + here, second, out.size() - here);
    accesses_.loads++;
    count(address, out.size());
    return true;
}

bool Machine::store(u64 address, std::span<const u8> in) {
    const usize here = std::min<usize>(in.size(), page_size - (address & page_mask));
    const u64 mask = low_mask(hart_->xlen());
    u8* first = cached(address, ir::MemoryAccess::store);
    u8* second = here < in.size() ? cached((address + here) & mask, ir::MemoryAccess::store) : first;
    if (first == nullptr || second == nullptr) return false;
    std::memcpy(first, in.data(), here);
    std::memcpy(second, in.data() + here, in.size() - here);
    accesses_.stores++;
    count(address, in.size());
    return true;
}

u8* Machine::atomic(u64 address, unsigned size, ir::MemoryAccess access, u64& physical) {
    if ((address & (size - 1)) != 0) return nullptr;
    u8* at = cached(address, access);
    if (at == nullptr) return nullptr;
    physical = hart_->tlb[Tlb::index(address)].physical | (address & page_mask);
    accesses_.atomics++;
    return at;
}

}  // namespace viv::riscv::test
