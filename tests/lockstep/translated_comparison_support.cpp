// See translated_comparison.h.
#include "tests/lockstep/translated_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <vector>

#include "engine/jit/catalog.h"

namespace viv::riscv::test {

u64 from_environment(const char* name, u64 otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 0);
}

TranslatedComparison::TranslatedComparison(const TranslatedSetup& setup, host::CodeMemory& code_memory)
    : setup_(setup),
      a_(setup.config),
      b_(setup.config),
      cases_(setup.config, setup.seed, setup.behaviour),
      random_(~setup.seed),
      builder_(setup.config.xlen, setup.config.vlen != 0),
      guest_(b_.hart()) {
    auto made = jit::make_translator(setup.options, b_.hart(), guest_, code_memory);
    if (made.ok()) translator_ = std::move(*made);
    b_.hart().set_translator(translator_.get());
    if (setup.evictions == Evictions::forced)
        b_.set_on_device_access([this] {
            if (random_.percent(50)) rewrite(ram_base + random_.below(ram_pages) * page_size, page_size);
        });
}

TranslatedComparison::~TranslatedComparison() { b_.hart().set_translator(nullptr); }

void TranslatedComparison::run(u64 instructions) {
    for (u64 step = 0; executed_ < instructions; step++) {
        // Also without new code: what has been translated is then found at another address.
        if (step % (128 * setup_.runs) == 0) cases_.new_world(a_, b_);
        if (step % (256 * setup_.runs) == 0) cases_.new_code(a_, b_);
        const u64 count = 1 + random_.below(random_.percent(50) ? 4 : 60);
        if (!compare(step, count)) return;
    }
}

std::string TranslatedComparison::summary() const {
    const exec::TranslatorReport report = tiers().report(0);
    std::string text =
        fmt::format("xlen {}, vlen {}, seed {}, cache of {}: {} instructions in {} runs", setup_.config.xlen,
                    setup_.config.vlen, setup_.seed, report.cache_capacity, executed_, runs_);
    for (const auto& tier : report.tiers)
        text += fmt::format(", {}: {} made, {} dropped", tier.name, tier.made, tier.dropped);
    text += fmt::format("; {} evictions forced; {} entries, exits:", forced_, report.entries);
    for (const auto& exit : report.exits) text += fmt::format(" {} {},", exit.cause, exit.count);
    return text + fmt::format(" blocks interpreted {}", report.interpreted_blocks);
}

State TranslatedComparison::start(u64 step) {
    if (step % setup_.runs == 0) return cases_.new_state(a_);
    return cases_.new_numbers(last_, a_);
}

bool TranslatedComparison::compare(u64 step, u64 count) {
    last_ = start(step);
    a_.set_state(last_);
    b_.set_state(last_);
    const u64 before_a = a_.hart().instructions(), before_b = b_.hart().instructions();
    a_.hart().s.cycle_offset += before_a, a_.hart().s.instret_offset += before_a;
    b_.hart().s.cycle_offset += before_b, b_.hart().s.instret_offset += before_b;
    const u64 wanted = run_reference(count);
    run_translated(wanted);
    const u64 got = b_.hart().instructions() - before_b;
    runs_++;

    std::string wrong;
    if (got != wanted) wrong += fmt::format("  {} instructions were executed, by the translator {}\n", wanted, got);
    State end_a, end_b;
    std::memcpy(static_cast<void*>(&end_a), &a_.hart().s, sizeof end_a);
    std::memcpy(static_cast<void*>(&end_b), &b_.hart().s, sizeof end_b);
    normalize(end_a, before_a);
    normalize(end_b, before_b);
    if (std::memcmp(&end_a, &end_b, sizeof end_a) != 0)
        wrong +=
            differences(end_a, setup_.reference == Reference::oracle ? "oracle" : "interpreted", end_b, "translated");
    if (std::memcmp(a_.ram(), b_.ram(), ram_pages * page_size) != 0)
        for (u64 at = 0; at < ram_pages * page_size; at += 8)
            if (const u64 one = load_host<u64>(a_.ram() + at), other = load_host<u64>(b_.ram() + at); one != other)
                wrong += fmt::format("  RAM at {:#x}: {:#018x}, translated {:#018x}\n", ram_base + at, one, other);
    if (a_.device_hash() != b_.device_hash()) wrong += "  the device saw other accesses\n";
    if (step % 16 == 0) count_vectors(last_.pc);
    if (wrong.empty()) return true;
    failure_ = fmt::format(
        "xlen {}, vlen {}, seed {}, cache of {}, step {}, {} instructions from pc {:#x}, mstatus {:#x}, privilege "
        "{}:\n",
        setup_.config.xlen, setup_.config.vlen, setup_.seed, setup_.options.cache_bytes, step, wanted, last_.pc,
        last_.mstatus, static_cast<unsigned>(last_.privilege));
    failure_ += wrong + listing(last_, wanted);
    return false;
}

u64 TranslatedComparison::run_reference(u64 count) {
    if (setup_.reference == Reference::oracle) return run_oracle(count);
    const u64 before = a_.hart().instructions(), trapped = a_.hart().s.trapped;
    a_.hart().run(count, Cpu::Step::run);
    const u64 executed = a_.hart().instructions() - before;
    // A vector that cannot be fetched traps again and again.
    executed_ += executed - (a_.hart().s.trapped - trapped);
    return executed;
}

// Whole blocks, as they are translated, so that the translator need not interpret the last.
u64 TranslatedComparison::run_oracle(u64 count) {
    State& s = a_.hart().s;
    u64 executed = 0, shift = 0;
    bool cut = false;  // within a block, by a trap or a look at interrupts
    while (executed < count && !cut) {
        const u64 interpreted = a_.hart().instructions();
        const u64 trapped = s.trapped;
        const Machine::Result result = a_.run_block(builder_, setup_.options.block_limit);
        executed += result.instructions;
        cut = !result.built || result.outcome.pc_in_state() || s.trapped != trapped;
        // The hart does not count what the oracle executes.
        const u64 uncounted = result.instructions - (a_.hart().instructions() - interpreted);
        s.cycle_offset -= uncounted, s.instret_offset -= uncounted;
        shift += uncounted;
    }
    // The translator enters a block only with a budget for all of it.
    if (cut) {
        const u64 before = a_.hart().instructions();
        a_.hart().run(setup_.options.block_limit, Cpu::Step::run);
        executed += a_.hart().instructions() - before;
    }
    s.cycle_offset += shift, s.instret_offset += shift;
    executed_ += shift;
    return executed;
}

void TranslatedComparison::run_translated(u64 count) {
    if (setup_.evictions == Evictions::by_the_guest) {
        b_.hart().run(count, Cpu::Step::run);
        return;
    }
    while (count > 0) {
        if (random_.percent(30)) evict();
        const u64 before = b_.hart().instructions();
        const Cpu::Exit exit = b_.hart().run(1 + random_.below(count), Cpu::Step::run);
        count -= b_.hart().instructions() - before;
        if (exit != Cpu::Exit::budget) return;
    }
}

void TranslatedComparison::evict() {
    const u64 page = ram_base + random_.below(Cases::code_pages) * page_size;
    switch (random_.below(16)) {
        case 0:
            b_.hart().forget_code();
            forced_++;
            break;
        case 1:
            b_.hart().post_code_changed(page);
            forced_++;
            break;
        case 2: rewrite(page, page_size); break;
        case 3: b_.hart().flush_tlb(); break;
        case 4: b_.hart().flush_tlb(b_.hart().s.pc & ~page_mask); break;
        default: {
            const u64 offset = random_.below(page_size);
            rewrite(page + offset, 1 + random_.below(std::min<u64>(64, page_size - offset)));
        }
    }
}

// As a device does by DMA; the bytes are those that were there.
void TranslatedComparison::rewrite(u64 physical, u64 size) {
    std::vector<u8> bytes(size);
    b_.memory().read(physical, bytes);
    b_.memory().write(physical, bytes);
    forced_++;
}

void TranslatedComparison::count_vectors(u64 pc) {
    for (const exec::TranslatedCode& code : b_.hart().translated_code(pc))
        if (code.ir_after.find("= lanes.") != std::string::npos) vectors_++;
}

// The course of the interpreter, once more from the start, as far as it is other than trapping again and again.
std::string TranslatedComparison::listing(const State& start, u64 count) {
    std::string text;
    a_.set_state(start);
    u64 before = ~start.pc;
    for (u64 i = 0; i < count && a_.hart().s.pc != before; i++) {
        before = a_.hart().s.pc;
        text += fmt::format("  {:#x}: {}\n", before, a_.hart().disassemble(before).text);
        a_.hart().run(1, Cpu::Step::run);
    }
    for (unsigned r = 1; r < 32; r++) text += fmt::format("  x{} {:#x}{}", r, start.x[r], r % 8 == 7 ? "\n" : ",");
    return text;
}

}  // namespace viv::riscv::test
