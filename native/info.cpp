// One function a subject. See info.h. A new one: a name in InfoOptions::What and info_names, a function here.
#include "native/info.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>

#include "native/host_posix.h"
#include "native/launch.h"
#include "native/program_host.h"
#include "native/qmp_caller.h"

namespace viv::native {

namespace {

// "model name : X" of /proc/cpuinfo.
std::string processor_name() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("model name")) continue;
        const auto colon = line.find(':');
        if (colon != std::string::npos && colon + 2 < line.size()) return line.substr(colon + 2);
    }
    return "unknown";
}

std::string of_this_host(const GuestCatalog& catalog) {
    utsname names{};
    uname(&names);
    PosixThreads threads;
    std::string text;
    const auto row = [&](const char* name, const std::string& value) { text += fmt::format("{:18}{}\n", name, value); };
    row("viv", std::string(program_version()));
    row("system", fmt::format("{} {} {}", names.sysname, names.release, names.machine));
    row("processor", processor_name());
    row("hardware threads", std::to_string(threads.hardware_threads()));
    row("memory", fmt::format("{} MiB", host_memory_bytes() >> 20));
    row("page size", std::to_string(sysconf(_SC_PAGESIZE)));
    row("/dev/kvm", access("/dev/kvm", R_OK | W_OK) == 0 ? "usable"
                    : access("/dev/kvm", F_OK) == 0      ? "present, not accessible"
                                                         : "absent");
    row("guest recipes", catalog.guests_folder());
    row("cache", catalog.cache_folder());
    return text;
}

Result<std::string> of_translated_code(const InfoOptions& options) {
    QmpCaller machine("info jit", "--from", options.from);
    TRY(machine.connect());
    const bool json = options.json == OnOff::on;
    // Asked in any case: at the prompt a refusal would be text like any other.
    TRY_SET(const auto counts, machine.execute("query-jit", {{"most", json ? options.most : 0}}));
    if (json) return counts.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    // The table is the prompt's own: whoever has the counts knows best how to show them.
    const auto line = fmt::format("info jit {}", options.most);
    TRY_SET(const auto answer, machine.execute("human-monitor-command", {{"command-line", line}}));
    if (!answer.is_string()) return Error{"info jit: the machine's answer is no text"};
    return harmless(answer.get<std::string>(), "\n");
}

}  // namespace

Result<std::string> information(const InfoOptions& options, const GuestCatalog& catalog) {
    switch (options.what) {
        case InfoOptions::What::host: return of_this_host(catalog);
        case InfoOptions::What::jit: break;
    }
    return of_translated_code(options);
}

}  // namespace viv::native
