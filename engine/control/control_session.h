// A client at one of the machine's control protocols, whichever transport carries its bytes.
// Promises: those of the protocol's own session (monitor.h, qmp.h, gdbstub.h, rfb/session.h); its destruction is the
// client's end.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "engine/control/commands/command.h"
#include "engine/lang/bits.h"

namespace viv {

enum class ControlProtocol : u8 { monitor, qmp, gdb, vnc };

class ControlSession {
public:
    // Takes bytes for the client, in order; called from receive() and wherever the machine tells events.
    using Send = std::function<void(std::string_view bytes)>;

    virtual ~ControlSession() = default;
    // Bytes from the client, cut anywhere. Called between slices.
    virtual void receive(std::span<const u8> bytes) = 0;
    // After each slice: what the client has asked to be told of may have changed.
    virtual void service() {}
    // It has nothing more to say or to hear: its connection is to be closed.
    virtual bool ended() const { return false; }
};

// Of a client that has just connected; it may be sent something at once. A machine has one session of gdb's at a time.
std::unique_ptr<ControlSession> make_control_session(ControlProtocol protocol, Machine& machine, CommandHost& host,
                                                     ControlSession::Send send);

}  // namespace viv
