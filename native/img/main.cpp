// The program `viv-img`: makes, shows, checks, copies and changes disk images. See tool.h.
#include <fmt/format.h>

#include <csignal>
#include <string>
#include <vector>

#include "native/img/tool.h"
#include "native/program_host.h"
#include "native/values.h"

namespace viv::native::img {

std::span<const Verb> verbs() {
    static constexpr Verb all[] = {
        {"create", "make an image", create},
        {"info", "what an image is", info},
        {"check", "look for faults in an image, and mend them", check},
        {"convert", "copy an image into another format", convert},
        {"compare", "do two images hold the same?", compare},
        {"map", "where an image has data", map},
        {"measure", "how large an image would be in another format", measure},
        {"resize", "make the disk larger or smaller", resize},
        {"snapshot", "list, make, apply or delete an image's snapshots", snapshot},
        {"rebase", "put another image below one", rebase},
        {"commit", "move an image's changes into the image below it", commit},
        {"publish", "split an image into chunks for a web server", publish},
    };
    return all;
}

namespace {

std::string help() {
    std::string text = "viv-img VERB [OPTIONS] FILE: makes, shows, checks, copies and changes disk images\n\n";
    for (const auto& verb : verbs()) text += fmt::format("  {:<10} {}\n", verb.name, verb.help);
    text += "\nviv-img VERB --help shows a verb's options. Formats:\n\n";
    for (const auto& kind : block::formats())
        if (kind.open != nullptr)
            text +=
                fmt::format("  {:<10} {}{}\n", kind.name, kind.title, kind.create == nullptr ? " (opened only)" : "");
    return text;
}

int run(const std::vector<std::string>& words) {
    if (words.empty() || words[0] == "help" || words[0] == "--help" || words[0] == "-h") {
        print(help());
        return words.empty() ? exit_failed : exit_good;
    }
    if (words[0] == "--version" || words[0] == "-V" || words[0] == "version") {
        print(fmt::format("viv-img {}\n", program_version()));
        return exit_good;
    }
    std::vector<std::string_view> names;
    for (const auto& verb : verbs()) {
        names.push_back(verb.name);
        if (verb.name != words[0]) continue;
        const auto code = verb.run(std::span(words).subspan(1));
        if (code.ok()) return *code;
        complain(code.error().message);
        // A difference found and a comparison that failed must not look the same.
        return verb.name == "compare" ? 2 : exit_failed;
    }
    complain(
        fmt::format("{}: is no verb; there are {}{}", words[0], fmt::join(names, ", "), suggestion(words[0], names)));
    return exit_failed;
}

}  // namespace

}  // namespace viv::native::img

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    return viv::native::img::run(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
