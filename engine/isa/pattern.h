// Instruction encodings as text: "....... ..... ..... 000 ..... 0110011" (most significant bit first; spaces are free;
// '.' is a field). Promises: checked at compile time; the same pattern drives decoding, disassembly and the generation
// of fuzz cases.
#pragma once

#include "engine/lang/bits.h"

namespace viv::isa {

// A string as a template argument.
template <usize N>
struct Text {
    char text[N]{};
    consteval Text(const char (&from)[N]) {
        for (usize i = 0; i < N; i++) text[i] = from[i];
    }
    constexpr const char* c_str() const { return text; }
};

struct Encoding {
    u32 mask = 0;   // the fixed bits
    u32 value = 0;  // their values
    constexpr bool matches(u32 word) const { return (word & mask) == value; }
};

template <unsigned Width, usize N>
consteval Encoding encoding(const Text<N>& pattern) {
    Encoding result;
    unsigned count = 0;
    for (const char c : pattern.text) {
        if (c != '0' && c != '1' && c != '.') continue;
        result.mask = result.mask << 1 | (c != '.');
        result.value = result.value << 1 | (c == '1');
        count++;
    }
    if (count != Width) throw "a pattern has one character of 0, 1 and . for each bit";
    return result;
}

}  // namespace viv::isa
