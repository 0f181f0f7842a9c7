// See code_listing.h.
#include "tests/golden/code_listing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "engine/ir/opt/pipeline.h"
#include "engine/ir/print.h"
#include "engine/isa/riscv/translation.h"
#include "engine/jit/region.h"
#include "engine/jit/x64/backend.h"
#include "engine/lang/bytes.h"
#include "engine/lang/check.h"
#include "tests/golden/operand_order.h"
#include "tests/jit_x64/listing.h"

namespace viv::golden {

namespace {

// Where generated code finds what it uses, in bytes from the state. As in the guest, no slot follows a narrow one
// within 8 bytes, or it would not be promoted.
namespace place {
constexpr u64 x = 0, pc = 0x100, f = 0x200, fflags = 0x300, frm = 0x301, mstatus = 0x310, reservation_valid = 0x318,
              reservation_address = 0x320, reservation_value = 0x328, vl = 0x330, vtype = 0x338, vstart = 0x360,
              v = 0x1000;
constexpr i32 budget = 0x340, tlb = 0x348, jumps = 0x350, heat = 0x400;
constexpr u64 state_in_cpu = 0x40;
}  // namespace place

// VLEN is 128.
u64 mode_of(Vectors vectors) {
    const u64 scalar = riscv::block_mode::rv64 | riscv::block_mode::float_on;
    return vectors == Vectors::none ? scalar : scalar | riscv::block_mode::vector | riscv::block_mode::vector_on;
}

u64 place_of(const std::string& slot) {
    const std::map<std::string_view, u64> named{{"pc", place::pc},
                                                {"fflags", place::fflags},
                                                {"frm", place::frm},
                                                {"mstatus", place::mstatus},
                                                {"reservation_valid", place::reservation_valid},
                                                {"reservation_address", place::reservation_address},
                                                {"reservation_value", place::reservation_value},
                                                {"vl", place::vl},
                                                {"vtype", place::vtype},
                                                {"vstart", place::vstart}};
    if (const auto found = named.find(slot); found != named.end()) return found->second;
    if (slot.starts_with("v_")) return place::v + std::strtoull(slot.c_str() + 2, nullptr, 10);
    const u64 number = std::strtoull(slot.c_str() + 1, nullptr, 10);
    CHECK(slot[0] == 'x' || slot[0] == 'f', "a new slot wants a place in the golden layout");
    return (slot[0] == 'x' ? place::x : place::f) + 8 * number;
}

// A vCPU that is translated for but never runs. Its code is one page.
class Guest final : public exec::Translatable {
public:
    Guest(const CodeCase& one, u64 its_mode)
        : mode_(its_mode), builder_(64, (its_mode & riscv::block_mode::vector) != 0) {
        const ir::SlotTable slots = riscv::state_slots();
        for (const ir::Slot& slot : slots.all()) places_[slot.offset] = place_of(slot.name);
        usize offset = 0;
        for (const Instruction& instruction : one.code) {
            starts_.push_back(offset);
            if (starts_.size() <= one.never_executed) seen_.set(offset);
            store_le(&page_[offset], static_cast<u16>(instruction.word));
            if (instruction.length() == 4) store_le(&page_[offset + 2], static_cast<u16>(instruction.word >> 16));
            offset += instruction.length();
        }
    }

    std::span<const u8> page() const { return page_; }
    const jit::SeenCode& seen() const { return seen_; }

    exec::CpuLayout layout() override {
        exec::CpuLayout layout;
        layout.cpu = cpu_.data();
        layout.state = cpu_.data() + place::state_in_cpu;
        layout.pc = static_cast<i32>(place::pc);
        layout.budget = place::budget;
        layout.tlb = place::tlb;
        layout.jumps = place::jumps;
        layout.heat = place::heat;
        layout.float_flags = static_cast<i32>(place::fflags);
        return layout;
    }
    ir::SlotTable slots() const override { return golden_slots(); }
    u64 pc() const override { return code_base; }
    u64 translation_mode() const override { return mode_; }
    const exec::JumpTable& jump_table() override { return jumps_; }
    void insert_jump(u64, const u8*) override {}
    void forget_jumps(u64, const u8*, const u8*) override {}
    void flush_jump_tables() override {}
    bool fill_tlb(u64, unsigned, ir::MemoryAccess) override { return false; }
    // Nothing behind the end of the code.
    ir::Block translate_block(std::span<const u8> page, u64 page_va, u64 pc, u64 block_mode,
                              unsigned limit) const override {
        const auto first = std::lower_bound(starts_.begin(), starts_.end(), pc - page_va);
        const unsigned left = static_cast<unsigned>(starts_.end() - first);
        if (left == 0) return {};
        ir::Block block =
            in_operand_order(builder_.build_block(Page(page, page_va), pc, block_mode, std::min(limit, left)));
        for (ir::Inst& inst : block.code)
            if (inst.op == ir::Op::get || inst.op == ir::Op::set || inst.op == ir::Op::load_lanes ||
                inst.op == ir::Op::store_lanes)
                inst.imm = places_.at(inst.imm);
        for (ir::FloatUnit& unit : block.float_units) {
            unit.flags = places_.at(unit.flags);
            unit.rounding = places_.at(unit.rounding);
        }
        // It stands in the code: the letters "helper", whichever it is.
        for (ir::Call& call : block.calls)
            call.helper.function = reinterpret_cast<ir::HelperFunction>(std::uintptr_t{0x7265'706c'6568});
        return block;
    }

private:
    class Page final : public riscv::CodeReader {
    public:
        Page(std::span<const u8> bytes, u64 address) : bytes_(bytes), address_(address) {}
        unsigned read(u64 pc, std::span<u8> out) const override {
            const u64 offset = pc - address_;
            if (offset >= bytes_.size()) return 0;
            const usize count = std::min(out.size(), bytes_.size() - static_cast<usize>(offset));
            std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(offset), count, out.begin());
            return static_cast<unsigned>(count);
        }

    private:
        std::span<const u8> bytes_;
        u64 address_;
    };

    const u64 mode_;
    riscv::BlockBuilder builder_;
    std::array<u8, page_size> page_{};
    jit::SeenCode seen_;
    std::vector<usize> starts_;
    std::map<u64, u64> places_;  // by the slot's offset in the guest's state
    alignas(16) std::array<u8, 64> cpu_{};
    exec::JumpTable jumps_;
};

jit::x64::CpuFeatures features_of(Processor processor) {
    jit::x64::CpuFeatures features;
    if (processor == Processor::with_sse2) return features;
    features.sse3 = features.ssse3 = features.sse41 = features.sse42 = true;
    features.popcnt = features.lzcnt = features.movbe = features.bmi1 = features.bmi2 = features.cx16 = true;
    features.pclmul = features.avx = features.avx2 = features.fma = features.f16c = true;
    return features;
}

unsigned guest_instructions(const ir::Block& block) {
    return static_cast<unsigned>(std::count_if(block.code.begin(), block.code.end(),
                                               [](const ir::Inst& inst) { return inst.op == ir::Op::guest; }));
}

const char* name_of(jit::ExitKind kind) {
    switch (kind) {
        case jit::ExitKind::jump: return "jump";
        case jit::ExitKind::hot: return "hot";
        case jit::ExitKind::budget: return "budget";
        case jit::ExitKind::interpret: return "interpret";
        case jit::ExitKind::dispatch: return "dispatch";
        case jit::ExitKind::left: return "left";
    }
    return "?";
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const usize end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

// A line of host code is "  offset: bytes | disassembly"; the last part may be missing.
constexpr std::string_view disassembly_mark = " | ";
constexpr usize widest = 16;  // bytes of a line without disassembly

std::string host_line(usize offset, std::span<const u8> bytes, std::string_view text) {
    std::string hex;
    for (const u8 byte : bytes) hex += fmt::format(" {:02x}", byte);
    if (text.empty()) return fmt::format("{:6x}:{}", offset, hex);
    return fmt::format("{:6x}:{:<34}{}{}", offset, hex, disassembly_mark, text);
}
bool is_host_line(std::string_view line) {
    const usize colon = line.find(": ");
    return line.starts_with(' ') && colon == 6 &&
           line.substr(0, colon).find_first_not_of(" 0123456789abcdef") == line.npos;
}
std::string_view without_disassembly(std::string_view line) {
    line = line.substr(0, line.find(disassembly_mark));
    return line.substr(0, line.find_last_not_of(' ') + 1);
}

void list_host_code(std::vector<std::string>& lines, const jit::Compiled& compiled, Disassembly disassembly) {
    const std::vector<u8>& code = compiled.code;
    std::multimap<usize, std::string> labels;
    for (const auto& entry : compiled.entries) {
        const u64 pc = code_base | entry.guest;
        labels.emplace(entry.entry, fmt::format("entry of {:#x}:", pc));
        labels.emplace(entry.link, fmt::format("entry of {:#x} from its page:", pc));
    }
    for (usize i = 0; i < compiled.exits.size(); i++)
        if (compiled.exits[i].stub != 0) labels.emplace(compiled.exits[i].stub, fmt::format("stub of exit {}:", i));
    std::map<usize, std::string> texts;  // by where an instruction starts
    if (disassembly == Disassembly::with)
        for (auto& one : jit::x64::test::disassemble(code)) texts.emplace(one.offset, std::move(one.text));
    for (usize at = 0; at < code.size();) {
        const auto [first, last] = labels.equal_range(at);
        for (auto label = first; label != last; ++label) lines.push_back(label->second);
        const auto text = texts.find(at);
        const auto next = texts.upper_bound(at);
        const auto label = labels.upper_bound(at);
        usize end = std::min(at + widest, code.size());
        if (next != texts.end()) end = std::min<usize>(end, next->first);
        if (label != labels.end()) end = std::min(end, label->first);
        lines.push_back(host_line(at, std::span(code).subspan(at, end - at),
                                  text != texts.end() ? std::string_view(text->second) : std::string_view()));
        at = end;
    }
}

}  // namespace

ir::SlotTable golden_slots() {
    std::vector<ir::Slot> all = riscv::state_slots().all();
    for (ir::Slot& slot : all) slot.offset = place_of(slot.name);
    return ir::SlotTable(std::move(all));
}

Translation translate(const CodeGroup& group, const CodeCase& one) {
    const u64 mode = mode_of(group.vectors);
    Guest guest(one, mode);
    const auto backend = jit::x64::make_backend(guest, features_of(group.processor));
    Translation made;
    if (group.translated == Translated::as_region) {
        made.region = jit::RegionBuilder(guest, *backend)
                          .build(guest.page(), code_base, code_base, mode, code_base, guest.seen(), {});
        for (const ir::Block& block : made.region.blocks)
            made.built.push_back(
                guest.translate_block(guest.page(), code_base, block.pc, mode, guest_instructions(block)));
    } else {
        made.region = {.physical_page = code_base,
                       .virtual_page = code_base,
                       .mode = mode,
                       .blocks = {guest.translate_block(guest.page(), code_base, code_base, mode, 64)},
                       .promoted = {},
                       .heat = 5};
        made.built = made.region.blocks;
    }
    EXPECT_TRUE(backend->compile(made.region, 0, made.compiled)) << one.name;
    return made;
}

std::vector<std::string> listing(const CodeCase& one, const Translation& translation, Disassembly disassembly) {
    const ir::SlotTable slots = golden_slots();
    std::vector<std::string> lines;
    u64 pc = code_base;
    for (const Instruction& instruction : one.code) {
        lines.push_back(
            fmt::format("  {:x}: {:0{}x} {}", pc, instruction.word, 2 * instruction.length(), instruction.text));
        pc += instruction.length();
    }
    for (usize i = 0; i < translation.built.size(); i++) {
        const std::string before = ir::print(translation.built[i], slots),
                          after = ir::print(translation.region.blocks[i], slots);
        lines.push_back(before == after ? "IR:" : "IR as built:");
        for (std::string& line : split(before)) lines.push_back("  " + line);
        if (before == after) continue;
        lines.push_back("IR after the passes:");
        for (std::string& line : split(after)) lines.push_back("  " + line);
    }
    for (const jit::Promotion& promotion : translation.region.promoted) {
        const ir::Slot* slot = slots.at(promotion.slot);
        lines.push_back(fmt::format("promoted {}: {}, weight {}, {}",
                                    slot != nullptr ? slot->name : fmt::format("{:#x}", promotion.slot),
                                    promotion.kind == jit::Promotion::Kind::integer ? "integer" : "floating",
                                    promotion.weight, promotion.written ? "written" : "only read"));
    }
    lines.push_back(fmt::format("host code, {} bytes:", translation.compiled.code.size()));
    list_host_code(lines, translation.compiled, disassembly);
    for (usize i = 0; i < translation.compiled.exits.size(); i++) {
        const jit::Exit& exit = translation.compiled.exits[i];
        std::string line = fmt::format("exit {}: {}", i, name_of(exit.kind));
        if (exit.kind != jit::ExitKind::left && exit.kind != jit::ExitKind::dispatch)
            line += fmt::format(" {:#x}", code_base | exit.offset);
        if (exit.rest != 0) line += fmt::format(", {} not executed", exit.rest);
        if (exit.kind == jit::ExitKind::jump) line += fmt::format(", displacement at {:x}", exit.site);
        lines.push_back(std::move(line));
    }
    return lines;
}

std::vector<std::string> comparable(const std::vector<std::string>& lines) {
    std::vector<std::string> out;
    bool joins = false;
    for (const std::string& line : lines) {
        const bool host = is_host_line(line);
        const std::string_view bare = host ? without_disassembly(line) : std::string_view(line);
        if (host && joins)
            out.back() += bare.substr(bare.find(':') + 1);
        else
            out.emplace_back(bare);
        joins = host;
    }
    return out;
}

std::vector<Part> translated(const CodeGroup& group, Disassembly disassembly) {
    std::vector<Part> parts;
    parts.push_back({"",
                     {fmt::format("# {}", group.about),
                      fmt::format("# {}, {}. How to read this and how to write it anew: site/guide/jit.md",
                                  group.translated == Translated::as_region ? "Tier 2" : "Tier 1",
                                  group.processor == Processor::with_avx2 ? "x86-64 with AVX2, BMI2 and FMA"
                                                                          : "x86-64 with SSE2 and no more")}});
    for (const CodeCase& one : group.cases)
        parts.push_back({one.name, listing(one, translate(group, one), disassembly)});
    return parts;
}

std::string text_of(const std::vector<Part>& parts) {
    std::string text;
    for (const Part& part : parts) {
        if (!part.name.empty()) text += "\n== " + part.name + "\n";
        for (const std::string& line : part.lines) text += line + "\n";
    }
    return text;
}

std::vector<Part> parts_of(std::string_view text) {
    std::vector<Part> parts(1);
    for (std::string& line : split(text)) {
        if (line.starts_with("== "))
            parts.push_back({line.substr(3), {}});
        else if (!line.empty())
            parts.back().lines.push_back(std::move(line));
    }
    return parts;
}

std::string difference(const std::vector<Part>& golden, const std::vector<Part>& now, usize limit) {
    const auto find = [](const std::vector<Part>& all, const std::string& name) {
        return std::find_if(all.begin(), all.end(), [&](const Part& part) { return part.name == name; });
    };
    const auto called = [](const Part& part) { return part.name.empty() ? "the head" : "case '" + part.name + "'"; };
    std::string text;
    for (const Part& part : golden)
        if (find(now, part.name) == now.end()) text += called(part) + " is only in the file\n";
    bool shown = false;
    for (const Part& part : now) {
        const auto wanted = find(golden, part.name);
        if (wanted == golden.end()) {
            text += called(part) + " is not in the file\n";
            continue;
        }
        if (comparable(wanted->lines) == comparable(part.lines)) continue;
        text += called(part) + " differs\n";
        if (shown) continue;
        shown = true;
        // Lines of host code are the same if their bytes are.
        const auto same = [](const std::string& x, const std::string& y) {
            return without_disassembly(x) == without_disassembly(y);
        };
        const auto [left, right] =
            std::mismatch(wanted->lines.begin(), wanted->lines.end(), part.lines.begin(), part.lines.end(), same);
        const auto show = [&](char sign, auto from, auto end) {
            for (usize i = 0; i < limit && from != end; ++i, ++from) text += fmt::format("{} {}\n", sign, *from);
        };
        if (left != wanted->lines.begin()) text += fmt::format("  {}\n", *std::prev(left));
        show('-', left, wanted->lines.end());
        show('+', right, part.lines.end());
    }
    return text;
}

}  // namespace viv::golden
