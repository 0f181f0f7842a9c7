// One QMP session: bytes in, bytes out, for any transport. Protocol: QEMU Machine Protocol Specification (greeting,
// capabilities negotiation, commands with "id", error classes, events with time stamps); commands are the rows of
// control/commands. Promises: input of any size and content costs bounded memory and never more than an error reply.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/control/commands/command.h"
#include "engine/control/machine.h"

namespace viv {

// Cuts a stream of JSON values into single ones without understanding more than brackets and strings.
class JsonStream {
public:
    static constexpr usize maximum_size = 1 << 20;  // bytes of one value
    static constexpr unsigned maximum_depth = 100;

    enum class Found : u8 { nothing, value, too_large };
    // Takes one byte. `value`: text() is a whole value (or some other text up to the end of its line).
    Found take(char byte);
    const std::string& text() const { return text_; }

private:
    Found finished();

    std::string text_;
    unsigned depth_ = 0;
    bool in_string_ = false;
    bool escaped_ = false;
    bool complete_ = false;  // text_ was handed out
    bool skipping_ = false;  // the rest of a line that was too large
};

class QmpSession final : private MachineListener {
public:
    // `send` takes whole messages, in order; it is called from receive(), start() and wherever the machine tells
    // events.
    using Send = std::function<void(std::string_view bytes)>;
    QmpSession(Machine& machine, CommandHost& host, Send send);
    ~QmpSession() override;
    QmpSession(const QmpSession&) = delete;
    QmpSession& operator=(const QmpSession&) = delete;

    // A client has connected: sends the greeting.
    void start();
    // Bytes from the client, cut anywhere. Called between slices.
    void receive(std::span<const u8> bytes);

private:
    void stopped(StopReason reason) override;
    void resumed() override;
    void was_reset(ResetBy by) override;
    void power_button_pressed() override;
    void powered_off(int exit_code) override;
    void job_changed(const Job& job) override;

    void handle(const std::string& text);
    CommandContext::Told defer();
    void tell(const Result<void>& result);
    void execute(const nlohmann::json& request, nlohmann::json& reply);
    void event(std::string_view name, const nlohmann::json* data = nullptr);
    void send(const nlohmann::json& message);

    CommandContext context_;
    Send send_;
    JsonStream stream_;
    bool negotiated_ = false;
    // A command whose result is still to come: its reply so far. What the client sends meanwhile is kept, since replies
    // come in the order of requests.
    std::unique_ptr<nlohmann::json> deferred_;
    std::vector<u8> kept_;
    bool kept_too_much_ = false;
    std::shared_ptr<QmpSession*> self_ = std::make_shared<QmpSession*>(this);
};

}  // namespace viv
