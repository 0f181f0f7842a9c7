// A client of a running viv's --qmp, for the verbs that ask one: connects, negotiates, executes, one command at a time.
// Protocol: QEMU Machine Protocol Specification. Promises: every failure is one line that names the option and the
// endpoint; what the other side sends is bounded, and nothing of it is trusted to be of any form. Not for use beside an
// event loop: each call waits.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "native/stream_source.h"

namespace viv::native {

// The text with other characters in the place of control characters, but for those of `kept`: it goes to a terminal.
std::string harmless(std::string text, std::string_view kept = {});

class QmpCaller {
public:
    static constexpr usize longest_message = 4 << 20;  // bytes
    static constexpr u64 greeting_patience_ns = 10'000'000'000;

    // `option` named the endpoint on the command line, `verb` is what its errors begin with: "save".
    QmpCaller(std::string verb, std::string option, const Endpoint& endpoint);

    // Up to the end of the negotiation. Whoever listens there must not be silent for longer than the patience before
    // it has said who it is.
    Result<void> connect(u64 patience_ns = greeting_patience_ns);
    // After connect(): what the command returns, or why it was refused. Takes as long as the other side does.
    Result<nlohmann::json> execute(const char* command, const nlohmann::json& arguments);

private:
    // The next message, waiting for more of it at most so long.
    Result<nlohmann::json> message(u64 patience_ns);
    Error failure(const std::string& problem) const;

    std::string verb_, option_;
    Endpoint endpoint_;
    EventLoop events_;
    std::unique_ptr<StreamSource> source_;
    std::string text_;
};

}  // namespace viv::native
