// Standard input and output as a machine's console: a terminal with escape keys and a monitor behind it, or a pipe that
// is typed in line by line. Promises: a terminal is raw only between start() and stop(); with a pipe, what is typed
// depends on guest time and guest output alone.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/control/monitor.h"
#include "native/byte_port.h"
#include "native/escape_keys.h"
#include "native/host_posix.h"
#include "native/piped_input.h"
#include "native/terminal.h"

namespace viv::native {

class Console final : public BytePort {
public:
    struct Setup {
        int input = 0, output = 1;
        std::string ready;  // the guest shows this when it waits for input; empty: not known
        PipedInput::Patience patience;
        std::vector<u8> input_so_far;  // read ahead by the caller (deterministic runs), who then gives -1 as input
    };
    // `quit` is called for Ctrl-A x, and when the terminal hangs up.
    Console(EventLoop& loop, StandardErrorLog& log, Setup setup, std::function<void()> quit);
    ~Console() override;
    // Ctrl-A c leads here; without it nowhere.
    void attach_monitor(Machine& machine, CommandHost& host);

    void start();
    void stop();
    bool interactive() const { return terminal_.present(); }
    bool output_ended() const { return stream_->output_ended(); }
    usize output_pending() const { return stream_->output_pending(); }
    // The last byte printed was no newline.
    bool line_open() const { return line_open_; }

    void service() override;
    void guest_opened(bool open) override;
    // After each slice: what the pipe's policy wants done.
    PipedInput::Advice observe(u64 guest_now_ns, bool idle);
    // In guest time; ~0 for never.
    u64 next_decision_ns() const;

    // viv's own words, with the line ends that the terminal needs.
    void show(std::string_view text);

private:
    usize accept(std::span<const u8> bytes) override;
    std::span<const u8> available() override;
    void taken(usize count) override;
    void take_keys();
    void take_pipe();
    void pressed(EscapeKeys::Key key);
    void write(std::string_view text);

    static constexpr usize typed_limit = 64 << 10;
    enum class Focus : u8 { guest, monitor } focus_ = Focus::guest;
    StandardErrorLog& log_;
    Setup setup_;
    std::function<void()> quit_;
    Terminal terminal_;
    std::unique_ptr<ByteStream> stream_;
    EscapeKeys keys_;
    std::unique_ptr<MonitorSession> monitor_;
    bool monitor_started_ = false;
    PipedInput piped_;
    usize read_ahead_used_ = 0;
    bool pipe_ended_ = false;
    std::vector<u8> typed_;  // on the terminal, for the guest
    bool printed_ = false;   // since the last observe()
    bool line_open_ = false;
    bool ready_seen_ = false;
    std::string tail_;  // the last bytes printed, one less than `ready` has
};

}  // namespace viv::native
