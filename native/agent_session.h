// The host's side of the guest agent's protocol: the session and one operation at a time. Specification:
// guests/agent/PROTOCOL.md. Promises: knows no descriptors: bytes go in by receive() and out by output(); what the
// guest sends is bounded by the window it was given, and anything else ends the session with a line that says so.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/lang/bits.h"
#include "engine/lang/result.h"
#include "native/agent_frames.h"

namespace viv::native {

class AgentSession;

// A program run in the guest or a copy, from its first frame to its last.
class AgentOperation {
public:
    virtual ~AgentOperation() = default;
    bool done() const { return done_; }
    // Of a finished one: why it failed, if it did.
    const std::optional<Error>& failure() const { return failure_; }

protected:
    friend class AgentSession;
    virtual void begin() = 0;  // sends the first frame
    virtual void receive(const Frame& frame) = 0;
    virtual void step() {}                    // sends what credit and room allow
    virtual std::string subject() const = 0;  // what the guest's errors are about

    void send(FrameType type, std::span<const u8> payload, u8 flags = 0);
    // How many bytes of stdin or data can be sent now, at most `wanted`.
    usize sendable(usize wanted) const;
    // `bytes` of the received have been passed on: the guest gets credit for them again.
    void passed_on(usize bytes);
    void finish() { done_ = true; }
    void fail(std::string message);

private:
    AgentSession* session_ = nullptr;
    u16 channel_ = 0;
    u64 send_credit_ = 0;
    u64 receive_credit_ = 0;
    u64 unreturned_ = 0;
    bool done_ = false;
    std::optional<Error> failure_;
};

class AgentSession {
public:
    static constexpr u32 window = 256 << 10;
    static constexpr usize output_limit = 256 << 10;

    // `nonce` is any number but 0, new for each session.
    explicit AgentSession(u32 nonce) : nonce_(nonce) {}

    void receive(std::span<const u8> bytes);
    std::span<const u8> output() const { return {output_.data() + output_head_, output_.size() - output_head_}; }
    void sent(usize count);

    enum class State : u8 { waiting, ready, lost };
    State state() const { return state_; }
    const std::string& problem() const { return problem_; }  // of lost
    const std::string& release() const { return release_; }  // the guest's kernel

    // Says hello at once instead of waiting for the agent's: a restored guest's has been long ago.
    void greet();
    // `operation` must live until it is done or the session ends. Only when ready, and one at a time.
    void start(AgentOperation& operation);
    // Lets the operation go on after output was sent.
    void step();
    void power_off();
    // The guest has gone.
    void lose(std::string why);

private:
    friend class AgentOperation;
    void hello(const Frame& frame);
    void for_operation(const Frame& frame);
    void send(FrameType type, u16 channel, std::span<const u8> payload, u8 flags = 0);
    usize room() const { return output_limit - std::min(output_limit, output().size()); }

    u32 nonce_;
    State state_ = State::waiting;
    std::string problem_, release_;
    u32 peer_window_ = 0;
    u16 last_channel_ = 0;
    AgentOperation* operation_ = nullptr;
    FrameParser parser_;
    std::vector<u8> output_;
    usize output_head_ = 0;
};

// EXEC: a program with its standard streams.
class AgentProcess final : public AgentOperation {
public:
    struct Start {
        std::vector<std::string> command, environment;
        std::string folder;
        bool terminal = false;
        u16 rows = 0, columns = 0;
    };
    explicit AgentProcess(Start start) : start_(std::move(start)) {}
    // Could the start be sent at all? It has to fit into one frame.
    static Result<void> check(const Start& start);

    enum class Stream : u8 { out, error };
    // What has come and was not yet taken.
    std::span<const u8> output(Stream stream) const { return buffers_[static_cast<usize>(stream)]; }
    void take(Stream stream, usize count);

    usize stdin_room() const { return stdin_ended_ || done() ? 0 : sendable(frame_payload_limit / 2); }
    void send_stdin(std::span<const u8> bytes);  // at most stdin_room()
    void end_stdin();
    void send_signal(u32 number);
    void resize(u16 rows, u16 columns);
    void cancel();

    // Of a finished one without failure: the exit code, or 128 + the signal that killed it.
    int exit_code() const { return exit_code_; }

private:
    void begin() override;
    void receive(const Frame& frame) override;
    std::string subject() const override { return start_.command.front(); }

    Start start_;
    std::vector<u8> buffers_[2];
    bool stdin_ended_ = false;
    int exit_code_ = 0;
};

}  // namespace viv::native
