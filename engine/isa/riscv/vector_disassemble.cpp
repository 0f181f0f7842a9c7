// See vector_disassemble.h. The operands follow from the name's ending and the opcode.
// Specification: RISC-V Unprivileged ISA 20240411, chapter 31 (assembly formats).
#include "engine/isa/riscv/vector_disassemble.h"

#include <fmt/core.h>

#include <string_view>

#include "engine/isa/riscv/formats.h"
#include "engine/isa/riscv/names.h"

namespace viv::riscv::vector {

namespace {

constexpr u32 opcode_load = 0x07, opcode_store = 0x27;

bool is_memory(u32 word) { return (word & 0x7f) == opcode_load || (word & 0x7f) == opcode_store; }
// Bits 27:26: how the addresses of elements are made.
enum class Addressing : u8 { unit = 0, indexed_unordered = 1, strided = 2, indexed_ordered = 3 };
Addressing addressing(u32 word) { return static_cast<Addressing>(word >> 26 & 3); }
bool is_whole_or_mask(u32 word) {
    const u32 kind = word >> 20 & 31;
    return addressing(word) == Addressing::unit && (kind == 8 || kind == 11);
}

std::string v(u32 word, unsigned at) { return fmt::format("v{}", reg(word, at)); }
const char* mask(u32 word) { return (word >> 25 & 1) != 0 ? "" : ",v0.t"; }

std::string memory_operands(u32 word) {
    std::string text = fmt::format("{},({})", v(word, 7), x_name(reg(word, 15)));
    if (addressing(word) == Addressing::strided)
        text += fmt::format(",{}", x_name(reg(word, 20)));
    else if (addressing(word) != Addressing::unit)
        text += "," + v(word, 20);
    return text + mask(word);
}

// "e32,m1,ta,mu", or the number if it is no type.
std::string type(u32 vtype) {
    static constexpr const char* multipliers[] = {"m1", "m2", "m4", "m8", "", "mf8", "mf4", "mf2"};
    const u32 sew = vtype >> 3 & 7, lmul = vtype & 7;
    if (vtype >> 8 != 0 || sew > 3 || lmul == 4) return fmt::format("{}", vtype);
    return fmt::format("e{},{},{},{}", 8 << sew, multipliers[lmul], (vtype >> 6 & 1) != 0 ? "ta" : "tu",
                       (vtype >> 7 & 1) != 0 ? "ma" : "mu");
}

}  // namespace

std::string mnemonic(const char* name, u32 word) {
    std::string text = name;
    const u32 fields = word >> 29;
    if (!is_memory(word) || fields == 0 || is_whole_or_mask(word)) return text;
    // Before the width: vle8 is vlseg2e8, vlse8 vlsseg2e8, vluxei8 vluxseg2ei8.
    const std::string segment = fmt::format("seg{}", fields + 1);
    switch (addressing(word)) {
        case Addressing::unit: return text.insert(2, segment);
        case Addressing::strided: return text.insert(3, segment);
        default: return text.insert(4, segment);
    }
}

std::string operands(const char* full_name, u32 word) {
    const std::string_view name = full_name;
    const auto is = [&](std::string_view which) { return name == which; };
    if (is("vsetvl"))
        return fmt::format("{},{},{}", x_name(reg(word, 7)), x_name(reg(word, 15)), x_name(reg(word, 20)));
    if (is("vsetvli"))
        return fmt::format("{},{},{}", x_name(reg(word, 7)), x_name(reg(word, 15)), type(word >> 20 & 0x7ff));
    if (is("vsetivli")) return fmt::format("{},{},{}", x_name(reg(word, 7)), reg(word, 15), type(word >> 20 & 0x3ff));
    if (is_memory(word)) return memory_operands(word);

    const bool mask_to_x = is("vcpop.m") || is("vfirst.m") || is("vmv.x.s");
    const std::string d = mask_to_x ? x_name(reg(word, 7)) : is("vfmv.f.s") ? f_name(reg(word, 7)) : v(word, 7);
    const u32 funct3 = word >> 12 & 7;
    std::string second;
    switch (funct3) {
        case 3: {
            const bool is_unsigned =
                name.starts_with("vs") ? !name.starts_with("vsadd")
                                       : name.starts_with("vn") || name.starts_with("vr") || name.starts_with("vwsll");
            const u32 high = is("vror.vi") ? word >> 26 & 1 : 0;
            second = is_unsigned && !name.starts_with("vrsub") ? fmt::format("{}", reg(word, 15) | high << 5)
                                                               : fmt::format("{}", sign_extend(reg(word, 15), 5));
            break;
        }
        case 4:
        case 6: second = x_name(reg(word, 15)); break;
        case 5: second = f_name(reg(word, 15)); break;
        default: second = v(word, 15); break;
    }
    if (name.starts_with("vmv.v.") || is("vfmv.v.f") || is("vmv.s.x") || is("vfmv.s.f")) return d + "," + second;
    if (is("vid.v")) return d + mask(word);
    // One operand: vs1 is part of the encoding, or absent.
    const bool one = mask_to_x || is("vfmv.f.s") || name.starts_with("vmv") || name.starts_with("vzext") ||
                     name.starts_with("vsext") ||
                     (name.size() > 2 && name[name.size() - 2] == '.' && !name.ends_with(".vs"));
    if (one) return fmt::format("{},{}{}", d, v(word, 20), name.starts_with("vmv") || is("vfmv.f.s") ? "" : mask(word));
    if (name.ends_with("m") &&
        (name.ends_with(".vvm") || name.ends_with(".vxm") || name.ends_with(".vim") || name.ends_with(".vfm")))
        return fmt::format("{},{},{},v0", d, v(word, 20), second);
    // Multiply-adds name the factor first.
    const bool accumulates = name.starts_with("vmacc") || name.starts_with("vnmsac") || name.starts_with("vmadd") ||
                             name.starts_with("vnmsub") || name.starts_with("vwmacc") || name.starts_with("vfmacc") ||
                             name.starts_with("vfnmacc") || name.starts_with("vfmsac") || name.starts_with("vfnmsac") ||
                             name.starts_with("vfmadd") || name.starts_with("vfnmadd") || name.starts_with("vfmsub") ||
                             name.starts_with("vfnmsub") || name.starts_with("vfwmacc") ||
                             name.starts_with("vfwnmacc") || name.starts_with("vfwmsac") ||
                             name.starts_with("vfwnmsac");
    if (accumulates) return fmt::format("{},{},{}{}", d, second, v(word, 20), mask(word));
    if (name.ends_with(".mm") || is("vcompress.vm")) return fmt::format("{},{},{}", d, v(word, 20), second);
    return fmt::format("{},{},{}{}", d, v(word, 20), second, mask(word));
}

}  // namespace viv::riscv::vector
