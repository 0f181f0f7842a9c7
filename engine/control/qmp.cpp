// See qmp.h. Parsing is nlohmann-json's without exceptions; every value's type is asked for before it is used.
#include "engine/control/qmp.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace viv {

JsonStream::Found JsonStream::finished() {
    complete_ = true;
    depth_ = 0;
    in_string_ = escaped_ = false;
    return Found::value;
}

JsonStream::Found JsonStream::take(char byte) {
    if (std::exchange(complete_, false)) text_.clear();
    if (skipping_) {
        skipping_ = byte != '\n';
        return Found::nothing;
    }
    if (text_.empty() && (byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n')) return Found::nothing;
    // Whatever is no object or array is no request; it ends with its line.
    if (depth_ == 0 && !text_.empty() && byte == '\n') return finished();
    text_ += byte;
    if (in_string_) {
        if (escaped_)
            escaped_ = false;
        else if (byte == '\\')
            escaped_ = true;
        else if (byte == '"')
            in_string_ = false;
    } else if (byte == '{' || byte == '[') {
        if (depth_ > 0 || text_.size() == 1) depth_++;
    } else if ((byte == '}' || byte == ']') && depth_ > 0) {
        if (--depth_ == 0) return finished();
    } else if (byte == '"' && depth_ > 0) {
        in_string_ = true;
    }
    if (text_.size() < maximum_size && depth_ <= maximum_depth) return Found::nothing;
    finished();
    skipping_ = byte != '\n';
    return Found::too_large;
}

QmpSession::QmpSession(Machine& machine, CommandHost& host, Send send)
    : context_{machine, host}, send_(std::move(send)) {
    machine.add_listener(*this);
    context_.defer = [this] { return defer(); };
}

QmpSession::~QmpSession() {
    *self_ = nullptr;
    context_.machine.remove_listener(*this);
}

void QmpSession::send(const nlohmann::json& message) {
    // Text from the guest or the user need not be UTF-8; the protocol's must be.
    send_(message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\r\n");
}

void QmpSession::start() {
    nlohmann::json version = nlohmann::json::object();
    run_qmp(context_, "query-version", nullptr, version);
    nlohmann::json greeting = nlohmann::json::object();
    greeting["QMP"]["version"] = std::move(version);
    greeting["QMP"]["capabilities"] = nlohmann::json::array();
    send(greeting);
}

void QmpSession::receive(std::span<const u8> bytes) {
    for (usize i = 0; i < bytes.size(); i++) {
        if (deferred_) {
            const auto rest = bytes.subspan(i);
            kept_too_much_ = kept_too_much_ || rest.size() > JsonStream::maximum_size - kept_.size();
            if (!kept_too_much_) kept_.insert(kept_.end(), rest.begin(), rest.end());
            return;
        }
        const auto found = stream_.take(static_cast<char>(bytes[i]));
        if (found == JsonStream::Found::value) handle(stream_.text());
        if (found == JsonStream::Found::too_large) handle({});
    }
}

CommandContext::Told QmpSession::defer() {
    deferred_ = std::make_unique<nlohmann::json>(nlohmann::json::object());
    return [self = self_](const Result<void>& result) {
        if (*self != nullptr) (*self)->tell(result);
    };
}

namespace {

void set_error(nlohmann::json& reply, ErrorClass error_class, const std::string& description) {
    reply["error"]["class"] = error_class_name(error_class);
    reply["error"]["desc"] = description;
}

}  // namespace

void QmpSession::handle(const std::string& text) {
    nlohmann::json reply = nlohmann::json::object();
    const nlohmann::json request = nlohmann::json::parse(text, nullptr, false);
    if (request.is_discarded()) {
        set_error(reply, ErrorClass::generic, "the input is not JSON, or too large");
    } else if (!request.is_object()) {
        set_error(reply, ErrorClass::generic, "a request must be a JSON object");
    } else {
        if (const auto id = request.find("id"); id != request.end()) reply["id"] = *id;
        execute(request, reply);
    }
    if (deferred_)
        *deferred_ = std::move(reply);
    else
        send(reply);
}

void QmpSession::tell(const Result<void>& result) {
    auto reply = std::move(*std::exchange(deferred_, nullptr));
    if (!result.ok()) {
        reply.erase("return");
        set_error(reply, ErrorClass::generic, result.error().message);
    }
    send(reply);
    const auto kept = std::exchange(kept_, {});
    receive(kept);
    if (std::exchange(kept_too_much_, false)) handle({});
}

void QmpSession::execute(const nlohmann::json& request, nlohmann::json& reply) {
    for (auto member = request.begin(); member != request.end(); ++member)
        if (member.key() != "execute" && member.key() != "arguments" && member.key() != "id")
            return set_error(reply, ErrorClass::generic, fmt::format("a request has no member '{}'", member.key()));
    const auto command = request.find("execute");
    if (command == request.end() || !command->is_string())
        return set_error(reply, ErrorClass::generic, "a request needs 'execute' with a command's name");
    const std::string& name = command->get_ref<const std::string&>();
    nlohmann::json arguments;
    if (const auto given = request.find("arguments"); given != request.end()) {
        if (!given->is_object()) return set_error(reply, ErrorClass::generic, "'arguments' must be a JSON object");
        arguments = *given;
    }

    if (name == "qmp_capabilities") {
        if (negotiated_)
            return set_error(reply, ErrorClass::command_not_found, "capabilities have been negotiated before");
        for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
            if (argument.key() != "enable")
                return set_error(reply, ErrorClass::generic,
                                 fmt::format("'qmp_capabilities' has no argument '{}'", argument.key()));
            if (!argument->is_array() || !argument->empty())
                return set_error(reply, ErrorClass::generic, "there is no capability to enable: leave 'enable' empty");
        }
        negotiated_ = true;
        reply["return"] = nlohmann::json::object();
        return;
    }
    if (!negotiated_)
        return set_error(reply, ErrorClass::command_not_found, "the first command must be 'qmp_capabilities'");

    nlohmann::json result = nlohmann::json::object();
    const QmpOutcome outcome = run_qmp(context_, name, arguments, result);
    if (outcome.ok)
        reply["return"] = std::move(result);
    else
        set_error(reply, outcome.error_class, outcome.description);
}

void QmpSession::event(std::string_view name, const nlohmann::json* data) {
    if (!negotiated_) return;
    const u64 now = context_.host.realtime_ns();
    nlohmann::json message = nlohmann::json::object();
    message["event"] = name;
    message["timestamp"]["seconds"] = now / 1'000'000'000;
    message["timestamp"]["microseconds"] = now % 1'000'000'000 / 1'000;
    if (data != nullptr) message["data"] = *data;
    send(message);
}

void QmpSession::stopped(StopReason) { event("STOP"); }
void QmpSession::resumed() { event("RESUME"); }
void QmpSession::power_button_pressed() { event("POWERDOWN"); }

void QmpSession::was_reset(ResetBy by) {
    nlohmann::json data = nlohmann::json::object();
    data["guest"] = by == ResetBy::guest;
    data["reason"] = by == ResetBy::guest ? "guest-reset" : "host-qmp-system-reset";
    event("RESET", &data);
}

void QmpSession::job_changed(const Job& job) {
    nlohmann::json data = nlohmann::json::object();
    data["id"] = job.id;
    data["status"] = job_status_name(job.status);
    event("JOB_STATUS_CHANGE", &data);
}

void QmpSession::powered_off(int) {
    const auto [guest, reason] = [why = context_.machine.stop_reason()]() -> std::pair<bool, const char*> {
        switch (why) {
            case StopReason::guest_power_off: return {true, "guest-shutdown"};
            case StopReason::guest_reset: return {true, "guest-reset"};
            case StopReason::host_reset: return {false, "host-qmp-system-reset"};
            case StopReason::host_error: return {false, "host-error"};
            default: return {false, "host-qmp-quit"};
        }
    }();
    nlohmann::json data = nlohmann::json::object();
    data["guest"] = guest;
    data["reason"] = reason;
    event("SHUTDOWN", &data);
}

}  // namespace viv
