// The text of an instruction, from the same table as its meaning.
#include <fmt/core.h>

#include "engine/isa/riscv/hart.h"
#include "engine/isa/riscv/names.h"
#include "engine/isa/riscv/rv_c.h"
#include "engine/isa/riscv/vector_disassemble.h"
#include "engine/lang/bytes.h"

namespace viv::riscv {

namespace {

std::string rounding(u32 word) {
    static constexpr const char* names[] = {",rne", ",rtz", ",rdn", ",rup", ",rmm", ",?", ",?", ""};
    return names[word >> 12 & 7];
}

std::string fence_set(u32 bits) {
    std::string text;
    for (unsigned i = 0; i < 4; i++)
        if ((bits >> (3 - i) & 1) != 0) text += "iorw"[i];
    return text.empty() ? "0" : text;
}

std::string operands(const InstructionInfo& info, u32 word, u64 pc) {
    const auto x = [&](unsigned at) { return x_name(reg(word, at)); };
    const auto f = [&](unsigned at) { return f_name(reg(word, at)); };
    const i32 i_imm = static_cast<i32>(word) >> 20;
    const std::string_view name = info.name;
    // Moves and conversions name registers of both files.
    const bool from_x = name.starts_with("fmv.") && name.ends_with(".x");
    const bool converts_from_x = name.starts_with("fcvt.") && (name.ends_with(".w") || name.ends_with(".wu") ||
                                                               name.ends_with(".l") || name.ends_with(".lu"));
    const bool to_x = name.starts_with("fmv.x.") || name.starts_with("fclass") || name.starts_with("fcvt.w") ||
                      name.starts_with("fcvt.l") || name.starts_with("feq") || name.starts_with("flt") ||
                      name.starts_with("fle");
    switch (info.operands) {
        case Operands::none: return "";
        case Operands::r: return fmt::format("{},{},{}", x(7), x(15), x(20));
        case Operands::r2:
            return info.flow == Flow::system ? fmt::format("{},{}", x(15), x(20)) : fmt::format("{},{}", x(7), x(15));
        case Operands::i: return fmt::format("{},{},{}", x(7), x(15), i_imm);
        case Operands::shift: return fmt::format("{},{},{}", x(7), x(15), word >> 20 & 63);
        case Operands::load:
        case Operands::jalr: return fmt::format("{},{}({})", x(7), i_imm, x(15));
        case Operands::fload: return fmt::format("{},{}({})", f(7), i_imm, x(15));
        case Operands::store: return fmt::format("{},{}({})", x(20), SFields::decode(word).imm, x(15));
        case Operands::fstore: return fmt::format("{},{}({})", f(20), SFields::decode(word).imm, x(15));
        case Operands::b:
            return fmt::format("{},{},{:#x}", x(15), x(20), pc + static_cast<u64>(i64{BFields::decode(word).imm}));
        case Operands::u: return fmt::format("{},{:#x}", x(7), word >> 12);
        case Operands::j: return fmt::format("{},{:#x}", x(7), pc + static_cast<u64>(i64{JFields::decode(word).imm}));
        case Operands::csr: return fmt::format("{},{:#x},{}", x(7), word >> 20, x(15));
        case Operands::csr_imm: return fmt::format("{},{:#x},{}", x(7), word >> 20, word >> 15 & 31);
        case Operands::amo: return fmt::format("{},{},({})", x(7), x(20), x(15));
        case Operands::lr: return fmt::format("{},({})", x(7), x(15));
        case Operands::fr:
            return fmt::format("{},{},{}{}", to_x ? x(7) : f(7), f(15), f(20),
                               (word >> 28 & 15) < 2 ? rounding(word) : "");
        case Operands::fr2:
            return fmt::format("{},{}{}", to_x ? x(7) : f(7), from_x || converts_from_x ? x(15) : f(15),
                               name.starts_with("fcvt") || name.starts_with("fsqrt") ? rounding(word) : "");
        case Operands::r4: return fmt::format("{},{},{},{}{}", f(7), f(15), f(20), f(27), rounding(word));
        case Operands::fence: return fmt::format("{},{}", fence_set(word >> 24 & 15), fence_set(word >> 20 & 15));
        case Operands::vector: return vector::operands(info.name, word);
        case Operands::cbo: return fmt::format("({})", x(15));
    }
    return "";
}

}  // namespace

Cpu::Disassembly Hart::disassemble(u64 pc) {
    u8 bytes[4] = {};
    if (!read_memory(pc, std::span<u8>(bytes, 2))) return {"(not mapped)", 2};
    const unsigned length = instruction_length(bytes);
    if (length == 4 && !read_memory(pc + 2, std::span<u8>(bytes + 2, 2))) return {"(cut by an unmapped page)", 2};
    const u16 half = load_le<u16>(bytes);
    const u32 word = length == 4 ? load_le<u32>(bytes) : expand_compressed(half, config_.xlen);
    const int index = decoder_.find(word);
    if (index < 0)
        return {length == 4 ? fmt::format("(illegal {:08x})", word) : fmt::format("(illegal {:04x})", half), length};
    const InstructionInfo& info = instruction_table()[static_cast<usize>(index)];
    const std::string text = operands(info, word, pc);
    const std::string mnemonic = info.operands == Operands::vector ? vector::mnemonic(info.name, word) : info.name;
    return {text.empty() ? mnemonic : fmt::format("{:<10} {}", mnemonic, text), length};
}

}  // namespace viv::riscv
