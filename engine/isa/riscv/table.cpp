// The instruction table and the decoder's buckets.
#include "engine/isa/riscv/table.h"

#include <array>
#include <cstring>

#include "engine/isa/riscv/groups.h"

namespace viv::riscv {

namespace {

template <class P>
constexpr void append(InstructionInfo*& to) {
    for_each(P{}, [&]<class I>(const char* extension, Xlen xlen) {
        *to++ = {I::name, extension, I::encoding, I::operands, I::flow, xlen};
    });
}

constexpr auto table = [] {
    std::array<InstructionInfo, count_of<BaseParts>() + count_of<FloatParts>() + count_of<VectorParts>()> rows{};
    InstructionInfo* to = rows.data();
    append<BaseParts>(to);
    append<FloatParts>(to);
    append<VectorParts>(to);
    return rows;
}();

}  // namespace

std::span<const InstructionInfo> instruction_table() { return table; }

Decoder::Decoder(unsigned xlen, bool vector) {
    for (usize i = 0; i < table.size(); i++) {
        const InstructionInfo& info = table[i];
        if (info.xlen == (xlen == 64 ? Xlen::only32 : Xlen::only64)) continue;
        if (!vector && info.operands == Operands::vector) continue;

        const Encoding encoding = info.encoding;
        for (unsigned bucket = 0; bucket < 256; bucket++) {
            const u32 word = (bucket & 31) << 2 | (bucket >> 5) << 12 | 3;
            const u32 seen = encoding.mask & (31u << 2 | 7u << 12);
            if ((word & seen) == (encoding.value & seen)) buckets_[bucket].push_back(static_cast<u16>(i));
        }
    }
    narrow_shifts_ = xlen == 32;
}

int Decoder::find(u32 word) const {
    if ((word & 3) != 3) return -1;
    for (const u16 index : buckets_[bucket_of(word)]) {
        const InstructionInfo& info = table[index];
        if (!info.encoding.matches(word)) continue;
        if (narrow_shifts_ && info.operands == Operands::shift && (word >> 25 & 1) != 0) continue;
        return index;
    }
    return -1;
}

}  // namespace viv::riscv
