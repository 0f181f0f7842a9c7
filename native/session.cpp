// Endpoints and their sessions. See session.h.
#include "native/session.h"

#include <fmt/format.h>
#include <unistd.h>

namespace viv::native {

namespace {

constexpr u64 client_patience_ns = 2'000'000'000;

}  // namespace

int complain(const Error& error, int code) {
    const auto line = fmt::format("viv: {}\n", error.message);
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
    return code;
}

int ensure_guest(const GuestCatalog& catalog, const std::string& name) {
    if (name.empty()) return 0;
    auto found = catalog.find(name);
    if (!found.ok()) return complain(found.error(), exit_bad_input);
    if (*found) return 0;
    if (auto built = catalog.build(name); !built.ok()) return complain(built.error(), exit_failed);
    return 0;
}

void Session::drop_machine() {
    controls_.clear();
    loop_.reset();
    if (machine_) machine_->remove_listener(networks);
    machine_.reset();
}

void Session::adopt(std::unique_ptr<Machine> machine) {
    machine_ = std::move(machine);
    networks.follow(*machine_);
    loop_ = std::make_unique<MachineLoop>(*machine_, events);
    loop_->add([this] { networks.flush(); });
}

Result<void> Session::check_controls(const std::vector<ControlEndpoint>& controls) {
    for (const auto& control : controls) TRY(StreamSource::check(control.option, control.endpoint));
    return {};
}

Result<void> Session::open_controls(const std::vector<ControlEndpoint>& controls) {
    for (const auto& control : controls) {
        const auto make_client = [this, protocol = control.protocol](ControlSession::Send send) {
            return make_control_session(protocol, *machine_, program, std::move(send));
        };
        std::unique_ptr<ControlPort> port;
        if (control.endpoint.kind == Endpoint::Kind::stdio) {
            port =
                std::make_unique<ControlPort>(ByteStream::standard(events, STDIN_FILENO, STDOUT_FILENO), make_client);
        } else {
            TRY_SET(auto source, StreamSource::open(events, control.option, control.endpoint));
            port = std::make_unique<ControlPort>(std::move(source), make_client);
        }
        loop_->add([raw = port.get()] { raw->service(); });
        controls_.push_back(std::move(port));
    }
    return {};
}

bool Session::controls_ended() const {
    for (const auto& control : controls_)
        if (control->ended()) return true;
    return false;
}

void Session::drain(const std::function<usize()>& pending, const std::function<bool()>& go_on, u64 patience_ns) {
    const u64 start_ns = now_ns();
    while (pending() > 0 && go_on()) {
        const u64 spent_ns = now_ns() - start_ns;
        if (spent_ns >= patience_ns) return;
        events.poll(patience_ns == EventLoop::for_ever ? EventLoop::for_ever : patience_ns - spent_ns);
    }
}

void Session::drain_controls(const std::function<bool()>& go_on) {
    const auto pending = [&] {
        usize total = 0;
        for (const auto& control : controls_) {
            control->service();
            total += control->output_pending();
        }
        return total;
    };
    drain(pending, go_on, client_patience_ns);
}

}  // namespace viv::native
