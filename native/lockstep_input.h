// Who types for the guests of `viv lockstep`: a file into their console, or a command into their agent.
// Promises: what is typed depends on guest time and on what the guests sent alone, and is typed at stops only, so that
// it is the same for both and whenever the run is done again.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/lockstep/lockstep.h"
#include "native/agent_copy.h"
#include "native/agent_session.h"
#include "native/options.h"
#include "native/piped_input.h"

namespace viv::native {

constexpr unsigned lockstep_console = 0, lockstep_agent = 1;  // ports of the machines

class LockstepInput {
public:
    virtual ~LockstepInput() = default;
    enum class Next : u8 { go_on, end };
    // After each step; types with `run`.
    virtual Next stopped(lockstep::Lockstep& run, lockstep::Twins::At at) = 0;
    // Why it came to an end, for people; and what was wrong, if the guest did not do what it should.
    virtual std::string outcome() const = 0;
    virtual std::optional<Error> failure() const { return std::nullopt; }
};

// As `viv run --deterministic` types what is piped into it: each line when the guest waits for it, then Ctrl-D.
class ConsoleInput final : public LockstepInput {
public:
    // `ready`: what the console shows when it waits; empty: not known.
    ConsoleInput(std::vector<u8> input, std::string ready);
    Next stopped(lockstep::Lockstep& run, lockstep::Twins::At at) override;
    std::string outcome() const override { return outcome_; }

private:
    void look_for_prompt(std::span<const u8> output);

    std::vector<u8> input_;
    usize given_ = 0;
    std::string ready_, tail_, outcome_ = "as many as were asked for";
    PipedInput piped_;
    u64 time_ns_ = 0, instructions_ = 0;  // at the last stop
};

// As `viv exec` runs a command. `output` gets what it prints.
class CommandInput final : public LockstepInput {
public:
    using Output = std::function<void(AgentProcess::Stream, std::span<const u8>)>;
    CommandInput(const LockstepOptions& options, std::vector<u8> input, Output output);
    static Result<void> check(const LockstepOptions& options);
    Next stopped(lockstep::Lockstep& run, lockstep::Twins::At at) override;
    std::string outcome() const override { return outcome_; }
    std::optional<Error> failure() const override { return failure_; }

private:
    enum class Stage : u8 { boot, copy_in, command, over };
    void work();
    bool next_operation();
    void fail(std::string why);

    const LockstepOptions& options_;
    std::vector<u8> input_;
    usize input_given_ = 0;
    Output output_;
    AgentSession session_;
    std::unique_ptr<AgentOperation> operation_;
    AgentProcess* process_ = nullptr;  // operation_, while it is the command
    Stage stage_ = Stage::boot;
    usize copies_done_ = 0;
    bool was_opened_ = false;
    std::string outcome_ = "as many as were asked for";
    std::optional<Error> failure_;
};

}  // namespace viv::native
