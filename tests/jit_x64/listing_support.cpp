// Listing: random operands, objdump's way to write them, and the comparison.
#include "tests/jit_x64/listing.h"

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace viv::jit::x64::test {

namespace {

constexpr std::array<const char*, 8> low8{"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil"};
constexpr std::array<const char*, 8> low16{"ax", "cx", "dx", "bx", "sp", "bp", "si", "di"};

std::string register_name(unsigned number, Width w) {
    if (number >= 8) {
        constexpr std::array<const char*, 4> suffix{"b", "w", "d", ""};
        return fmt::format("r{}{}", number, suffix[static_cast<unsigned>(w)]);
    }
    switch (w) {
        case Width::b8: return low8[number];
        case Width::b16: return low16[number];
        case Width::b32: return fmt::format("e{}", low16[number]);
        case Width::b64: return fmt::format("r{}", low16[number]);
    }
    return {};
}

std::string memory_name(const Mem& m, unsigned bits, Label start) {
    std::string out;
    switch (bits) {
        case 8: out = "BYTE PTR "; break;
        case 16: out = "WORD PTR "; break;
        case 32: out = "DWORD PTR "; break;
        case 64: out = "QWORD PTR "; break;
        case 128: out = "XMMWORD PTR "; break;
        default: break;
    }
    if (m.form == Mem::Form::label) return out + (static_cast<u32>(m.disp) == start.id ? "[start]" : "[end]");
    out += "[" + register_name(number(m.base), Width::b64);
    if (m.form == Mem::Form::indexed) {
        out += fmt::format("+{}*{}", register_name(number(m.index), Width::b64), m.scale);
    }
    const bool needs_disp = (number(m.base) & 7) == 5;
    if (m.disp < 0)
        out += fmt::format("-{:#x}", -i64{m.disp});
    else if (m.disp > 0 || needs_disp)
        out += fmt::format("+{:#x}", m.disp);
    return out + "]";
}

struct CloseFile {
    void operator()(FILE* file) const { pclose(file); }
};

}  // namespace

Operand::Operand(Reg operand) : kind_(Kind::reg), number_(static_cast<u8>(operand.r)), width_(operand.w) {}
Operand::Operand(Xmm operand) : kind_(Kind::xmm), number_(static_cast<u8>(operand)) {}
Operand::Operand(Sized operand) : kind_(Kind::memory), bits_(operand.bits), memory_(operand.m) {}
Operand::Operand(Immediate operand) : kind_(Kind::immediate), width_(operand.w), value_(operand.value) {}
Operand::Operand(const char* operand) : kind_(Kind::literal), literal_(operand) {}

std::string Operand::text(Label start) const {
    switch (kind_) {
        case Kind::reg: return register_name(number_, width_);
        case Kind::xmm: return fmt::format("xmm{}", number_);
        case Kind::memory: return memory_name(memory_, bits_, start);
        case Kind::immediate: return fmt::format("{:#x}", static_cast<u64>(value_) & low_mask(bits_of(width_)));
        case Kind::literal: break;
    }
    return literal_;
}

Listing::Listing() : start(a.make_label()), end(a.make_label()) { a.bind(start); }

void Listing::add(std::string_view mnemonic, std::initializer_list<Operand> operands) {
    if (mnemonic.ends_with('_')) mnemonic.remove_suffix(1);
    std::string out{mnemonic};
    if (out.starts_with("lock_")) out[4] = ' ';
    char separator = ' ';
    for (const Operand& operand : operands) {
        const std::string text = operand.text(start);
        if (text.empty()) continue;
        out += separator + text;
        separator = ',';
    }
    lines_.push_back({a.size(), std::move(out)});
}

Mem Listing::mem() {
    constexpr std::array<i32, 9> edges{0, 0, 1, 127, 128, -128, -129, 0x7fffffff, -0x7fffffff - 1};
    const u64 shape = below(16);
    if (shape == 0) return at(start);
    if (shape == 1) return at(end);
    i32 disp = edges[below(edges.size())];
    if (shape % 2) disp = static_cast<i32>(static_cast<i64>(random()) >> (32 + below(32)));
    if (shape < 8) return at(gpr(), disp);
    Gpr index = gpr();
    if (index == Gpr::rsp) index = Gpr::r12;
    return at(gpr(), index, static_cast<u8>(1 << below(4)), disp);
}

i64 Listing::value(Width w) {
    const unsigned bits = bits_of(w);
    const unsigned stored = bits < 32 ? bits : 32;
    const i64 least = -(i64{1} << (stored - 1));
    const i64 most = w == Width::b64 ? -1 - least : (i64{1} << stored) - 1;
    constexpr std::array<i64, 12> edges{0,    1,   -1,     127,     128,        -128,
                                        -129, 255, 0x7fff, -0x8000, 0x7fffffff, -0x80000000LL};
    for (;;) {
        const u64 which = below(16);
        const i64 v = which < 12   ? edges[which]
                      : which < 13 ? least
                      : which < 14 ? most
                                   : static_cast<i64>(random()) >> below(64);
        if (v >= least && v <= most) return v;
    }
}

std::vector<Disassembled> disassemble(std::span<const u8> code) {
    std::vector<Disassembled> out;
    std::string path = testing::TempDir() + "viv-x64-XXXXXX";
    const int descriptor = mkstemp(path.data());
    if (descriptor < 0) return out;
    const bool written = write(descriptor, code.data(), code.size()) == static_cast<ssize_t>(code.size());
    close(descriptor);
    const std::string command = "objdump -D -b binary -m i386:x86-64 -M intel -z --no-show-raw-insn '" + path + "'";
    if (const std::unique_ptr<FILE, CloseFile> pipe{written ? popen(command.c_str(), "r") : nullptr}) {
        char* line = nullptr;
        size_t space = 0;
        while (getline(&line, &space, pipe.get()) > 0) {
            std::string_view rest = line;
            const auto colon = rest.find(":\t");
            if (colon == rest.npos || rest[0] != ' ') continue;
            Disassembled one{std::strtoull(line, nullptr, 16), {}};
            rest.remove_prefix(colon + 2);
            const auto note = rest.find('#');
            for (const char c : rest.substr(0, note)) {
                if (c == '\n' || c == '\t') continue;
                if (c != ' ' || (!one.text.empty() && one.text.back() != ' ')) one.text += c;
            }
            while (!one.text.empty() && one.text.back() == ' ') one.text.pop_back();
            const auto relative = one.text.find("[rip");
            if (note != rest.npos && relative != one.text.npos) {
                const u64 address = std::strtoull(rest.data() + note + 1, nullptr, 16);
                const char* name = address == 0 ? "[start]" : address == code.size() ? "[end]" : "[elsewhere]";
                one.text.replace(relative, one.text.find(']', relative) + 1 - relative, name);
            }
            out.push_back(std::move(one));
        }
        std::free(line);
    }
    unlink(path.c_str());
    return out;
}

std::string Listing::mismatches() {
    a.bind(end);
    const auto code = a.finish();
    const auto lines = disassemble(code);
    if (lines.empty()) return "objdump printed nothing; this test needs binutils";
    std::string out;
    unsigned shown = 0;
    for (usize i = 0; i < std::max(lines.size(), lines_.size()) && shown < 20; ++i) {
        const Line want = i < lines_.size() ? lines_[i] : Line{code.size(), "(end)"};
        const Disassembled got = i < lines.size() ? lines[i] : Disassembled{code.size(), "(end)"};
        if (want.offset == got.offset && want.text == got.text) continue;
        ++shown;
        out += fmt::format("{:6x}: {}\n{:6x}: {} <- objdump\n", want.offset, want.text, got.offset, got.text);
    }
    return out;
}

}  // namespace viv::jit::x64::test
