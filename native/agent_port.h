// The console port behind which a guest's agent sits, as the transport of an AgentSession.
// Promises: what the agent sends waits in a bounded buffer until service(); the session is used between slices only,
// except for taking its output.
#pragma once

#include <vector>

#include "native/agent_session.h"
#include "native/byte_port.h"

namespace viv::native {

class AgentPort final : public BytePort {
public:
    explicit AgentPort(u32 nonce) : session_(nonce) {}

    AgentSession& session() { return session_; }
    // The guest sees the port's other end only while it is connected; from the start it is.
    void connect(bool connected);
    // The agent has opened its port.
    bool opened() const { return opened_; }

    void service() override;
    void guest_opened(bool open) override { opened_ = open; }

private:
    static constexpr usize incoming_limit = 128 << 10;
    usize accept(std::span<const u8> bytes) override;
    std::span<const u8> available() override { return session_.output(); }
    void taken(usize count) override { session_.sent(count); }

    AgentSession session_;
    std::vector<u8> incoming_;
    bool opened_ = false;
    bool was_opened_ = false;
};

}  // namespace viv::native
