// How vector instructions are steered towards legal registers, widths and addresses; see generator.h.
#include <algorithm>

#include "tests/lockstep/qemu_user/generator.h"

namespace viv::lockstep {

namespace {

constexpr int multiplier_of(u64 vtype) { return static_cast<int>(vtype & 3) - static_cast<int>(vtype & 4); }
constexpr int width_of(u64 vtype) { return static_cast<int>(vtype >> 3 & 7); }  // log2 of bytes
constexpr unsigned group_of(int emul) { return emul <= 0 ? 1u : 1u << std::min(emul, 3); }

}  // namespace

u64 Generator::random_vtype() {
    if (random_.percent(2)) return random_.next() >> random_.below(64);
    for (;;) {
        const u64 vtype = random_.below(256);
        const int sew = width_of(vtype), lmul = multiplier_of(vtype);
        if (sew <= 3 && lmul >= -3 && (sew <= lmul + 3 || random_.percent(5))) return vtype;
    }
}

u32 Generator::steer_configuration(usize row, u32 word) {
    const std::string name = riscv::instruction_table()[row].name;
    if (!random_.percent(5)) word = with_field(row, word, 7, 5, plain_register());
    u64 vtype = random_vtype();
    if (name == "vsetvl") {
        if (!random_.percent(20)) word = with_field(row, word, 20, 5, vtype_register_);
        return word;  // whatever the type then is
    }
    vtype_ = vtype & 0x7ff;
    if (name == "vsetivli") return (word & ~(0x3ffu << 20)) | static_cast<u32>(vtype & 0x3ff) << 20;
    return (word & ~(0x7ffu << 20)) | static_cast<u32>(vtype & 0x7ff) << 20;
}

u32 Generator::steer_vector(usize row, u32 word) {
    const u32 opcode = word & 0x7f;
    if (opcode != 0x57) return steer_vector_memory(row, word);
    const u32 funct3 = word >> 12 & 7;
    if (funct3 == 7) return steer_configuration(row, word);
    if (random_.percent(5)) return word;
    const unsigned group = group_of(multiplier_of(vtype_));
    const auto choose = [&](unsigned low) {
        const unsigned alignment = random_.percent(60) ? group : std::min(2 * group, 8u);
        unsigned number = (word >> low & 31) & ~(alignment - 1);
        // The mask is mostly not an operand as well.
        if ((word >> 25 & 1) == 0 && number == 0 && !random_.percent(5))
            number = std::max(alignment, 8 + (random_.below(24) & ~(alignment - 1)));
        word = with_field(row, word, low, 5, number);
    };
    choose(7);
    choose(20);
    if (funct3 <= 2)
        choose(15);
    else if ((funct3 == 4 || funct3 == 6) && random_.percent(30))
        word = with_field(row, word, 15, 5, smalls_[random_.below(smalls_.size())]);
    return word;
}

u32 Generator::steer_vector_memory(usize row, u32 word) {
    word = with_field(row, word, 15, 5, pointer());
    if (random_.percent(5)) return word;
    const u32 width = word >> 12 & 7;
    const int eew = width == 0 ? 0 : static_cast<int>(width) - 4;
    const bool indexed = (word >> 26 & 1) != 0, strided = (word >> 26 & 3) == 2;
    const int sew = width_of(vtype_), lmul = multiplier_of(vtype_);
    const int emul = eew - sew + lmul;
    const unsigned data_group = group_of(indexed ? lmul : emul);
    const unsigned fields = random_.percent(60) ? 1 : 1 + random_.below(std::max(8 / data_group, 1u));
    word = with_field(row, word, 29, 3, fields - 1);
    const unsigned room = 32 - std::min(32u, fields * data_group);
    unsigned data = random_.below(room + 1) & ~(data_group - 1);
    if ((word >> 25 & 1) == 0 && data == 0) data = std::min(data_group, room & ~(data_group - 1));
    if ((riscv::instruction_table()[row].encoding.mask >> 29 & 7) == 0)
        word = with_field(row, word, 7, 5, data);
    else
        word = with_field(row, word, 7, 5, (word >> 7 & 31) & ~(word >> 29 & 7));  // whole registers
    if (strided && !random_.percent(10)) word = with_field(row, word, 20, 5, smalls_[random_.below(smalls_.size())]);
    if (indexed) {
        const unsigned group = group_of(emul);
        unsigned from = random_.below(32) & ~(group - 1);
        const auto holds_indices = [&](unsigned number) {
            const Contents& contents = contents_[number / 4];
            return number != 0 && contents.kind == Contents::Kind::small && contents.width == eew;
        };
        for (int attempts = 0; attempts < 12 && !holds_indices(from); attempts++)
            from = random_.below(32) & ~(group - 1);
        word = with_field(row, word, 20, 5, from);
    }
    return word;
}

}  // namespace viv::lockstep
