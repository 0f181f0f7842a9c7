// Standard input and output between terminal or pipe, guest and monitor. See console.h.
#include "native/console.h"

#include <algorithm>

namespace viv::native {

Console::Console(EventLoop& loop, StandardErrorLog& log, Setup setup, std::function<void()> quit)
    : log_(log),
      setup_(std::move(setup)),
      quit_(std::move(quit)),
      terminal_(setup_.input),
      stream_(ByteStream::standard(loop, setup_.input, setup_.output)),
      piped_(setup_.patience) {}

Console::~Console() { stop(); }

void Console::start() {
    if (!terminal_.present()) return;
    terminal_.enter_raw();
    log_.set_line_end(StandardErrorLog::LineEnd::carriage_return_newline);
}

void Console::stop() {
    if (!terminal_.raw()) return;
    terminal_.leave_raw();
    log_.set_line_end(StandardErrorLog::LineEnd::newline);
}

void Console::attach_monitor(Machine& machine, CommandHost& host) {
    monitor_ = std::make_unique<MonitorSession>(machine, host, MonitorSession::Echo::on,
                                                [this](std::string_view text) { write(text); });
}

void Console::write(std::string_view text) { stream_->write({reinterpret_cast<const u8*>(text.data()), text.size()}); }

void Console::show(std::string_view text) {
    std::string shown;
    for (const char letter : text) {
        if (letter == '\n' && terminal_.raw()) shown += '\r';
        shown += letter;
    }
    write(shown);
}

usize Console::accept(std::span<const u8> bytes) {
    const usize count = stream_->write(bytes);
    if (count == 0) return 0;
    printed_ = true;
    line_open_ = bytes[count - 1] != '\n';
    if (setup_.ready.empty() || ready_seen_) return count;
    tail_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    ready_seen_ = tail_.find(setup_.ready) != std::string::npos;
    if (tail_.size() >= setup_.ready.size()) tail_.erase(0, tail_.size() - setup_.ready.size() + 1);
    return count;
}

std::span<const u8> Console::available() {
    if (terminal_.present()) return typed_;
    return piped_.typable();
}

void Console::taken(usize count) {
    if (terminal_.present())
        typed_.erase(typed_.begin(), typed_.begin() + static_cast<std::ptrdiff_t>(count));
    else
        piped_.taken(count);
}

void Console::guest_opened(bool open) {
    if (open) piped_.listening();
}

void Console::pressed(EscapeKeys::Key key) {
    switch (key) {
        case EscapeKeys::Key::quit: quit_(); break;
        case EscapeKeys::Key::help: show(EscapeKeys::help_text()); break;
        case EscapeKeys::Key::switch_monitor:
            if (monitor_ == nullptr) break;
            focus_ = focus_ == Focus::guest ? Focus::monitor : Focus::guest;
            show("\n");
            if (focus_ == Focus::guest) break;
            if (std::exchange(monitor_started_, true))
                monitor_->show_prompt();
            else
                monitor_->start();
            break;
    }
}

void Console::take_keys() {
    const auto input = stream_->input();
    const std::vector<u8> bytes(input.begin(), input.end());
    stream_->consume(bytes.size());
    keys_.feed(
        bytes,
        [&](std::span<const u8> run) {
            if (focus_ == Focus::monitor) return monitor_->receive(run);
            // A guest that never reads must not keep Ctrl-A x from being seen.
            const usize count = std::min(run.size(), typed_limit - typed_.size());
            typed_.insert(typed_.end(), run.begin(), run.begin() + static_cast<std::ptrdiff_t>(count));
        },
        [&](EscapeKeys::Key key) { pressed(key); });
}

void Console::take_pipe() {
    const auto ahead = std::span<const u8>(setup_.input_so_far).subspan(read_ahead_used_);
    const usize from_ahead = std::min(ahead.size(), piped_.room());
    piped_.add(ahead.first(from_ahead));
    read_ahead_used_ += from_ahead;
    if (read_ahead_used_ < setup_.input_so_far.size()) return;
    const auto input = stream_->input();
    const usize count = std::min(input.size(), piped_.room());
    piped_.add(input.first(count));
    stream_->consume(count);
    if (!pipe_ended_ && stream_->input_ended()) {
        pipe_ended_ = true;
        piped_.end();
    }
}

void Console::service() {
    if (terminal_.present()) {
        if (!stream_->input().empty())
            take_keys();
        else if (stream_->input_ended())
            quit_();  // the terminal has hung up
    } else {
        take_pipe();
    }
    stream_->service();
    offer();
    if (stream_->output_pending() < ByteStream::output_limit / 2) made_room();
}

PipedInput::Advice Console::observe(u64 guest_now_ns, bool idle) {
    if (terminal_.present()) return PipedInput::Advice::none;
    if (std::exchange(printed_, false)) {
        piped_.printed(guest_now_ns);
        if (ready_seen_) piped_.listening();
    }
    const auto advice = piped_.step(guest_now_ns, idle);
    offer();
    return advice;
}

u64 Console::next_decision_ns() const { return terminal_.present() ? ~u64{0} : piped_.next_decision_ns(); }

}  // namespace viv::native
