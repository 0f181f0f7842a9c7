// Processes, pipes, and where one command's output ends. See member.h.
#include "native/lab/member.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <utility>

#include "engine/lang/bytes.h"
#include "native/host_posix.h"

namespace viv::native::lab {

namespace {

constexpr usize longest_line = 4096;
constexpr usize last_words_kept = 1000;

struct Pipe {
    Descriptor read, write;
};

Result<Pipe> make_pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return Error{fmt::format("a pipe: {}", error_text(errno))};
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
}

// As one word of a shell.
std::string quoted(std::string_view text) {
    std::string word = "'";
    for (const char c : text)
        if (c == '\'')
            word += "'\\''";
        else
            word += c;
    return word + "'";
}

std::span<const u8> bytes_of(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }
std::string_view text_of(std::span<const u8> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Member::Member(EventLoop& events, std::string name, Heard heard, std::function<void()> ended)
    : events_(events), name_(std::move(name)), heard_(std::move(heard)), ended_(std::move(ended)) {
    // No output of a guest looks like the end of a command by mistake.
    u8 nonce[8];
    PosixEntropy().fill(nonce);
    mark_ = fmt::format("viv-lab-{:016x} ", load_le<u64>(nonce));
}

Member::~Member() {
    if (watch_) events_.remove(watch_.number());
    shell_.reset();
    console_stream_.reset();
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
}

Result<void> Member::start(const std::vector<std::string>& arguments, const std::string& log) {
    log_ = Descriptor(open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!log_) return Error{fmt::format("{}: cannot be made: {}", log, error_text(errno))};
    TRY_SET(auto input, make_pipe());
    TRY_SET(auto output, make_pipe());
    TRY_SET(auto console, make_pipe());
    std::vector<char*> words;
    std::string program = "viv";
    words.push_back(program.data());
    for (const auto& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
    words.push_back(nullptr);
    const pid_t lab = getpid();
    const pid_t process = fork();
    if (process < 0) return Error{fmt::format("a process: {}", error_text(errno))};
    if (process == 0) {
        // Only async-signal-safe calls from here on. A group of its own: Ctrl-C is for the lab, which ends it in order.
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != lab) _exit(1);
        dup2(input.read.number(), STDIN_FILENO);
        dup2(output.write.number(), STDOUT_FILENO);
        dup2(console.write.number(), STDERR_FILENO);
        execv("/proc/self/exe", words.data());
        _exit(127);
    }
    process_ = process;
    watch_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, process, 0)));
    if (!watch_) return Error{fmt::format("watching a process: {}", error_text(errno))};
    events_.add(watch_.number(), Interest::read, [this](EventLoop::Ready) { process_ended(); });
    shell_in_ = std::move(input.write);
    shell_out_ = std::move(output.read);
    console_ = std::move(console.read);
    shell_ = ByteStream::standard(events_, shell_out_.number(), shell_in_.number());
    console_stream_ = ByteStream::standard(events_, console_.number(), -1);
    return {};
}

void Member::run(std::string_view script, Done done) {
    if (!running() || finishing_) return done(machine_gone);
    commands_.push_back(std::move(done));
    // The empty line ends a last one that has no end.
    unsent_ += fmt::format("sh -c {} </dev/null 2>&1; printf '\\n{}%d\\n' $?\n", quoted(script), mark_);
}

void Member::service(const Room& room) {
    if (shell_ == nullptr) return;
    unsent_.erase(0, shell_->write(bytes_of(unsent_)));
    shell_->service();
    console_stream_->service();
    take_console();
    take_lines(room);
    // The shell has read all that it will be given.
    if (finishing_ && unsent_.empty() && shell_->output_pending() == 0 && shell_in_) {
        shell_.reset();
        shell_in_.reset();
        shell_ = ByteStream::standard(events_, shell_out_.number(), -1);
    }
}

void Member::take_console() {
    const auto bytes = console_stream_->input();
    if (bytes.empty()) return;
    for (usize done = 0; done < bytes.size();) {
        const ssize_t count = write(log_.number(), bytes.data() + done, bytes.size() - done);
        if (count < 0 && errno != EINTR) break;  // a full disk does not end a lab
        if (count > 0) done += static_cast<usize>(count);
    }
    last_words_ += text_of(bytes);
    if (last_words_.size() > 2 * last_words_kept) last_words_.erase(0, last_words_.size() - last_words_kept);
    console_stream_->consume(bytes.size());
}

void Member::take_lines(const Room& room) {
    while (room()) {
        const auto text = text_of(shell_->input());
        auto end = text.find('\n');
        if (end == std::string_view::npos && text.size() < longest_line && !shell_->input_closed()) return;
        if (text.empty()) return;
        const bool whole = end != std::string_view::npos && end <= longest_line;
        end = whole ? end : std::min(text.size(), longest_line);
        const std::string line(text.substr(0, end));
        shell_->consume(whole ? end + 1 : end);
        take_line(line);
    }
}

void Member::take_line(std::string_view line) {
    if (line.starts_with(mark_) && !commands_.empty()) {
        blank_held_ = false;
        line.remove_prefix(mark_.size());
        int code = 0;
        for (const char c : line)
            if (c >= '0' && c <= '9' && code < 1000) code = 10 * code + (c - '0');
        const auto done = std::move(commands_.front());
        commands_.pop_front();
        return done(code);
    }
    if (std::exchange(blank_held_, line.empty())) heard_("");
    if (!line.empty()) heard_(line);
}

void Member::finish() {
    finishing_ = true;
    if (!commands_.empty()) kill(SIGINT);
}

void Member::kill(int signal) {
    if (process_ > 0) ::kill(process_, signal);
}

void Member::process_ended() {
    int status = 0;
    if (waitpid(process_, &status, WNOHANG) != process_) return;
    process_ = 0;
    events_.remove(watch_.number());
    watch_.reset();
    fate_ = WIFSIGNALED(status) ? fmt::format("killed by signal {}", WTERMSIG(status))
                                : fmt::format("exit code {}", WEXITSTATUS(status));
    // What it said last is in the pipes.
    shell_->service();
    console_stream_->service();
    take_console();
    take_lines([] { return true; });
    auto commands = std::exchange(commands_, {});
    for (const auto& done : commands) done(machine_gone);
    ended_();
}

}  // namespace viv::native::lab
