// Writing the report. See lockstep_report.h.
#include "native/lockstep_report.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "native/descriptor.h"

namespace viv::native {

namespace {

using lockstep::Difference;
using lockstep::Differing;

constexpr usize fields_shown = 64;

std::string grouped(u64 number) {
    auto text = std::to_string(number);
    for (usize at = text.size(); at > 3;) text.insert(at -= 3, ",");
    return text;
}

std::string differing_text(const Differing& what, const std::array<std::string, 2>& names) {
    std::string text;
    usize width = 5;
    for (usize i = 0; i < std::min(what.fields.size(), fields_shown); i++)
        width = std::max(width, what.fields[i].name.size());
    if (!what.fields.empty())
        text += fmt::format("\nstate that differs ({} fields):\n  {:{}}  {} | {}\n", what.fields.size(), "field", width,
                            names[0], names[1]);
    for (usize i = 0; i < std::min(what.fields.size(), fields_shown); i++)
        text +=
            fmt::format("  {:{}}  {} | {}\n", what.fields[i].name, width, what.fields[i].first, what.fields[i].second);
    if (what.fields.size() > fields_shown) text += fmt::format("  and {} more\n", what.fields.size() - fields_shown);
    if (what.words_in_all == 0) return text;
    text += fmt::format("\nmemory that differs ({} words of 8 bytes, by physical address):\n", what.words_in_all);
    for (const auto& word : what.words)
        text += fmt::format("  {:#014x}  {:#018x} | {:#018x}\n", word.address, word.first, word.second);
    if (what.words_in_all > what.words.size())
        text += fmt::format("  and {} more\n", what.words_in_all - what.words.size());
    return text;
}

std::string host_bytes(std::span<const u8> code) {
    constexpr usize row = 16;
    std::string text;
    for (usize at = 0; at < code.size(); at += row)
        text +=
            fmt::format("  +{:04x}: {:02x}\n", at, fmt::join(code.subspan(at, std::min(row, code.size() - at)), " "));
    return text;
}

std::string code_text(const exec::TranslatedCode& code, const std::string& side, const HostDisassembler& disassemble) {
    std::string text = fmt::format(
        "\ntranslation of {} by {}, entered at {:#x}, mode {:#x}, {} bytes of guest code\n(made again from the guest "
        "code as it is now)\n\nIR:\n{}\nIR after the passes:\n{}",
        side, code.tier, code.pc, code.mode, code.size, code.ir, code.ir_after);
    text += fmt::format("\nhost code, {} bytes at {:#x}, entered at +{:#x}:\n", code.host.size(), code.host_address,
                        code.entry_offset);
    const auto assembler = disassemble(code.host, code.host_address);
    return text + (assembler.empty() ? host_bytes(code.host) : assembler);
}

}  // namespace

std::string difference_text(const Difference& difference, const std::array<std::string, 2>& names,
                            const HostDisassembler& disassemble) {
    std::string text = fmt::format("lockstep: {} and {} differ\n", names[0], names[1]);
    text += fmt::format("  alike in all after      {} instructions\n  found to differ after   {}\n",
                        grouped(difference.alike_at), grouped(difference.differs_at));
    if (!difference.repeated) {
        text +=
            "  It did not show again when the run was repeated from power-on, so that nothing nearer is known:\n"
            "  what one of the two does depends on more than its input. What differed when it was found:\n";
        return text + differing_text(difference.coarse, names);
    }
    text += fmt::format("  first difference behind {} (alike after {}), repeated from {}\n",
                        grouped(difference.first_differing), grouped(difference.last_alike),
                        difference.checkpoint ? fmt::format("a checkpoint at {}", grouped(*difference.checkpoint))
                                              : std::string("power-on"));
    if (!difference.executed.empty()) {
        text += fmt::format("\nthe last instructions, as {} executed them:\n", names[0]);
        for (const auto& one : difference.executed)
            text += fmt::format("{} {:>15}  cpu{}  {:#018x}  {}\n", &one == &difference.executed.back() ? ">" : " ",
                                grouped(one.instruction), one.cpu, one.pc, one.text);
    }
    if (difference.fine.fields.empty() && difference.fine.words_in_all == 0) {
        text +=
            "\nThe last repetition showed no difference: what one of the two does depends on more than its input. "
            "What\n"
            "differed when it was found:\n";
        text += differing_text(difference.coarse, names);
    }
    text += differing_text(difference.fine, names);
    for (const auto& code : difference.code)
        text += code_text(code, names[static_cast<usize>(difference.code_of)], disassemble);
    if (difference.code.empty()) text += "\nno translation of these instructions is there now\n";
    return text;
}

std::string disassemble_with_objdump([[maybe_unused]] std::span<const u8> code, [[maybe_unused]] u64 address) {
    std::string text;
#ifdef __x86_64__
    char name[] = "/tmp/viv-code-XXXXXX";
    const Descriptor file(mkstemp(name));
    if (file.number() < 0) return {};
    const bool written = write(file.number(), code.data(), code.size()) == static_cast<ssize_t>(code.size());
    const auto command = fmt::format(
        "objdump -D -b binary -m i386:x86-64 --no-show-raw-insn --adjust-vma={:#x} {} 2>/dev/null", address, name);
    std::FILE* pipe = written ? popen(command.c_str(), "r") : nullptr;
    char line[512];
    while (pipe != nullptr && std::fgets(line, sizeof line, pipe) != nullptr) {
        const std::string_view read(line);
        // Instructions are the lines that begin with an address and a colon.
        const auto digits = read.find_first_not_of(' ');
        const auto colon = read.find(":\t");
        if (digits != std::string_view::npos && colon != std::string_view::npos)
            text += "  ", text += read.substr(digits);
    }
    if (pipe != nullptr) pclose(pipe);
    unlink(name);
#endif
    return text;
}

}  // namespace viv::native
