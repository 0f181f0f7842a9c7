// See controls_web.h.
#include "web/worker/controls_web.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace viv::web {

namespace {

constexpr std::array<std::string_view, 4> protocol_names = {"monitor", "qmp", "gdb", "vnc"};  // as ControlProtocol

}  // namespace

Result<u32> WebControls::open(std::string_view protocol, Machine& machine, CommandHost& host) {
    const auto found = std::find(protocol_names.begin(), protocol_names.end(), protocol);
    if (found == protocol_names.end())
        return Error{fmt::format("{}: is no control protocol; there are monitor, qmp, gdb and vnc", protocol)};
    const auto kind = static_cast<ControlProtocol>(found - protocol_names.begin());
    const auto debugs = [](const auto& each) { return each.second.protocol == ControlProtocol::gdb; };
    if (kind == ControlProtocol::gdb && std::any_of(clients_.begin(), clients_.end(), debugs))
        return Error{"gdb: the machine has a debugger already"};
    if (kind == ControlProtocol::vnc && machine.board().displays().empty())
        return Error{"vnc: the machine has no display"};
    const u32 number = ++last_;
    Client& client = clients_[number];
    client.protocol = kind;
    client.session = make_control_session(kind, machine, host, [&client](std::string_view bytes) {
        client.lost = client.lost || client.told.size() + bytes.size() > most_waiting_bytes;
        if (!client.lost) client.told += bytes;
    });
    return number;
}

void WebControls::receive(u32 number, std::span<const u8> bytes) {
    const auto found = clients_.find(number);
    if (found != clients_.end()) found->second.session->receive(bytes);
}

std::string WebControls::take(u32 number) {
    const auto found = clients_.find(number);
    if (found == clients_.end()) return {};
    if (found->second.told.empty()) found->second.session->service();
    return std::exchange(found->second.told, {});
}

bool WebControls::is_over(u32 number) const {
    const auto found = clients_.find(number);
    return found == clients_.end() || found->second.lost || found->second.session->ended();
}

}  // namespace viv::web
