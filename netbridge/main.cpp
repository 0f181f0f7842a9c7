// The program `netbridge`: its log on standard error, what was asked for on standard output.
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <ctime>

#include "netbridge/server.h"
#include "netbridge/tunnel_end.h"

namespace {

using namespace viv;
using namespace viv::netbridge;

constexpr int exit_failed = 1, exit_bad_input = 2;

void write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = write(descriptor, text.data(), text.size());
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return;  // a log that nobody reads is no reason to end
        text.remove_prefix(static_cast<usize>(count));
    }
}

// A pipe whose reader has stalled must not stop the relay. One that can be written to takes a line whole.
bool write_if_taken(int descriptor, std::string_view line) {
    pollfd state{descriptor, POLLOUT, 0};
    if (poll(&state, 1, 0) != 1 || (state.revents & POLLOUT) == 0) return false;
    write_all(descriptor, line);
    return true;
}

u64 wall_clock_ns() {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

int complain(const Error& error, int code) {
    write_all(STDERR_FILENO, fmt::format("netbridge: {}\n", error.message));
    return code;
}

int serve(const Settings& settings) {
    Journal journal([](std::string_view line) { return write_if_taken(STDERR_FILENO, line); }, wall_clock_ns);
    const auto server = Server::start(settings, journal);
    if (!server.ok()) return complain(server.error(), exit_failed);
    server.value()->run();
    return 0;
}

int tunnel(const TunnelOrder& order) {
    Journal journal([](std::string_view line) { return write_if_taken(STDERR_FILENO, line); }, wall_clock_ns);
    const auto end = TunnelEnd::start(order, journal);
    if (!end.ok()) return complain(end.error(), exit_failed);
    end.value()->run();
    return 0;
}

int make_token(const TokenOrder& order) {
    Grant grant = order.grant;
    grant.expiry += wall_clock_ns() / 1'000'000'000;
    write_all(STDOUT_FILENO, order.keys.make(grant) + "\n");
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    const auto order = parse_arguments(arguments);
    if (!order.ok()) return complain(order.error(), exit_bad_input);
    if (const auto* text = std::get_if<PrintOrder>(&*order)) {
        write_all(STDOUT_FILENO, text->text);
        return 0;
    }
    if (const auto* token = std::get_if<TokenOrder>(&*order)) return make_token(*token);
    if (const auto* end = std::get_if<TunnelOrder>(&*order)) return tunnel(*end);
    return serve(*std::get_if<Settings>(&*order));
}
