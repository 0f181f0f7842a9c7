// See qmp_caller.h. A monitor of ours takes one client at a time: a second one is connected by the kernel but hears
// nothing until the first has left.
#include "native/qmp_caller.h"

#include <fmt/format.h>

#include <utility>

#include "native/host_posix.h"

namespace viv::native {

namespace {

constexpr const char* no_qmp = "does not speak QMP; give the --qmp of a running viv";

}  // namespace

std::string harmless(std::string text, std::string_view kept) {
    for (char& c : text)
        if ((static_cast<u8>(c) < ' ' || c == 127) && kept.find(c) == kept.npos) c = '?';
    return text;
}

QmpCaller::QmpCaller(std::string verb, std::string option, const Endpoint& endpoint)
    : verb_(std::move(verb)), option_(std::move(option)), endpoint_(endpoint) {}

Error QmpCaller::failure(const std::string& problem) const {
    return Error{fmt::format("{} {}: {}", option_, endpoint_.text, problem)};
}

Result<nlohmann::json> QmpCaller::message(u64 patience_ns) {
    PosixClock clock;
    u64 heard = clock.monotonic_ns();
    auto* stream = source_->stream();
    usize looked = 0;  // so far there is no end of a message
    while (true) {
        stream->service();
        const auto input = stream->input();
        text_.append(input.begin(), input.end());
        if (!input.empty()) heard = clock.monotonic_ns();
        stream->consume(input.size());
        if (const auto end = text_.find('\n', looked); end != std::string::npos) {
            const std::string line = text_.substr(0, end);
            text_.erase(0, end + 1);
            auto value = nlohmann::json::parse(line, nullptr, false);
            if (!value.is_object()) return failure(no_qmp);
            return value;
        }
        looked = text_.size();
        if (looked > longest_message) return failure(no_qmp);
        if (stream->input_ended()) return failure("the connection was closed");
        stream->service();
        const u64 silent = clock.monotonic_ns() - heard;
        if (patience_ns != EventLoop::for_ever && silent >= patience_ns)
            return failure("says nothing; it is no --qmp of a viv, or another client is connected to that");
        events_.poll(patience_ns == EventLoop::for_ever ? patience_ns : patience_ns - silent);
    }
}

Result<void> QmpCaller::connect(u64 patience_ns) {
    const auto advice = fmt::format("start the machine with it, as in viv run GUEST --qmp {}", endpoint_.text);
    TRY_SET(source_, StreamSource::open(events_, option_, endpoint_, advice));
    TRY_SET(const auto greeting, message(patience_ns));
    if (!greeting.contains("QMP")) return failure(no_qmp);
    TRY(execute("qmp_capabilities", nlohmann::json::object()));
    return {};
}

Result<nlohmann::json> QmpCaller::execute(const char* command, const nlohmann::json& arguments) {
    const auto text = nlohmann::json{{"execute", command}, {"arguments", arguments}}.dump() + "\n";
    source_->stream()->write({reinterpret_cast<const u8*>(text.data()), text.size()});
    while (true) {
        TRY_SET(auto reply, message(EventLoop::for_ever));
        // Others are events.
        if (const auto value = reply.find("return"); value != reply.end()) return std::move(*value);
        const auto error = reply.find("error");
        if (error == reply.end()) continue;
        const auto reason = error->is_object() ? error->find("desc") : error->end();
        const bool told = error->is_object() && reason != error->end() && reason->is_string();
        return Error{fmt::format("{}: {}", verb_, told ? harmless(reason->get<std::string>()) : "refused")};
    }
}

}  // namespace viv::native
