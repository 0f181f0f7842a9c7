// The standard streams of a command in a guest, joined with viv's own.
// Promises: bytes go through unchanged and in order, output is taken from the guest only as fast as it is read here; a
// reader that has gone is told to the command as SIGPIPE.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "native/agent_session.h"
#include "native/byte_port.h"
#include "native/escape_keys.h"
#include "native/host_posix.h"
#include "native/terminal.h"

namespace viv::native {

class ExecStreams {
public:
    struct Descriptors {
        int input = 0, output = 1, error = 2;
    };
    enum class Mode : u8 { plain, terminal };
    // `quit` is called for Ctrl-A x on a raw terminal.
    ExecStreams(EventLoop& loop, StandardErrorLog& log, Descriptors descriptors, Mode mode, std::function<void()> quit);
    ~ExecStreams() { stop(); }

    void start();  // a terminal becomes raw
    void stop();
    WindowSize size() const { return terminal_.size(); }
    // Moves what can be moved.
    void service(AgentProcess& process);
    void flush();
    // Output that waits here for its reader.
    usize pending() const;

private:
    void pass_output(AgentProcess& process, AgentProcess::Stream from, ByteStream& to);
    void pass_input(AgentProcess& process);

    StandardErrorLog& log_;
    Mode mode_;
    std::function<void()> quit_;
    Terminal terminal_;
    EscapeKeys keys_;
    std::vector<u8> typed_;  // on a raw terminal, past the escape keys
    std::unique_ptr<ByteStream> input_, output_, error_;
    bool pipe_told_ = false;
};

// A console that nobody looks at, unless something goes wrong.
class ConsoleTail final : public BytePort {
public:
    // `shown`: where to show everything, or null.
    explicit ConsoleTail(std::unique_ptr<ByteStream> shown) : shown_(std::move(shown)) {}
    void service() override;
    // The last lines, each safe to show on a terminal.
    std::string last_lines() const;

private:
    static constexpr usize kept = 8192;
    usize accept(std::span<const u8> bytes) override;

    std::unique_ptr<ByteStream> shown_;
    std::string tail_;
};

}  // namespace viv::native
