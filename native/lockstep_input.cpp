// Typing into two guests at once. See lockstep_input.h.
#include "native/lockstep_input.h"

#include <fmt/format.h>

#include <algorithm>

namespace viv::native {

namespace {

using At = lockstep::Twins::At;

constexpr u64 second_ns = 1'000'000'000;
constexpr u64 boot_patience_ns = 300 * second_ns;
// Guest time flies while a deterministic guest waits.
constexpr u64 end_patience_ns = 86'400 * second_ns;
constexpr u32 nonce = 1;  // any number, but the same each time

PipedInput::Patience patience(bool prompt_known) {
    PipedInput::Patience patience;
    patience.end_idle_ns = end_patience_ns;
    if (!prompt_known) return patience;
    patience.prompt = PipedInput::Prompt::known;
    patience.first_idle_ns = patience.first_busy_ns = boot_patience_ns;
    return patience;
}

}  // namespace

ConsoleInput::ConsoleInput(std::vector<u8> input, std::string ready)
    : input_(std::move(input)), ready_(std::move(ready)), piped_(patience(!ready_.empty())) {}

void ConsoleInput::look_for_prompt(std::span<const u8> output) {
    if (ready_.empty()) return;
    tail_.append(output.begin(), output.end());
    if (tail_.find(ready_) != std::string::npos) {
        piped_.listening();
        ready_.clear();
        return;
    }
    if (tail_.size() >= ready_.size()) tail_.erase(0, tail_.size() - ready_.size() + 1);
}

LockstepInput::Next ConsoleInput::stopped(lockstep::Lockstep& run, At at) {
    Machine& machine = run.machine();
    if (at == At::cut) return Next::end;
    if (at == At::ended) {
        outcome_ = fmt::format("the guests powered off with {}", machine.exit_code());
        return Next::end;
    }
    const usize count = std::min(piped_.room(), input_.size() - given_);
    piped_.add(std::span<const u8>(input_).subspan(given_, count));
    given_ += count;
    if (given_ == input_.size()) piped_.end();
    const u64 now_ns = machine.timers().now_ns(), instructions = machine.instructions();
    if (const auto output = run.output(lockstep_console); !output.empty()) {
        look_for_prompt(output);
        piped_.printed(now_ns);
    }
    // Most of the time was spent waiting.
    const u64 busy_ns = (instructions - instructions_) / std::max(1u, machine.config().board.cpus);
    const bool idle = at == At::idle || now_ns - time_ns_ > 2 * busy_ns;
    time_ns_ = now_ns;
    instructions_ = instructions;
    for (u64 decision_ns = now_ns;;) {
        if (piped_.step(decision_ns, idle) != PipedInput::Advice::none) {
            outcome_ = "the guests stay on after the end of their input";
            return Next::end;
        }
        const auto typed = piped_.typable();
        if (!typed.empty()) {
            run.type(lockstep_console, typed);
            piped_.taken(typed.size());
            return Next::go_on;
        }
        if (at != At::idle) return Next::go_on;
        // Their clock stands still for ever: what would be decided some time is decided now.
        const u64 next_ns = piped_.next_decision_ns();
        if (next_ns == ~u64{0} || next_ns <= decision_ns) {
            outcome_ = "both wait for what will not come";
            return Next::end;
        }
        decision_ns = next_ns;
    }
}

CommandInput::CommandInput(const LockstepOptions& options, std::vector<u8> input, Output output)
    : options_(options), input_(std::move(input)), output_(std::move(output)), session_(nonce) {}

Result<void> CommandInput::check(const LockstepOptions& options) {
    for (const auto& copy : options.copy_in) TRY(AgentUpload::check(copy.from));
    return AgentProcess::check({options.command, options.environment, options.folder, false, 0, 0});
}

void CommandInput::fail(std::string why) {
    if (stage_ == Stage::over) return;
    failure_ = Error{std::move(why)};
    stage_ = Stage::over;
}

// Starts what comes next, now that nothing is under way; false if that is nothing.
bool CommandInput::next_operation() {
    if (process_ != nullptr) {
        outcome_ = fmt::format("the command ended with {} in both", process_->exit_code());
        stage_ = Stage::over;
        return false;
    }
    if (copies_done_ < options_.copy_in.size()) {
        stage_ = Stage::copy_in;
        const auto& copy = options_.copy_in[copies_done_++];
        operation_ = std::make_unique<AgentUpload>(copy.from, copy.to);
    } else {
        stage_ = Stage::command;
        auto process = std::make_unique<AgentProcess>(
            AgentProcess::Start{options_.command, options_.environment, options_.folder, false, 0, 0});
        process_ = process.get();
        operation_ = std::move(process);
    }
    session_.start(*operation_);
    return true;
}

void CommandInput::work() {
    while (stage_ != Stage::over) {
        if (session_.state() == AgentSession::State::lost) return fail(session_.problem());
        if (session_.state() != AgentSession::State::ready) return;
        if (process_ != nullptr) {
            for (const auto stream : {AgentProcess::Stream::out, AgentProcess::Stream::error}) {
                const auto bytes = process_->output(stream);
                output_(stream, bytes);
                process_->take(stream, bytes.size());
            }
            while (input_given_ < input_.size() && process_->stdin_room() > 0) {
                const usize count = std::min(process_->stdin_room(), input_.size() - input_given_);
                process_->send_stdin(std::span<const u8>(input_).subspan(input_given_, count));
                input_given_ += count;
            }
            if (input_given_ == input_.size()) process_->end_stdin();
        }
        if (operation_ != nullptr && !operation_->done()) return session_.step();
        if (operation_ != nullptr && operation_->failure()) return fail(operation_->failure()->message);
        if (!next_operation()) return;
    }
}

LockstepInput::Next CommandInput::stopped(lockstep::Lockstep& run, At at) {
    session_.receive(run.output(lockstep_agent));
    const bool opened = run.opened(lockstep_agent);
    if (std::exchange(was_opened_, opened) && !opened) session_.lose("the guest's agent has ended");
    work();
    const auto output = session_.output();
    const bool silent = output.empty();
    run.type(lockstep_agent, output);
    session_.sent(output.size());
    if (stage_ == Stage::over || at == At::cut) return Next::end;
    const char* stage = stage_ == Stage::boot ? "before its agent answered" : "before the command had ended";
    if (at == At::ended) fail(fmt::format("the guest powered off {}", stage));
    if (at == At::idle && silent) fail(fmt::format("the guest fell silent {}", stage));
    if (stage_ == Stage::boot && run.machine().timers().now_ns() > boot_patience_ns)
        fail("the guest's agent did not answer");
    return stage_ == Stage::over ? Next::end : Next::go_on;
}

}  // namespace viv::native
