// See control_session.h.
#include "engine/control/control_session.h"

#include "engine/control/gdbstub.h"
#include "engine/control/monitor.h"
#include "engine/control/qmp.h"
#include "engine/control/rfb/session.h"

namespace viv {

namespace {

class MonitorClient final : public ControlSession {
public:
    MonitorClient(Machine& machine, CommandHost& host, Send send)
        : session_(machine, host, MonitorSession::Echo::off, std::move(send)) {
        session_.start();
    }
    void receive(std::span<const u8> bytes) override { session_.receive(bytes); }

private:
    MonitorSession session_;
};

class QmpClient final : public ControlSession {
public:
    QmpClient(Machine& machine, CommandHost& host, Send send) : session_(machine, host, std::move(send)) {
        session_.start();
    }
    void receive(std::span<const u8> bytes) override { session_.receive(bytes); }

private:
    QmpSession session_;
};

class GdbClient final : public ControlSession {
public:
    GdbClient(Machine& machine, CommandHost& host, Send send) : stub_(machine, host, std::move(send)) {
        stub_.connected();
    }
    void receive(std::span<const u8> bytes) override { stub_.receive(bytes); }

private:
    GdbStub stub_;
};

class VncClient final : public ControlSession {
public:
    VncClient(Machine& machine, CommandHost& host, Send send)
        : session_({machine.board().displays(), machine.board().inputs()}, std::string(host.machine_name()),
                   std::move(send)) {}
    void receive(std::span<const u8> bytes) override { session_.receive(bytes); }
    void service() override { session_.service(); }
    bool ended() const override { return session_.ended(); }

private:
    rfb::Session session_;
};

}  // namespace

std::unique_ptr<ControlSession> make_control_session(ControlProtocol protocol, Machine& machine, CommandHost& host,
                                                     ControlSession::Send send) {
    switch (protocol) {
        case ControlProtocol::monitor: return std::make_unique<MonitorClient>(machine, host, std::move(send));
        case ControlProtocol::qmp: return std::make_unique<QmpClient>(machine, host, std::move(send));
        case ControlProtocol::gdb: return std::make_unique<GdbClient>(machine, host, std::move(send));
        case ControlProtocol::vnc: break;
    }
    return std::make_unique<VncClient>(machine, host, std::move(send));
}

}  // namespace viv
