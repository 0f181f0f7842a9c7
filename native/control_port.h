// A monitor, QMP, gdb or VNC endpoint: hands each client a session of its own and carries its bytes.
// Promises: one client at a time; what a session says is kept until the client reads it, up to a limit, at which the
// client is dropped; a client that does not read is not listened to.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "engine/control/control_session.h"
#include "native/stream_source.h"

namespace viv::native {

class ControlPort {
public:
    static constexpr usize reply_limit = 8 << 20;  // bytes that wait for a client

    // Makes the session of a client that has just connected; it may send at once.
    using Accept = std::function<std::unique_ptr<ControlSession>(ControlSession::Send send)>;

    ControlPort(std::unique_ptr<StreamSource> source, Accept accept);
    // On standard input and output; there is one client, and its end is ended().
    ControlPort(std::unique_ptr<ByteStream> stream, Accept accept);
    ControlPort(const ControlPort&) = delete;
    ControlPort& operator=(const ControlPort&) = delete;

    void service();
    bool ended() const { return ended_; }
    usize output_pending() const;

private:
    ByteStream* stream() { return source_ ? source_->stream() : stream_.get(); }
    void hand_over();

    std::unique_ptr<StreamSource> source_;
    std::unique_ptr<ByteStream> stream_;
    Accept accept_;
    std::unique_ptr<ControlSession> session_;
    std::string replies_;
    bool ended_ = false;
};

}  // namespace viv::native
