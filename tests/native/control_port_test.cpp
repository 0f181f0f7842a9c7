// Monitor endpoints: a session for each client, and clients that do not read.
#include "native/control_port.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace viv::native {
namespace {

// A session that answers in capitals.
class Shouting final : public ControlSession {
public:
    explicit Shouting(ControlSession::Send send) : send_(std::move(send)) { send_("hello\n"); }
    void receive(std::span<const u8> bytes) override {
        std::string text(bytes.begin(), bytes.end());
        for (char& letter : text) letter = letter >= 'a' && letter <= 'z' ? static_cast<char>(letter - 32) : letter;
        for (int i = 0; i < repeat; i++) send_(text);
    }
    static inline int repeat = 1;

private:
    ControlSession::Send send_;
};

class ControlPorts : public ::testing::Test {
protected:
    void SetUp() override {
        char name[] = "/tmp/viv-control-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
    }
    void open() {
        Endpoint endpoint;
        endpoint.kind = Endpoint::Kind::unix_socket;
        endpoint.role = Endpoint::Role::listen;
        endpoint.path = folder + "/s";
        auto source = StreamSource::open(loop, "--qmp", endpoint);
        ASSERT_TRUE(source.ok());
        port = std::make_unique<ControlPort>(std::move(*source), [this](ControlSession::Send send) {
            sessions++;
            return std::make_unique<Shouting>(std::move(send));
        });
    }
    std::unique_ptr<StreamSource> connect() {
        Endpoint endpoint;
        endpoint.kind = Endpoint::Kind::unix_socket;
        endpoint.path = folder + "/s";
        auto source = StreamSource::open(loop, "client", endpoint);
        EXPECT_TRUE(source.ok());
        return std::move(*source);
    }
    void turn(StreamSource& client) {
        for (int i = 0; i < 5; i++) {
            port->service();
            client.service();
            loop.poll(0);
        }
    }
    static std::string take(StreamSource& client) {
        const auto input = client.stream()->input();
        std::string text(input.begin(), input.end());
        client.stream()->consume(input.size());
        return text;
    }
    void TearDown() override {
        Shouting::repeat = 1;
        port.reset();
        std::filesystem::remove_all(folder);
    }
    std::string folder;
    EventLoop loop;
    std::unique_ptr<ControlPort> port;
    int sessions = 0;
};

TEST_F(ControlPorts, EachClientHasASessionOfItsOwn) {
    open();
    for (int i = 1; i <= 3; i++) {
        auto client = connect();
        turn(*client);
        EXPECT_EQ(take(*client), "hello\n");
        const std::string_view asked = "query\n";
        client->stream()->write({reinterpret_cast<const u8*>(asked.data()), asked.size()});
        turn(*client);
        EXPECT_EQ(take(*client), "QUERY\n");
        EXPECT_EQ(sessions, i);
        client->disconnect();
        for (int j = 0; j < 5; j++) {
            port->service();
            loop.poll(0);
        }
    }
}

TEST_F(ControlPorts, AClientThatDoesNotReadIsDroppedAndNotOurMemory) {
    Shouting::repeat = 1000;
    open();
    auto client = connect();
    turn(*client);
    const std::string block(60'000, 'x');
    client->stream()->write({reinterpret_cast<const u8*>(block.data()), block.size()});
    for (int i = 0; i < 50 && sessions == 1; i++) {
        port->service();
        client->stream()->service();
        loop.poll(0);
    }
    EXPECT_EQ(port->output_pending(), 0u);  // gone with its client
    take(*client);
}

}  // namespace
}  // namespace viv::native
