// Gateways, arbitration and the register map of the PLIC. See plic.h.
#include "engine/dev/intc/plic.h"

#include <bit>

#include "engine/lang/check.h"

namespace viv {

namespace {

constexpr u64 pending_base = 0x1000, enable_base = 0x2000, enable_stride = 0x80, context_base = 0x20'0000,
              context_stride = 0x1000;
constexpr u64 threshold_register = 0, claim_register = 4;

constexpr u64 source_bit(u32 number) { return u64{1} << (number % 64); }
constexpr u32 half(u64 word, u32 index) { return static_cast<u32>(word >> (index % 2 * 32)); }

}  // namespace

void Plic::Context::state(Archive& a) {
    a(1, "enabled", enabled);
    a(2, "threshold", threshold);
}

Plic::Plic(const Config& config, Wiring wiring)
    : config_(config),
      wire_(std::move(wiring)),
      used_words_(config.sources / 64 + 1),
      priority_mask_(static_cast<u8>(low_mask(config.priority_bits))) {
    CHECK(config_.sources >= 1 && config_.sources <= maximum_sources);
    CHECK(config_.priority_bits >= 1 && config_.priority_bits <= 8);
    CHECK(!wire_.contexts.empty() && wire_.contexts.size() <= maximum_contexts);
    sources_.resize(config_.sources + 1);
    for (u32 number = 1; number <= config_.sources; number++) {
        sources_[number] = std::make_unique<Source>(*this, number);
        implemented_[number / 64] |= source_bit(number);
    }
    s_.contexts.resize(wire_.contexts.size());
}

Pin& Plic::source(u32 number) {
    CHECK(number >= 1 && number <= config_.sources);
    return *sources_[number];
}

void Plic::reset() {
    const Bits level = s_.level;
    s_ = State{};
    s_.contexts.resize(wire_.contexts.size());
    s_.level = level;
    for (u32 number = 1; number <= config_.sources; number++) forward(number);
    sync();
}

void Plic::state(Archive& a) {
    a(1, "level", s_.level);
    a(2, "pending", s_.pending);
    a(3, "in_service", s_.in_service);
    a(4, "priority", s_.priority);
    a.list(5, "contexts", s_.contexts, maximum_contexts);
    if (!a.loading()) return;
    a.require(s_.contexts.size() == wire_.contexts.size(), "contexts", "has the wrong number of entries");
    s_.contexts.resize(wire_.contexts.size());
    const auto only_implemented = [&](Bits& bits) {
        for (u32 word = 0; word < words; word++) bits[word] &= implemented_[word];
    };
    only_implemented(s_.level);
    only_implemented(s_.pending);
    only_implemented(s_.in_service);
    for (Context& context : s_.contexts) {
        only_implemented(context.enabled);
        context.threshold &= priority_mask_;
    }
    for (u8& priority : s_.priority) priority &= priority_mask_;
}

void Plic::restored() { sync(); }

// Gateways

void Plic::set_level(u32 number, bool level) {
    u64& word = s_.level[number / 64];
    const u64 next = level ? word | source_bit(number) : word & ~source_bit(number);
    if (next == word) return;
    word = next;
    if (!level) return;  // a request already forwarded stays
    forward(number);
    sync(number);
}

void Plic::forward(u32 number) {
    const u64 mask = source_bit(number);
    if (s_.level[number / 64] & ~s_.in_service[number / 64] & mask) s_.pending[number / 64] |= mask;
}

// Arbitration

// The pending and enabled source with the highest priority that exceeds `above`, or 0.
u32 Plic::best(const Context& context, u8 above) const {
    u32 found = 0;
    u8 highest = above;
    for (u32 word = 0; word < used_words_; word++)
        for (u64 left = s_.pending[word] & context.enabled[word]; left != 0; left &= left - 1) {
            const u32 number = word * 64 + static_cast<u32>(std::countr_zero(left));
            if (s_.priority[number] <= highest) continue;
            highest = s_.priority[number];
            found = number;
            if (highest == priority_mask_) return found;
        }
    return found;
}

// A claim disregards the threshold (section 7); priority 0 never interrupts.
u32 Plic::claim(Context& context) {
    const u32 number = best(context, 0);
    if (number == 0) return 0;
    s_.pending[number / 64] &= ~source_bit(number);
    s_.in_service[number / 64] |= source_bit(number);
    sync(number);
    return number;
}

// Ignored unless the source is enabled for this context (section 8).
void Plic::complete(const Context& context, u32 number) {
    if (number > config_.sources || !(context.enabled[number / 64] & source_bit(number))) return;
    s_.in_service[number / 64] &= ~source_bit(number);
    forward(number);
    sync(number);
}

void Plic::sync_context(usize context) {
    const Context& state = s_.contexts[context];
    wire_.contexts[context]->set(best(state, state.threshold) != 0);
}

void Plic::sync(u32 number) {
    for (usize i = 0; i < s_.contexts.size(); i++)
        if (s_.contexts[i].enabled[number / 64] & source_bit(number)) sync_context(i);
}

void Plic::sync() {
    for (usize i = 0; i < s_.contexts.size(); i++) sync_context(i);
}

// Registers

u32 Plic::read_word(u64 offset) {
    if (offset < pending_base) {
        const u64 number = offset / 4;
        return number <= config_.sources ? s_.priority[number] : 0;
    }
    if (offset < enable_base) {
        const u64 index = (offset - pending_base) / 4;
        return index < words * 2 ? half(s_.pending[index / 2], static_cast<u32>(index)) : 0;
    }
    if (offset < context_base) {
        const u64 number = (offset - enable_base) / enable_stride, index = (offset - enable_base) % enable_stride / 4;
        return number < s_.contexts.size() ? half(s_.contexts[number].enabled[index / 2], static_cast<u32>(index)) : 0;
    }
    const u64 number = (offset - context_base) / context_stride, at = (offset - context_base) % context_stride;
    if (number >= s_.contexts.size()) return 0;
    if (at == threshold_register) return s_.contexts[number].threshold;
    if (at == claim_register) return claim(s_.contexts[number]);
    return 0;
}

void Plic::write_word(u64 offset, u32 value) {
    if (offset < pending_base) {
        const u64 number = offset / 4;
        if (number == 0 || number > config_.sources) return;
        s_.priority[number] = static_cast<u8>(value) & priority_mask_;
        return sync(static_cast<u32>(number));
    }
    if (offset < enable_base) return wire_.log.guest("write to the read-only pending bits at {:#x}", offset);
    if (offset < context_base) {
        const u64 number = (offset - enable_base) / enable_stride, index = (offset - enable_base) % enable_stride / 4;
        if (number >= s_.contexts.size()) return;
        u64& word = s_.contexts[number].enabled[index / 2];
        word = deposit(word, static_cast<unsigned>(index % 2 * 32), 32, value) & implemented_[index / 2];
        return sync_context(number);
    }
    const u64 number = (offset - context_base) / context_stride, at = (offset - context_base) % context_stride;
    if (number >= s_.contexts.size()) return wire_.log.guest("write at {:#x}: there is no context {}", offset, number);
    if (at == threshold_register) {
        s_.contexts[number].threshold = static_cast<u8>(value) & priority_mask_;
        return sync_context(number);
    }
    if (at == claim_register) complete(s_.contexts[number], value);
}

u64 Plic::read(u64 offset, unsigned size) {
    if (size < 4) {
        wire_.log.guest("read of {} bytes at {:#x}: registers are 32 bits wide", size, offset);
        return 0;
    }
    const u64 low = read_word(offset);
    return size == 8 ? low | u64{read_word(offset + 4)} << 32 : low;
}

void Plic::write(u64 offset, unsigned size, u64 value) {
    if (size < 4) return wire_.log.guest("write of {} bytes at {:#x}: registers are 32 bits wide", size, offset);
    write_word(offset, static_cast<u32>(value));
    if (size == 8) write_word(offset + 4, static_cast<u32>(value >> 32));
}

}  // namespace viv
