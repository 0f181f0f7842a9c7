// The caller of a running viv: negotiation, answers between events, and other sides that are no QMP at all.
#include "native/qmp_caller.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

namespace viv::native {
namespace {

using nlohmann::json;

// Takes one client, sends the first of its texts, and one more for each line that it gets; then hangs up, or stays
// until the client has gone.
class Scripted {
public:
    enum class End : u8 { hang_up, stay };
    Scripted(const std::string& path, std::vector<std::string> texts, End end) {
        listener_ = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        EXPECT_EQ(bind(listener_.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        EXPECT_EQ(listen(listener_.number(), 1), 0);
        thread_ = std::thread([this, texts = std::move(texts), end] { serve(texts, end); });
    }
    ~Scripted() { thread_.join(); }

private:
    void serve(const std::vector<std::string>& texts, End end) {
        const Descriptor client(accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string heard;
        usize said = 0;
        for (usize lines = 0;;) {
            for (; said <= lines && said < texts.size(); said++) {
                for (usize done = 0; done < texts[said].size();) {
                    const ssize_t count =
                        send(client.number(), texts[said].data() + done, texts[said].size() - done, MSG_NOSIGNAL);
                    if (count <= 0) return;
                    done += static_cast<usize>(count);
                }
            }
            if (said == texts.size() && end == End::hang_up) return;
            char text[4096];
            const ssize_t count = read(client.number(), text, sizeof text);
            if (count <= 0) return;
            heard.append(text, static_cast<usize>(count));
            lines = static_cast<usize>(std::count(heard.begin(), heard.end(), '\n'));
        }
    }

    Descriptor listener_;
    std::thread thread_;
};

constexpr const char* greeting = "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n";
constexpr const char* agreed = "{\"return\": {}}\r\n";

class QmpCalls : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viv-qmp-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder_ = name;
        endpoint_.kind = Endpoint::Kind::unix_socket;
        endpoint_.path = folder_ + "/s";
        endpoint_.text = "unix:s";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    // What connect() says to such a greeting.
    std::string connecting(std::string text, Scripted::End end = Scripted::End::stay,
                           u64 patience_ns = EventLoop::for_ever) {
        Scripted other(endpoint_.path, {std::move(text)}, end);
        QmpCaller caller("verb", "--from", endpoint_);
        const auto done = caller.connect(patience_ns);
        unlink(endpoint_.path.c_str());
        return done.ok() ? "" : done.error().message;
    }
    // What a command says to the reply.
    Result<json> executing(std::string reply) {
        Scripted other(endpoint_.path, {greeting, agreed, std::move(reply)}, Scripted::End::stay);
        Result<json> result = Error{"not reached"};
        {
            QmpCaller caller("verb", "--from", endpoint_);
            const auto connected = caller.connect();
            EXPECT_TRUE(connected.ok()) << connected.error().message;
            if (connected.ok()) result = caller.execute("query-x", {{"a", 1}});
        }
        unlink(endpoint_.path.c_str());
        return result;
    }

    std::string folder_;
    Endpoint endpoint_;
};

TEST_F(QmpCalls, TheAnswerIsTakenFromAmongEvents) {
    Scripted other(endpoint_.path,
                   {greeting, std::string("{\"event\": \"STOP\"}\r\n") + agreed,
                    "{\"event\": \"RESUME\"}\r\n{\"return\": [1, 2]}\r\n", "{\"return\": \"three\"}\n"},
                   Scripted::End::stay);
    QmpCaller caller("verb", "--from", endpoint_);
    ASSERT_TRUE(caller.connect().ok());
    const auto first = caller.execute("one", {{"a", 1}});
    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_EQ(*first, json::parse("[1, 2]"));
    const auto second = caller.execute("two", json::object());
    ASSERT_TRUE(second.ok()) << second.error().message;
    EXPECT_EQ(*second, "three");
}

TEST_F(QmpCalls, ARefusalIsToldInOneLineWithoutControlCharacters) {
    const auto refused = executing("{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\\u001b[2J\\nway\"}}\n");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, "verb: no?[2J?way");
    for (const char* odd : {"{\"error\": 1}\n", "{\"error\": {\"desc\": []}}\n", "{\"error\": {}}\n"}) {
        const auto unexplained = executing(odd);
        ASSERT_FALSE(unexplained.ok());
        EXPECT_EQ(unexplained.error().message, "verb: refused");
    }
}

TEST_F(QmpCalls, OtherSidesThatAreNoQmp) {
    const std::string no_qmp = "--from unix:s: does not speak QMP; give the --qmp of a running viv";
    EXPECT_EQ(connecting("vivarium 0.1.0 monitor - help lists the commands\n(viv) "), no_qmp);
    EXPECT_EQ(connecting("{\"hello\": 1}\n"), no_qmp);
    EXPECT_EQ(connecting("[1]\n"), no_qmp);
    EXPECT_EQ(connecting("\n"), no_qmp);
    EXPECT_EQ(connecting(std::string(QmpCaller::longest_message + 1, '[')), no_qmp);
    EXPECT_EQ(connecting("", Scripted::End::hang_up), "--from unix:s: the connection was closed");
    EXPECT_EQ(connecting("{\"QMP\"", Scripted::End::hang_up), "--from unix:s: the connection was closed");
}

TEST_F(QmpCalls, SilenceIsWaitedForSoLong) {
    const std::string silent =
        "--from unix:s: says nothing; it is no --qmp of a viv, or another client is connected "
        "to that";
    constexpr u64 patience_ns = 50'000'000;
    EXPECT_EQ(connecting("", Scripted::End::stay, patience_ns), silent);
    EXPECT_EQ(connecting("+", Scripted::End::stay, patience_ns), silent);
}

TEST_F(QmpCalls, NobodyListens) {
    QmpCaller caller("verb", "--from", endpoint_);
    const auto done = caller.connect();
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().message,
              "--from unix:s: No such file or directory; start the machine with it, as in viv run GUEST --qmp unix:s");
}

}  // namespace
}  // namespace viv::native
