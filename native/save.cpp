// A QMP client of three messages: greeting, capabilities, viv-save. See save.h.
#include "native/save.h"

#include <fmt/format.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "native/session.h"
#include "native/user_files.h"

namespace viv::native {

namespace {

constexpr usize longest_message = 1 << 20;

class QmpClient {
public:
    explicit QmpClient(const Endpoint& endpoint) : endpoint_(endpoint) {}

    Result<void> connect() {
        TRY_SET(source_, StreamSource::open(events_, "--from", endpoint_));
        return {};
    }

    // The next message that `wanted` accepts, events and others passed over.
    template <class Wanted>
    Result<nlohmann::json> message(Wanted wanted) {
        auto* stream = source_->stream();
        while (true) {
            stream->service();
            const auto input = stream->input();
            text_.append(input.begin(), input.end());
            stream->consume(input.size());
            for (usize end = 0; (end = text_.find('\n')) != std::string::npos; text_.erase(0, end + 1)) {
                auto value = nlohmann::json::parse(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end),
                                                   nullptr, false);
                if (value.is_object() && wanted(value)) {
                    text_.erase(0, end + 1);
                    return value;
                }
            }
            if (text_.size() > longest_message)
                return Error{fmt::format("--from {}: does not speak QMP", endpoint_.text)};
            if (stream->input_ended())
                return Error{fmt::format("--from {}: the connection was closed", endpoint_.text)};
            stream->service();
            events_.poll(EventLoop::for_ever);
        }
    }

    Result<void> execute(const char* command, const nlohmann::json& arguments) {
        const auto text = nlohmann::json{{"execute", command}, {"arguments", arguments}}.dump() + "\n";
        source_->stream()->write({reinterpret_cast<const u8*>(text.data()), text.size()});
        TRY_SET(const auto reply, message([](const nlohmann::json& value) {
                    return value.contains("return") || value.contains("error");
                }));
        const auto error = reply.find("error");
        if (error == reply.end()) return {};
        return Error{fmt::format("save: {}", error->is_object() ? error->value("desc", "refused") : "refused")};
    }

private:
    Endpoint endpoint_;
    EventLoop events_;
    std::unique_ptr<StreamSource> source_;
    std::string text_;
};

// The other program may have another working folder.
std::string absolute_path(const std::string& path) {
    if (path.starts_with('/')) return path;
    char* folder = getcwd(nullptr, 0);
    const auto absolute = folder != nullptr ? std::string(folder) + "/" + path : path;
    std::free(folder);
    return absolute;
}

Result<void> save_machine(const SaveOptions& options) {
    TRY(check_writable("save", options.file));
    QmpClient client(options.from);
    TRY(client.connect());
    TRY(client.message([](const nlohmann::json& value) { return value.contains("QMP"); }));
    TRY(client.execute("qmp_capabilities", nlohmann::json::object()));
    return client.execute("viv-save", {{"file", absolute_path(options.file)}});
}

}  // namespace

int save(const SaveOptions& options) {
    const auto saved = save_machine(options);
    return saved.ok() ? 0 : complain(saved.error(), exit_bad_input);
}

}  // namespace viv::native
