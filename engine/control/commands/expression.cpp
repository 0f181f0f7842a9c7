// Addresses as people write them at the prompt: numbers and registers, with + and -.
#include <fmt/format.h>

#include <charconv>

#include "engine/control/commands/command.h"
#include "engine/lang/bytes.h"

namespace viv {

namespace {

bool is_word(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }

Result<u64> register_value(std::string_view name, Cpu& cpu) {
    for (const Cpu::Register& row : cpu.registers()) {
        if (row.name != name) continue;
        auto bytes = cpu.read_register(row.number);
        if (bytes.empty()) break;
        bytes.resize(8);
        return load_le<u64>(bytes.data());
    }
    return Error{fmt::format("CPU {} has no register '{}'", cpu.index(), name)};
}

}  // namespace

Result<u64> evaluate(std::string_view expression, Cpu& cpu) {
    u64 sum = 0;
    bool minus = false, want_term = true;
    usize at = 0;
    while (at < expression.size()) {
        const char c = expression[at];
        if (c == ' ') {
            at++;
            continue;
        }
        if (c == '+' || c == '-') {
            if (want_term && c == '+') break;
            minus = want_term ? !minus : c == '-';
            want_term = true;
            at++;
            continue;
        }
        if (!want_term) break;
        const usize start = at + (c == '$' ? 1 : 0);
        usize end = start;
        while (end < expression.size() && is_word(expression[end])) end++;
        const auto word = expression.substr(start, end - start);
        u64 term = 0;
        if (c == '$') {
            TRY_SET(term, register_value(word, cpu));
        } else {
            const bool hexadecimal = word.starts_with("0x") || word.starts_with("0X");
            const char* last = word.data() + word.size();
            const auto parsed = std::from_chars(word.data() + (hexadecimal ? 2 : 0), last, term, hexadecimal ? 16 : 10);
            if (word.empty() || parsed.ec != std::errc() || parsed.ptr != last)
                return Error{
                    fmt::format("'{}' is not a number: write 4096, 0x1000 or $pc", word.empty() ? expression : word)};
        }
        sum = minus ? sum - term : sum + term;
        minus = want_term = false;
        at = end;
    }
    if (at < expression.size() || want_term)
        return Error{fmt::format("'{}' is not an address: write 0x1000, $pc or $sp + 16", expression)};
    return sum;
}

}  // namespace viv
