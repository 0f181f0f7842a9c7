// Joining the streams. See exec_streams.h.
#include "native/exec_streams.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "native/agent_frames.h"

namespace viv::native {

ExecStreams::ExecStreams(EventLoop& loop, StandardErrorLog& log, Descriptors descriptors, Mode mode,
                         std::function<void()> quit)
    : log_(log),
      mode_(mode),
      quit_(std::move(quit)),
      terminal_(descriptors.input),
      input_(ByteStream::standard(loop, descriptors.input, -1)),
      output_(ByteStream::standard(loop, -1, descriptors.output)),
      error_(ByteStream::standard(loop, -1, descriptors.error)) {}

void ExecStreams::start() {
    if (mode_ != Mode::terminal || !terminal_.present()) return;
    terminal_.enter_raw();
    log_.set_line_end(StandardErrorLog::LineEnd::carriage_return_newline);
}

void ExecStreams::stop() {
    if (!terminal_.raw()) return;
    terminal_.leave_raw();
    log_.set_line_end(StandardErrorLog::LineEnd::newline);
}

void ExecStreams::pass_output(AgentProcess& process, AgentProcess::Stream from, ByteStream& to) {
    process.take(from, to.write(process.output(from)));
    to.service();
    if (to.output_ended() && !std::exchange(pipe_told_, true)) process.send_signal(SIGPIPE);
}

void ExecStreams::pass_input(AgentProcess& process) {
    if (terminal_.raw()) {
        const std::vector<u8> bytes(input_->input().begin(), input_->input().end());
        input_->consume(bytes.size());
        keys_.feed(
            bytes, [this](std::span<const u8> run) { typed_.insert(typed_.end(), run.begin(), run.end()); },
            [this](EscapeKeys::Key key) {
                if (key == EscapeKeys::Key::quit) quit_();
            });
        const usize count = std::min(typed_.size(), process.stdin_room());
        process.send_stdin(std::span<const u8>(typed_).first(count));
        typed_.erase(typed_.begin(), typed_.begin() + static_cast<std::ptrdiff_t>(count));
    } else {
        while (!input_->input().empty() && process.stdin_room() > 0) {
            const auto bytes = input_->input().first(std::min(input_->input().size(), process.stdin_room()));
            process.send_stdin(bytes);
            input_->consume(bytes.size());
        }
    }
    if (input_->input_ended() && typed_.empty()) process.end_stdin();
    input_->service();
}

void ExecStreams::service(AgentProcess& process) {
    pass_output(process, AgentProcess::Stream::out, *output_);
    pass_output(process, AgentProcess::Stream::error, *error_);
    if (!process.done()) pass_input(process);
}

void ExecStreams::flush() {
    output_->service();
    error_->service();
}

usize ExecStreams::pending() const {
    return (output_->output_ended() ? 0 : output_->output_pending()) +
           (error_->output_ended() ? 0 : error_->output_pending());
}

void ConsoleTail::service() {
    if (shown_) shown_->service();
    made_room();
}

usize ConsoleTail::accept(std::span<const u8> bytes) {
    const usize count = shown_ ? shown_->write(bytes) : bytes.size();
    tail_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    if (tail_.size() > 2 * kept) tail_.erase(0, tail_.size() - kept);
    return count;
}

std::string ConsoleTail::last_lines() const {
    constexpr unsigned most_lines = 20;
    std::string_view rest = tail_;
    std::vector<std::string> lines;
    while (!rest.empty() && lines.size() < most_lines) {
        while (!rest.empty() && (rest.back() == '\n' || rest.back() == '\r')) rest.remove_suffix(1);
        const auto start = rest.rfind('\n') + 1;  // 0 if there is none
        if (!rest.empty()) lines.push_back(printable(rest.substr(start)));
        rest.remove_suffix(rest.size() - start);
    }
    std::string text;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) text += "  " + *line + "\n";
    return text;
}

}  // namespace viv::native
