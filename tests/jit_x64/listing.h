// Code of the assembler beside the text that a disassembler shall print for it.
// Promises: expect() before each instruction; mismatches() runs objdump (binutils) over the finished code and compares
// every line: text, offset and so length too. Operands are printed as objdump prints them with -M intel.
#pragma once

#include <initializer_list>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/jit/x64/assembler.h"

namespace viv::jit::x64::test {

// An operand with what its text depends on.
struct Reg {
    Gpr r;
    Width w;
};
struct Sized {
    Mem m;
    unsigned bits;  // 0: no size is printed (lea)
};
struct Immediate {
    i64 value;
    Width w;
};
class Operand {
public:
    Operand(Reg operand);
    Operand(Xmm operand);
    Operand(Sized operand);
    Operand(Immediate operand);
    Operand(const char* operand);  // as it is; an empty one is left out

    std::string text(Label start) const;

private:
    enum class Kind : u8 { reg, xmm, memory, immediate, literal };
    Kind kind_;
    u8 number_ = 0;
    Width width_ = Width::b64;
    unsigned bits_ = 0;
    Mem memory_{};
    i64 value_ = 0;
    const char* literal_ = "";
};

class Listing {
public:
    Listing();

    Assembler a;
    std::mt19937_64 random{20240611};

    unsigned below(unsigned limit) { return static_cast<unsigned>(random() % limit); }
    Gpr gpr() { return static_cast<Gpr>(below(16)); }
    Xmm xmm() { return static_cast<Xmm>(below(16)); }
    u8 imm8() { return static_cast<u8>(random()); }
    Mem mem();           // all forms
    i64 value(Width w);  // an immediate of an operation, signed or unsigned, often near the limits of 8 and 32 bits
    Label start, end;    // of the code

    // A last underscore of the mnemonic is left out; lock_ is the prefix.
    template <class... Operands>
    void expect(std::string_view mnemonic, const Operands&... operands) {
        add(mnemonic, {Operand(operands)...});
    }

    // Finishes the code and returns the first lines that differ, or nothing. `count`: instructions compared.
    std::string mismatches();
    usize count() const { return lines_.size(); }

private:
    struct Line {
        usize offset;
        std::string text;
    };
    void add(std::string_view mnemonic, std::initializer_list<Operand> operands);

    std::vector<Line> lines_;
};

// What objdump makes of `code`: one line an instruction, offset and text with single spaces. rip-relative addresses of
// the code's start and end are printed as [start] and [end].
struct Disassembled {
    usize offset;
    std::string text;
};
std::vector<Disassembled> disassemble(std::span<const u8> code);

}  // namespace viv::jit::x64::test
